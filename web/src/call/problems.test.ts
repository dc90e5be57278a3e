import { describe, expect, it } from "vitest";

import {
  advise,
  closeProblem,
  describeEnd,
  httpProblem,
  microphoneProblem,
  ProblemError,
  problemOf,
} from "./problems.ts";

const named = (name: string): Error => Object.assign(new Error("browser's words"), { name });

describe("a microphone that does not open", () => {
  it.each([
    ["NotAllowedError", "microphone-refused"],
    ["SecurityError", "microphone-refused"],
    ["NotFoundError", "microphone-missing"],
    ["OverconstrainedError", "microphone-missing"],
    ["NotReadableError", "microphone-busy"],
    ["AbortError", "microphone-busy"],
    ["TypeError", "microphone-failed"],
  ])("is told apart by %s", (name, kind) => {
    expect(microphoneProblem(named(name)).kind).toBe(kind);
  });

  it("offers to type instead", () => {
    expect(advise({ kind: "microphone-refused" }).remedies).toContain("type-instead");
    expect(advise({ kind: "insecure-context" }).steps.join()).toContain("parlor serve --dev-tls");
  });
});

describe("an HTTP answer", () => {
  it("asks for a key, or says that the key was wrong", () => {
    expect(httpProblem(401, "", null, false)).toEqual({ kind: "key-required" });
    expect(httpProblem(401, "", null, true)).toEqual({ kind: "key-refused" });
  });

  it("says when a full server has room again", () => {
    expect(httpProblem(503, "", "12", false)).toEqual({
      kind: "server-full",
      retryAfterSeconds: 12,
    });
    expect(advise(httpProblem(503, "", "12", false)).steps).toEqual(["Try again in 12 s."]);
    expect(httpProblem(503, "", "soon", false)).toEqual({ kind: "server-full" });
  });

  it("takes a gateway's complaint for a silent server", () => {
    expect(httpProblem(502, "", null, false)).toEqual({ kind: "server-gone" });
  });

  it("passes the server's own words on", () => {
    const problem = httpProblem(400, "the offer has no audio", null, false);
    expect(advise(problem).text).toBe("the offer has no audio");
  });
});

describe("a WebSocket that closes", () => {
  it("is full only when the server said so; otherwise this side was too slow", () => {
    expect(closeProblem(1013, "", "WORKER_UNAVAILABLE").kind).toBe("server-full");
    expect(closeProblem(1013, "", null).kind).toBe("connection-slow");
  });

  it.each([
    [1001, "server-stopping"],
    [1012, "server-stopping"],
    [1006, "connection-lost"],
    [1000, "connection-lost"],
    [1011, "call-broken"],
  ])("with %i is told in words", (code, kind) => {
    expect(closeProblem(code, "why", null).kind).toBe(kind);
  });
});

describe("the words for a problem", () => {
  it("come with something to do, whatever was thrown", () => {
    const problem = problemOf(new Error("odd"));
    expect(problem).toEqual({ kind: "server-refused", detail: "odd" });
    expect(problemOf(new ProblemError({ kind: "offline" }))).toEqual({ kind: "offline" });
    const { steps, remedies } = advise(problem);
    expect(steps.length + remedies.length).toBeGreaterThan(1);
  });

  it("send a caller without UDP to the WebSocket", () => {
    expect(advise({ kind: "webrtc-failed" }).remedies[0]).toBe("use-websocket");
  });
});

describe("the reason of an end", () => {
  it.each([
    ["completed", "The call is complete."],
    ["idle_timeout", "Nobody spoke for a while, so the call was closed."],
    ["max_duration", "The call reached its longest time."],
    ["max_messages", "The call reached its number of turns."],
    ["goodbye", "It heard nothing more from you and said goodbye."],
    ["server shutdown", "The server is closing. Call again in a moment."],
    ["hangup", "You hung up."],
    ["hung-up", "The server hung up."],
    ["too-slow", "Sound piled up on its way to you, so the server ended the call."],
    ["shutting-down", "The server is closing. Call again in a moment."],
    ["moved_house", "The server ended the call: moved house."],
  ])("%s is said as a sentence", (reason, sentence) => {
    expect(describeEnd(reason)).toBe(sentence);
  });
});
