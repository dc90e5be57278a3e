/** The JSON messages that travel between page and server: on the WebSocket, the data channel, and the topics of a room. */

/** Which way the voice travels. */
export type Transport = "livekit" | "webrtc" | "websocket";

/** The best first: what the page takes by itself where the server offers it. */
export const TRANSPORTS: Transport[] = ["livekit", "webrtc", "websocket"];

/** Who may speak when: interrupt at any time, not while it speaks, or only on a press of "Done". */
export type SessionMode = "duplex" | "mute" | "manual";

export type Role = "user" | "agent";

/** The six states of the server's dialog. */
export type DialogState =
  "Idle" | "Listening" | "Speaking" | "BargedIn" | "WaitingForInput" | "Terminated";

/** Inside `Speaking`: still working out the answer, or already heard. */
export type SpeakingPhase = "preparing" | "playing";

export interface StateMessage {
  type: "state";
  state: DialogState;
  phase: SpeakingPhase | null;
}

export interface TranscriptMessage {
  type: "transcript";
  role: Role;
  text: string;
  isFinal: boolean;
  /** A later message with the same id replaces this one. */
  segmentId: string;
  /** The agent was cut off: `text` holds only what was heard. */
  interrupted: boolean;
  /** Who spoke, where it was somebody else in the room. */
  speaker?: string;
}

/** How long each stage of one turn took; null where the server cannot say. */
export interface TimingsMessage {
  type: "timings";
  turn: number;
  endpointingMs: number | null;
  sttMs: number | null;
  responderMs: number | null;
  ttsMs: number | null;
  totalMs: number | null;
}

export type ServerMessage =
  | { type: "session_start"; sessionId: string }
  | StateMessage
  | TranscriptMessage
  | TimingsMessage
  | { type: "error"; message: string; code: string }
  | { type: "session_end"; sessionId: string; reason: string };

export type ControlCommand = "PAUSE" | "RESUME" | "STOP";

export type ClientMessage =
  | { type: "ask"; text: string }
  | { type: "control"; command: ControlCommand }
  | { type: "commit" }
  | { type: "hangup" };

const DIALOG_STATES: ReadonlySet<string> = new Set<DialogState>([
  "Idle",
  "Listening",
  "Speaking",
  "BargedIn",
  "WaitingForInput",
  "Terminated",
]);

type Fields = Record<string, unknown>;

/** Reads one text frame; null for what we do not know, so that a newer server does no harm. */
export function parseServerMessage(frame: string): ServerMessage | null {
  let fields: unknown;
  try {
    fields = JSON.parse(frame);
  } catch {
    return null;
  }
  return isFields(fields) ? readMessage(fields) : null;
}

function readMessage(fields: Fields): ServerMessage | null {
  switch (fields["type"]) {
    case "session_start":
      return { type: "session_start", sessionId: text(fields["session_id"]) };
    case "state":
      return readState(fields);
    case "transcript":
      return readTranscript(fields);
    case "timings":
      return {
        type: "timings",
        turn: milliseconds(fields["turn"]) ?? 0,
        endpointingMs: milliseconds(fields["endpointing_ms"]),
        sttMs: milliseconds(fields["stt_ms"]),
        responderMs: milliseconds(fields["responder_ms"]),
        ttsMs: milliseconds(fields["tts_ms"]),
        totalMs: milliseconds(fields["total_ms"]),
      };
    case "error":
      return { type: "error", message: text(fields["message"]), code: text(fields["code"]) };
    case "session_end":
      return {
        type: "session_end",
        sessionId: text(fields["session_id"]),
        reason: text(fields["reason"]) || "completed",
      };
    default:
      return null;
  }
}

function readState(fields: Fields): StateMessage | null {
  const state = fields["state"];
  if (!isDialogState(state)) return null;
  const phase = fields["phase"];
  return {
    type: "state",
    state,
    phase: phase === "preparing" || phase === "playing" ? phase : null,
  };
}

function readTranscript(fields: Fields): TranscriptMessage | null {
  const role = fields["role"];
  const segmentId = text(fields["segment_id"]);
  if ((role !== "user" && role !== "agent") || segmentId === "") return null;
  return {
    type: "transcript",
    role,
    text: text(fields["text"]),
    isFinal: fields["is_final"] === true,
    segmentId,
    interrupted: fields["interrupted"] === true,
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDialogState(value: unknown): value is DialogState {
  return typeof value === "string" && DIALOG_STATES.has(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function milliseconds(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) : null;
}
