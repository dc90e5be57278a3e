import { describe, expect, it } from "vitest";

import { parseServerMessage } from "./protocol.ts";

const parse = (message: unknown) => parseServerMessage(JSON.stringify(message));

describe("a message from the server", () => {
  it("is read with its units in its names", () => {
    expect(
      parse({
        type: "timings",
        turn: 2,
        endpointing_ms: 700,
        stt_ms: 40.5,
        responder_ms: null,
        tts_ms: 60,
        total_ms: 812,
      }),
    ).toEqual({
      type: "timings",
      turn: 2,
      endpointingMs: 700,
      sttMs: 40.5,
      responderMs: null,
      ttsMs: 60,
      totalMs: 812,
    });
  });

  it("keeps the phase of a reply and ignores fields it does not know", () => {
    const fields = { agent_state: "thinking", at_ms: 9, monotonic_ns: 1 };
    expect(parse({ type: "state", state: "Speaking", phase: "preparing", ...fields })).toEqual({
      type: "state",
      state: "Speaking",
      phase: "preparing",
    });
    expect(parse({ type: "state", state: "Idle" })).toEqual({
      type: "state",
      state: "Idle",
      phase: null,
    });
  });

  it("says whether a transcript was cut off", () => {
    const agent = { type: "transcript", role: "agent", text: "Once", is_final: true };
    expect(parse({ ...agent, segment_id: "a1", interrupted: true })).toMatchObject({
      segmentId: "a1",
      isFinal: true,
      interrupted: true,
    });
    expect(parse({ ...agent, segment_id: "a2" })).toMatchObject({ interrupted: false });
  });

  it("gives an end without a reason the usual one", () => {
    expect(parse({ type: "session_end", session_id: "s" })).toMatchObject({ reason: "completed" });
  });

  it.each([
    ["no JSON", "{"],
    ["a bare value", "7"],
    ["a list", "[]"],
    ["an unknown type", '{"type":"applause"}'],
    ["an unknown state", '{"type":"state","state":"Dancing"}'],
    ["a transcript of nobody", '{"type":"transcript","role":"cat","segment_id":"c1"}'],
    ["a transcript without an id", '{"type":"transcript","role":"user","text":"hi"}'],
  ])("is left alone when it is %s", (_what, frame) => {
    expect(parseServerMessage(frame)).toBeNull();
  });
});
