/** A test with a server to call and a page to call from. */

import { test as base } from "@playwright/test";

import { CallPage } from "./call-page.ts";
import { type LiveKit, startLiveKit } from "./livekit.ts";
import { Parlor, type Settings, type Variables } from "./parlor.ts";

interface Here {
  call: CallPage;
  /** Starts a server of the test's own, which ends with the test. */
  startParlor: (settings?: Settings, variables?: Variables) => Promise<Parlor>;
  /** A LiveKit server of the test's own, which ends after the test; null where there is none. */
  livekit: LiveKit | null;
}

interface Shared {
  /** The server that most tests share, with the settings of a first start. */
  parlor: Parlor;
}

export const test = base.extend<Here, Shared>({
  parlor: [
    async ({}, use) => {
      const parlor = await Parlor.start();
      await use(parlor);
      await parlor.stop();
    },
    { scope: "worker", timeout: 90_000 },
  ],
  call: async ({ page }, use) => {
    await use(new CallPage(page));
  },
  livekit: async ({}, use) => {
    const livekit = await startLiveKit();
    await use(livekit);
    await livekit?.stop();
  },
  startParlor: async ({}, use) => {
    const servers: Parlor[] = [];
    await use(async (settings, variables) => {
      const server = await Parlor.start(settings, variables);
      servers.push(server);
      return server;
    });
    await Promise.all(servers.map((server) => server.kill()));
  },
});

export { expect } from "@playwright/test";
