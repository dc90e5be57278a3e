/** Loudness: from samples to what a meter and the orb show. */

/** The quietest sound a meter still shows, in dB below full scale. */
const FLOOR_DBFS = -60;

/** Rises at once, falls gently: the eye should catch a syllable and not be shaken by it. */
const ATTACK_MS = 40;
const RELEASE_MS = 220;

/** Root mean square of samples between -1 and 1. */
export function rms(samples: Float32Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}

/** Decibels below full scale, where a full-scale square wave is 0; -Infinity for silence. */
export function dbfs(loudness: number): number {
  return loudness > 0 ? 20 * Math.log10(loudness) : -Infinity;
}

/** Where a loudness stands on a meter: 0 at -60 dBFS and below, 1 at full scale. */
export function meterLevel(loudness: number): number {
  return Math.min(1, Math.max(0, 1 - dbfs(loudness) / FLOOR_DBFS));
}

/** A meter's needle: follows a level with attack and release. */
export class Needle {
  #level = 0;

  get level(): number {
    return this.#level;
  }

  /** Moves towards `level` for `elapsedMs` and answers where the needle stands. */
  follow(level: number, elapsedMs: number): number {
    const timeMs = level > this.#level ? ATTACK_MS : RELEASE_MS;
    this.#level += (level - this.#level) * (1 - Math.exp(-Math.max(0, elapsedMs) / timeMs));
    return this.#level;
  }
}
