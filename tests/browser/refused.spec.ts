/** Somebody who does not give the microphone away can still hold a call. */

import { expect, test } from "./rig/test.ts";

test("a refused microphone is explained, and typing is offered", async ({ call, parlor }) => {
  await call.open(parlor.url, "WebRTC");
  await call.press("Start talking");
  await expect(call.problem).toHaveAttribute("data-kind", "microphone-refused");
  await expect(call.problem).toContainText("The microphone is blocked");

  await call.problem.getByRole("button", { name: "Try again" }).click();
  await expect(call.problem).toHaveAttribute("data-kind", "microphone-refused");

  await call.problem.getByRole("button", { name: "Type instead" }).click();
  await call.shows(["listening"]);
  await call.ask("spell yes");
  await expect(call.lines("agent")).toContainText("Y, E, S");
  await call.hearsAgent();
});
