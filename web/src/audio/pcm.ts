/** Samples between the browser's floats and the wire's 16-bit integers, in whole frames. */

export const FRAME_MS = 20;

/** Collects a stream of any block size into 20 ms frames of s16le. */
export class FrameCollector {
  #frame: Int16Array<ArrayBuffer>;
  #filled = 0;

  constructor(sampleRateHz: number) {
    this.#frame = new Int16Array(frameSamples(sampleRateHz));
  }

  /** Takes samples and hands every frame that became full to `emit`, which may keep it. */
  push(samples: Float32Array, emit: (frame: Int16Array<ArrayBuffer>) => void): void {
    for (const sample of samples) {
      this.#frame[this.#filled] = toPcm(sample);
      this.#filled += 1;
      if (this.#filled === this.#frame.length) {
        const full = this.#frame;
        this.#frame = new Int16Array(full.length);
        this.#filled = 0;
        emit(full);
      }
    }
  }
}

export function frameSamples(sampleRateHz: number): number {
  return Math.max(1, Math.floor((sampleRateHz * FRAME_MS) / 1000));
}

/** Reads s16le bytes; an odd last byte is no sample and is left out. */
export function fromPcm(bytes: ArrayBuffer): Float32Array<ArrayBuffer> {
  const count = bytes.byteLength >> 1;
  const view = new DataView(bytes);
  const samples = new Float32Array(count);
  for (let index = 0; index < count; index += 1) {
    samples[index] = view.getInt16(index * 2, true) / 32768;
  }
  return samples;
}

function toPcm(sample: number): number {
  const clipped = Math.min(1, Math.max(-1, sample));
  return Math.round(clipped < 0 ? clipped * 32768 : clipped * 32767);
}
