/** A person asks twice, and interrupts the long story: the whole program with its real engines. */

import type { CallPage, Transport } from "./rig/call-page.ts";
import { AUDIBLE } from "./rig/call-page.ts";
import type { Note } from "./rig/tape.ts";
import { expect, test } from "./rig/test.ts";

/** Around 200 ms on an idle machine; without an interruption the story would go on for a minute. */
const INTERRUPTED_WITHIN_MS = 3000;

/** The recording holds half a minute; a busy machine may open the call late. */
const NEXT_WORDS_WITHIN_MS = 45_000;

for (const transport of ["WebRTC", "WebSocket"] as const) {
  test(`two turns and an interruption over ${transport}`, async ({ call, page, parlor }) => {
    await call.open(parlor.url, transport);
    await call.press("Start talking");
    await call.shows(["connecting", "listening"]);
    await expect(page.getByRole("banner")).toContainText(transport);

    await test.step("a question is answered", async () => {
      await call.shows(["thinking", "speaking", "listening"], NEXT_WORDS_WITHIN_MS);
      await expect(call.lines("user").first()).toContainText(/time/i);
      await expect(call.lines("agent").first()).toContainText(/in the (morning|afternoon|evening)/);
      await call.hearsAgent();
      await latencyIsShown(call, 1);
    });

    const begun = await test.step("the story begins", async () => {
      const length = await call.shows(["thinking", "speaking"], NEXT_WORDS_WITHIN_MS);
      await expect(call.lines("user").nth(1)).toContainText(/story/i);
      await expect(call.captions).toContainText("lighthouse");
      await latencyIsShown(call, 2);
      return length;
    });

    await test.step("it stops when it is interrupted", async () => {
      const story = call.lines("agent").nth(1);
      await call.shows(["listening"], NEXT_WORDS_WITHIN_MS);
      await expect(story).toContainText("interrupted");
      await expect(story).not.toContainText("end of the story");
    });

    await test.step("and the interruption is answered", async () => {
      await call.shows(["thinking", "speaking", "listening"], NEXT_WORDS_WITHIN_MS);
      await expect(call.lines("user").nth(2)).toContainText(/stop/i);
      await expect(call.lines("agent").nth(2)).toContainText("I stopped");
    });

    const { reactionMs, quietest } = interruption((await call.tape()).slice(begun));
    expect(reactionMs, "the label follows the interruption").toBeLessThan(INTERRUPTED_WITHIN_MS);
    expect(quietest, "the voice stops").toBeLessThan(AUDIBLE);

    await captionsWere(call, [
      /time/i,
      /in the (morning|afternoon|evening)/,
      /story/i,
      /Ada/,
      /stop/i,
    ]);
    await lineIsMeasured(call, transport);
    await call.press("Hang up");
    await call.isIn("ended");
    await expect(page.getByRole("button", { name: "Call again" })).toBeVisible();
  });
}

async function latencyIsShown(call: CallPage, turn: number): Promise<void> {
  const total = call.page.getByTestId("latency-total");
  await expect(total).toHaveAttribute("data-turn", String(turn));
  await expect(total).toContainText(/\d/);
  for (const stage of ["endpointing", "stt", "responder", "tts"]) {
    await expect(call.page.locator(`[data-stage="${stage}"] dd`)).toContainText(/\d/);
  }
}

async function lineIsMeasured(call: CallPage, transport: Transport): Promise<void> {
  const line = call.page.getByTestId("line-quality");
  await expect(line).toContainText(`${transport} · `);
  if (transport === "WebRTC") await expect(line).toContainText(/round trip \d/);
  await expect(line).toContainText(/buffer \d/);
}

/** Words appeared as captions, whether or not others have taken their place since. */
async function captionsWere(call: CallPage, words: RegExp[]): Promise<void> {
  const captions = (await call.tape()).flatMap((note) =>
    note.kind === "caption" ? [note.text] : [],
  );
  for (const word of words) {
    expect(
      captions.some((caption) => word.test(caption)),
      `a caption matches ${word}`,
    ).toBe(true);
  }
}

/**
 * On a tape that begins with the story: how long after the caller became loud the label left "speaking", and how quiet
 * the agent was before it spoke again.
 */
function interruption(tape: Note[]): { reactionMs: number; quietest: number } {
  const onset = tape.findIndex(
    (note) => note.kind === "level" && note.side === "you" && note.level > AUDIBLE,
  );
  const overlap = tape.slice(onset);
  const left = overlap.findIndex((note) => note.kind === "state" && note.state !== "speaking");
  const [loud, stopped] = [overlap[0], overlap[left]];
  if (onset < 0 || loud === undefined || stopped === undefined)
    throw new Error("nobody interrupted");
  const pause = overlap.slice(left);
  const next = pause.findIndex((note) => note.kind === "state" && note.state === "speaking");
  const levels = pause
    .slice(0, next)
    .flatMap((note) => (note.kind === "level" && note.side === "agent" ? [note.level] : []));
  return { reactionMs: stopped.atMs - loud.atMs, quietest: Math.min(...levels) };
}
