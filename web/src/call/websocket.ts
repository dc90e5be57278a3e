/** A call over one WebSocket: 20 ms frames of PCM both ways, JSON between them. */

import { Capture } from "../audio/capture.ts";
import { Player } from "../audio/player.ts";
import type { RingStatistics } from "../audio/ring.ts";
import { isSendableKey, socketAddress, socketProtocols } from "./address.ts";
import type { CallClient, ClientEvent, ClientOptions, Loudness } from "./client.ts";
import { fetchInfo } from "./info.ts";
import { closeProblem, type Problem, ProblemError, problemOf } from "./problems.ts";
import { type ClientMessage, parseServerMessage } from "./protocol.ts";

const CONNECT_WITHIN_MS = 10_000;
const SAMPLE_RATE_HZ = 48_000;

/** Half a second at 48 kHz: past it the network is behind, and old speech is worth less than new. */
const MAX_UNSENT_BYTES = 48_000;

const NOT_OPENED = "The WebSocket did not open; a proxy in between may not pass it on.";

export class WebSocketClient implements CallClient {
  readonly transport = "websocket";
  readonly #base: string;
  readonly #options: ClientOptions;
  readonly #player = new Player();
  #capture: Capture | null = null;
  #socket: WebSocket | null = null;
  #lastErrorCode: string | null = null;
  #receivedSamples = 0;
  #previous = { receivedSamples: 0, droppedSamples: 0 };
  #closed = false;

  constructor(base: string, options: ClientOptions) {
    this.#base = base;
    this.#options = options;
    this.#player.context.onstatechange = () => {
      this.#reportBlocked();
    };
  }

  async start(): Promise<void> {
    const { microphone, outputDeviceId } = this.#options;
    void this.#player.context.resume();
    await this.#player.open(outputDeviceId, (ring) => {
      this.#reportLine(ring);
    });
    if (microphone !== null) {
      this.#capture = await Capture.open(microphone, this.#player.context, (frame) => {
        this.#sendFrame(frame);
      });
    }
    await this.#connect();
    this.#reportBlocked();
  }

  send(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  replaceMicrophone(microphone: MediaStream): Promise<void> {
    this.#capture?.replace(microphone);
    return Promise.resolve();
  }

  setOutputDevice(deviceId: string): Promise<void> {
    return this.#player.setOutput(deviceId);
  }

  async resumeAudio(): Promise<void> {
    await Promise.all([this.#player.context.resume(), this.#capture?.resume()]);
    this.#reportBlocked();
  }

  loudness(): Loudness {
    return { you: this.#capture?.loudness() ?? 0, agent: this.#player.loudness() };
  }

  close(): void {
    if (this.#closed) return;
    this.send({ type: "hangup" });
    this.#letGo();
  }

  /** Resolves at `session_start`, which the server sends at once when it takes the call. */
  #connect(): Promise<void> {
    const { key } = this.#options;
    if (key !== null && !isSendableKey(key)) throw new ProblemError({ kind: "key-refused" });
    const rateHz = this.#capture?.sampleRateHz ?? SAMPLE_RATE_HZ;
    const address = socketAddress(this.#base, this.#options, rateHz);
    const socket = new WebSocket(address, socketProtocols(key));
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let accepted = false;
    let taken = false;
    return new Promise((resolve, reject) => {
      const fail = (problem: Problem): void => {
        clearTimeout(timer);
        reject(new ProblemError(problem));
        this.#letGo();
      };
      const timer = setTimeout(() => {
        fail({ kind: "server-gone" });
      }, CONNECT_WITHIN_MS);
      socket.onopen = () => {
        accepted = true;
      };
      socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
        if (typeof data !== "string") {
          this.#play(data);
          return;
        }
        if (this.#read(data) !== "session_start") return;
        taken = true;
        clearTimeout(timer);
        this.#emit({ type: "open" });
        resolve();
      };
      socket.onclose = ({ code, reason }) => {
        if (taken) {
          this.#end(closeProblem(code, reason, this.#lastErrorCode));
        } else if (accepted) {
          fail(closeProblem(code, reason, this.#lastErrorCode));
        } else {
          void this.#whyRefused().then(fail);
        }
      };
    });
  }

  /** A browser hides why a WebSocket was refused, so the HTTP side of the server is asked. */
  async #whyRefused(): Promise<Problem> {
    const { key } = this.#options;
    try {
      const info = await fetchInfo(this.#base, key);
      if (!info.authRequired) return { kind: "server-refused", detail: NOT_OPENED };
      return { kind: key === null ? "key-required" : "key-refused" };
    } catch (error) {
      return problemOf(error);
    }
  }

  #read(frame: string): string | null {
    const message = parseServerMessage(frame);
    if (message === null) return null;
    if (message.type === "error") this.#lastErrorCode = message.code;
    this.#emit({ type: "message", message });
    if (message.type === "session_end") this.#end(null);
    return message.type;
  }

  #play(frame: ArrayBuffer): void {
    this.#receivedSamples += frame.byteLength / 2;
    this.#player.play(frame);
  }

  #sendFrame(frame: ArrayBuffer): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > MAX_UNSENT_BYTES) return;
    socket.send(frame);
  }

  #reportLine({ bufferedSamples, droppedSamples }: RingStatistics): void {
    const received = this.#receivedSamples - this.#previous.receivedSamples;
    const dropped = droppedSamples - this.#previous.droppedSamples;
    this.#previous = { receivedSamples: this.#receivedSamples, droppedSamples };
    this.#emit({
      type: "line",
      quality: {
        roundTripMs: null,
        jitterMs: null,
        lossRatio: received > 0 ? Math.min(1, dropped / received) : 0,
        bufferedMs: (bufferedSamples * 1000) / SAMPLE_RATE_HZ,
      },
    });
  }

  #reportBlocked(): void {
    this.#emit({ type: "audio-blocked", blocked: this.#player.context.state !== "running" });
  }

  #end(problem: Problem | null): void {
    if (this.#closed) return;
    this.#emit({ type: "closed", problem });
    this.#letGo();
  }

  #letGo(): void {
    this.#closed = true;
    if (this.#socket !== null) {
      this.#socket.onclose = null;
      this.#socket.onmessage = null;
      this.#socket.close(1000);
    }
    this.#capture?.close();
    this.#player.close();
  }

  #emit(event: ClientEvent): void {
    if (!this.#closed) this.#options.onEvent(event);
  }
}
