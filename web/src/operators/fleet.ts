/** The workers as the server tells of them. */

export type WorkerState = "ready" | "draining" | "left_alone" | "vanished" | "embedded";

export interface WorkerModel {
  id: string;
  /** Whether it is in the worker's memory. */
  resident: boolean;
}

export interface Worker {
  name: string;
  /** Whether it speaks or listens. */
  kind: "tts" | "stt";
  addr: string;
  /** Null where it is inside the server. */
  host: string | null;
  from: "registry" | "local" | "embedded";
  state: WorkerState;
  /** How much longer nobody asks it, after it failed. */
  leftAloneSeconds: number | null;
  /** How long its record has been missing. */
  vanishedSeconds: number | null;
  /** Sessions that may be open at a time; 0 where it does not tell. */
  slots: number;
  slotsInUse: number;
  /** Clauses or utterances that wait. */
  queue: number;
  /** The median time to the first result. */
  p50Ms: number | null;
  models: WorkerModel[];
  voices: number;
  gpu: number | null;
  version: string;
  /** How long ago it wrote its record. */
  seenSecondsAgo: number | null;
}

export interface Fleet {
  /** Those outside the server first, each part by name. */
  workers: Worker[];
  /** Whether the server looks for workers elsewhere. */
  hasRegistry: boolean;
}

const STATES: WorkerState[] = ["ready", "draining", "left_alone", "vanished", "embedded"];

/** Reads the answer leniently; throws only when it is no list of workers at all. */
export function readFleet(body: unknown): Fleet {
  const { workers, registry } = fields(body);
  if (!Array.isArray(workers)) throw new TypeError("no list of workers");
  const read = workers.map(readWorker).filter(({ name }) => name !== "");
  return {
    workers: read.sort(
      (one, other) =>
        Number(isInside(one)) - Number(isInside(other)) || compare(one.name, other.name),
    ),
    hasRegistry: registry === true,
  };
}

/** Whether it lives and ends with the server. */
export function isInside(worker: Worker): boolean {
  return worker.from === "embedded";
}

/** Whether another worker of its kind, outside the server, takes callers. */
export function hasStandIn(fleet: Fleet, worker: Worker): boolean {
  return fleet.workers.some(
    ({ name, kind, state }) => name !== worker.name && kind === worker.kind && state === "ready",
  );
}

function readWorker(value: unknown): Worker {
  const worker = fields(value);
  const { from, host, kind, models, state } = worker;
  return {
    name: string(worker["name"]),
    kind: kind === "stt" ? "stt" : "tts",
    addr: string(worker["addr"]),
    host: typeof host === "string" ? host : null,
    from: from === "embedded" || from === "local" ? from : "registry",
    state: STATES.find((known) => known === state) ?? "ready",
    leftAloneSeconds: numberOrNull(worker["left_alone_seconds"]),
    vanishedSeconds: numberOrNull(worker["vanished_seconds"]),
    slots: number(worker["slots"]),
    slotsInUse: number(worker["slots_in_use"]),
    queue: number(worker["queue"]),
    p50Ms: numberOrNull(worker["p50_ms"]),
    models: Array.isArray(models) ? models.map(readModel).filter(({ id }) => id !== "") : [],
    voices: number(worker["voices"]),
    gpu: numberOrNull(worker["gpu"]),
    version: string(worker["version"]),
    seenSecondsAgo: numberOrNull(worker["seen_seconds_ago"]),
  };
}

function readModel(value: unknown): WorkerModel {
  const model = fields(value);
  return { id: string(model["id"]), resident: model["resident"] === true };
}

/** An object’s fields; none of what is no object. */
export function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

export function number(value: unknown): number {
  return numberOrNull(value) ?? 0;
}

function compare(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}
