/** The event log: what passed between page and server, newest last, repetitions folded. */

import type { ClientMessage, ServerMessage } from "./protocol.ts";

export interface LogEntry {
  id: number;
  direction: "in" | "out";
  atMs: number;
  name: string;
  detail: string;
  /** How many messages this line stands for: the partials of one segment share a line. */
  count: number;
}

const MAX_ENTRIES = 300;

export function appendLog(
  log: LogEntry[],
  direction: LogEntry["direction"],
  message: ClientMessage | ServerMessage,
  atMs: number,
): LogEntry[] {
  const last = log.at(-1);
  const name = entryName(message);
  const detail = entryDetail(message);
  if (last !== undefined && last.direction === direction && last.name === name && folds(message)) {
    return [...log.slice(0, -1), { ...last, atMs, detail, count: last.count + 1 }];
  }
  const entry: LogEntry = { id: (last?.id ?? 0) + 1, direction, atMs, name, detail, count: 1 };
  return [...log, entry].slice(-MAX_ENTRIES);
}

function folds(message: ClientMessage | ServerMessage): boolean {
  return message.type === "transcript" && !message.isFinal;
}

function entryName(message: ClientMessage | ServerMessage): string {
  if (message.type === "transcript") {
    return `transcript ${message.segmentId}${message.isFinal ? " final" : ""}`;
  }
  return message.type;
}

function entryDetail(message: ClientMessage | ServerMessage): string {
  switch (message.type) {
    case "session_start":
      return message.sessionId;
    case "state":
      return message.phase === null ? message.state : `${message.state} (${message.phase})`;
    case "transcript":
    case "ask":
      return message.text;
    case "timings":
      return message.totalMs === null ? "" : `total ${Math.round(message.totalMs)} ms`;
    case "error":
      return `${message.code}: ${message.message}`;
    case "session_end":
      return message.reason;
    case "control":
      return message.command;
    case "commit":
    case "hangup":
      return "";
  }
}
