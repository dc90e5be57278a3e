import { describe, expect, it } from "vitest";

import { chartCeilingMs, formatMs, shares, totalMs } from "./latency.ts";
import type { TimingsMessage } from "./protocol.ts";

const turn = (fields: Partial<TimingsMessage>): TimingsMessage => ({
  type: "timings",
  turn: 1,
  endpointingMs: null,
  sttMs: null,
  responderMs: null,
  ttsMs: null,
  totalMs: null,
  ...fields,
});

describe("the latency of a turn", () => {
  it("is the server's total, or the sum of what is known", () => {
    expect(totalMs(turn({ sttMs: 40, ttsMs: 60 }))).toBe(100);
    expect(totalMs(turn({ sttMs: 40, ttsMs: 60, totalMs: 130 }))).toBe(130);
  });

  it("stacks its stages and leaves the unexplained rest on top", () => {
    expect(shares(turn({ endpointingMs: 700, sttMs: 0, ttsMs: 60, totalMs: 800 }))).toEqual([
      { stage: "endpointing", ms: 700, untilMs: 700 },
      { stage: "tts", ms: 60, untilMs: 760 },
      { stage: "other", ms: 40, untilMs: 800 },
    ]);
  });

  it("has no rest when the stages overlap and add up to more than the total", () => {
    const overlapping = shares(turn({ endpointingMs: 700, sttMs: 90, totalMs: 720 }));
    expect(overlapping.map(({ stage }) => stage)).toEqual(["endpointing", "stt"]);
  });

  it("is drawn under a round ceiling", () => {
    expect(chartCeilingMs([])).toBe(1000);
    expect(chartCeilingMs([turn({ totalMs: 1001 })])).toBe(1500);
    expect(chartCeilingMs([turn({ totalMs: 2300 }), turn({ totalMs: 800 })])).toBe(3000);
  });

  it("is written in milliseconds, and in seconds when it is long", () => {
    expect(formatMs(820.4)).toBe("820 ms");
    expect(formatMs(12_340)).toBe("12.3 s");
  });
});
