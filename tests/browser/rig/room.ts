/** What a test does with rooms from outside: gives access to them, sends people away, closes them. */

import { createHmac } from "node:crypto";

import type { LiveKit } from "./livekit.ts";

export interface Guest {
  room: string;
  identity: string;
  name?: string;
  kind?: "standard" | "agent";
}

const ACCESS_SECONDS = 600;

/** A token for one room, as an application's own server would sign it. */
export function access(livekit: LiveKit, { room, identity, name = "", kind }: Guest): string {
  return signed(livekit, {
    sub: identity,
    name,
    ...(kind !== undefined && { kind }),
    video: { room, roomJoin: true, canUpdateOwnMetadata: true },
  });
}

/** One call of LiveKit's server API, as in `roomService(livekit, "DeleteRoom", { room })`. */
export async function roomService(
  livekit: LiveKit,
  method: string,
  request: { room: string } & Record<string, unknown>,
): Promise<void> {
  const token = signed(livekit, {
    video: { room: request.room, roomAdmin: true, roomCreate: true },
  });
  const address = `${livekit.url.replace("ws:", "http:")}/twirp/livekit.RoomService/${method}`;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify(request),
  });
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
}

function signed({ key, secret }: LiveKit, claims: Record<string, unknown>): string {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = [
    encode({ alg: "HS256", typ: "JWT" }),
    encode({ iss: key, nbf: now - 10, exp: now + ACCESS_SECONDS, ...claims }),
  ].join(".");
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}
