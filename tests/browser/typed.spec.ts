/** Questions in writing, the reply's own buttons, and the transcript to take away. */

import { readFile } from "node:fs/promises";

import type { CallPage } from "./rig/call-page.ts";
import { expect, test } from "./rig/test.ts";

for (const transport of ["WebRTC", "WebSocket"] as const) {
  test(`a typed question is answered aloud over ${transport}`, async ({ call, parlor }) => {
    await call.open(parlor.url, transport);
    await call.press("Type instead");
    await call.shows(["listening"]);
    await expect(call.page.getByRole("button", { name: "Mute" })).toHaveCount(0);

    await call.ask("count to five");
    await call.shows(["thinking", "speaking", "listening"]);
    await expect(call.captions.locator('[data-segment="a1"]')).toContainText("1, 2, 3, 4, 5.");
    await call.hearsAgent();
    // What the page showed at once and what the server repeated is one line.
    await expect(call.lines("user")).toHaveText([/count to five/]);
    await expect(call.lines("agent")).toHaveText([/1, 2, 3, 4, 5\./]);
    await expect(call.page.getByTestId("latency-total")).toHaveAttribute("data-turn", "1");
  });
}

test("a reply can be paused, resumed and stopped", async ({ call, parlor }) => {
  await call.open(parlor.url, "WebRTC");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await call.ask("tell me a long story");
  await call.shows(["thinking", "speaking"]);
  const words = call.captions.locator('[data-segment="a1"]');
  await expect(words).toContainText("Once upon a time");

  await call.press("Pause");
  await call.isIn("paused");
  const agent = call.page.getByTestId("agent-level");
  await expect.poll(async () => Number(await agent.getAttribute("data-level"))).toBeLessThan(0.05);
  const held = await words.textContent();
  await call.press("Resume");
  await call.isIn("speaking");
  await expect(words).not.toHaveText(held ?? "");
  await expect(words).toContainText(held ?? "nothing");

  await call.press("Stop");
  await call.isIn("listening");
  await expect(words).toContainText("interrupted");
  await expect(call.page.getByRole("button", { name: "Stop" })).toHaveCount(0);
});

test("the voice can be chosen", async ({ call, page, parlor }) => {
  await call.open(parlor.url, "WebRTC");
  await page.getByRole("combobox", { name: "Voice" }).selectOption("flite:rms");
  const answered = page.waitForResponse(/\/v1\/realtime\/calls\?/);
  await call.press("Type instead");
  expect((await answered).url()).toContain("voice=flite%3Arms");
  await call.shows(["listening"]);
  await call.ask("spell hi");
  await call.hearsAgent();
});

test("a second question takes the place of the answer to the first", async ({ call, parlor }) => {
  await call.open(parlor.url, "WebSocket");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await call.ask("tell me a long story");
  await call.shows(["speaking"]);
  await expect(call.captions).toContainText("Once");
  await call.ask("spell parlor");
  await expect(call.lines("agent").nth(1)).toContainText("P, A, R, L, O, R");
  await expect(call.lines("agent").first()).toContainText("interrupted");
});

test("the transcript can be taken away as txt, vtt and json", async ({ call, parlor }) => {
  await call.open(parlor.url, "WebSocket");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await call.ask("spell parlor");
  await call.shows(["speaking", "listening"]);
  await expect(call.lines("agent")).toContainText("P, A, R, L, O, R");
  // It stays when the call has ended.
  await call.press("Hang up");
  await call.isIn("ended");

  const text = await download(call, "txt");
  expect(text).toMatch(/\[0:\d\d\] You: spell parlor\n/);
  expect(text).toMatch(/\[0:\d\d\] Parlor: Parlor: P, A, R, L, O, R\.\n/);

  const captions = await download(call, "vtt");
  expect(captions).toMatch(
    /^WEBVTT\n\n00:00:\d\d\.\d{3} --> 00:00:\d\d\.\d{3}\n<v You>spell parlor\n/,
  );
  expect(captions).toContain("<v Parlor>Parlor: P, A, R, L, O, R.");

  const json = JSON.parse(await download(call, "json")) as Record<string, unknown>;
  expect(json).toMatchObject({
    transport: "websocket",
    session_id: expect.stringMatching(/\S/) as unknown,
    segments: [
      { role: "user", text: "spell parlor", typed: true, is_final: true },
      { role: "agent", text: "Parlor: P, A, R, L, O, R.", is_final: true, interrupted: false },
    ],
  });
});

async function download(call: CallPage, format: string): Promise<string> {
  const begun = call.page.waitForEvent("download");
  await call.press(`Download transcript as ${format}`);
  const file = await begun;
  expect(file.suggestedFilename()).toMatch(new RegExp(`^parlor-[-\\d]+\\.${format}$`));
  return readFile(await file.path(), "utf8");
}
