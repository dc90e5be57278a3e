import { describe, expect, it } from "vitest";

import { LineWatch } from "./line.ts";

const report = (inbound: object) =>
  new Map<string, object>([
    ["p0", { type: "candidate-pair", state: "succeeded", currentRoundTripTime: 9 }],
    [
      "p1",
      { type: "candidate-pair", state: "succeeded", nominated: true, currentRoundTripTime: 0.012 },
    ],
    ["i1", { type: "inbound-rtp", kind: "audio", jitter: 0.002, ...inbound }],
  ]);

describe("the quality of a WebRTC line", () => {
  it("comes from the pair in use and from what changed since the last look", () => {
    const watch = new LineWatch();
    watch.read(
      report({
        packetsReceived: 1000,
        packetsLost: 100,
        jitterBufferDelay: 10,
        jitterBufferEmittedCount: 480_000,
      }),
    );
    const quality = watch.read(
      report({
        packetsReceived: 1048,
        packetsLost: 102,
        jitterBufferDelay: 1930,
        jitterBufferEmittedCount: 528_000,
      }),
    );
    expect(quality.roundTripMs).toBeCloseTo(12);
    expect(quality.jitterMs).toBeCloseTo(2);
    expect(quality.lossRatio).toBeCloseTo(0.04);
    expect(quality.bufferedMs).toBeCloseTo(40);
  });

  it("never shows a negative loss when a late packet turns up after all", () => {
    const watch = new LineWatch();
    watch.read(report({ packetsReceived: 10, packetsLost: 2 }));
    expect(watch.read(report({ packetsReceived: 20, packetsLost: 1 })).lossRatio).toBe(0);
  });

  it("is unknown before there is a connection", () => {
    expect(new LineWatch().read(new Map())).toEqual({
      roundTripMs: null,
      jitterMs: null,
      lossRatio: null,
      bufferedMs: null,
    });
  });
});
