/** Where the server's doors are, seen from the page, and the key that opens them. */

import type { SessionMode } from "./protocol.ts";

const KEY_ITEM = "parlor.key";

interface CallChoices {
  mode: SessionMode | null;
  voice: string | null;
}

/** In the words of LiveKit's token endpoints. What is not asked for, the server chooses. */
export interface WishedRoom {
  room_name?: string;
  participant_name?: string;
  room_config?: { agents: { metadata: string }[] };
}

export function infoAddress(base: string): URL {
  return new URL("api/v1/info", base);
}

/** Where an SDP offer goes. */
export function callsAddress(base: string, choices: CallChoices): URL {
  const address = new URL("v1/realtime/calls", base);
  addChoices(address, choices);
  return address;
}

/** Where access to a LiveKit room is given. */
export function tokenAddress(base: string): URL {
  return new URL("api/token", base);
}

/**
 * Which room, and under which name, as asked for in the page's own address: `?room=kitchen&name=Ada`; and how the agent
 * shall be, which is for the first in a room to say.
 */
export function wishedRoom(search: string, { mode, voice }: CallChoices): WishedRoom {
  const wishes = new URLSearchParams(search);
  const agent = { ...(mode !== null && { mode }), ...(voice !== null && { voice }) };
  const [room, name] = [wishes.get("room"), wishes.get("name")];
  return {
    ...(room && { room_name: room }),
    ...(name && { participant_name: name }),
    ...(Object.keys(agent).length > 0 && {
      room_config: { agents: [{ metadata: JSON.stringify(agent) }] },
    }),
  };
}

/** The WebSocket with our additions asked for: events, and sound as binary frames. */
export function socketAddress(base: string, choices: CallChoices, sampleRateHz: number): URL {
  const address = new URL("ws", base);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("events", "1");
  address.searchParams.set("binary", "1");
  address.searchParams.set("sample_rate", String(sampleRateHz));
  addChoices(address, choices);
  return address;
}

/** A browser's WebSocket cannot carry a header, so the key travels as a subprotocol. */
export function socketProtocols(key: string | null): string[] {
  return key === null ? [] : ["parlor", `parlor-key.${key}`];
}

export function keyHeaders(key: string | null): Record<string, string> {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/** Only these may stand in a subprotocol's name; any other key could not be sent. */
export function isSendableKey(key: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(key);
}

/** The key lasts as long as the tab: it is a secret, and others may use this browser later. */
export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(KEY_ITEM);
  } catch {
    return null;
  }
}

export function storeKey(key: string): void {
  try {
    sessionStorage.setItem(KEY_ITEM, key);
  } catch {
    // Without storage the key is asked for again after a reload.
  }
}

function addChoices(address: URL, { mode, voice }: CallChoices): void {
  if (mode !== null) address.searchParams.set("mode", mode);
  if (voice !== null) address.searchParams.set("voice", voice);
}
