/** Makes the recordings before the first test, with the voices of the program itself. */

import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { BINARY, CONFIG, environment } from "./parlor.ts";
import { type Part, RECORDINGS, recordingPath, type RecordingName, RESULTS } from "./script.ts";
import { readSamples, silence, wav } from "./wav.ts";

const VOICE = "flite:slt";
const SAY_WITHIN_MS = 60_000;

export default async function makeRecordings(): Promise<void> {
  await rm(RESULTS, { recursive: true, force: true });
  await mkdir(RESULTS, { recursive: true });
  await writeFile(CONFIG, "");
  for (const name of Object.keys(RECORDINGS) as RecordingName[]) {
    const path = recordingPath(name);
    await mkdir(dirname(path), { recursive: true });
    const parts: Buffer[] = [];
    for (const part of RECORDINGS[name]) parts.push(await samples(part, dirname(path)));
    await writeFile(path, wav(Buffer.concat(parts)));
  }
}

async function samples(part: Part, folder: string): Promise<Buffer> {
  if ("silenceSeconds" in part) return silence(part.silenceSeconds);
  const path = join(folder, `${part.words.replaceAll(" ", "-")}.wav`);
  await promisify(execFile)(
    BINARY,
    ["say", part.words, "--voice", VOICE, "-o", path, "--config", CONFIG, "--quiet"],
    { env: environment(), timeout: SAY_WITHIN_MS },
  );
  return readSamples(await readFile(path));
}
