/** What the browser offers inside an audio worklet; TypeScript's own libraries leave it out. */

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

declare const sampleRate: number;

declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
