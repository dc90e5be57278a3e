import { describe, expect, it } from "vitest";

import { chooseTransport, readInfo } from "./info.ts";

describe("what the server says about itself", () => {
  it("is read as it stands", () => {
    const info = readInfo({
      name: "parlor",
      version: "0.1.0",
      engines: { vad: "silero", denoise: "off", stt: "pocketsphinx", tts: ["flite", "espeak"] },
      voices: [{ id: "flite:slt", name: "SLT", language: "en-US" }],
      transports: ["websocket"],
      mode: "mute",
      auth_required: true,
    });
    expect(info).toEqual({
      version: "0.1.0",
      engines: { vad: "silero", denoise: "off", stt: "pocketsphinx", tts: "flite, espeak" },
      voices: [{ id: "flite:slt", name: "SLT", language: "en-US" }],
      transports: ["websocket"],
      roomsHost: null,
      mode: "mute",
      authRequired: true,
    });
  });

  it("offers LiveKit first where there is a LiveKit server", () => {
    const there = readInfo({
      transports: ["webrtc", "websocket"],
      livekit: { url: "ws://x:7880" },
    });
    expect(there.transports).toEqual(["livekit", "webrtc", "websocket"]);
    expect(there.roomsHost).toBe("x:7880");
    expect(readInfo({ transports: ["websocket"], livekit: null }).transports).toEqual([
      "websocket",
    ]);
    // Only an address makes it something to join.
    expect(readInfo({ transports: ["livekit", "websocket"] }).transports).toEqual(["websocket"]);
  });

  it("gets the usual values where it says nothing", () => {
    expect(readInfo(null)).toEqual({
      version: "",
      engines: {},
      voices: [],
      transports: ["webrtc", "websocket"],
      roomsHost: null,
      mode: "duplex",
      authRequired: false,
    });
    expect(readInfo({ voices: [{ name: "nobody" }, { id: "mock:440hz" }] }).voices).toEqual([
      { id: "mock:440hz", name: "mock:440hz", language: "" },
    ]);
  });
});

describe("the transport of a call", () => {
  const rooms = readInfo({ transports: ["webrtc", "websocket"], livekit: { url: "ws://x:7880" } });
  const none = readInfo({ transports: ["webrtc", "websocket"] });

  it("is the best on offer until a person chooses", () => {
    expect(chooseTransport(null, rooms)).toBe("livekit");
    expect(chooseTransport(null, none)).toBe("webrtc");
    expect(chooseTransport(null, readInfo({ transports: ["websocket"] }))).toBe("websocket");
    expect(chooseTransport(null, null)).toBe("webrtc");
  });

  it("is the chosen one wherever it is offered", () => {
    expect(chooseTransport("websocket", rooms)).toBe("websocket");
    expect(chooseTransport("livekit", none)).toBe("webrtc");
    expect(chooseTransport("websocket", null)).toBe("websocket");
  });
});
