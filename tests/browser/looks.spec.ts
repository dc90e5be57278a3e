/** How the page looks in each state, and whether everybody can use it. */

import { inspect, SCREENS } from "./rig/inspect.ts";
import { roomService } from "./rig/room.ts";
import { ScriptedGuest } from "./rig/scripted-guest.ts";
import { expect, test } from "./rig/test.ts";

for (const [screen, options] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`on a ${colorScheme} ${screen}`, () => {
      test.use({ ...options, colorScheme });

      test("every state is readable for everybody", async ({ call, page, parlor }) => {
        const look = (name: string): Promise<void> =>
          inspect(page, `${screen}-${colorScheme}-${name}`);

        await call.open(parlor.url, "WebSocket");
        await expect(page.getByLabel("Engines of this server")).toBeVisible();
        await look("1-start");
        await call.press("Start talking");
        await call.shows(["listening"]);
        await look("2-listening");
        await call.ask("spell hello");
        await call.shows(["speaking", "listening"]);
        await call.ask("tell me a long story");
        await call.shows(["speaking"]);
        await expect(call.captions).toContainText("a very small keeper");
        await look("3-speaking");
        await call.press("Pause");
        await call.isIn("paused");
        await look("4-paused");
        await call.press("Stop");
        await call.isIn("listening");
        await call.press("Mute");
        await look("5-muted");
        await call.press("Devices");
        await look("6-devices");
        await page.keyboard.press("Escape");
        await call.press("Help");
        await look("7-help");
        await page.keyboard.press("Escape");
        if (screen === "phone") {
          await call.press("Details");
          await look("8-details");
          await call.press("Close details");
        }
        await call.press("Hang up");
        await call.isIn("ended");
        await look("9-ended");
      });

      test("a room is readable for everybody", async ({
        call,
        browser,
        livekit,
        page,
        startParlor,
      }) => {
        test.skip(livekit === null, "there is no LiveKit server");
        if (livekit === null) return;
        const look = (name: string): Promise<void> =>
          inspect(page, `${screen}-${colorScheme}-room-${name}`);
        const { url } = await startParlor({ "livekit.dispatch": false }, livekit.variables);

        await call.open(`${url}?room=kitchen`, "LiveKit");
        await look("1-start");
        await call.press("Start talking");
        await call.isIn("waiting");
        await look("2-waiting");
        const room = "kitchen";
        const ada = { room, identity: "ada-7", name: "Ada" };
        await ScriptedGuest.join(await browser.newPage(), livekit, ada);
        const agent = await ScriptedGuest.agent(await browser.newPage(), livekit, room);
        await agent.is("speaking");
        await agent.captions("ada-7", "u1", "tell us a story, please");
        await agent.says("a1", ["Once upon a time ", "there was a very small keeper"]);
        await call.shows(["speaking"]);
        await expect(call.captions).toContainText("a very small keeper");
        await look("3-speaking");
        await roomService(livekit, "DeleteRoom", { room: "kitchen" });
        await expect(call.problem).toHaveAttribute("data-kind", "room-closed");
        await look("4-closed");
        await call.problem.getByRole("button", { name: "Try again" }).click();
        await call.isIn("waiting");
        await agent.page.close();
        await livekit.stop();
        await call.isIn("reconnecting");
        await look("5-reconnecting");
      });

      test("a problem is readable for everybody", async ({ call, page, parlor }) => {
        await page.route("**/v1/realtime/calls*", (route) => route.fulfill({ status: 404 }));
        await call.open(parlor.url, "WebRTC");
        await call.press("Start talking");
        await expect(call.problem).toBeVisible();
        await inspect(page, `${screen}-${colorScheme}-problem`);
      });
    });
  }
}
