import { describe, expect, it } from "vitest";

import { PlaybackRing } from "./ring.ts";

const FRAME = 960;
const BLOCK = 128;

/** Small enough to follow by hand, and without slopes between sounds. */
const PLAIN = { capacitySamples: 12, primeSamples: 8, spliceSamples: 0 };

const frame = (value: number, length = FRAME) => new Float32Array(length).fill(value);

const pull = (ring: PlaybackRing, length: number): number[] => {
  const block = new Float32Array(length);
  ring.pull(block);
  return [...block];
};

const numbers = (from: number, to: number) =>
  Float32Array.from({ length: to - from + 1 }, (_, n) => from + n);

describe("the ring that plays a WebSocket's sound", () => {
  it("is silent until enough lies in it, then plays in order", () => {
    const ring = new PlaybackRing(PLAIN);
    ring.push(numbers(1, 4));
    expect(pull(ring, 2)).toEqual([0, 0]);
    ring.push(numbers(5, 8));
    expect(pull(ring, 4)).toEqual([1, 2, 3, 4]);
    expect(pull(ring, 4)).toEqual([5, 6, 7, 8]);
  });

  it("does not keep a lone last frame for ever", () => {
    const ring = new PlaybackRing(PLAIN);
    ring.push(numbers(1, 4));
    const heard = Array.from({ length: 8 }, () => pull(ring, 2)).flat();
    expect(heard.filter((sample) => sample !== 0)).toEqual([1, 2, 3, 4]);
  });

  it("holds no more than its capacity and throws the oldest away", () => {
    const ring = new PlaybackRing(PLAIN);
    ring.push(numbers(1, 10));
    ring.push(numbers(11, 15));
    expect(ring.statistics()).toMatchObject({ bufferedSamples: 12, droppedSamples: 3 });
    expect(pull(ring, 4)).toEqual([4, 5, 6, 7]);
  });

  it("keeps the end of a burst that is longer than the ring", () => {
    const ring = new PlaybackRing(PLAIN);
    ring.push(numbers(1, 30));
    expect(ring.statistics()).toMatchObject({ bufferedSamples: 12, droppedSamples: 18 });
    expect(pull(ring, 3)).toEqual([19, 20, 21]);
  });

  it("fills up with silence when it runs dry and gathers anew before it goes on", () => {
    const ring = new PlaybackRing(PLAIN);
    ring.push(numbers(1, 8));
    expect(pull(ring, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
    expect(ring.statistics().underruns).toBe(1);
    ring.push(numbers(1, 2));
    expect(pull(ring, 2)).toEqual([0, 0]);
  });

  it("never holds more than 60 ms, and begins within 40", () => {
    const ring = new PlaybackRing();
    for (let n = 0; n < 10; n += 1) ring.push(frame(0.5));
    expect(ring.statistics().bufferedSamples).toBe(2880);
    const late = new PlaybackRing();
    late.push(frame(0.5));
    let blocks = 0;
    while (pull(late, BLOCK).every((sample) => sample === 0)) blocks += 1;
    expect((blocks * BLOCK * 1000) / 48_000).toBeLessThanOrEqual(40);
  });

  it("has no jump where sound begins, is cut, or runs dry", () => {
    const ring = new PlaybackRing();
    const heard: number[] = [];
    ring.push(frame(0.8));
    ring.push(frame(0.8));
    for (let n = 0; n < 8; n += 1) heard.push(...pull(ring, BLOCK));
    // A burst of the opposite sign pushes the rest of the old sound out.
    for (let n = 0; n < 3; n += 1) ring.push(frame(-0.8));
    for (let n = 0; n < 40; n += 1) heard.push(...pull(ring, BLOCK));
    const steepest = heard.reduce(
      (most, sample, n) => Math.max(most, Math.abs(sample - (heard[n - 1] ?? 0))),
      0,
    );
    expect(Math.max(...heard)).toBeCloseTo(0.8, 5);
    expect(Math.min(...heard)).toBeCloseTo(-0.8, 5);
    expect(heard.at(-1)).toBe(0);
    expect(steepest).toBeLessThan(0.02);
  });
});
