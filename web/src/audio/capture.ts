/** The microphone as 20 ms frames of s16le, for the WebSocket. */

import captureWorklet from "./capture.worklet.ts?worker&url";
import { Ear } from "./ear.ts";

export class Capture {
  readonly sampleRateHz: number;
  readonly #context: AudioContext;
  /** Set when the microphone needed a context of its own. */
  readonly #own: boolean;
  readonly #worklet: AudioWorkletNode;
  readonly #ear: Ear;
  #source: MediaStreamAudioSourceNode;

  private constructor(context: AudioContext, own: boolean, source: MediaStreamAudioSourceNode) {
    this.#context = context;
    this.#own = own;
    this.#source = source;
    this.sampleRateHz = context.sampleRate;
    this.#ear = new Ear(context);
    this.#worklet = new AudioWorkletNode(context, "parlor-capture", {
      channelCount: 1,
      channelCountMode: "explicit",
    });
    // It puts out silence, but some browsers run only what leads to the loudspeaker.
    this.#worklet.connect(context.destination);
    this.#connect(source);
  }

  /** Starts cutting frames; a browser that will not resample (Firefox) gets the device's own rate. */
  static async open(
    microphone: MediaStream,
    shared: AudioContext,
    onFrame: (frame: ArrayBuffer) => void,
  ): Promise<Capture> {
    let context = shared;
    let source: MediaStreamAudioSourceNode;
    try {
      source = context.createMediaStreamSource(microphone);
    } catch {
      context = new AudioContext({ latencyHint: "interactive" });
      source = context.createMediaStreamSource(microphone);
    }
    await context.audioWorklet.addModule(captureWorklet);
    const capture = new Capture(context, context !== shared, source);
    capture.#worklet.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      onFrame(data);
    };
    return capture;
  }

  replace(microphone: MediaStream): void {
    const source = this.#context.createMediaStreamSource(microphone);
    this.#source.disconnect();
    this.#source = source;
    this.#connect(source);
  }

  loudness(): number {
    return this.#ear.loudness();
  }

  async resume(): Promise<void> {
    if (this.#own) await this.#context.resume();
  }

  close(): void {
    this.#source.disconnect();
    this.#worklet.disconnect();
    this.#worklet.port.onmessage = null;
    if (this.#own) void this.#context.close();
  }

  #connect(source: MediaStreamAudioSourceNode): void {
    source.connect(this.#worklet);
    source.connect(this.#ear.node);
  }
}
