/** What the callers of these tests say, and when. */

import { join } from "node:path";

/** Everything that a run leaves behind; git ignores it. */
export const RESULTS = join(import.meta.dirname, "..", "test-results");

/** A stretch of a recording: seconds of silence, or words. */
export type Part = { silenceSeconds: number } | { words: string };

/**
 * The order of the parts matters, their times only roughly: an answer that comes late must still be over before the
 * next question, and the story (a minute) must still be told when it is interrupted.
 */
export const RECORDINGS = {
  conversation: [
    { silenceSeconds: 4 },
    { words: "what time is it" },
    { silenceSeconds: 10 },
    { words: "tell me a long story" },
    { silenceSeconds: 12 },
    { words: "stop" },
    { silenceSeconds: 1 },
  ],
  quiet: [{ silenceSeconds: 1 }],
} satisfies Record<string, Part[]>;

export type RecordingName = keyof typeof RECORDINGS;

export function recordingPath(name: RecordingName): string {
  return join(RESULTS, "recordings", `${name}.wav`);
}
