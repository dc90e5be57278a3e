/** What the server says about itself before a call: engines, voices, transports. */

import { infoAddress, keyHeaders } from "./address.ts";
import { httpProblem, ProblemError } from "./problems.ts";
import { type SessionMode, type Transport, TRANSPORTS } from "./protocol.ts";

export interface Voice {
  id: string;
  name: string;
  language: string;
}

export interface ServerInfo {
  version: string;
  /** Job to engine, as in `stt` to `pocketsphinx`; jobs without an engine are left out. */
  engines: Partial<Record<EngineJob, string>>;
  voices: Voice[];
  transports: Transport[];
  /** Where the rooms are, as `host:port`; null where there are none. */
  roomsHost: string | null;
  mode: SessionMode;
  authRequired: boolean;
}

export type EngineJob = "vad" | "denoise" | "stt" | "tts" | "responder";

const JOBS: EngineJob[] = ["vad", "denoise", "stt", "tts", "responder"];
const ANSWER_WITHIN_MS = 8000;

/** What a call goes over: what the person chose if the server offers it, else the best that it offers. */
export function chooseTransport(chosen: Transport | null, info: ServerInfo | null): Transport {
  const offered = info?.transports ?? [];
  if (chosen !== null && (info === null || offered.includes(chosen))) return chosen;
  return TRANSPORTS.find((candidate) => offered.includes(candidate)) ?? "webrtc";
}

/** Asks the server; throws a `ProblemError` that says why there is no answer. */
export async function fetchInfo(base: string, key: string | null): Promise<ServerInfo> {
  const answer = await reach(infoAddress(base), {
    headers: keyHeaders(key),
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!answer.ok) throw new ProblemError(await answerProblem(answer, key !== null));
  try {
    return readInfo(await answer.json());
  } catch {
    throw new ProblemError({ kind: "server-gone" });
  }
}

/** `fetch`, where no answer at all becomes a problem with words. */
export async function reach(address: URL, request: RequestInit): Promise<Response> {
  try {
    return await fetch(address, request);
  } catch {
    throw new ProblemError({ kind: navigator.onLine ? "server-gone" : "offline" });
  }
}

/** What a refusing HTTP answer means, with the server's message when it has one. */
export async function answerProblem(answer: Response, hadKey: boolean) {
  let message = "";
  try {
    const body = fields(await answer.json());
    message = string(fields(body["error"])["message"]);
  } catch {
    // No JSON, no message; the status says enough.
  }
  return httpProblem(answer.status, message, answer.headers.get("Retry-After"), hadKey);
}

/** Reads the answer leniently: what is missing gets its usual value. */
export function readInfo(body: unknown): ServerInfo {
  const info = fields(body);
  const engines: ServerInfo["engines"] = {};
  for (const job of JOBS) {
    const name = list(fields(info["engines"])[job]).map(string).join(", ");
    if (name !== "") engines[job] = name;
  }
  const roomsHost = hostOf(string(fields(info["livekit"])["url"]));
  const direct = readDirect(info["transports"]);
  const mode = info["mode"];
  return {
    version: string(info["version"]),
    engines,
    voices: list(info["voices"])
      .map(readVoice)
      .filter((voice) => voice.id !== ""),
    transports: roomsHost === null ? direct : ["livekit", ...direct],
    roomsHost,
    mode: mode === "mute" || mode === "manual" ? mode : "duplex",
    authRequired: info["auth_required"] === true,
  };
}

function readVoice(value: unknown): Voice {
  const voice = fields(value);
  const id = string(voice["id"]);
  return { id, name: string(voice["name"]) || id, language: string(voice["language"]) };
}

/** The server's own doors; LiveKit is offered by the address of another server. */
function readDirect(value: unknown): Transport[] {
  const doors = list(value);
  const own = TRANSPORTS.filter((door) => door !== "livekit" && doors.includes(door));
  return own.length > 0 ? own : ["webrtc", "websocket"];
}

function hostOf(address: string): string | null {
  return URL.canParse(address) ? new URL(address).host : null;
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}
