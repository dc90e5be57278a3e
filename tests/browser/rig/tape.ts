/** Notes, inside the page, what a person would see pass: the label, the two meters, the captions. */

import type { Page } from "@playwright/test";

export type Note =
  | { kind: "state"; atMs: number; state: string }
  | { kind: "level"; atMs: number; side: "you" | "agent"; level: number }
  | { kind: "caption"; atMs: number; segment: string; text: string };

declare global {
  interface Window {
    tape: Note[];
  }
}

/** Call it before the page is opened. */
export async function startTape(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.tape = [];
    const latest = new Map<string, string>();
    const changed = (key: string, value: string): boolean => {
      if (latest.get(key) === value) return false;
      latest.set(key, value);
      return true;
    };
    const noteState = (atMs: number): void => {
      const label = document.querySelector<HTMLElement>('[data-testid="agent-state"]');
      const state = label?.dataset["state"] ?? "none";
      if (changed("state", state)) window.tape.push({ kind: "state", atMs, state });
    };
    const noteLevels = (atMs: number): void => {
      for (const side of ["you", "agent"] as const) {
        const meter = document.querySelector<HTMLElement>(`[data-testid="${side}-level"]`);
        const level = meter?.dataset["level"] ?? "0";
        if (changed(side, level)) {
          window.tape.push({ kind: "level", atMs, side, level: Number(level) });
        }
      }
    };
    const noteCaptions = (atMs: number): void => {
      for (const line of document.querySelectorAll<HTMLElement>("[data-segment]")) {
        const segment = line.dataset["segment"] ?? "";
        const text = line.textContent;
        if (changed(`caption ${segment}`, text)) {
          window.tape.push({ kind: "caption", atMs, segment, text });
        }
      }
    };
    new MutationObserver(() => {
      const atMs = performance.now();
      noteState(atMs);
      noteLevels(atMs);
      noteCaptions(atMs);
    }).observe(document, {
      subtree: true,
      childList: true,
      characterData: true,
      attributeFilter: ["data-state", "data-level"],
    });
  });
}

export function readTape(page: Page): Promise<Note[]> {
  return page.evaluate(() => window.tape);
}

/** Where these states end on the tape, in this order and from this note on; others may lie between. */
export function afterStates(tape: Note[], from: number, states: string[]): number | null {
  let wanted = 0;
  for (let at = from; at < tape.length; at += 1) {
    const note = tape[at];
    if (note?.kind === "state" && note.state === states[wanted]) wanted += 1;
    if (wanted === states.length) return at + 1;
  }
  return null;
}
