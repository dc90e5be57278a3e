/** What can keep a call from happening, and what a person can do about it. */

/** What a button beside a problem does. */
export type Remedy = "retry" | "type-instead" | "use-websocket" | "enter-key";

export type ProblemKind =
  | "microphone-refused"
  | "microphone-missing"
  | "microphone-busy"
  | "microphone-failed"
  | "insecure-context"
  | "unsupported-browser"
  | "offline"
  | "server-gone"
  | "connection-lost"
  | "connection-slow"
  | "server-full"
  | "server-stopping"
  | "key-required"
  | "key-refused"
  | "webrtc-failed"
  | "server-refused"
  | "call-broken"
  | "livekit-off"
  | "asked-too-often"
  | "livekit-gone"
  | "room-refused"
  | "agent-missing"
  | "agent-left"
  | "removed"
  | "room-closed"
  | "joined-elsewhere";

export interface Problem {
  kind: ProblemKind;
  /** The server's own words, where there are any. */
  detail?: string;
  /** How long a full server asks us to wait. */
  retryAfterSeconds?: number;
}

/** A problem in words: what happened, what to do, and which buttons help. */
export interface Advice {
  title: string;
  text: string;
  steps: string[];
  remedies: Remedy[];
}

/** Carries a `Problem` through code that throws. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.kind);
    this.name = "ProblemError";
    this.problem = problem;
  }
}

/** What went wrong when `getUserMedia` refused. */
export function microphoneProblem(error: unknown): Problem {
  switch (errorName(error)) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return { kind: "microphone-refused" };
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return { kind: "microphone-missing" };
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return { kind: "microphone-busy" };
    default:
      return { kind: "microphone-failed", detail: errorText(error) };
  }
}

/** What an HTTP answer other than success means for a call. */
export function httpProblem(
  status: number,
  message: string,
  retryAfter: string | null,
  hadKey: boolean,
): Problem {
  if (status === 401) return { kind: hadKey ? "key-refused" : "key-required" };
  if (status === 503 || status === 429) {
    const seconds = Number.parseInt(retryAfter ?? "", 10);
    return Number.isFinite(seconds) && seconds > 0
      ? { kind: "server-full", retryAfterSeconds: seconds }
      : { kind: "server-full" };
  }
  // A gateway in front of us speaks for a server that does not answer.
  if (status === 502 || status === 504) return { kind: "server-gone" };
  return message === "" ? { kind: "server-refused" } : { kind: "server-refused", detail: message };
}

/** What the end of a WebSocket means when no `session_end` explained it. */
export function closeProblem(code: number, reason: string, lastErrorCode: string | null): Problem {
  if (lastErrorCode === "WORKER_UNAVAILABLE" || lastErrorCode === "server_full") {
    return { kind: "server-full" };
  }
  switch (code) {
    case 1001:
    case 1012:
      return { kind: "server-stopping" };
    case 1013:
      return { kind: "connection-slow" };
    case 1006:
    case 1005:
    case 1000:
      return { kind: "connection-lost" };
    default:
      return { kind: "call-broken", detail: reason === "" ? `close ${code}` : reason };
  }
}

/** Turns anything thrown into a problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  return { kind: "server-refused", detail: errorText(error) };
}

/** The words for a problem. */
export function advise(problem: Problem): Advice {
  const retry: Remedy[] = ["retry"];
  switch (problem.kind) {
    case "microphone-refused":
      return {
        title: "The microphone is blocked",
        text: "The browser does not let this page hear you.",
        steps: [
          "Open the site settings: the icon left of the address (on a phone: the menu, then site settings).",
          "Set the microphone to “Allow”.",
          "Come back and try again.",
        ],
        remedies: ["retry", "type-instead"],
      };
    case "microphone-missing":
      return {
        title: "No microphone found",
        text: "This device has no microphone that the browser can see.",
        steps: ["Plug one in or turn on a headset, then try again."],
        remedies: ["retry", "type-instead"],
      };
    case "microphone-busy":
      return {
        title: "The microphone is in use",
        text: "Another program holds it, or the system would not start it.",
        steps: ["Close other calls and recorders, then try again."],
        remedies: ["retry", "type-instead"],
      };
    case "microphone-failed":
      return {
        title: "The microphone did not start",
        text: detailed("The browser reported a fault.", problem),
        steps: ["Choose another microphone, or reload the page and try again."],
        remedies: ["retry", "type-instead"],
      };
    case "insecure-context":
      return {
        title: "This address may not use the microphone",
        text: "Browsers give the microphone only to pages that come over https, or from this same computer.",
        steps: [
          "Start the server with `parlor serve --dev-tls` and open its https address.",
          "On the computer that runs the server, http://localhost works as well.",
        ],
        remedies: ["type-instead"],
      };
    case "unsupported-browser":
      return {
        title: "This browser cannot hold a call",
        text: detailed("It lacks a part that live sound needs.", problem),
        steps: ["Use a current Chrome, Edge, Firefox or Safari."],
        remedies: retry,
      };
    case "offline":
      return {
        title: "You are offline",
        text: "This device has no network just now.",
        steps: ["Connect to a network, then try again."],
        remedies: retry,
      };
    case "server-gone":
      return {
        title: "The server does not answer",
        text: "It may be stopped, restarting, or out of reach from here.",
        steps: ["See that `parlor serve` is running and that you are on the right network."],
        remedies: retry,
      };
    case "connection-lost":
      return {
        title: "The connection was lost",
        text: "The line to the server broke during the call.",
        steps: ["Check the network, then call again."],
        remedies: retry,
      };
    case "connection-slow":
      return {
        title: "The connection is too slow",
        text: "Sound piled up on its way to you, so the server ended the call.",
        steps: ["Move closer to the access point or pause other downloads, then call again."],
        remedies: retry,
      };
    case "server-full":
      return {
        title: "All lines are busy",
        text: "The server is holding as many calls as it can.",
        steps: [waitFirst(problem)],
        remedies: retry,
      };
    case "server-stopping":
      return {
        title: "The server is closing",
        text: "It was stopped or is restarting.",
        steps: ["Wait a moment, then call again."],
        remedies: retry,
      };
    case "key-required":
      return {
        title: "This server asks for a key",
        text: "Whoever runs it can give you one. It is kept until you close this tab.",
        steps: [],
        remedies: ["enter-key"],
      };
    case "key-refused":
      return {
        title: "That key was not accepted",
        text: "Check it for missing characters, or ask whoever runs the server.",
        steps: [],
        remedies: ["enter-key"],
      };
    case "webrtc-failed":
      return {
        title: "WebRTC could not connect",
        text: detailed("The network may block UDP, which WebRTC needs for its sound.", problem),
        steps: ["WebSocket goes through where UDP does not, with a little more delay."],
        remedies: ["use-websocket", "retry"],
      };
    case "server-refused":
      return {
        title: "The server refused the call",
        text: problem.detail ?? "It gave no reason.",
        steps: ["Change the call’s settings or try again."],
        remedies: retry,
      };
    case "call-broken":
      return {
        title: "The call broke off",
        text: detailed("The server gave it up:", problem),
        steps: ["Call again. If it stays so, run `parlor doctor` on the server."],
        remedies: retry,
      };
    case "livekit-off":
      return {
        title: "This server opens no rooms",
        text: "It gave no access to a LiveKit room.",
        steps: ["Call it directly instead, or reload the page to see what it offers now."],
        remedies: ["use-websocket", "retry"],
      };
    case "asked-too-often":
      return {
        title: "Too many calls in a short time",
        text: "The server lets one address into only so many rooms a minute.",
        steps: [waitFirst(problem)],
        remedies: retry,
      };
    case "livekit-gone":
      return {
        title: "LiveKit does not answer",
        text: "The server that keeps the rooms may be stopped, or out of reach from here.",
        steps: [
          "See that the LiveKit server is running and that this browser can reach its address.",
          "Or call parlor directly: that needs no LiveKit.",
        ],
        remedies: ["retry", "use-websocket"],
      };
    case "room-refused":
      return {
        title: "The room did not let you in",
        text: detailed("The LiveKit server refused the access that parlor gave you.", problem),
        steps: [
          "Try again: access is given anew for each call.",
          "If it stays so, parlor’s `livekit.api_key` and `livekit.api_secret` are not those of the LiveKit server.",
        ],
        remedies: ["retry", "use-websocket"],
      };
    case "agent-missing":
      return {
        title: "No agent came into the room",
        text: "You are in the room, but nobody is there to talk with.",
        steps: [
          "See in the log of `parlor serve` that it is registered with LiveKit and has room for a call.",
          "Or call parlor directly: that needs no LiveKit.",
        ],
        remedies: ["retry", "use-websocket"],
      };
    case "agent-left":
      return {
        title: "The agent left the room",
        text: "It did not come back.",
        steps: ["Call again for another one."],
        remedies: retry,
      };
    case "removed":
      return {
        title: "You were taken out of the room",
        text: "Somebody with authority over it ended your part.",
        steps: ["Ask whoever runs it, or call again."],
        remedies: retry,
      };
    case "room-closed":
      return {
        title: "The room was closed",
        text: "Everybody in it was sent home.",
        steps: ["Call again for a new room."],
        remedies: retry,
      };
    case "joined-elsewhere":
      return {
        title: "You went on somewhere else",
        text: "A room lets each person in once, and a newer window has taken your place.",
        steps: ["Talk there, or call again from here."],
        remedies: retry,
      };
  }
}

/** Why the server ended the call, in words. Unknown reasons are shown as they stand. */
export function describeEnd(reason: string): string {
  const known = reason.toLowerCase();
  if (known === "completed" || known === "") return "The call is complete.";
  if (known === "left" || /hang.?up/.test(known)) return "You hung up.";
  if (known === "hung-up") return "The server hung up.";
  if (known === "room-closed") return "The room was closed.";
  if (known === "removed") return "The agent was taken out of the room.";
  if (known.includes("slow"))
    return "Sound piled up on its way to you, so the server ended the call.";
  if (known.includes("idle")) return "Nobody spoke for a while, so the call was closed.";
  if (known.includes("duration")) return "The call reached its longest time.";
  if (known.includes("message")) return "The call reached its number of turns.";
  if (/goodbye|silen/.test(known)) return "It heard nothing more from you and said goodbye.";
  if (/shut|drain|stopp/.test(known)) return "The server is closing. Call again in a moment.";
  if (/worker|engine|fail|error/.test(known)) {
    return `Something failed on the server (${reason}). Call again; if it stays, run parlor doctor.`;
  }
  return `The server ended the call: ${reason.replaceAll("_", " ")}.`;
}

function waitFirst({ retryAfterSeconds }: Problem): string {
  return retryAfterSeconds === undefined
    ? "Wait a moment, then try again."
    : `Try again in ${retryAfterSeconds} s.`;
}

function detailed(text: string, problem: Problem): string {
  return problem.detail === undefined ? text : `${text} ${problem.detail}`;
}

function errorName(error: unknown): string {
  return typeof error === "object" && error !== null && "name" in error ? String(error.name) : "";
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
