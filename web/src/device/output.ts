/** Chooses the loudspeaker, where the browser lets a page do so. */

interface Sinkable {
  setSinkId(deviceId: string): Promise<void>;
}

/** False in browsers that always play through the system's device. */
export function canChooseOutput(): boolean {
  return "setSinkId" in HTMLMediaElement.prototype;
}

/** Sends an audio element's or a context's sound to a device; "" is the system's own. */
export async function setOutput(
  target: HTMLMediaElement | AudioContext,
  deviceId: string,
): Promise<void> {
  if (!isSinkable(target)) return;
  try {
    await target.setSinkId(deviceId);
  } catch {
    // The device is gone: the system's own goes on playing, which is what a person expects.
  }
}

function isSinkable(target: object): target is Sinkable {
  return "setSinkId" in target;
}
