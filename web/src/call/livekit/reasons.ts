/** Why a room could not be joined, or was left, as a problem with words. */

import { ConnectionError, ConnectionErrorReason, DisconnectReason } from "livekit-client";

import { type Problem, ProblemError, problemOf } from "../problems.ts";

/** How far joining had come when it failed. */
export type Reached = "nobody" | "signalling";

/** Why a room could not be joined. */
export function joinProblem(error: unknown, reached: Reached): Problem {
  if (error instanceof ProblemError || !(error instanceof ConnectionError)) return problemOf(error);
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return { kind: "room-refused", detail: error.message };
    case ConnectionErrorReason.LeaveRequest:
      return leaveProblem(error.context as DisconnectReason);
    default:
      // The server answered, so what did not get through is the sound.
      return { kind: reached === "signalling" ? "webrtc-failed" : "livekit-gone" };
  }
}

/** Why a room was left that nobody hung up on. */
export function leaveProblem(reason: DisconnectReason | undefined): Problem {
  switch (reason) {
    case DisconnectReason.DUPLICATE_IDENTITY:
      return { kind: "joined-elsewhere" };
    case DisconnectReason.PARTICIPANT_REMOVED:
      return { kind: "removed" };
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return { kind: "room-closed" };
    case DisconnectReason.SERVER_SHUTDOWN:
      return { kind: "server-stopping" };
    default:
      return { kind: "connection-lost" };
  }
}
