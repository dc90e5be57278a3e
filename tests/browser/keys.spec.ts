/** The keys of a call. */

import { expect, test } from "./rig/test.ts";

test("M mutes, C hides the captions, ? helps, Esc hangs up", async ({ call, page, parlor }) => {
  await call.open(parlor.url, "WebSocket");
  await call.press("Start talking");
  await call.shows(["listening"]);

  await page.keyboard.press("m");
  await expect(page.getByRole("button", { name: "Unmute" })).toBeVisible();
  await expect(page.getByText("You are muted.")).toBeVisible();
  await page.keyboard.press("m");
  await expect(page.getByRole("button", { name: "Mute", exact: true })).toBeVisible();

  await page.keyboard.press("c");
  await expect(call.captions).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Captions" })).toHaveAttribute(
    "aria-pressed",
    "false",
  );
  await page.keyboard.press("c");
  await expect(call.captions).toBeVisible();

  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Help" });
  await expect(help).toContainText("Mute or unmute the microphone");
  // The first Esc is the dialog's.
  await page.keyboard.press("Escape");
  await expect(help).toHaveCount(0);
  await call.isIn("listening");

  await page.keyboard.press("Escape");
  await call.isIn("ended");
  await expect(page.getByText("You hung up.")).toBeVisible();
});

test("a letter in a question is only a letter", async ({ call, page, parlor }) => {
  await call.open(parlor.url, "WebSocket");
  await call.press("Start talking");
  await call.shows(["listening"]);
  await call.question.focus();
  await page.keyboard.type("cm?");
  await expect(call.question).toHaveValue("cm?");
  await expect(page.getByRole("button", { name: "Mute", exact: true })).toBeVisible();
  await expect(call.captions).toBeAttached();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("a call can be made with the keyboard alone", async ({ call, page, parlor }) => {
  await call.open(parlor.url, "WebRTC");
  await page.getByRole("button", { name: "Type instead" }).focus();
  await page.keyboard.press("Enter");
  await call.shows(["listening"]);
  await call.question.focus();
  await page.keyboard.type("spell hi");
  await page.keyboard.press("Enter");
  await expect(call.lines("agent")).toContainText("H, I");
  await call.question.blur();
  await page.keyboard.press("Escape");
  await call.isIn("ended");
  // From here a reader goes on at the next thing to do.
  await page.getByRole("button", { name: "Call again" }).press("Enter");
  await call.shows(["ended", "listening"]);
});
