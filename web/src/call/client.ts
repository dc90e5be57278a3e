/** What a call is to the page, whichever way the voice travels. */

import type { ClientMessage, ServerMessage, SessionMode, Transport } from "./protocol.ts";
import type { Problem } from "./problems.ts";

/** What the line itself is like; null where this transport cannot say. */
export interface LineQuality {
  roundTripMs: number | null;
  jitterMs: number | null;
  /** Share of sound lost or thrown away in the last seconds, 0 to 1. */
  lossRatio: number | null;
  /** Sound that waits in this page to be played. */
  bufferedMs: number | null;
}

/** Loudness now, as RMS of full scale (0 to 1). */
export interface Loudness {
  you: number;
  agent: number;
}

/** What the agent of a LiveKit room says that it is doing, in its attribute `lk.agent.state`. */
export type AgentState = "initializing" | "idle" | "listening" | "thinking" | "speaking";

/** What a client tells its call. Nothing follows `closed`. */
export type ClientEvent =
  | { type: "open" }
  | { type: "message"; message: ServerMessage }
  /** A room's agent changes what it does; null while there is none in the room. */
  | { type: "agent"; state: AgentState | null }
  | { type: "line"; quality: LineQuality }
  | { type: "audio-blocked"; blocked: boolean }
  | { type: "reconnecting"; reconnecting: boolean }
  | { type: "closed"; problem: Problem | null };

export interface ClientOptions {
  mode: SessionMode | null;
  voice: string | null;
  key: string | null;
  /** Null: the caller only types. */
  microphone: MediaStream | null;
  outputDeviceId: string | null;
  onEvent: (event: ClientEvent) => void;
}

/** One call to the server. `start` once, `close` once. */
export interface CallClient {
  readonly transport: Transport;
  /** Resolves when the line is open; rejects with a `ProblemError`. */
  start(): Promise<void>;
  send(message: ClientMessage): void;
  /** Tells the other side of a microphone that its owner has silenced, where there is a way to tell. */
  setMuted?(muted: boolean): Promise<void>;
  /** Swaps the microphone in mid-call; the caller stops the old one. */
  replaceMicrophone(microphone: MediaStream): Promise<void>;
  setOutputDevice(deviceId: string): Promise<void>;
  /** Starts sound that the browser holds back; needs a click behind it. */
  resumeAudio(): Promise<void>;
  loudness(): Loudness;
  /** Hangs up and lets everything go; safe while the page unloads. */
  close(): void;
}
