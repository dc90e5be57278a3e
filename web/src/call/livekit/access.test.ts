import { describe, expect, it } from "vitest";

import { advise } from "../problems.ts";
import { readAccess, refusal } from "./access.ts";

describe("access to a room", () => {
  it("is read from the answer of a token endpoint", () => {
    const body = { server_url: "wss://rooms.test", participant_token: "t", room_name: "r" };
    expect(readAccess(body)).toEqual({ serverUrl: "wss://rooms.test", token: "t" });
    expect(() => readAccess({ server_url: "wss://rooms.test" })).toThrow();
    expect(() => readAccess(null)).toThrow();
  });

  it("is refused in words of its own", () => {
    expect(refusal({ status: 404 }, { kind: "server-refused" }).kind).toBe("livekit-off");
    const busy = refusal({ status: 429 }, { kind: "server-full", retryAfterSeconds: 7 });
    expect(busy).toEqual({ kind: "asked-too-often", retryAfterSeconds: 7 });
    expect(advise(busy).steps).toEqual(["Try again in 7 s."]);
    expect(refusal({ status: 401 }, { kind: "key-refused" }).kind).toBe("key-refused");
  });
});
