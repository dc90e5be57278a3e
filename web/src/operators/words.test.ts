import { expect, test } from "vitest";

import { readFleet, type Worker } from "./fleet.ts";
import { counts, facts, loadDetail, loadShare, loadText, shown, stateDetail } from "./words.ts";

function worker(told: Record<string, unknown>): Worker {
  const [read] = readFleet({ workers: [{ name: "one", host: "gpu-1", ...told }] }).workers;
  if (read === undefined) throw new Error("it was left out");
  return read;
}

test("each state says what matters about it", () => {
  const detail = (told: Record<string, unknown>): string => stateDetail(worker(told));
  expect(detail({ state: "ready", seen_seconds_ago: 0.4 })).toBe("Heard just now");
  expect(detail({ state: "ready", seen_seconds_ago: 9.6 })).toBe("Heard 10 s ago");
  expect(detail({ state: "draining", slots_in_use: 1 })).toBe("1 session still open");
  expect(detail({ state: "draining", slots_in_use: 0 })).toBe("Nobody is there any more.");
  expect(detail({ state: "left_alone", left_alone_seconds: 3 })).toBe(
    "It failed; asked again in 3 s",
  );
  expect(detail({ state: "vanished", vanished_seconds: 200 })).toBe(
    "Not in the registry for 3 min",
  );
  expect(detail({ state: "embedded" })).toBe("Part of this server");
});

test("the load is told with what is known", () => {
  const busy = worker({ slots: 10, slots_in_use: 12, queue: 2, p50_ms: 1234 });
  expect([loadText(busy), loadShare(busy)]).toEqual(["12 of 10", 1]);
  expect(loadDetail(busy)).toBe("2 waiting · 1.2 s to first sound");
  const silent = worker({ kind: "stt", slots_in_use: 3, p50_ms: 81.6 });
  expect([loadText(silent), loadShare(silent)]).toEqual(["3 open", null]);
  expect(loadDetail(silent)).toBe("82 ms to first words");
  expect(loadDetail(worker({}))).toBe("");
});

test("facts name what there is", () => {
  expect(facts(worker({ gpu: 0, voices: 1, version: "0.1.0" }))).toEqual([
    "Speech",
    "gpu-1",
    "GPU 0",
    "1 voice",
    "0.1.0",
  ]);
  expect(facts(worker({ kind: "stt", host: null, voices: 3 }))).toEqual(["Recognition"]);
});

test("those that need a look are counted first", () => {
  const states = ["ready", "ready", "draining", "vanished", "embedded"];
  const workers = states.map((state, index) => ({ name: `w${index}`, state }));
  expect(counts(readFleet({ workers }))).toBe("1 vanished · 1 draining · 2 ready");
  expect(counts(readFleet({ workers: [] }))).toBe("");
});

test("a stranger's text turns nothing around and stays short", () => {
  expect(shown("tts-piper@0")).toBe("tts-piper@0");
  expect(shown("a\u202eexe\u001b[2J")).toBe("a\\u{202e}exe\\u{1b}[2J");
  expect(shown("x".repeat(500))).toHaveLength(121);
});
