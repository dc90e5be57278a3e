/** Asks the browser for the microphone, tuned for speech. */

import { microphoneProblem, ProblemError } from "../call/problems.ts";

/** Opens a microphone; a remembered one that is gone gives way to the default. */
export async function openMicrophone(deviceId: string | null): Promise<MediaStream> {
  if (!canCapture()) throw new ProblemError({ kind: "insecure-context" });
  try {
    return await request(deviceId);
  } catch (error) {
    throw new ProblemError(microphoneProblem(error));
  }
}

/** False on plain http from another computer, where browsers hide the microphone. */
export function canCapture(): boolean {
  // The types promise mediaDevices always; insecure pages do not have it.
  return "mediaDevices" in navigator;
}

export function stopMicrophone(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function request(deviceId: string | null): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio: {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      channelCount: 1,
      // Not `exact`: a remembered device may be unplugged, and any microphone is better than none.
      ...(deviceId === null ? {} : { deviceId: { ideal: deviceId } }),
    },
  });
}
