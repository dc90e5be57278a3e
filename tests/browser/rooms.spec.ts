/** The page in a LiveKit room, beside an agent that does what the test says. */

import { AUDIBLE, type CallPage } from "./rig/call-page.ts";
import type { LiveKit } from "./rig/livekit.ts";
import type { Parlor } from "./rig/parlor.ts";
import { roomService } from "./rig/room.ts";
import { ScriptedGuest } from "./rig/scripted-guest.ts";
import { expect, test } from "./rig/test.ts";

const ROOM = "kitchen";
/** LiveKit's own patience of 20 s, and some more. */
const NO_AGENT_WITHIN_MS = 30_000;

test.beforeEach(({ livekit }) => {
  test.skip(livekit === null, "there is no LiveKit server");
});

test("waits for the agent, then shows what it does and says", async ({
  call,
  browser,
  livekit,
  startParlor,
}) => {
  const { server, agent } = await house(livekit, startParlor, call);
  await call.press("Start talking");
  await call.shows(["connecting", "waiting"]);
  await expect(call.page.getByText("the agent is on its way")).toBeVisible();

  const parlor = await agent(await browser.newPage());
  await parlor.is("listening");
  await call.shows(["listening"]);
  await expect(call.page.getByRole("banner")).toContainText("LiveKit");
  expect(server.url).toContain("127.0.0.1");

  const me = await parlor.caller();
  await test.step("what the caller says is shown as it is understood", async () => {
    const line = call.captions.locator('[data-segment="u1"]');
    await parlor.captions(me, "u1", "what");
    await expect(line).toContainText("what");
    await parlor.captions(me, "u1", "what time is it", { "lk.transcription_final": "true" });
    await expect(line).toHaveText(/^You\s*what time is it$/);
    await expect(call.lines("user")).toHaveCount(1);
  });

  await test.step("the answer is heard, and shown in step", async () => {
    await parlor.is("thinking");
    await call.shows(["thinking"]);
    await parlor.is("speaking");
    await parlor.voice(0.5);
    await parlor.says("a1", ["It is ", "late."]);
    await call.shows(["speaking"]);
    await call.hearsAgent();
    await expect(call.lines("agent")).toContainText("It is late.");
    await parlor.tells("parlor.timings", { type: "timings", turn: 1, stt_ms: 40, total_ms: 420 });
    await expect(call.page.getByTestId("latency-total")).toHaveText("420 ms");
    await expect(call.page.getByTestId("line-quality")).toContainText(/buffer \d/);
  });

  await test.step("the dialog's own state says more than the attribute", async () => {
    await call.press("Pause");
    await expect.poll(() => parlor.heard()).toContain('{"type":"control","command":"PAUSE"}');
    await parlor.tells("parlor.state", { type: "state", state: "BargedIn" });
    await call.isIn("paused");
    await parlor.is("listening");
    await parlor.tells("parlor.state", { type: "state", state: "Listening" });
    await call.isIn("listening");
    await parlor.captions("agent-scripted", "a1", "It is", { "parlor.interrupted": "true" });
    await expect(call.lines("agent")).toContainText("It is — interrupted");
  });

  await test.step("a typed question goes to the room's chat", async () => {
    await call.ask("and tomorrow?");
    await expect.poll(() => parlor.heard()).toContain("and tomorrow?");
    await expect(call.lines("user").last()).toContainText("and tomorrow?");
  });

  await test.step("who mutes is seen to be muted", async () => {
    const isMuted = async () => (await parlor.others())[0]?.isMuted;
    expect(await isMuted()).toBe(false);
    await call.press("Mute");
    await expect.poll(isMuted).toBe(true);
    await call.press("Unmute");
    await expect.poll(isMuted).toBe(false);
  });

  await test.step("the agent's goodbye ends the call", async () => {
    await parlor.tells("parlor.session", {
      type: "session_end",
      session_id: "s1",
      reason: "idle-timeout",
    });
    await call.isIn("ended");
    await expect(call.page.getByText("Nobody spoke for a while")).toBeVisible();
    await expect.poll(() => parlor.others()).toEqual([]);
  });
});

test("others in the room are heard, and their captions carry their names", async ({
  call,
  browser,
  livekit,
  startParlor,
}) => {
  const { agent, guest } = await house(livekit, startParlor, call);
  const ada = await guest(await browser.newPage(), "ada-7", "Ada");
  const parlor = await agent(await browser.newPage());
  await parlor.is("listening");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await expect.poll(async () => (await parlor.others()).length).toBe(2);
  await parlor.captions("ada-7", "u1", "tell us a story");
  await expect(call.lines("user")).toHaveText(/Ada.*tell us a story/);
  // A guest may say what they like on the agent's topics.
  await ada.tells("parlor.state", { type: "state", state: "Terminated" });
  await parlor.captions("ada-7", "u1", "tell us a long story");
  await expect(call.lines("user")).toHaveText(/Ada.*tell us a long story/);
  await call.isIn("listening");
});

test("an agent that leaves is waited for, and so is its successor", async ({
  call,
  browser,
  livekit,
  startParlor,
}) => {
  const { agent } = await house(livekit, startParlor, call);
  const first = await agent(await browser.newPage());
  await first.is("listening");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await first.leave();
  await call.shows(["waiting"]);
  const second = await agent(first.page);
  await second.is("speaking");
  await call.shows(["speaking"]);
  await second.voice(0.5);
  const level = call.page.getByTestId("agent-level");
  await expect
    .poll(async () => Number(await level.getAttribute("data-level")))
    .toBeGreaterThan(AUDIBLE);
});

test("a room without an agent says what to do", async ({ call, livekit, startParlor }) => {
  await house(livekit, startParlor, call);
  await call.press("Type instead");
  await call.shows(["waiting"]);
  await expect(call.problem).toHaveAttribute("data-kind", "agent-missing", {
    timeout: NO_AGENT_WITHIN_MS,
  });
  await expect(call.problem).toContainText("registered with LiveKit");
  await call.problem.getByRole("button", { name: "Use WebSocket instead" }).click();
  await call.shows(["listening"]);
});

const ENDINGS: [string, (livekit: LiveKit, me: string) => Promise<void>, string][] = [
  ["is closed", (livekit) => roomService(livekit, "DeleteRoom", { room: ROOM }), "room-closed"],
  [
    "is closed to one",
    (livekit, identity) => roomService(livekit, "RemoveParticipant", { room: ROOM, identity }),
    "removed",
  ],
];

for (const [what, happens, kind] of ENDINGS) {
  test(`a room that ${what} ends the call`, async ({ call, browser, livekit, startParlor }) => {
    const { agent } = await house(livekit, startParlor, call);
    const parlor = await agent(await browser.newPage());
    await parlor.is("listening");
    await call.press("Type instead");
    await call.shows(["listening"]);
    await happens(present(livekit), await parlor.caller());
    await expect(call.problem).toHaveAttribute("data-kind", kind);
    await call.isIn("ended");
  });
}

test("whoever joins again elsewhere is told where they went", async ({
  call,
  browser,
  livekit,
  startParlor,
}) => {
  const { agent, guest } = await house(livekit, startParlor, call);
  const parlor = await agent(await browser.newPage());
  await parlor.is("listening");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await guest(await browser.newPage(), await parlor.caller(), "");
  await expect(call.problem).toHaveAttribute("data-kind", "joined-elsewhere");
});

test("a LiveKit server that goes away is waited for", async ({
  call,
  browser,
  livekit,
  startParlor,
}) => {
  const { agent } = await house(livekit, startParlor, call);
  const parlor = await agent(await browser.newPage());
  await parlor.is("listening");
  await call.press("Type instead");
  await call.shows(["listening"]);
  await livekit?.stop();
  await call.shows(["reconnecting"]);
  await expect(call.page.getByText("The network stumbled")).toBeVisible();
  await call.press("Hang up");
  await call.isIn("ended");

  await call.press("Call again");
  await expect(call.problem).toHaveAttribute("data-kind", "livekit-gone");
  await expect(call.problem).toContainText("LiveKit does not answer");
});

test("a refused access says whose keys are wrong", async ({ call, livekit, startParlor }) => {
  await house(livekit, startParlor, call, { LIVEKIT_API_SECRET: "s".repeat(40) });
  await call.press("Type instead");
  await expect(call.problem).toHaveAttribute("data-kind", "room-refused");
  await expect(call.problem).toContainText("livekit.api_secret");
});

test("who asks for access too often is told when to ask again", async ({
  call,
  livekit,
  startParlor,
}) => {
  const server = await startParlor(
    { "livekit.dispatch": false, "livekit.tokens_per_minute": 1 },
    present(livekit).variables,
  );
  await fetch(new URL("api/token", server.url), { method: "POST" });
  await call.open(server.url, "LiveKit");
  await call.press("Type instead");
  await expect(call.problem).toHaveAttribute("data-kind", "asked-too-often");
  await expect(call.problem).toContainText(/Try again in \d+ s/);
});

test("only who joins a room loads LiveKit's client", async ({
  call,
  page,
  livekit,
  startParlor,
}) => {
  const loaded: string[] = [];
  page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  const isLoaded = (): boolean => loaded.some((path) => /\/livekit-[^/]+\.js$/.test(path));
  const server = await startParlor({ "livekit.dispatch": false }, present(livekit).variables);
  await page.goto(server.url);
  // Where it is offered it is the choice.
  await expect(page.getByRole("radio", { name: "LiveKit" })).toBeChecked();
  await call.choose("WebSocket");
  await call.press("Type instead");
  await call.isIn("listening");
  expect(isLoaded()).toBe(false);
  await call.press("Hang up");
  await call.press("Back to start");
  await call.choose("LiveKit");
  await call.press("Type instead");
  await call.isIn("waiting");
  expect(isLoaded()).toBe(true);
});

interface House {
  server: Parlor;
  agent: (page: ScriptedGuest["page"]) => Promise<ScriptedGuest>;
  guest: (page: ScriptedGuest["page"], identity: string, name: string) => Promise<ScriptedGuest>;
}

/** A parlor that gives access to rooms and joins none itself, with the page open before it. */
async function house(
  livekit: LiveKit | null,
  startParlor: (
    settings: Record<string, boolean>,
    variables: Record<string, string>,
  ) => Promise<Parlor>,
  call: CallPage,
  variables: Record<string, string> = {},
): Promise<House> {
  const there = present(livekit);
  const server = await startParlor(
    { "livekit.dispatch": false },
    { ...there.variables, ...variables },
  );
  await call.open(`${server.url}?room=${ROOM}`, "LiveKit");
  return {
    server,
    agent: (page) => ScriptedGuest.agent(page, there, ROOM),
    guest: (page, identity, name) =>
      ScriptedGuest.join(page, there, { room: ROOM, identity, name }),
  };
}

function present(livekit: LiveKit | null): LiveKit {
  if (livekit === null) throw new Error("there is no LiveKit server");
  return livekit;
}
