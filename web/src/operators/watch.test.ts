import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { ProblemError } from "../call/problems.ts";
import { type Fleet, readFleet } from "./fleet.ts";
import { EVERY_MS, FleetWatch } from "./watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const FLEET = readFleet({ workers: [{ name: "one" }] });

test("it asks every two seconds while somebody looks, and not at all otherwise", async () => {
  const ask = vi.fn(() => Promise.resolve(FLEET));
  const watch = new FleetWatch(ask);
  watch.start();
  watch.start();
  await vi.advanceTimersByTimeAsync(EVERY_MS * 3);
  expect(ask).toHaveBeenCalledTimes(4);
  expect(watch.view().fleet).toBe(FLEET);
  watch.stop();
  await vi.advanceTimersByTimeAsync(EVERY_MS * 10);
  expect(ask).toHaveBeenCalledTimes(4);
  watch.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(ask).toHaveBeenCalledTimes(5);
  watch.stop();
});

test("what was heard last stays when the server goes, until it comes back", async () => {
  const answers: (() => Promise<Fleet>)[] = [
    () => Promise.resolve(FLEET),
    () => Promise.reject(new ProblemError({ kind: "server-gone" })),
    () => Promise.resolve(FLEET),
  ];
  const watch = new FleetWatch(() => answers.shift()?.() ?? Promise.resolve(FLEET));
  const heard = vi.fn();
  watch.subscribe(heard);
  watch.start();
  await vi.advanceTimersByTimeAsync(0);
  const { asOfMs } = watch.view();
  await vi.advanceTimersByTimeAsync(EVERY_MS);
  expect(watch.view()).toEqual({ fleet: FLEET, problem: { kind: "server-gone" }, asOfMs });
  await vi.advanceTimersByTimeAsync(EVERY_MS);
  expect(watch.view().problem).toBeNull();
  expect(watch.view().asOfMs).toBeGreaterThan(asOfMs);
  expect(heard).toHaveBeenCalledTimes(3);
  watch.stop();
});

test("a key is asked of the person and not of the server again and again", async () => {
  const ask = vi.fn((): Promise<Fleet> =>
    Promise.reject(new ProblemError({ kind: "key-required" })),
  );
  const watch = new FleetWatch(ask);
  watch.start();
  await vi.advanceTimersByTimeAsync(EVERY_MS * 5);
  expect(ask).toHaveBeenCalledTimes(1);
  void watch.refresh();
  await vi.advanceTimersByTimeAsync(0);
  expect(ask).toHaveBeenCalledTimes(2);
  watch.stop();
});

test("a refresh is an answer to a question that was asked after it", async () => {
  const asked: ((fleet: Fleet) => void)[] = [];
  const watch = new FleetWatch(
    () =>
      new Promise((resolve) => {
        asked.push(resolve);
      }),
  );
  watch.start();
  await vi.advanceTimersByTimeAsync(0);
  let isFresh = false;
  const refreshed = watch.refresh().then(() => {
    isFresh = true;
  });
  asked[0]?.(FLEET);
  await vi.advanceTimersByTimeAsync(0);
  expect([asked.length, isFresh]).toEqual([2, false]);
  const newer = readFleet({ workers: [] });
  asked[1]?.(newer);
  await refreshed;
  expect(watch.view().fleet).toBe(newer);
  watch.stop();
});
