/** The page as its user knows it: what can be pressed, and what can be read. */

import { expect, type Locator, type Page } from "@playwright/test";

import { afterStates, type Note, readTape, startTape } from "./tape.ts";

export type Transport = "LiveKit" | "WebRTC" | "WebSocket";

/** On a meter from 0 (-60 dBFS) to 1 (full scale): no noise is this loud. */
export const AUDIBLE = 0.3;

export class CallPage {
  readonly page: Page;
  readonly state: Locator;
  readonly captions: Locator;
  readonly transcript: Locator;
  readonly problem: Locator;
  readonly question: Locator;
  /** How far the tape has been read. */
  #seen = 0;

  constructor(page: Page) {
    this.page = page;
    this.state = page.getByTestId("agent-state");
    this.captions = page.getByRole("region", { name: "Captions" });
    this.transcript = page.getByRole("region", { name: "Transcript" });
    this.problem = page.getByTestId("problem");
    this.question = page.getByRole("textbox", { name: "Type a question" });
  }

  async open(address: string, transport: Transport): Promise<void> {
    await startTape(this.page);
    await this.page.goto(address);
    await this.choose(transport);
  }

  async choose(transport: Transport): Promise<void> {
    await this.page.getByRole("radio", { name: transport }).check();
  }

  press(name: string): Promise<void> {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  async ask(text: string): Promise<void> {
    await this.question.fill(text);
    await this.press("Send");
  }

  isIn(state: string): Promise<void> {
    return expect(this.state).toHaveAttribute("data-state", state);
  }

  /**
   * Waits until the label has shown these states, one after the other, since this was last asked.
   * Answers how long the tape was then.
   */
  async shows(states: string[], timeout?: number): Promise<number> {
    await expect
      .poll(
        async () => {
          const tape = await readTape(this.page);
          const end = afterStates(tape, this.#seen, states);
          this.#seen = end ?? this.#seen;
          return end === null ? shown(tape.slice(this.#seen)) : states.join(" > ");
        },
        {
          message: "the label passes through these states",
          ...(timeout !== undefined && { timeout }),
        },
      )
      .toBe(states.join(" > "));
    return this.#seen;
  }

  /** The lines that either side has in the transcript. */
  lines(role: "user" | "agent"): Locator {
    return this.transcript.locator(`li[data-role="${role}"]`);
  }

  tape(): Promise<Note[]> {
    return readTape(this.page);
  }

  /** Waits until the agent's voice has come out of the loudspeaker. */
  async hearsAgent(): Promise<void> {
    await expect
      .poll(
        async () => Number(await this.page.getByTestId("agent-level").getAttribute("data-peak")),
        {
          message: "sound comes back",
        },
      )
      .toBeGreaterThan(AUDIBLE);
  }
}

function shown(tape: Note[]): string {
  return tape.flatMap((note) => (note.kind === "state" ? [note.state] : [])).join(" > ");
}
