/** One clock for everything that moves with the sound: the orb and both meters. */

import { meterLevel, Needle } from "../audio/level.ts";
import type { Loudness } from "../call/client.ts";

/** Where the two needles stand, 0 to 1. */
export interface Levels {
  you: number;
  agent: number;
  atMs: number;
}

export class LevelFeed {
  readonly #loudness: () => Loudness;
  readonly #listeners = new Set<(levels: Levels) => void>();
  readonly #you = new Needle();
  readonly #agent = new Needle();
  #previousMs = 0;
  #request = 0;

  constructor(loudness: () => Loudness) {
    this.#loudness = loudness;
  }

  /** Calls back once per screen frame, and not at all while nobody looks. */
  readonly subscribe = (listener: (levels: Levels) => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#request = requestAnimationFrame(this.#tick);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) cancelAnimationFrame(this.#request);
    };
  };

  readonly #tick = (nowMs: number): void => {
    const elapsedMs = Math.min(100, nowMs - this.#previousMs);
    this.#previousMs = nowMs;
    const { you, agent } = this.#loudness();
    const levels: Levels = {
      you: this.#you.follow(meterLevel(you), elapsedMs),
      agent: this.#agent.follow(meterLevel(agent), elapsedMs),
      atMs: nowMs,
    };
    for (const listener of this.#listeners) listener(levels);
    if (this.#listeners.size > 0) this.#request = requestAnimationFrame(this.#tick);
  };
}
