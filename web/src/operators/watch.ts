/** Keeps the list of workers fresh as long as somebody looks at it. */

import { type Problem, problemOf } from "../call/problems.ts";
import type { Fleet } from "./fleet.ts";

export interface FleetView {
  /** What was heard last; null before the first answer. */
  fleet: Fleet | null;
  /** Why there is nothing newer; null while there is. */
  problem: Problem | null;
  /** When `fleet` was heard, in milliseconds since 1970. */
  asOfMs: number;
}

export const EVERY_MS = 2000;

/** Asks one question at a time: an answer that takes long is waited for, not overtaken. */
export class FleetWatch {
  readonly #ask: () => Promise<Fleet>;
  readonly #listeners = new Set<() => void>();
  #view: FleetView = { fleet: null, problem: null, asOfMs: 0 };
  #asking: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLookedAt = false;

  constructor(ask: () => Promise<Fleet>) {
    this.#ask = ask;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly view = (): FleetView => this.#view;

  /** Asks now, and every two seconds from then on. */
  start(): void {
    if (this.#isLookedAt) return;
    this.#isLookedAt = true;
    void this.refresh();
  }

  /** Nobody looks: no more questions. */
  stop(): void {
    this.#isLookedAt = false;
    clearTimeout(this.#timer);
  }

  /** Asks at once. Done when a question that was asked after this call is answered. */
  async refresh(): Promise<void> {
    // One that is under way may have been asked before the thing happened that is to be seen.
    await this.#asking;
    this.#asking ??= this.#fetch();
    await this.#asking;
  }

  async #fetch(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      this.#view = { fleet: await this.#ask(), problem: null, asOfMs: Date.now() };
    } catch (error) {
      this.#view = { ...this.#view, problem: problemOf(error) };
    }
    this.#asking = null;
    for (const listener of this.#listeners) listener();
    if (this.#isLookedAt && !needsKey(this.#view.problem)) {
      this.#timer = setTimeout(() => void this.refresh(), EVERY_MS);
    }
  }
}

/** Whether only a person can mend it: asking again with the same key is in vain. */
export function needsKey(problem: Problem | null): boolean {
  return problem?.kind === "key-required" || problem?.kind === "key-refused";
}
