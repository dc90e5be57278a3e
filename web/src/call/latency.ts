/** The parts of a turn's waiting time, ready to draw. */

import type { TimingsMessage } from "./protocol.ts";

export type Stage = "endpointing" | "stt" | "responder" | "tts" | "other";

export interface StageShare {
  stage: Stage;
  ms: number;
  /** All stages up to and with this one: where its piece of the bar ends. */
  untilMs: number;
}

/** In the order in which they pass, with the words a person reads. */
export const STAGES: { stage: Exclude<Stage, "other">; label: string; meaning: string }[] = [
  { stage: "endpointing", label: "Turn end", meaning: "making sure that you have finished" },
  { stage: "stt", label: "Recognition", meaning: "the last words becoming text" },
  { stage: "responder", label: "Responder", meaning: "the first words of the answer" },
  { stage: "tts", label: "Voice", meaning: "the first sound of the answer" },
];

export function stageMs(turn: TimingsMessage, stage: Stage): number | null {
  switch (stage) {
    case "endpointing":
      return turn.endpointingMs;
    case "stt":
      return turn.sttMs;
    case "responder":
      return turn.responderMs;
    case "tts":
      return turn.ttsMs;
    case "other":
      return otherMs(turn);
  }
}

/** What the listener waited: the server's own total, or the sum of what it knows. */
export function totalMs(turn: TimingsMessage): number {
  return turn.totalMs ?? knownMs(turn);
}

/** The parts that have a length, for one bar; what no stage explains comes last. */
export function shares(turn: TimingsMessage): StageShare[] {
  const found: StageShare[] = [];
  let untilMs = 0;
  for (const stage of [...STAGES.map((entry) => entry.stage), "other" as const]) {
    const ms = stageMs(turn, stage) ?? 0;
    untilMs += ms;
    if (ms > 0) found.push({ stage, ms, untilMs });
  }
  return found;
}

/** How long the longer axis of a chart must be: a round figure above every bar. */
export function chartCeilingMs(turns: TimingsMessage[]): number {
  const longest = turns.reduce((most, turn) => Math.max(most, totalMs(turn), knownMs(turn)), 0);
  const step = longest > 2000 ? 1000 : 500;
  return Math.max(1000, Math.ceil(longest / step) * step);
}

/** `820 ms`, and from ten seconds on `12.3 s`. */
export function formatMs(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function knownMs(turn: TimingsMessage): number {
  return STAGES.reduce((sum, { stage }) => sum + (stageMs(turn, stage) ?? 0), 0);
}

function otherMs(turn: TimingsMessage): number {
  return Math.max(0, totalMs(turn) - knownMs(turn));
}
