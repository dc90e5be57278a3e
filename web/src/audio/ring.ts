/**
 * What waits in the page to be heard over WebSocket: at most 60 ms, because the server stops at
 * once when it is interrupted and only what lies here would still be played.
 *
 *   priming --(two frames, or 40 ms waited)--> playing --(empty)--> priming
 */

export interface RingSettings {
  capacitySamples: number;
  /** How much must lie here before sound begins, so that a late frame makes no gap. */
  primeSamples: number;
  /** Length of the slope that joins two sounds that do not belong together. */
  spliceSamples: number;
}

export interface RingStatistics {
  bufferedSamples: number;
  /** Thrown away because more than the capacity lay here. */
  droppedSamples: number;
  /** How often the ring ran dry; the end of a reply counts as well. */
  underruns: number;
}

/** 60 ms, begun at 40 ms, spliced over 2.5 ms, at 48 kHz. */
export const RING_48K: RingSettings = {
  capacitySamples: 2880,
  primeSamples: 1920,
  spliceSamples: 120,
};

export class PlaybackRing {
  readonly #settings: RingSettings;
  readonly #samples: Float32Array;
  #read = 0;
  #buffered = 0;
  #playing = false;
  #waited = 0;
  #last = 0;
  // A jump in the sound would click; its height is added back and fades to nothing.
  #splice = 0;
  #spliceLeft = 0;
  #jumped = false;
  #dropped = 0;
  #underruns = 0;

  constructor(settings: RingSettings = RING_48K) {
    this.#settings = settings;
    this.#samples = new Float32Array(settings.capacitySamples);
  }

  /** Takes sound off the wire; what exceeds the capacity goes, the oldest first. */
  push(samples: Float32Array): void {
    const { capacitySamples } = this.#settings;
    const excess = Math.max(0, this.#buffered + samples.length - capacitySamples);
    if (excess > 0) {
      this.#dropped += excess;
      this.#jumped = true;
    }
    const fromRing = Math.min(excess, this.#buffered);
    this.#read = (this.#read + fromRing) % capacitySamples;
    this.#buffered -= fromRing;
    for (let index = excess - fromRing; index < samples.length; index += 1) {
      this.#samples[(this.#read + this.#buffered) % capacitySamples] = samples[index] ?? 0;
      this.#buffered += 1;
    }
  }

  /** Fills one block for the loudspeaker, with silence where there is no sound. */
  pull(block: Float32Array): void {
    this.#prime(block.length);
    for (let index = 0; index < block.length; index += 1) {
      block[index] = this.#spliced(this.#playing ? this.#next() : 0);
    }
  }

  statistics(): RingStatistics {
    return {
      bufferedSamples: this.#buffered,
      droppedSamples: this.#dropped,
      underruns: this.#underruns,
    };
  }

  #prime(blockSamples: number): void {
    if (this.#playing || this.#buffered === 0) return;
    // The last frame of a reply may come alone: it must not wait for a second one for ever.
    this.#waited += blockSamples;
    const { primeSamples } = this.#settings;
    if (this.#buffered >= primeSamples || this.#waited > primeSamples) {
      this.#playing = true;
      this.#waited = 0;
      this.#jumped = true;
    }
  }

  #next(): number {
    if (this.#buffered === 0) {
      this.#playing = false;
      this.#underruns += 1;
      this.#jumped = true;
      return 0;
    }
    const sample = this.#samples[this.#read] ?? 0;
    this.#read = (this.#read + 1) % this.#settings.capacitySamples;
    this.#buffered -= 1;
    return sample;
  }

  #spliced(sample: number): number {
    if (this.#jumped) {
      this.#jumped = false;
      this.#splice = this.#last - sample;
      this.#spliceLeft = this.#settings.spliceSamples;
    }
    let heard = sample;
    if (this.#spliceLeft > 0) {
      heard += (this.#splice * this.#spliceLeft) / this.#settings.spliceSamples;
      this.#spliceLeft -= 1;
    }
    this.#last = heard;
    return heard;
  }
}
