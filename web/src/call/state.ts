/** The call as the page shows it: one reducer from events to what a person sees. */

import type { AgentState, ClientEvent, LineQuality } from "./client.ts";
import { appendLog, type LogEntry } from "./log.ts";
import { describeEnd, type Problem } from "./problems.ts";
import type {
  ClientMessage,
  DialogState,
  Role,
  ServerMessage,
  SessionMode,
  StateMessage,
  TimingsMessage,
  TranscriptMessage,
  Transport,
} from "./protocol.ts";

/** What the agent is doing, in the words of the label under the orb. */
export type AgentPhase =
  | "connecting"
  | "waiting"
  | "listening"
  | "thinking"
  | "speaking"
  | "paused"
  | "reconnecting"
  | "ended";

/** How far the call has come. `asking`: the browser shows its question about the microphone. */
export type CallStage = "start" | "asking" | "connecting" | "open" | "ended";

export interface Segment {
  id: string;
  role: Role;
  text: string;
  isFinal: boolean;
  interrupted: boolean;
  typed: boolean;
  /** Who spoke, where it was neither the agent nor this page's caller. */
  speaker: string | null;
  /** Both count from the start of the call. */
  startMs: number;
  endMs: number;
}

export interface CallView {
  stage: CallStage;
  transport: Transport;
  mode: SessionMode;
  /** False when the caller joined without a microphone. */
  hasMicrophone: boolean;
  muted: boolean;
  /** The caller pressed "Pause": the reply waits for "Resume". */
  held: boolean;
  dialog: DialogState | null;
  phase: AgentPhase;
  sessionId: string;
  startedAt: Date | null;
  /** The page's clock when the call opened; every time in here counts from it. */
  originMs: number;
  durationMs: number;
  segments: Segment[];
  turns: TimingsMessage[];
  line: LineQuality | null;
  reconnecting: boolean;
  audioBlocked: boolean;
  log: LogEntry[];
  /** A fault that the call survived. */
  notice: string | null;
  /** Why there is no call (any more). */
  problem: Problem | null;
  ending: string | null;
}

export interface Dialled {
  transport: Transport;
  mode: SessionMode;
  hasMicrophone: boolean;
}

/** Everything that changes the view. `atMs` is the page's clock. */
export type CallAction =
  | ({ type: "dialled" } & Dialled)
  | { type: "microphone-open" }
  | { type: "client"; event: ClientEvent; atMs: number; now: Date }
  | { type: "sent"; message: ClientMessage; atMs: number }
  | { type: "muted"; muted: boolean }
  | { type: "notice"; notice: string | null }
  | { type: "failed"; problem: Problem }
  | { type: "hung-up"; atMs: number }
  | { type: "back" };

/** Turns kept for the latency panel. */
const MAX_TURNS = 100;

export const NO_CALL: CallView = {
  stage: "start",
  transport: "webrtc",
  mode: "duplex",
  hasMicrophone: true,
  muted: false,
  held: false,
  dialog: null,
  phase: "connecting",
  sessionId: "",
  startedAt: null,
  originMs: 0,
  durationMs: 0,
  segments: [],
  turns: [],
  line: null,
  reconnecting: false,
  audioBlocked: false,
  log: [],
  notice: null,
  problem: null,
  ending: null,
};

export function reduceCall(view: CallView, action: CallAction): CallView {
  switch (action.type) {
    case "dialled":
      return {
        ...NO_CALL,
        stage: action.hasMicrophone ? "asking" : "connecting",
        transport: action.transport,
        mode: action.mode,
        hasMicrophone: action.hasMicrophone,
      };
    case "microphone-open":
      return { ...view, stage: "connecting" };
    case "client":
      return onClient(view, action.event, action.atMs, action.now);
    case "sent":
      return onSent(view, action.message, action.atMs);
    case "muted":
      return { ...view, muted: action.muted };
    case "notice":
      return { ...view, notice: action.notice };
    case "failed":
      return { ...NO_CALL, problem: action.problem };
    case "hung-up":
      return view.stage === "open" ? ended(view, describeEnd("left"), null, action.atMs) : NO_CALL;
    case "back":
      return NO_CALL;
  }
}

/** The label's word for a state of the dialog. */
export function agentPhase({ state, phase }: Pick<StateMessage, "state" | "phase">): AgentPhase {
  switch (state) {
    case "Idle":
      return "connecting";
    case "Listening":
    case "WaitingForInput":
      return "listening";
    case "Speaking":
      return phase === "preparing" ? "thinking" : "speaking";
    case "BargedIn":
      return "paused";
    case "Terminated":
      return "ended";
  }
}

function onClient(view: CallView, event: ClientEvent, atMs: number, now: Date): CallView {
  switch (event.type) {
    case "open":
      return opened(view, atMs, now);
    case "message":
      return onMessage(logged(view, "in", event.message, atMs), event.message, atMs, now);
    case "agent":
      return onAgent(view, event.state);
    case "line":
      return { ...view, line: event.quality };
    case "audio-blocked":
      return { ...view, audioBlocked: event.blocked };
    case "reconnecting":
      return reconnecting(view, event.reconnecting);
    case "closed":
      // `session_end` came first and gave a better reason than the line's silence.
      if (view.stage === "ended") return view;
      return ended(view, view.ending ?? describeEnd(""), event.problem, atMs);
  }
}

function onMessage(view: CallView, message: ServerMessage, atMs: number, now: Date): CallView {
  switch (message.type) {
    case "session_start":
      return { ...opened(view, atMs, now), sessionId: message.sessionId };
    case "state":
      return {
        ...view,
        dialog: message.state,
        phase: agentPhase(message),
        held: view.held && staysHeld(view.dialog, message.state),
      };
    case "transcript": {
      // Whoever joins a room may find the agent already talking.
      const heard = view.stage === "connecting" ? opened(view, atMs, now) : view;
      return { ...heard, segments: replaced(heard.segments, message, atMs - heard.originMs) };
    }
    case "timings":
      return { ...view, turns: [...view.turns, message].slice(-MAX_TURNS) };
    case "error":
      return { ...view, notice: message.message };
    case "session_end":
      return ended(view, describeEnd(message.reason), null, atMs);
  }
}

/** The attribute of a room's agent. The dialog's own messages say more, and once there are any only they count. */
function onAgent(view: CallView, state: AgentState | null): CallView {
  if (state === null) return { ...view, dialog: null, held: false, phase: "waiting" };
  return view.dialog === null ? { ...view, phase: agentStatePhase(state) } : view;
}

function agentStatePhase(state: AgentState): AgentPhase {
  switch (state) {
    case "initializing":
      return "waiting";
    case "idle":
    case "listening":
      return "listening";
    case "thinking":
    case "speaking":
      return state;
  }
}

function reconnecting(view: CallView, now: boolean): CallView {
  // A room repeats no message that was missed: until the next one only the agent's attribute tells what it does.
  const dialog = now && view.transport === "livekit" ? null : view.dialog;
  return { ...view, reconnecting: now, dialog };
}

function onSent(view: CallView, message: ClientMessage, atMs: number): CallView {
  const next = logged(view, "out", message, atMs);
  if (message.type === "control") return { ...next, held: message.command === "PAUSE" };
  if (message.type !== "ask") return next;
  const elapsedMs = atMs - view.originMs;
  const typed: Segment = {
    id: `typed-${view.segments.length}`,
    role: "user",
    text: message.text,
    isFinal: true,
    interrupted: false,
    typed: true,
    speaker: null,
    startMs: elapsedMs,
    endMs: elapsedMs,
  };
  return { ...next, segments: [...next.segments, typed] };
}

/**
 * A reply on hold is `BargedIn`, whoever holds it. `Speaking` after that means that it goes on; before it, that the
 * server has not read our "Pause" yet.
 */
function staysHeld(before: DialogState | null, now: DialogState): boolean {
  return now === "BargedIn" || (now === "Speaking" && before !== "BargedIn");
}

/** The first sign of life counts: the transports differ in which comes first. */
function opened(view: CallView, atMs: number, now: Date): CallView {
  if (view.stage === "open") return view;
  return { ...view, stage: "open", originMs: atMs, startedAt: now };
}

function ended(view: CallView, ending: string, problem: Problem | null, atMs: number): CallView {
  const wasOpen = view.stage === "open";
  return {
    ...view,
    stage: "ended",
    phase: "ended",
    held: false,
    reconnecting: false,
    audioBlocked: false,
    durationMs: wasOpen ? atMs - view.originMs : view.durationMs,
    ending,
    problem,
  };
}

function replaced(segments: Segment[], message: TranscriptMessage, elapsedMs: number): Segment[] {
  const index = segments.findLastIndex((segment) => isSame(segment, message));
  const old = segments[index];
  const { role, text, isFinal, interrupted } = message;
  const segment: Segment = {
    id: message.segmentId,
    role,
    text,
    isFinal,
    interrupted,
    typed: old?.typed ?? false,
    speaker: message.speaker ?? null,
    startMs: old?.startMs ?? elapsedMs,
    endMs: elapsedMs,
  };
  return old === undefined ? [...segments, segment] : segments.with(index, segment);
}

/** A typed question stands here before the server repeats it under its own id. */
function isSame(segment: Segment, message: TranscriptMessage): boolean {
  if (segment.id === message.segmentId) return true;
  return (
    segment.id.startsWith("typed-") &&
    message.role === "user" &&
    message.speaker === undefined &&
    segment.text === message.text.trim()
  );
}

function logged(
  view: CallView,
  direction: LogEntry["direction"],
  message: ClientMessage | ServerMessage,
  atMs: number,
): CallView {
  const elapsedMs = view.stage === "open" ? atMs - view.originMs : 0;
  return { ...view, log: appendLog(view.log, direction, message, elapsedMs) };
}
