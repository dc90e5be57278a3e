/** A registry and workers in processes of their own, which a test may kill. */

import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";

import { freeTcpPort } from "./livekit.ts";
import { BINARY, CONFIG, environment } from "./parlor.ts";
import { RESULTS } from "./script.ts";

const READY_WITHIN_MS = 30_000;
const ASKED_EVERY_MS = 50;

/** A Redis server that keeps nothing. */
export class Registry {
  readonly url: string;
  readonly #port: number;
  readonly #running: Running;

  private constructor(port: number, running: Running) {
    this.url = `redis://127.0.0.1:${port}`;
    this.#port = port;
    this.#running = running;
  }

  /** Null, said in a line, where there is no Redis; with `CI=true` that is an error. */
  static async start(): Promise<Registry | null> {
    const port = await freeTcpPort();
    const server = spawn(
      "redis-server",
      [
        ...["--port", String(port), "--bind", "127.0.0.1"],
        ...["--save", "", "--appendonly", "no", "--notify-keyspace-events", "KA"],
      ],
      { stdio: "ignore" },
    );
    const running = new Running(server);
    const isThere = await new Promise<boolean>((resolve) => {
      server.once("spawn", () => {
        resolve(true);
      });
      server.once("error", () => {
        resolve(false);
      });
    });
    if (!isThere) {
      const said =
        "redis-server is not there, so the workers’ tests are left out (apt install redis-server)";
      if (process.env["CI"] === "true") throw new Error(said);
      console.error(said);
      return null;
    }
    const registry = new Registry(port, running);
    const deadline = performance.now() + READY_WITHIN_MS;
    for (;;) {
      try {
        await registry.command("PING");
        return registry;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, ASKED_EVERY_MS));
      }
    }
  }

  /** Writes a worker's record, as a worker of anybody's make might. */
  async put(record: { name: string; addr: string } & Record<string, unknown>): Promise<void> {
    await this.command("SET", `worker:${record.name}`, JSON.stringify(record));
  }

  /** Sends a command; done when it has answered. */
  command(...words: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const line = connect(this.#port, "127.0.0.1");
      line.setTimeout(5000, () => line.destroy(new Error("Redis does not answer")));
      line.once("error", reject);
      line.once("data", (answer) => {
        line.destroy();
        resolve(answer.toString());
      });
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      line.write(`*${words.length}\r\n${parts.join("")}`);
    });
  }

  kill(): Promise<void> {
    return this.#running.kill();
  }
}

/** A worker of an engine, in a process of its own. */
export class WorkerProcess {
  readonly name: string;
  readonly #running: Running;

  private constructor(name: string, running: Running) {
    this.name = name;
    this.#running = running;
  }

  /** Ready when it answers; it is in the registry a moment later. */
  static async start(
    registry: Registry,
    kind: "tts" | "stt",
    adapter: string,
    name: string,
    ...more: string[]
  ): Promise<WorkerProcess> {
    const worker = spawn(
      BINARY,
      [
        ...["worker", "--kind", kind, "--adapter", adapter, "--listen", "127.0.0.1:0"],
        ...["--name", name, "--redis", registry.url, "--config", CONFIG, ...more],
      ],
      { cwd: RESULTS, env: environment(), stdio: ["ignore", "ignore", "pipe"] },
    );
    const running = new Running(worker);
    await answering(worker);
    return new WorkerProcess(name, running);
  }

  /** As by a power cut. */
  kill(): Promise<void> {
    return this.#running.kill();
  }
}

class Running {
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(process: ChildProcess) {
    this.#process = process;
    this.#ended = new Promise((resolve) => {
      process.once("error", () => {
        resolve();
      });
      process.once("close", () => {
        resolve();
      });
    });
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

function answering(worker: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    const timer = setTimeout(() => {
      reject(new Error(`the worker was not ready in time; it said:\n${said}`));
    }, READY_WITHIN_MS);
    worker.once("close", () => {
      clearTimeout(timer);
      reject(new Error(`the worker ended before it was ready; it said:\n${said}`));
    });
    // Somebody has to take what it says from then on, too.
    worker.stderr?.on("data", (text: Buffer) => {
      said += text.toString();
      if (!said.includes("worker answers at")) return;
      clearTimeout(timer);
      resolve();
    });
  });
}
