/** Plays the frames that come over a WebSocket. */

import { setOutput } from "../device/output.ts";
import { Ear } from "./ear.ts";
import playbackWorklet from "./playback.worklet.ts?worker&url";
import type { RingStatistics } from "./ring.ts";

const SAMPLE_RATE_HZ = 48_000;

export class Player {
  /** At 48 kHz whatever the sound card runs at: the browser resamples what leaves. */
  readonly context: AudioContext;
  readonly #ear: Ear;
  #worklet: AudioWorkletNode | null = null;

  /** Browsers keep worklets from pages that came over plain http. */
  static canPlay(): boolean {
    return "audioWorklet" in AudioContext.prototype;
  }

  /** Make it inside a click: browsers start sound only then. */
  constructor() {
    this.context = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    this.#ear = new Ear(this.context);
  }

  /** Resolves when frames can be played; where they cannot, it stays silent. */
  async open(outputDeviceId: string | null, onReport: (ring: RingStatistics) => void) {
    if (!Player.canPlay()) return;
    await this.context.audioWorklet.addModule(playbackWorklet);
    const worklet = new AudioWorkletNode(this.context, "parlor-playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    worklet.port.onmessage = ({ data }: MessageEvent<RingStatistics>) => {
      onReport(data);
    };
    worklet.connect(this.#ear.node).connect(this.context.destination);
    this.#worklet = worklet;
    if (outputDeviceId !== null) await this.setOutput(outputDeviceId);
  }

  setOutput(deviceId: string): Promise<void> {
    return setOutput(this.context, deviceId);
  }

  /** Plays one frame; the buffer belongs to the sound card's thread afterwards. */
  play(frame: ArrayBuffer): void {
    this.#worklet?.port.postMessage(frame, [frame]);
  }

  loudness(): number {
    return this.#ear.loudness();
  }

  close(): void {
    if (this.context.state === "closed") return;
    if (this.#worklet !== null) this.#worklet.port.onmessage = null;
    this.context.onstatechange = null;
    void this.context.close();
  }
}
