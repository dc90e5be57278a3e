import { describe, expect, it } from "vitest";

import { dbfs, meterLevel, Needle, rms } from "./level.ts";

describe("loudness", () => {
  it("of a full-scale sine is 3 dB below full scale", () => {
    const sine = Float32Array.from({ length: 4800 }, (_, n) => Math.sin((2 * Math.PI * n) / 48));
    expect(rms(sine)).toBeCloseTo(Math.SQRT1_2, 4);
    expect(dbfs(rms(sine))).toBeCloseTo(-3.01, 2);
  });

  it("of silence is nothing, and of no samples as well", () => {
    expect(rms(new Float32Array(960))).toBe(0);
    expect(rms(new Float32Array())).toBe(0);
    expect(dbfs(0)).toBe(-Infinity);
  });
});

describe("a meter", () => {
  it("goes from -60 dBFS to full scale and never past its ends", () => {
    expect(meterLevel(0)).toBe(0);
    expect(meterLevel(0.0001)).toBe(0);
    expect(meterLevel(0.001)).toBeCloseTo(0, 5);
    expect(meterLevel(10 ** (-30 / 20))).toBeCloseTo(0.5, 5);
    expect(meterLevel(1)).toBe(1);
    expect(meterLevel(2)).toBe(1);
  });

  it("rises faster than it falls", () => {
    const needle = new Needle();
    const risen = needle.follow(1, 40);
    const fallen = needle.follow(0, 40);
    expect(risen).toBeGreaterThan(0.6);
    expect(fallen).toBeGreaterThan(risen * 0.8);
    expect(needle.level).toBe(fallen);
  });

  it("stands where it stood when no time has passed", () => {
    const needle = new Needle();
    needle.follow(0.5, 1000);
    const before = needle.level;
    expect(needle.follow(1, 0)).toBe(before);
    expect(needle.follow(1, -5)).toBe(before);
  });
});
