/** WAV files as `parlor say` writes them: 48 kHz, mono, 16 bit. */

export const SAMPLE_RATE_HZ = 48_000;

const BYTES_PER_SAMPLE = 2;
const HEADER_BYTES = 44;

/** The samples of a WAV file, as bytes. */
export function readSamples(file: Buffer): Buffer {
  const format = chunk(file, "fmt ");
  const rateHz = format.readUInt32LE(4);
  const channels = format.readUInt16LE(2);
  const bits = format.readUInt16LE(14);
  if (rateHz !== SAMPLE_RATE_HZ || channels !== 1 || bits !== 8 * BYTES_PER_SAMPLE) {
    throw new Error(
      `expected 48 kHz, mono, 16 bit; got ${rateHz} Hz, ${channels} channels, ${bits} bit`,
    );
  }
  return chunk(file, "data");
}

export function silence(seconds: number): Buffer {
  return Buffer.alloc(Math.round(seconds * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE);
}

export function wav(samples: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("RIFF", 0);
  header.writeUInt32LE(HEADER_BYTES - 8 + samples.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLE_RATE_HZ, 24);
  header.writeUInt32LE(SAMPLE_RATE_HZ * BYTES_PER_SAMPLE, 28);
  header.writeUInt16LE(BYTES_PER_SAMPLE, 32);
  header.writeUInt16LE(8 * BYTES_PER_SAMPLE, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}

function chunk(file: Buffer, name: string): Buffer {
  let at = 12;
  while (at + 8 <= file.length) {
    const length = file.readUInt32LE(at + 4);
    if (file.toString("latin1", at, at + 4) === name) return file.subarray(at + 8, at + 8 + length);
    // Chunks begin at even places.
    at += 8 + length + (length % 2);
  }
  throw new Error(`the WAV file has no "${name}" chunk`);
}
