import { describe, expect, it } from "vitest";

import { readInfo } from "./info.ts";

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
      mode: "mute",
      authRequired: true,
    });
  });

  it("gets the usual values where it says nothing", () => {
    expect(readInfo(null)).toEqual({
      version: "",
      engines: {},
      voices: [],
      transports: ["webrtc", "websocket"],
      mode: "duplex",
      authRequired: false,
    });
    expect(readInfo({ voices: [{ name: "nobody" }, { id: "mock:440hz" }] }).voices).toEqual([
      { id: "mock:440hz", name: "mock:440hz", language: "" },
    ]);
  });
});
