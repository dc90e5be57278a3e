/** The page of the workers, with workers in processes of their own. */

import type { Locator, Page } from "@playwright/test";

import { inspect, SCREENS } from "./rig/inspect.ts";
import type { Settings, Variables } from "./rig/parlor.ts";
import { expect, test as base } from "./rig/test.ts";
import { Registry, WorkerProcess } from "./rig/workers.ts";

interface Here {
  /** A registry of the test's own; null where there is no Redis. */
  registry: Registry | null;
  /** Starts a worker, which ends with the test. */
  startWorker: (
    kind: "tts" | "stt",
    adapter: string,
    name: string,
    ...more: string[]
  ) => Promise<WorkerProcess>;
}

const test = base.extend<Here>({
  registry: async ({}, use) => {
    const registry = await Registry.start();
    await use(registry);
    await registry?.kill();
  },
  startWorker: async ({ registry }, use) => {
    const workers: WorkerProcess[] = [];
    await use(async (kind, adapter, name, ...more) => {
      if (registry === null) throw new Error("there is no registry");
      const worker = await WorkerProcess.start(registry, kind, adapter, name, ...more);
      workers.push(worker);
      return worker;
    });
    await Promise.all(workers.map((worker) => worker.kill()));
  },
});

/** Quick to start, and the same everywhere. */
const SETTINGS: Settings = { "tts.adapters": '["mock"]', "stt.adapter": "scripted" };

const found = ({ url }: Registry): Variables => ({ REDIS_URL: url });

/** The row or the card of a worker. */
function row(page: Page, name: string): Locator {
  return page.locator(`[data-worker="${name}"]`);
}

function isIn(page: Page, name: string, state: string): Promise<void> {
  return expect(row(page, name).getByTestId("state")).toHaveAttribute("data-state", state);
}

for (const [screen, options] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`on a ${colorScheme} ${screen}`, () => {
      test.use({ ...options, colorScheme });
      const look = (page: Page, name: string, whole = true): Promise<void> =>
        inspect(page, `${screen}-${colorScheme}-workers-${name}`, { whole });

      test("workers are seen, drained and resumed", async ({
        page,
        registry,
        startParlor,
        startWorker,
      }) => {
        test.skip(registry === null, "there is no Redis");
        if (registry === null) return;
        await startWorker("tts", "mock", "tts-mock@0");
        const second = await startWorker("tts", "mock", "tts-mock@1", "--gpu", "1");
        await startWorker("stt", "scripted", "stt-scripted@0");
        await registry.put({
          name: "tts\u202estrange\u001b@2",
          addr: "grpc://a-host-with-a-rather-long-name.department.example.com:7001",
          capabilities: {
            models: ["en_US-lessac-medium", "en_US-ryan-high", "c", "d", "e", "f"],
            gpu: 0,
          },
          resident_models: ["f"],
          metrics: { slots: 10, slots_in_use: 10, queue_depth: 4, p50_ms: 1480 },
          last_heartbeat_ts: Date.now() / 1000,
        });
        const { url } = await startParlor(SETTINGS, found(registry));

        let release = (): void => undefined;
        const held = new Promise<void>((resolve) => (release = resolve));
        await page.route("**/api/v1/workers", async (route) => {
          await held;
          await route.continue();
        });
        await page.goto(url);
        await page.getByRole("link", { name: "Workers" }).click();
        await expect(page).toHaveURL(/\/workers$/);
        await expect(page).toHaveTitle("Workers · parlor");
        await expect(page.getByText("Asking the server")).toBeVisible();
        await look(page, "1-loading");
        release();
        for (const name of ["tts-mock@0", "tts-mock@1", "stt-scripted@0"]) {
          await isIn(page, name, "ready");
        }
        await isIn(page, "embedded-tts", "embedded");
        await expect(page.getByText("tts\\u{202e}strange\\u{1b}@2").first()).toBeVisible();
        await look(page, "2-full");

        await page.getByRole("button", { name: "Drain tts-mock@0" }).click();
        const dialog = page.getByRole("dialog", { name: "Drain tts-mock@0?" });
        await expect(dialog).toBeVisible();
        await look(page, "3-confirm", false);
        await dialog.getByRole("button", { name: "Cancel" }).click();
        await expect(dialog).toHaveCount(0);
        await isIn(page, "tts-mock@0", "ready");
        // With the keyboard alone.
        await page.getByRole("button", { name: "Drain tts-mock@0" }).press("Enter");
        await dialog.getByRole("button", { name: "Drain" }).press("Enter");
        await isIn(page, "tts-mock@0", "draining");
        await expect(page.getByTestId("done")).toHaveText("tts-mock@0 is draining.");
        await expect
          .poll(() => registry.command("GET", "worker:tts-mock@0"))
          .toContain('"draining":1.0');
        await look(page, "4-draining");

        const model = row(page, "tts-mock@1").locator('[data-model="mock-440hz"]');
        const button = (name: string): Locator =>
          model.getByRole("button", { name: `${name} mock-440hz`, exact: true });
        await button("Unload").click();
        await expect(page.getByTestId("done")).toHaveText("mock-440hz is unloaded.");
        await button("Load").click();
        await expect(page.getByTestId("done")).toHaveText("mock-440hz is loaded.");

        await second.kill();
        await page.getByRole("button", { name: "Drain tts-mock@1" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
        const told = page.getByRole("alert");
        await expect(told).toHaveCount(1);
        await expect(told).toContainText("tts-mock@1 cannot be reached");
        await look(page, "5-refused");
        await told.getByRole("button", { name: "Close this message" }).click();
        await expect(told).toHaveCount(0);

        await page.getByRole("button", { name: "Resume tts-mock@0" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
        await isIn(page, "tts-mock@0", "ready");
        await registry.command("DEL", "worker:tts-mock@1");
        await isIn(page, "tts-mock@1", "vanished");
        await look(page, "6-vanished");
      });

      test("what cannot be shown says why, and what to do", async ({ page, startParlor }) => {
        const server = await startParlor({ ...SETTINGS, "server.api_key": "open-sesame" });
        await page.goto(`${server.url}/workers`);
        const problem = page.getByTestId("problem");
        await expect(problem).toHaveAttribute("data-kind", "key-required");
        await look(page, "7-key");
        const key = page.getByLabel("Access key");
        await key.fill("open-barley");
        await key.press("Enter");
        await expect(problem).toHaveAttribute("data-kind", "key-refused");
        await key.fill("open-sesame");
        await key.press("Enter");
        await expect(page.getByTestId("no-workers")).toContainText("parlor worker --kind tts");
        await look(page, "8-none");
        await page.getByTestId("catalogue").locator("summary").click();
        await look(page, "9-catalogue");

        await server.kill();
        await expect(page.getByTestId("freshness")).toContainText("Not up to date");
        await isIn(page, "embedded-tts", "embedded");
        await look(page, "10-old");
      });
    });
  }
}

test("a server that is gone is told of, and found again", async ({ page, startParlor }) => {
  const { url } = await startParlor(SETTINGS);
  await page.route("**/api/v1/workers", (route) => route.abort());
  await page.goto(`${url}/workers`);
  const problem = page.getByTestId("problem");
  await expect(problem).toHaveAttribute("data-kind", "server-gone");
  await inspect(page, "desktop-light-workers-11-gone");
  await page.unroute("**/api/v1/workers");
  await problem.getByRole("button", { name: "Try again" }).click();
  await isIn(page, "embedded-tts", "embedded");
  await expect(problem).toHaveCount(0);
});

test("nobody is asked while the page is hidden", async ({ page, startParlor }) => {
  const { url } = await startParlor(SETTINGS);
  await page.clock.install();
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/api/v1/workers")) asked += 1;
  });
  const hide = (hidden: boolean): Promise<void> =>
    page.evaluate((is) => {
      Object.defineProperty(document, "hidden", { configurable: true, value: is });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await page.goto(`${url}/workers`);
  await isIn(page, "embedded-tts", "embedded");
  await hide(true);
  const before = asked;
  await page.clock.runFor(30_000);
  expect(asked).toBe(before);
  await hide(false);
  await expect.poll(() => asked).toBeGreaterThan(before);
});

test("the way to the workers and back keeps a call and what was wished for", async ({
  call,
  page,
  parlor,
}) => {
  await call.open(`${parlor.url}/?room=kitchen`, "WebSocket");
  await page.getByRole("link", { name: "Workers" }).press("Enter");
  await expect(page.getByRole("heading", { name: "Workers", exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Talk" }).press("Enter");
  await expect(page).toHaveURL(/\/\?room=kitchen$/);
  await page.goBack();
  await expect(page.getByRole("heading", { name: "Workers", exact: true })).toBeVisible();
  await page.goForward();
  await call.press("Type instead");
  await call.shows(["listening"]);
  await page.goBack();
  await page.getByRole("link", { name: "Back to the call" }).click();
  await call.isIn("listening");
  await call.ask("spell hi");
  await expect(call.lines("agent")).toContainText("H, I");
});
