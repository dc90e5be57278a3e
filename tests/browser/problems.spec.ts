/** What can go wrong says so, and says what to do. */

import { CallPage } from "./rig/call-page.ts";
import { expect, test } from "./rig/test.ts";

/** ICE gives a silent line this long, and some more. */
const LINE_LOST_WITHIN_MS = 60_000;

for (const transport of ["WebRTC", "WebSocket"] as const) {
  test(`a full server says so over ${transport}`, async ({ call, browser, startParlor }) => {
    const server = await startParlor({ "server.max_sessions": 1 });
    const first = new CallPage(await browser.newPage());
    await first.open(server.url, transport);
    await first.press("Type instead");
    await first.shows(["listening"]);

    await call.open(server.url, transport);
    await call.press("Type instead");
    await expect(call.problem).toHaveAttribute("data-kind", "server-full");
    await expect(call.problem).toContainText("All lines are busy");

    await first.press("Hang up");
    await first.isIn("ended");
    await first.page.close();
    // The place is free as soon as the server has said goodbye.
    await expect(async () => {
      await call.problem.getByRole("button", { name: "Try again" }).click();
      await expect(call.state).toHaveAttribute("data-state", "listening", { timeout: 3000 });
    }).toPass({ timeout: 20_000 });
  });

  test(`a server that dies in mid-call is noticed over ${transport}`, async ({
    call,
    startParlor,
  }) => {
    const server = await startParlor();
    await call.open(server.url, transport);
    await call.press("Type instead");
    await call.shows(["listening"]);
    await call.ask("tell me a long story");
    await expect(call.captions).toContainText("Once");

    await server.kill();
    await expect(call.problem).toHaveAttribute("data-kind", "connection-lost", {
      timeout: LINE_LOST_WITHIN_MS,
    });
    await call.isIn("ended");
    // What was said so far is still there.
    await expect(call.lines("agent")).toContainText("Once");

    await call.problem.getByRole("button", { name: "Try again" }).click();
    await expect(call.problem).toHaveAttribute("data-kind", "server-gone");
  });

  test(`a server that is stopped ends the call over ${transport}`, async ({
    call,
    startParlor,
  }) => {
    const server = await startParlor();
    await call.open(server.url, transport);
    await call.press("Type instead");
    await call.shows(["listening"]);
    await server.stop();
    await call.isIn("ended");
    // Its own goodbye: a line that only went dead is reported as a problem.
    await expect(call.page.getByText("The server hung up.")).toBeVisible();
    await expect(call.problem).toBeHidden();
  });
}

test("where UDP does not get through the WebSocket is offered", async ({ call, page, parlor }) => {
  await page.route("**/v1/realtime/calls*", (route) => route.fulfill({ status: 404 }));
  await call.open(parlor.url, "WebRTC");
  await call.press("Type instead");
  await expect(call.problem).toHaveAttribute("data-kind", "webrtc-failed");
  await call.problem.getByRole("button", { name: "Use WebSocket instead" }).click();
  await call.shows(["listening"]);
  await expect(page.getByRole("banner")).toContainText("WebSocket");
});

test("a server without WebRTC is called over the WebSocket", async ({
  call,
  page,
  startParlor,
}) => {
  const server = await startParlor({ "webrtc.enabled": false });
  await page.goto(server.url);
  await expect(page.getByRole("radio", { name: "WebRTC" })).toBeDisabled();
  await call.press("Type instead");
  await call.isIn("listening");
  await expect(page.getByRole("banner")).toContainText("WebSocket");
});

for (const transport of ["WebRTC", "WebSocket"] as const) {
  test(`a server with a key asks for it over ${transport}`, async ({ call, page, startParlor }) => {
    const server = await startParlor({ "server.api_key": "open-sesame" });
    await call.open(server.url, transport);
    await expect(call.problem).toHaveAttribute("data-kind", "key-required");
    const key = page.getByLabel("Access key");
    await key.fill("open-barley");
    await key.press("Enter");
    await call.press("Type instead");
    await expect(call.problem).toHaveAttribute("data-kind", "key-refused");
    await key.fill("open-sesame");
    await key.press("Enter");
    await call.press("Type instead");
    await call.isIn("listening");
  });
}

test("the page obeys its own content policy", async ({ call, page, parlor }) => {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await call.open(parlor.url, "WebSocket");
  await call.press("Start talking");
  await call.shows(["listening"]);
  await call.press("Hang up");
  await call.isIn("ended");
  expect(complaints).toEqual([]);
});
