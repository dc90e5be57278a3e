import { describe, expect, it } from "vitest";

import { FrameCollector, frameSamples, fromPcm } from "./pcm.ts";

const collect = (rateHz: number, blocks: Float32Array[]): Int16Array[] => {
  const frames: Int16Array[] = [];
  const collector = new FrameCollector(rateHz);
  for (const block of blocks) {
    collector.push(block, (frame) => {
      frames.push(frame);
    });
  }
  return frames;
};

describe("the microphone's frames", () => {
  it("are 20 ms long at every rate a sound card may have", () => {
    expect(frameSamples(48_000)).toBe(960);
    expect(frameSamples(44_100)).toBe(882);
    expect(frameSamples(16_000)).toBe(320);
  });

  it("lose no sample at the seams of the browser's blocks", () => {
    const ramp = Float32Array.from({ length: 128 * 20 }, (_, n) => n / 32_768);
    const blocks = Array.from({ length: 20 }, (_, n) => ramp.slice(n * 128, (n + 1) * 128));
    const frames = collect(48_000, blocks);
    expect(frames).toHaveLength(2);
    const samples = frames.flatMap((frame) => [...frame]);
    const wrong = samples.findIndex((sample, n) => Math.abs(sample - n) > 1);
    expect(wrong).toBe(-1);
  });

  it("clip instead of wrapping around", () => {
    const [frame] = collect(50, [Float32Array.of(1.5)]);
    expect(frame?.[0]).toBe(32_767);
    const [low] = collect(50, [Float32Array.of(-1.5)]);
    expect(low?.[0]).toBe(-32_768);
  });
});

describe("the server's frames", () => {
  it("are read as little-endian whatever the machine is", () => {
    const bytes = Uint8Array.of(0x00, 0x40, 0x00, 0xc0).buffer;
    expect([...fromPcm(bytes)]).toEqual([0.5, -0.5]);
  });

  it("leave out an odd byte at the end", () => {
    expect(fromPcm(new ArrayBuffer(5))).toHaveLength(2);
  });
});
