import { describe, expect, it } from "vitest";

import { DEFAULT_PREFERENCES, readPreferences } from "./preferences.ts";

describe("what the page remembers", () => {
  it("comes back as it was kept", () => {
    const kept = {
      transport: "websocket",
      mode: "manual",
      voice: "flite:slt",
      inputDeviceId: "abc",
      outputDeviceId: null,
      captions: false,
    };
    expect(readPreferences(kept)).toEqual(kept);
  });

  it("may be any of the transports, or none", () => {
    for (const transport of ["livekit", "webrtc", "websocket", null]) {
      expect(readPreferences({ transport }).transport).toBe(transport);
    }
  });

  it("is the default where it was never kept or makes no sense", () => {
    expect(readPreferences(null)).toEqual(DEFAULT_PREFERENCES);
    expect(readPreferences("x")).toEqual(DEFAULT_PREFERENCES);
    expect(readPreferences({ transport: "pigeon", mode: 7, voice: "", captions: "yes" })).toEqual(
      DEFAULT_PREFERENCES,
    );
  });
});
