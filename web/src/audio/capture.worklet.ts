/** Runs beside the sound card: cuts the microphone into 20 ms frames of s16le. */

import { FrameCollector } from "./pcm.ts";

class CaptureProcessor extends AudioWorkletProcessor {
  readonly #frames = new FrameCollector(sampleRate);

  process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (channel !== undefined) {
      this.#frames.push(channel, (frame) => {
        this.port.postMessage(frame.buffer, [frame.buffer]);
      });
    }
    return true;
  }
}

registerProcessor("parlor-capture", CaptureProcessor);
