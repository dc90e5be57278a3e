import { describe, expect, it } from "vitest";

import {
  callsAddress,
  infoAddress,
  isSendableKey,
  socketAddress,
  socketProtocols,
  tokenAddress,
  wishedRoom,
} from "./address.ts";

const choices = { mode: "duplex", voice: "flite:slt" } as const;

describe("the server's addresses", () => {
  it("ask the WebSocket for events, binary sound and the true sample rate", () => {
    const address = socketAddress("http://127.0.0.1:8080/", choices, 44_100);
    expect(address.href).toBe(
      "ws://127.0.0.1:8080/ws?events=1&binary=1&sample_rate=44100&mode=duplex&voice=flite%3Aslt",
    );
  });

  it("stay encrypted and below the page's own path", () => {
    expect(socketAddress("https://host/talk/", { mode: null, voice: null }, 48_000).href).toBe(
      "wss://host/talk/ws?events=1&binary=1&sample_rate=48000",
    );
    expect(callsAddress("https://host/talk/", choices).pathname).toBe("/talk/v1/realtime/calls");
    expect(infoAddress("https://host/talk/").href).toBe("https://host/talk/api/v1/info");
  });

  it("carry a key as a subprotocol, if its characters may stand in one", () => {
    expect(socketProtocols(null)).toEqual([]);
    expect(socketProtocols("s3cret")).toEqual(["parlor", "parlor-key.s3cret"]);
    expect(isSendableKey("sk-A_b.1~")).toBe(true);
    expect(isSendableKey("two words")).toBe(false);
  });
});

describe("access to a room", () => {
  const none = { mode: null, voice: null };

  it("is asked for beside the page", () => {
    expect(tokenAddress("https://x.test/parlor/").href).toBe("https://x.test/parlor/api/token");
  });

  it("is for the room and the name in the page's address", () => {
    expect(wishedRoom("?room=kitchen&name=Ada%20L", none)).toEqual({
      room_name: "kitchen",
      participant_name: "Ada L",
    });
    expect(wishedRoom("?room=", none)).toEqual({});
    expect(wishedRoom("", none)).toEqual({});
  });

  it("tells the agent how it shall be", () => {
    expect(wishedRoom("", choices)).toEqual({
      room_config: { agents: [{ metadata: '{"mode":"duplex","voice":"flite:slt"}' }] },
    });
  });
});
