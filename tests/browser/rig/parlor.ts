/** Starts and ends the program under test. */

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { RESULTS } from "./script.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");

/** The debug build, unless `PARLOR_BIN` names another. */
export const BINARY =
  process.env["PARLOR_BIN"] ??
  join(process.env["CARGO_TARGET_DIR"] ?? join(REPOSITORY, "target"), "debug", "parlor");

const READY_WITHIN_MS = 60_000;
const ENDED_WITHIN_MS = 15_000;

export type Settings = Record<string, string | number | boolean>;
export type Variables = Record<string, string>;

/** No settings but the test's own: an empty file, which wins over any that lies around. */
export const CONFIG = join(RESULTS, "parlor.toml");

/** The environment without settings of whoever runs the tests. */
export function environment(): NodeJS.ProcessEnv {
  const ours = ([key]: [string, unknown]): boolean =>
    key !== "PARLOR_CONFIG" && !key.startsWith("PARLOR__") && !key.startsWith("LIVEKIT_");
  return Object.fromEntries(Object.entries(process.env).filter(ours));
}

let started = 0;

/** One running server, on a port of its own. Its log is in `test-results/servers`. */
export class Parlor {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #log: string;
  readonly #ended: Promise<void>;

  private constructor(url: string, process: ChildProcess, log: string, ended: Promise<void>) {
    this.url = url;
    this.#process = process;
    this.#log = log;
    this.#ended = ended;
  }

  /** The variables are added to its environment, as `LIVEKIT_URL` and its kin. */
  static async start(settings: Settings = {}, variables: Variables = {}): Promise<Parlor> {
    started += 1;
    const folder = join(RESULTS, "servers");
    mkdirSync(folder, { recursive: true });
    const log = join(folder, `${process.pid}-${started}.log`);
    const choices = Object.entries({ "server.drain_seconds": 1, ...settings });
    const server = spawn(
      BINARY,
      [
        ...["serve", "--listen", "127.0.0.1:0", "--config", CONFIG, "--verbose"],
        ...choices.flatMap(([key, value]) => ["--set", `${key}=${value}`]),
      ],
      { cwd: folder, env: { ...environment(), ...variables }, stdio: ["ignore", "ignore", "pipe"] },
    );
    const ended = new Promise<void>((resolve) => {
      server.once("close", () => {
        resolve();
      });
    });
    server.stderr.pipe(createWriteStream(log));
    return new Parlor(await address(server), server, log, ended);
  }

  /** Everything that it has logged so far. */
  log(): string {
    return readFileSync(this.#log, "utf8");
  }

  /** As by Ctrl-C: it may say goodbye to its callers. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), ENDED_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  /** As by a power cut. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

/** The address in the line with which the server says that it is ready. */
async function address(server: ChildProcess): Promise<string> {
  let said = "";
  let hear: ((text: Buffer) => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      const give = (why: string): void => {
        reject(new Error(`${BINARY} ${why}; it said:\n${said}`));
      };
      timer = setTimeout(() => {
        give("was not ready in time");
      }, READY_WITHIN_MS);
      server.once("error", ({ message }) => {
        give(`cannot be started (${message})`);
      });
      server.once("close", (code) => {
        give(`ended with ${code ?? "a signal"} before it was ready`);
      });
      hear = (text) => {
        said += text.toString();
        const url = /is ready\. Open (\S+) and speak/.exec(said)?.[1];
        if (url !== undefined) resolve(url);
      };
      server.stderr?.on("data", hear);
    });
  } catch (error) {
    server.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
    if (hear !== undefined) server.stderr?.off("data", hear);
  }
}
