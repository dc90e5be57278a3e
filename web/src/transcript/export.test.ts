import { describe, expect, it } from "vitest";

import type { Segment } from "../call/state.ts";
import {
  clockTime,
  type Conversation,
  exportTranscript,
  toJson,
  toText,
  toVtt,
  transcriptName,
} from "./export.ts";

const segment = (fields: Partial<Segment>): Segment => ({
  id: "u1",
  role: "user",
  text: "",
  isFinal: true,
  interrupted: false,
  typed: false,
  speaker: null,
  startMs: 0,
  endMs: 0,
  ...fields,
});

const call: Conversation = {
  sessionId: "s1",
  startedAt: new Date("2026-11-21T14:05:00Z"),
  transport: "webrtc",
  segments: [
    segment({ text: "what is 3 < 4 & 5", startMs: 1200, endMs: 2950.4 }),
    segment({ id: "u2", text: "  " }),
    segment({
      id: "a1",
      role: "agent",
      text: "Once upon\n\na time",
      interrupted: true,
      startMs: 3_723_004,
      endMs: 3_723_100,
    }),
  ],
};

describe("a transcript", () => {
  it("says who spoke when it was somebody else in the room", () => {
    const room = { ...call, segments: [segment({ text: "hello", speaker: "Ada <3" })] };
    expect(toText(room)).toBe("[0:00] Ada <3: hello\n");
    expect(toVtt(room)).toContain("<v Ada &lt;3>hello");
    expect(JSON.parse(toJson(room))).toMatchObject({
      segments: [{ role: "user", speaker: "Ada <3" }],
    });
  });

  it("as text has a line for everything said", () => {
    expect(toText(call)).toBe(
      "[0:01] You: what is 3 < 4 & 5\n[1:02:03] Parlor: Once upon\n\na time [interrupted]\n",
    );
  });

  it("as WebVTT has valid cues: escaped, on one line, a second long at least", () => {
    expect(toVtt(call)).toBe(
      [
        "WEBVTT",
        "",
        "00:00:01.200 --> 00:00:02.950",
        "<v You>what is 3 &lt; 4 &amp; 5",
        "",
        "01:02:03.004 --> 01:02:04.004",
        "<v Parlor>Once upon a time —",
        "",
      ].join("\n"),
    );
  });

  it("as JSON keeps every fact", () => {
    const body = JSON.parse(toJson(call)) as { segments: object[] };
    expect(body).toMatchObject({
      session_id: "s1",
      started_at: "2026-11-21T14:05:00.000Z",
      transport: "webrtc",
    });
    expect(body.segments).toHaveLength(2);
    expect(body.segments[1]).toEqual({
      id: "a1",
      role: "agent",
      text: "Once upon\n\na time",
      start_ms: 3_723_004,
      end_ms: 3_723_100,
      is_final: true,
      interrupted: true,
      typed: false,
    });
  });

  it("becomes a file of the right kind, named after the call's beginning", async () => {
    const blob = exportTranscript(call, "vtt");
    expect(blob.type).toBe("text/vtt;charset=utf-8");
    expect(await blob.text()).toBe(toVtt(call));
    expect(transcriptName(new Date(2026, 10, 21, 9, 5), "json")).toBe(
      "parlor-2026-11-21-09-05.json",
    );
    expect(transcriptName(null, "txt")).toBe("parlor.txt");
  });
});

describe("a time in the call", () => {
  it.each([
    [0, "0:00"],
    [-5, "0:00"],
    [187_900, "3:07"],
    [3_729_000, "1:02:09"],
  ])("%i ms is %s", (ms, written) => {
    expect(clockTime(ms)).toBe(written);
  });
});
