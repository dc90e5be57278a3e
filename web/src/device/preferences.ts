/** What the page remembers between visits: how a person likes to call. */

import { type SessionMode, type Transport, TRANSPORTS } from "../call/protocol.ts";

export interface Preferences {
  /** Null: the best that the server offers. */
  transport: Transport | null;
  /** Null: as the server has it. */
  mode: SessionMode | null;
  voice: string | null;
  inputDeviceId: string | null;
  outputDeviceId: string | null;
  captions: boolean;
}

export const DEFAULT_PREFERENCES: Preferences = {
  transport: null,
  mode: null,
  voice: null,
  inputDeviceId: null,
  outputDeviceId: null,
  captions: true,
};

const ITEM = "parlor.preferences";

export function loadPreferences(): Preferences {
  try {
    return readPreferences(JSON.parse(localStorage.getItem(ITEM) ?? "{}"));
  } catch {
    return DEFAULT_PREFERENCES;
  }
}

export function savePreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(ITEM, JSON.stringify(preferences));
  } catch {
    // A private window may forbid storage; then the choices last as long as the page.
  }
}

/** Keeps what is valid; an older page may have written something else. */
export function readPreferences(stored: unknown): Preferences {
  if (typeof stored !== "object" || stored === null) return DEFAULT_PREFERENCES;
  const values = stored as Partial<Record<keyof Preferences, unknown>>;
  const { transport, mode, captions } = values;
  return {
    transport: TRANSPORTS.find((candidate) => candidate === transport) ?? null,
    mode: mode === "duplex" || mode === "mute" || mode === "manual" ? mode : null,
    voice: word(values.voice),
    inputDeviceId: word(values.inputDeviceId),
    outputDeviceId: word(values.outputDeviceId),
    captions: captions !== false,
  };
}

function word(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
