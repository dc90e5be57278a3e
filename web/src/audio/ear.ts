/** Listens in on a sound inside the browser's audio graph and says how loud it is. */

import { rms } from "./level.ts";

// 1024 samples are 21 ms at 48 kHz: one frame of speech.
const WINDOW_SAMPLES = 1024;

export class Ear {
  readonly node: AnalyserNode;
  readonly #samples = new Float32Array(WINDOW_SAMPLES);

  constructor(context: AudioContext) {
    this.node = new AnalyserNode(context, { fftSize: WINDOW_SAMPLES });
  }

  /** RMS of the last 21 ms. */
  loudness(): number {
    this.node.getFloatTimeDomainData(this.#samples);
    return rms(this.#samples);
  }
}
