/** Ways of taking turns other than the usual one. */

import { expect, test } from "./rig/test.ts";

test("the machine waits until Done is pressed", async ({ call, page, parlor }) => {
  await call.open(parlor.url, "WebRTC");
  await page.getByRole("combobox", { name: "Turn-taking" }).selectOption("manual");
  await call.press("Start talking");
  await call.shows(["listening"]);
  await expect(call.captions).toContainText(/time is it/i);
  // Long after the silence that ends a turn in the usual way.
  await expect(page.getByTestId("you-level")).toHaveAttribute("data-level", "0.000");
  await page.waitForTimeout(1500);
  await call.isIn("listening");
  await expect(call.lines("agent")).toHaveCount(0);

  await call.press("Done");
  await call.shows(["thinking", "speaking", "listening"]);
  await expect(call.lines("agent")).toContainText(/in the (morning|afternoon|evening)/);
});
