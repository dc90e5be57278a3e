/** What the page says about a worker. */

import type { Problem } from "../call/problems.ts";
import type { Fleet, Worker, WorkerState } from "./fleet.ts";

export const STATE_LABELS: Record<WorkerState, string> = {
  ready: "Ready",
  draining: "Draining",
  left_alone: "Left alone",
  vanished: "Vanished",
  embedded: "Inside",
};

export const KIND_LABELS: Record<Worker["kind"], string> = {
  tts: "Speech",
  stt: "Recognition",
};

const LONGEST = 120;

/** What steers the direction of writing or is not seen: text of a registry may have been written by anybody. */
const STEERING =
  // eslint-disable-next-line no-control-regex -- it is what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/** A stranger's text in one line, with what cannot be seen written out. */
export function shown(text: string): string {
  const line = text.replace(
    STEERING,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/** One short line under the state. */
export function stateDetail(worker: Worker): string {
  switch (worker.state) {
    case "ready":
      return lastHeard(worker);
    case "draining":
      return worker.slotsInUse === 0
        ? "Nobody is there any more."
        : `${count(worker.slotsInUse, "session")} still open`;
    case "left_alone":
      return worker.leftAloneSeconds === null
        ? "It failed."
        : `It failed; asked again in ${seconds(worker.leftAloneSeconds)}`;
    case "vanished":
      return worker.vanishedSeconds === null
        ? "Not in the registry"
        : `Not in the registry for ${seconds(worker.vanishedSeconds)}`;
    case "embedded":
      return "Part of this server";
  }
}

/** Where it is and what it is, in the order of interest. */
export function facts(worker: Worker): string[] {
  const { gpu, host, kind, version, voices } = worker;
  return [
    KIND_LABELS[kind],
    ...(host === null ? [] : [shown(host)]),
    ...(gpu === null ? [] : [`GPU ${gpu}`]),
    ...(kind === "tts" && voices > 0 ? [count(voices, "voice")] : []),
    ...(version === "" ? [] : [shown(version)]),
  ];
}

/** How many sessions are open of how many. */
export function loadText({ slots, slotsInUse }: Worker): string {
  return slots === 0 ? `${slotsInUse} open` : `${slotsInUse} of ${slots}`;
}

/** How full it is, from 0 to 1; null where it does not tell how much it takes. */
export function loadShare({ slots, slotsInUse }: Worker): number | null {
  return slots === 0 ? null : Math.min(slotsInUse / slots, 1);
}

export function loadDetail({ kind, p50Ms, queue }: Worker): string {
  const parts = queue > 0 ? [`${queue} waiting`] : [];
  if (p50Ms !== null)
    parts.push(`${latency(p50Ms)} to first ${kind === "tts" ? "sound" : "words"}`);
  return parts.join(" · ");
}

/** How many are in which state, those that need a look first. */
export function counts({ workers }: Fleet): string {
  const order: WorkerState[] = ["left_alone", "vanished", "draining", "ready"];
  return order
    .map((state) => [state, workers.filter((worker) => worker.state === state).length] as const)
    .filter(([, many]) => many > 0)
    .map(([state, many]) => `${many} ${STATE_LABELS[state].toLowerCase()}`)
    .join(" · ");
}

/** Why there is nothing newer. */
export function whyOld({ kind }: Problem): string {
  if (kind === "offline") return "you are offline";
  return kind === "server-gone" ? "the server does not answer" : "the server refuses";
}

/** A time of day, as in `14:03:22`. */
export function timeOfDay(atMs: number): string {
  return new Date(atMs).toLocaleTimeString([], { hourCycle: "h23" });
}

function lastHeard({ seenSecondsAgo }: Worker): string {
  if (seenSecondsAgo === null) return "";
  return seenSecondsAgo < 1 ? "Heard just now" : `Heard ${seconds(seenSecondsAgo)} ago`;
}

function latency(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function seconds(length: number): string {
  const whole = Math.round(length);
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}
