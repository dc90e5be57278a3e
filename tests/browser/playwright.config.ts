/** One Chromium at a time, each project with its own recording as the microphone. */

import { defineConfig, devices } from "@playwright/test";

import { microphone, REFUSED } from "./rig/chromium.ts";

export default defineConfig({
  testDir: ".",
  outputDir: "test-results/run",
  globalSetup: "./rig/recordings.ts",
  reporter: [["list"], ["./rig/closing-line.ts"]],
  // Sound is real time: two calls at once on a small machine would disturb each other.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 120_000,
  globalTimeout: 20 * 60_000,
  // A sleepy machine may need long; a healthy one never waits for it.
  expect: { timeout: 20_000 },
  use: {
    ...devices["Desktop Chrome"],
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    // Frames of every call would cost more than the calls.
    actionTimeout: 15_000,
    navigationTimeout: 15_000,
    trace: "off",
    screenshot: "only-on-failure",
  },
  projects: [
    {
      name: "speaking",
      testMatch: ["conversation.spec.ts", "modes.spec.ts", "livekit.spec.ts"],
      use: { launchOptions: microphone("conversation") },
    },
    {
      name: "quiet",
      testMatch: [
        "typed.spec.ts",
        "keys.spec.ts",
        "problems.spec.ts",
        "looks.spec.ts",
        "rooms.spec.ts",
        "operators.spec.ts",
      ],
      use: { launchOptions: microphone("quiet") },
    },
    {
      name: "refused",
      testMatch: "refused.spec.ts",
      use: { launchOptions: REFUSED },
    },
  ],
});
