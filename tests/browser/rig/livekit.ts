/** Starts and ends the LiveKit server that `scripts/setup-livekit` has built. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Variables } from "./parlor.ts";
import { RESULTS } from "./script.ts";

const READY_WITHIN_MS = 30_000;
const ASKED_EVERY_MS = 50;
/** Somebody else may take a port between its being found free and its being used. */
const TRIES = 5;

export interface LiveKit {
  /** A `ws:` address. */
  readonly url: string;
  readonly key: string;
  readonly secret: string;
  /** What tells the program under test about it: `LIVEKIT_URL`, `LIVEKIT_API_KEY`, `LIVEKIT_API_SECRET`. */
  readonly variables: Variables;
  /** Ends it at once, as by a power cut. */
  stop(): Promise<void>;
}

/**
 * A server of the test's own on free ports of the loopback; its log is in `test-results/servers`.
 * Null where it was not built: a machine without Go leaves these tests out, and says so. With `CI=true` that is an error.
 */
export async function startLiveKit(): Promise<LiveKit | null> {
  const program = whereItIs();
  if (!existsSync(program)) {
    const said = `${program} is not there, so LiveKit's tests are left out; type: scripts/setup-livekit`;
    if (process.env["CI"] === "true") throw new Error(said);
    console.error(said);
    return null;
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(program);
    } catch (error) {
      if (attempt === TRIES) throw error;
    }
  }
}

function whereItIs(): string {
  const named = process.env["PARLOR_LIVEKIT_SERVER"];
  if (named !== undefined) return named;
  const recipe = readFileSync(join(import.meta.dirname, "..", "..", "livekit", "go.mod"), "utf8");
  const version = /livekit\/livekit-server v(\S+)/.exec(recipe)?.[1];
  if (version === undefined) throw new Error("tests/livekit/go.mod names no livekit-server");
  const caches = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const cache = process.env["PARLOR_CACHE"] ?? join(caches, "parlor");
  return join(cache, "bin", `livekit-server-${version}`);
}

async function start(program: string): Promise<LiveKit> {
  const [port, mediaPort] = [await freeTcpPort(), await freeUdpPort()];
  const [key, secret] = ["browser-tests", randomBytes(24).toString("hex")];
  const config = {
    port,
    bind_addresses: ["127.0.0.1"],
    rtc: {
      udp_port: mediaPort,
      tcp_port: 0,
      use_external_ip: false,
      node_ip: "127.0.0.1",
      enable_loopback_candidate: true,
      interfaces: { includes: ["lo"] },
    },
    keys: { [key]: secret },
    logging: { level: "info" },
  };
  const folder = join(RESULTS, "servers");
  mkdirSync(folder, { recursive: true });
  const log = join(folder, `livekit-${process.pid}-${port}.log`);
  const file = openSync(log, "w");
  const server = spawn(program, [], {
    cwd: folder,
    // JSON is YAML, too.
    env: { PATH: process.env["PATH"], LIVEKIT_CONFIG: JSON.stringify(config) },
    stdio: ["ignore", file, file],
  });
  const ended = new Promise<void>((resolve) => {
    server.once("error", () => {
      resolve();
    });
    server.once("close", () => {
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    server.kill("SIGKILL");
    await ended;
  };
  if (!(await answers(server, `http://127.0.0.1:${port}/`))) {
    await stop();
    throw new Error(`${program} was not ready in time; it said:\n${readFileSync(log, "utf8")}`);
  }
  const url = `ws://127.0.0.1:${port}`;
  const variables = { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret };
  return { url, key, secret, variables, stop };
}

/** Whether it answered before it ended, and in time. */
async function answers(server: ChildProcess, address: string): Promise<boolean> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (server.exitCode === null && server.signalCode === null && performance.now() < deadline) {
    try {
      if ((await fetch(address)).ok) return true;
    } catch {
      // Nobody listens yet.
    }
    await new Promise((resolve) => setTimeout(resolve, ASKED_EVERY_MS));
  }
  return false;
}

/** A port that nobody has just now. */
export function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("the probe has no port"));
      });
    });
  });
}

function freeUdpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createSocket("udp4");
    probe.once("error", reject);
    probe.bind(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => {
        resolve(port);
      });
    });
  });
}
