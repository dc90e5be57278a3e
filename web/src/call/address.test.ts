import { describe, expect, it } from "vitest";

import {
  callsAddress,
  infoAddress,
  isSendableKey,
  socketAddress,
  socketProtocols,
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
