/** The microphones and loudspeakers to choose from, kept up to date as they come and go. */

import { useEffect, useState } from "react";

import { canChooseOutput } from "./output.ts";

export interface Device {
  id: string;
  label: string;
}

export interface Devices {
  inputs: Device[];
  outputs: Device[];
}

const NONE: Devices = { inputs: [], outputs: [] };

/** `occasion` changes when names may have become readable, as after a granted microphone. */
export function useDevices(occasion: string): Devices {
  const [devices, setDevices] = useState(NONE);
  useEffect(() => {
    if (!("mediaDevices" in navigator)) return;
    const { mediaDevices } = navigator;
    let current = true;
    const look = (): void => {
      mediaDevices.enumerateDevices().then(
        (found) => {
          if (current) setDevices(sortDevices(found));
        },
        () => undefined,
      );
    };
    look();
    mediaDevices.addEventListener("devicechange", look);
    return () => {
      current = false;
      mediaDevices.removeEventListener("devicechange", look);
    };
  }, [occasion]);
  return devices;
}

/** Browsers hide ids and names before permission; nameless devices are no choice and are left out. */
export function sortDevices(
  found: Pick<MediaDeviceInfo, "kind" | "deviceId" | "label">[],
): Devices {
  const choices = (kind: MediaDeviceKind): Device[] =>
    found
      .filter((device) => device.kind === kind && device.label !== "")
      // "default" is an alias that our own first entry already stands for.
      .filter((device) => device.deviceId !== "" && device.deviceId !== "default")
      .map((device) => ({ id: device.deviceId, label: device.label }));
  return {
    inputs: choices("audioinput"),
    outputs: canChooseOutput() ? choices("audiooutput") : [],
  };
}
