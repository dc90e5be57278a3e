/** Runs beside the sound card: plays frames as they come, from a ring of at most 60 ms. */

import { fromPcm } from "./pcm.ts";
import { PlaybackRing } from "./ring.ts";

// How often the page hears how full the ring is: about every half second at 128-sample blocks.
const BLOCKS_PER_REPORT = 188;

class PlaybackProcessor extends AudioWorkletProcessor {
  readonly #ring = new PlaybackRing();
  #blocks = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      this.#ring.push(fromPcm(data));
    };
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const channel = outputs[0]?.[0];
    if (channel !== undefined) this.#ring.pull(channel);
    this.#blocks += 1;
    if (this.#blocks % BLOCKS_PER_REPORT === 0) this.port.postMessage(this.#ring.statistics());
    return true;
  }
}

registerProcessor("parlor-playback", PlaybackProcessor);
