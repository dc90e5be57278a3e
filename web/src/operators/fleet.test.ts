import { expect, test } from "vitest";

import { hasStandIn, readFleet } from "./fleet.ts";

const told = {
  name: "tts-piper@0",
  kind: "tts",
  addr: "grpc://gpu-1:7001",
  host: "gpu-1",
  from: "registry",
  state: "left_alone",
  left_alone_seconds: 3,
  vanished_seconds: null,
  slots: 10,
  slots_in_use: 4,
  open_here: 1,
  queue: 2,
  p50_ms: 82,
  models: [
    { id: "lessac", resident: true },
    { id: "ryan", resident: false },
  ],
  voices: 2,
  gpu: 0,
  version: "0.1.0",
  seen_seconds_ago: 1.5,
};

test("a worker is read whole", () => {
  const { workers, hasRegistry } = readFleet({ workers: [told], registry: true });
  expect(hasRegistry).toBe(true);
  expect(workers).toEqual([
    {
      name: "tts-piper@0",
      kind: "tts",
      addr: "grpc://gpu-1:7001",
      host: "gpu-1",
      from: "registry",
      state: "left_alone",
      leftAloneSeconds: 3,
      vanishedSeconds: null,
      slots: 10,
      slotsInUse: 4,
      queue: 2,
      p50Ms: 82,
      models: [
        { id: "lessac", resident: true },
        { id: "ryan", resident: false },
      ],
      voices: 2,
      gpu: 0,
      version: "0.1.0",
      seenSecondsAgo: 1.5,
    },
  ]);
});

test("what is missing or strange gets its usual value, and who has no name is left out", () => {
  const { workers } = readFleet({
    workers: [{ name: "a", state: "flying", slots: -3, p50_ms: "fast", models: [{}, 7] }, {}, null],
  });
  expect(workers).toHaveLength(1);
  expect(workers[0]).toMatchObject({
    state: "ready",
    slots: 0,
    p50Ms: null,
    models: [],
    gpu: null,
  });
});

test("an answer that is no list of workers is none", () => {
  for (const body of [null, [], "workers", {}, { workers: {} }]) {
    expect(() => readFleet(body)).toThrow(TypeError);
  }
});

test("the engines inside come last, the others by name", () => {
  const inside = { ...told, name: "embedded-tts", from: "embedded" };
  const named = (name: string) => ({ ...told, name });
  const { workers } = readFleet({ workers: [inside, named("w-10"), named("w-9")] });
  expect(workers.map(({ name }) => name)).toEqual(["w-9", "w-10", "embedded-tts"]);
});

test("only a ready worker of the same kind stands in for another", () => {
  const fleet = readFleet({
    workers: [
      { ...told, name: "one", state: "ready" },
      { ...told, name: "two", state: "draining" },
      { ...told, name: "ear", kind: "stt", state: "ready" },
      { ...told, name: "inside", from: "embedded", state: "embedded" },
    ],
  });
  const stands = (name: string): boolean =>
    fleet.workers.some((worker) => worker.name === name && hasStandIn(fleet, worker));
  expect(stands("one")).toBe(false);
  expect(stands("two")).toBe(true);
});
