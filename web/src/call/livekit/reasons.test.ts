import { ConnectionError, DisconnectReason } from "livekit-client";
import { describe, expect, it } from "vitest";

import { advise, ProblemError } from "../problems.ts";
import { joinProblem, leaveProblem } from "./reasons.ts";

describe("a room that cannot be joined", () => {
  it("refused the token, is out of reach, or lets no sound through", () => {
    const refused = joinProblem(ConnectionError.notAllowed("no permissions", 401), "nobody");
    expect(refused).toEqual({ kind: "room-refused", detail: "no permissions" });
    const unreachable = ConnectionError.serverUnreachable("failed to fetch");
    expect(joinProblem(unreachable, "nobody").kind).toBe("livekit-gone");
    const slow = ConnectionError.timeout("room connection has timed out");
    expect(joinProblem(slow, "nobody").kind).toBe("livekit-gone");
    const silent = ConnectionError.internal("could not establish pc connection");
    expect(joinProblem(silent, "signalling").kind).toBe("webrtc-failed");
  });

  it("keeps a problem that was found before", () => {
    const found = new ProblemError({ kind: "agent-missing" });
    expect(joinProblem(found, "signalling").kind).toBe("agent-missing");
    expect(joinProblem(new Error("odd"), "nobody")).toEqual({
      kind: "server-refused",
      detail: "odd",
    });
  });

  it("sends the reason that a leaving has", () => {
    const full = ConnectionError.leaveRequest("leave", DisconnectReason.ROOM_DELETED);
    expect(joinProblem(full, "signalling").kind).toBe("room-closed");
  });
});

describe("a room that was left", () => {
  it.each([
    [DisconnectReason.DUPLICATE_IDENTITY, "joined-elsewhere"],
    [DisconnectReason.PARTICIPANT_REMOVED, "removed"],
    [DisconnectReason.ROOM_DELETED, "room-closed"],
    [DisconnectReason.ROOM_CLOSED, "room-closed"],
    [DisconnectReason.SERVER_SHUTDOWN, "server-stopping"],
    [DisconnectReason.STATE_MISMATCH, "connection-lost"],
    [undefined, "connection-lost"],
  ])("for reason %s says why", (reason, kind) => {
    const problem = leaveProblem(reason);
    expect(problem.kind).toBe(kind);
    expect(advise(problem).steps).not.toEqual([]);
  });
});
