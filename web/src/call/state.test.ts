import { describe, expect, it } from "vitest";

import type { AgentState, ClientEvent } from "./client.ts";
import type { ServerMessage, TranscriptMessage } from "./protocol.ts";
import { agentPhase, type CallAction, type CallView, NO_CALL, reduceCall } from "./state.ts";

const NOW = new Date("2026-11-21T14:05:00Z");

const dialled: CallAction = {
  type: "dialled",
  transport: "webrtc",
  mode: "duplex",
  hasMicrophone: true,
};

const message = (atMs: number, received: ServerMessage): CallAction => ({
  type: "client",
  event: { type: "message", message: received },
  atMs,
  now: NOW,
});

const transcript = (fields: Partial<TranscriptMessage>): TranscriptMessage => ({
  type: "transcript",
  role: "user",
  text: "",
  isFinal: false,
  segmentId: "u1",
  interrupted: false,
  ...fields,
});

const run = (...actions: CallAction[]): CallView => actions.reduce(reduceCall, NO_CALL);

const opened = [dialled, message(1000, { type: "session_start", sessionId: "s1" })];

const client = (event: ClientEvent): CallAction => ({
  type: "client",
  event,
  atMs: 1000,
  now: NOW,
});

describe("the view of a call in a room", () => {
  const joined: CallAction[] = [
    { ...dialled, transport: "livekit" },
    { type: "microphone-open" },
    client({ type: "agent", state: null }),
  ];

  it("waits until there is an agent", () => {
    expect(run(...joined)).toMatchObject({ stage: "connecting", phase: "waiting" });
    const view = run(...joined, client({ type: "agent", state: "initializing" }));
    expect(view.phase).toBe("waiting");
  });

  it("shows what the agent's attribute says, until the dialog itself says more", () => {
    const there = [...joined, client({ type: "open" })];
    const agent = (state: AgentState) => client({ type: "agent", state });
    expect(run(...there, agent("idle")).phase).toBe("listening");
    expect(run(...there, agent("thinking")).phase).toBe("thinking");
    expect(run(...there, agent("speaking")).phase).toBe("speaking");
    const held = message(2000, { type: "state", state: "BargedIn", phase: null });
    expect(run(...there, agent("speaking"), held, agent("listening")).phase).toBe("paused");
  });

  it("trusts the attribute again after a reconnection, when messages may have been missed", () => {
    const away = [
      ...joined,
      client({ type: "open" }),
      message(2000, { type: "state", state: "BargedIn", phase: null }),
      client({ type: "reconnecting", reconnecting: true }),
    ];
    expect(run(...away).reconnecting).toBe(true);
    const back = run(
      ...away,
      client({ type: "reconnecting", reconnecting: false }),
      client({ type: "agent", state: "listening" }),
    );
    expect(back).toMatchObject({ reconnecting: false, phase: "listening" });
  });

  it("waits again when the agent has left", () => {
    const view = run(
      ...joined,
      client({ type: "open" }),
      message(2000, { type: "state", state: "Speaking", phase: "playing" }),
      client({ type: "agent", state: null }),
    );
    expect(view).toMatchObject({ stage: "open", phase: "waiting", dialog: null });
  });

  it("keeps the words of others apart from the caller's own", () => {
    const view = run(
      ...joined,
      client({ type: "open" }),
      { type: "sent", message: { type: "ask", text: "hello" }, atMs: 1500 },
      message(2000, transcript({ segmentId: "u1", text: "hello", speaker: "Ada" })),
      message(2100, transcript({ segmentId: "u2", text: "hello", isFinal: true })),
    );
    expect(view.segments.map(({ id, speaker, typed }) => [id, speaker, typed])).toEqual([
      ["u2", null, true],
      ["u1", "Ada", false],
    ]);
  });

  it("begins with what the agent was saying already", () => {
    const view = run(...joined, message(5000, transcript({ role: "agent", text: "Hello" })));
    expect(view).toMatchObject({ stage: "open", originMs: 5000 });
    expect(view.segments).toMatchObject([{ startMs: 0, text: "Hello" }]);
  });
});

describe("the view of a call", () => {
  it("asks for the microphone first, unless the caller types", () => {
    expect(run(dialled).stage).toBe("asking");
    expect(run(dialled, { type: "microphone-open" }).stage).toBe("connecting");
    expect(run({ ...dialled, hasMicrophone: false }).stage).toBe("connecting");
  });

  it("is open at the first sign of life and keeps that time", () => {
    const view = run(...opened, {
      type: "client",
      event: { type: "open" },
      atMs: 1400,
      now: new Date(),
    });
    expect(view).toMatchObject({ stage: "open", sessionId: "s1", originMs: 1000, startedAt: NOW });
  });

  it("names every state of the dialog as people do", () => {
    const phase = (state: Parameters<typeof agentPhase>[0]["state"]) =>
      agentPhase({ state, phase: null });
    expect(phase("Idle")).toBe("connecting");
    expect(phase("Listening")).toBe("listening");
    expect(phase("WaitingForInput")).toBe("listening");
    expect(phase("BargedIn")).toBe("paused");
    expect(phase("Terminated")).toBe("ended");
    expect(agentPhase({ state: "Speaking", phase: "preparing" })).toBe("thinking");
    expect(agentPhase({ state: "Speaking", phase: "playing" })).toBe("speaking");
  });

  it("replaces a segment by its id and keeps when it began", () => {
    const view = run(
      ...opened,
      message(2000, transcript({ text: "what" })),
      message(2400, transcript({ text: "what time" })),
      message(2900, transcript({ text: "what time is it", isFinal: true })),
      message(3500, transcript({ role: "agent", segmentId: "a1", text: "It is" })),
    );
    expect(view.segments).toEqual([
      {
        id: "u1",
        role: "user",
        text: "what time is it",
        isFinal: true,
        interrupted: false,
        typed: false,
        speaker: null,
        startMs: 1000,
        endMs: 1900,
      },
      expect.objectContaining({ id: "a1", text: "It is", isFinal: false, startMs: 2500 }),
    ]);
  });

  it("keeps only what was heard of an interrupted reply, and marks it", () => {
    const agent = { role: "agent", segmentId: "a1" } as const;
    const view = run(
      ...opened,
      message(2000, transcript({ ...agent, text: "Once upon a time there" })),
      message(2500, transcript({ ...agent, text: "Once upon", isFinal: true, interrupted: true })),
    );
    expect(view.segments).toHaveLength(1);
    expect(view.segments[0]).toMatchObject({ text: "Once upon", interrupted: true });
  });

  it("shows a typed question at once and not again when the server repeats it", () => {
    const asked: CallAction = {
      type: "sent",
      message: { type: "ask", text: "What time is it?" },
      atMs: 2000,
    };
    const view = run(
      ...opened,
      asked,
      message(2100, transcript({ segmentId: "u7", text: "What time is it?", isFinal: true })),
      asked,
    );
    expect(view.segments.map(({ id, typed }) => [id, typed])).toEqual([
      ["u7", true],
      ["typed-1", true],
    ]);
  });

  it("holds a reply until it is resumed, stopped, or no longer speaking", () => {
    const speaking = message(2000, { type: "state", state: "Speaking", phase: "playing" });
    const send = (command: "PAUSE" | "RESUME" | "STOP"): CallAction => ({
      type: "sent",
      message: { type: "control", command },
      atMs: 2100,
    });
    expect(run(...opened, speaking, send("PAUSE")).held).toBe(true);
    expect(run(...opened, speaking, send("PAUSE"), speaking).held).toBe(true);
    expect(run(...opened, speaking, send("PAUSE"), send("RESUME")).held).toBe(false);
    const onHold = message(2150, { type: "state", state: "BargedIn", phase: null });
    expect(run(...opened, speaking, send("PAUSE"), onHold).held).toBe(true);
    expect(run(...opened, speaking, send("PAUSE"), onHold, speaking).held).toBe(false);
    expect(run(...opened, speaking, onHold).held).toBe(false);
    const listening = message(2200, { type: "state", state: "Listening", phase: null });
    expect(run(...opened, speaking, send("PAUSE"), listening).held).toBe(false);
  });

  it("tells of a fault that the call survives", () => {
    const fault = {
      type: "error",
      code: "SYNTHESIS_FAILED",
      message: "The voice failed.",
    } as const;
    const view = run(...opened, message(2000, fault));
    expect(view).toMatchObject({ stage: "open", notice: "The voice failed." });
  });

  it("ends with the server's reason, and a closing line adds nothing to it", () => {
    const view = run(
      ...opened,
      message(61_000, { type: "session_end", sessionId: "s1", reason: "idle_timeout" }),
      {
        type: "client",
        event: { type: "closed", problem: { kind: "connection-lost" } },
        atMs: 61_100,
        now: NOW,
      },
    );
    expect(view).toMatchObject({
      stage: "ended",
      phase: "ended",
      durationMs: 60_000,
      ending: "Nobody spoke for a while, so the call was closed.",
      problem: null,
    });
  });

  it("keeps the words of a call whose line broke", () => {
    const view = run(...opened, message(2000, transcript({ text: "hello", isFinal: true })), {
      type: "client",
      event: { type: "closed", problem: { kind: "connection-lost" } },
      atMs: 3000,
      now: NOW,
    });
    expect(view.stage).toBe("ended");
    expect(view.problem).toEqual({ kind: "connection-lost" });
    expect(view.segments).toHaveLength(1);
  });

  it("goes back to the start when a call is given up before it is open", () => {
    expect(run(dialled, { type: "hung-up", atMs: 5 })).toEqual(NO_CALL);
    expect(run(...opened, { type: "hung-up", atMs: 2000 }).ending).toBe("You hung up.");
  });

  it("keeps the problem of a call that never came to be", () => {
    const view = run(dialled, { type: "failed", problem: { kind: "server-full" } });
    expect(view).toEqual({ ...NO_CALL, problem: { kind: "server-full" } });
  });
});
