import { describe, expect, it } from "vitest";

import { appendLog, type LogEntry } from "./log.ts";
import type { TranscriptMessage } from "./protocol.ts";

const partial = (segmentId: string, text: string): TranscriptMessage => ({
  type: "transcript",
  role: "user",
  text,
  isFinal: false,
  segmentId,
  interrupted: false,
});

describe("the event log", () => {
  it("folds the partials of one segment into a line with the newest words", () => {
    let log: LogEntry[] = [];
    log = appendLog(log, "in", partial("u1", "what"), 10);
    log = appendLog(log, "in", partial("u1", "what time"), 20);
    log = appendLog(log, "in", { ...partial("u1", "what time is it"), isFinal: true }, 30);
    expect(log.map(({ name, detail, count }) => [name, detail, count])).toEqual([
      ["transcript u1", "what time", 2],
      ["transcript u1 final", "what time is it", 1],
    ]);
  });

  it("does not fold what differs in direction or kind", () => {
    let log: LogEntry[] = [];
    log = appendLog(log, "out", { type: "control", command: "PAUSE" }, 10);
    log = appendLog(log, "out", { type: "control", command: "PAUSE" }, 20);
    log = appendLog(log, "in", partial("u1", "a"), 30);
    log = appendLog(log, "in", partial("u2", "b"), 40);
    expect(log).toHaveLength(4);
    expect(new Set(log.map(({ id }) => id)).size).toBe(4);
  });

  it("forgets the oldest lines of a long call", () => {
    let log: LogEntry[] = [];
    for (let turn = 0; turn < 400; turn += 1) log = appendLog(log, "out", { type: "commit" }, turn);
    expect(log).toHaveLength(300);
    expect(log.at(-1)?.id).toBe(400);
  });
});
