/** How Chromium is started: headless, and with a file for its microphone. */

import type { LaunchOptions } from "@playwright/test";

import { recordingPath, type RecordingName } from "./script.ts";

const ARGUMENTS = [
  "--no-sandbox",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-device-for-media-stream",
  // A machine whose only interface is the loopback can hold a WebRTC call with itself, too.
  "--allow-loopback-in-peer-connection",
];

const BASE: LaunchOptions = {
  executablePath: process.env["PARLOR_CHROMIUM"] ?? "/usr/bin/chromium",
  headless: true,
  timeout: 60_000,
};

/** A browser that grants the microphone and hears this recording once, from the moment it is opened. */
export function microphone(name: RecordingName): LaunchOptions {
  return {
    ...BASE,
    args: [
      ...ARGUMENTS,
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${recordingPath(name)}%noloop`,
    ],
  };
}

/** A browser whose user says no when the page asks for the microphone. */
export const REFUSED: LaunchOptions = {
  ...BASE,
  args: [...ARGUMENTS, "--use-fake-ui-for-media-stream=deny"],
};
