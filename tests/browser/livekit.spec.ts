/** Calls in a LiveKit room: the whole program, the real server, and LiveKit's own client. */

import type { Browser, Page } from "@playwright/test";

import { AUDIBLE } from "./rig/call-page.ts";
import type { LiveKit } from "./rig/livekit.ts";
import type { Parlor } from "./rig/parlor.ts";
import { SDK } from "./rig/scripted-guest.ts";
import { expect, test } from "./rig/test.ts";

/** The recording holds half a minute; a busy machine may open the call late. */
const NEXT_WORDS_WITHIN_MS = 45_000;

test.beforeEach(({ livekit }) => {
  test.skip(livekit === null, "there is no LiveKit server");
});

test("two turns and an interruption over LiveKit", async ({ call, page, livekit, startParlor }) => {
  const parlor = await registered(livekit, startParlor);
  await page.goto(parlor.url);
  // Nobody has to choose it.
  await expect(page.getByRole("radio", { name: "LiveKit" })).toBeChecked();
  await call.open(parlor.url, "LiveKit");
  await call.press("Start talking");
  await call.shows(["connecting", "listening"]);
  await expect(page.getByRole("banner")).toContainText("LiveKit");

  await test.step("a question is answered", async () => {
    await call.shows(["thinking", "speaking", "listening"], NEXT_WORDS_WITHIN_MS);
    await expect(call.lines("user").first()).toContainText(/time/i);
    await expect(call.lines("agent").first()).toContainText(/in the (morning|afternoon|evening)/);
    await call.hearsAgent();
    const total = page.getByTestId("latency-total");
    await expect(total).toHaveAttribute("data-turn", "1");
    await expect(total).toContainText(/\d/);
  });

  const begun = await test.step("the story begins", async () => {
    const length = await call.shows(["thinking", "speaking"], NEXT_WORDS_WITHIN_MS);
    await expect(call.lines("user").nth(1)).toContainText(/story/i);
    await expect(call.captions).toContainText("lighthouse");
    return length;
  });

  await test.step("it stops when it is interrupted", async () => {
    await call.shows(["listening"], NEXT_WORDS_WITHIN_MS);
    await expect(call.lines("agent").nth(1)).not.toContainText("end of the story");
    await expect(call.lines("agent").nth(1)).toContainText("interrupted");
  });

  await test.step("and the interruption is answered", async () => {
    await call.shows(["thinking", "speaking", "listening"], NEXT_WORDS_WITHIN_MS);
    await expect(call.lines("user").nth(2)).toContainText(/stop/i);
    await expect(call.lines("agent").nth(2)).toContainText("I stopped");
  });

  const tape = (await call.tape()).slice(begun);
  const stopped = tape.findIndex((note) => note.kind === "state" && note.state === "listening");
  const quiet = tape
    .slice(stopped)
    .flatMap((note) => (note.kind === "level" && note.side === "agent" ? [note.level] : []));
  expect(Math.min(...quiet), "the voice stops").toBeLessThan(AUDIBLE);
  await call.press("Hang up");
  await call.isIn("ended");
  // The agent waits a moment for whoever comes back.
  await expect
    .poll(() => parlor.log(), { timeout: 30_000 })
    .toMatch(/A call ended.* reason="left"/);
});

test("a typed question is answered, and again after a reload", async ({
  call,
  page,
  livekit,
  startParlor,
}) => {
  const parlor = await registered(livekit, startParlor);
  // The same room: the agent is still there when the page is back.
  await call.open(new URL("?room=kitchen&name=Ada", parlor.url).href, "LiveKit");
  for (const times of ["once", "again"]) {
    await call.press("Type instead");
    await call.isIn("listening");
    await call.ask("count to five");
    await call.isIn("speaking");
    await expect(call.lines("agent").last()).toContainText("1, 2, 3, 4, 5.");
    // What the page showed at once and what the agent repeated is one line.
    await expect(call.lines("user"), times).toHaveText([/^You.*count to five/]);
    await call.hearsAgent();
    await page.reload();
    // What was chosen is remembered.
    await expect(page.getByRole("radio", { name: "LiveKit" })).toBeChecked();
  }
});

test("a reply can be paused, resumed and stopped over LiveKit", async ({
  call,
  livekit,
  startParlor,
}) => {
  const parlor = await registered(livekit, startParlor);
  await call.open(parlor.url, "LiveKit");
  await call.press("Type instead");
  await call.isIn("listening");
  await call.ask("tell me a long story");
  await expect(call.captions).toContainText("Once upon a time");
  await call.press("Pause");
  await call.isIn("paused");
  const agent = call.page.getByTestId("agent-level");
  await expect.poll(async () => Number(await agent.getAttribute("data-level"))).toBeLessThan(0.05);
  await call.press("Resume");
  await call.isIn("speaking");
  await expect(call.captions).toContainText("lighthouse");
  await call.press("Stop");
  await call.isIn("listening");
});

test("the turn-taking can be chosen for a room", async ({ call, page, livekit, startParlor }) => {
  const parlor = await registered(livekit, startParlor);
  await call.open(parlor.url, "LiveKit");
  await page.getByRole("combobox", { name: "Turn-taking" }).selectOption("manual");
  await call.press("Start talking");
  await call.isIn("listening");
  await expect(call.captions).toContainText(/time is it/i);
  await expect(page.getByTestId("you-level")).toHaveAttribute("data-level", "0.000");
  await page.waitForTimeout(1500);
  await call.isIn("listening");
  await expect(call.lines("agent")).toHaveCount(0);
  await call.press("Done");
  await call.shows(["thinking", "speaking", "listening"]);
  await expect(call.lines("agent")).toContainText(/in the (morning|afternoon|evening)/);
});

test("LiveKit's own client is all that a page needs", async ({ browser, livekit, startParlor }) => {
  const parlor = await registered(livekit, startParlor);
  const page = await plainPage(browser, parlor);
  await page.evaluate(async () => {
    const { Room, TokenSource } = window.LivekitClient;
    const room = new Room();
    const states: string[] = [];
    const words: Record<string, string> = {};
    room.on("participantAttributesChanged", (changed, participant) => {
      const state = changed["lk.agent.state"];
      if (participant.isAgent && state !== undefined) states.push(state);
    });
    room.on("trackSubscribed", (track) => {
      track.attach();
    });
    room.registerTextStreamHandler("lk.transcription", async (reader, { identity }) => {
      const whose = identity === room.localParticipant.identity ? "mine" : "agent";
      let text = "";
      for await (const piece of reader) {
        text += piece;
        words[`${whose} ${reader.info.attributes?.["lk.segment_id"] ?? ""}`] = text;
      }
    });
    const { serverUrl, participantToken } = await TokenSource.endpoint("/api/token").fetch({
      participantName: "Ada",
    });
    await room.connect(serverUrl, participantToken);
    await room.localParticipant.setMicrophoneEnabled(true, undefined, { preConnectBuffer: true });
    Object.assign(window, { states, words });
  });
  const told = () =>
    page.evaluate(() => {
      const { states, words } = window as unknown as {
        states: string[];
        words: Record<string, string>;
      };
      return { states: states.join(" "), words: JSON.stringify(words) };
    });
  await expect
    .poll(async () => (await told()).states, { timeout: NEXT_WORDS_WITHIN_MS })
    .toMatch(/listening thinking speaking listening/);
  const { words } = await told();
  expect(words).toMatch(/"mine [^"]*":"[^"]*time/i);
  expect(words).toMatch(/"agent [^"]*":"[^"]*in the (morning|afternoon|evening)/);
});

/** A page of the server's own origin with nothing on it but LiveKit's client. */
async function plainPage(browser: Browser, parlor: Parlor): Promise<Page> {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  await page.goto(new URL("version", parlor.url).href);
  await page.addScriptTag({ path: SDK });
  return page;
}

/** A parlor that LiveKit's server knows: rooms that are opened now get their agent. */
async function registered(
  livekit: LiveKit | null,
  startParlor: (
    settings: Record<string, never>,
    variables: Record<string, string>,
  ) => Promise<Parlor>,
): Promise<Parlor> {
  if (livekit === null) throw new Error("there is no LiveKit server");
  const parlor = await startParlor({}, livekit.variables);
  await expect.poll(() => parlor.log()).toContain("Registered with the LiveKit server.");
  return parlor;
}
