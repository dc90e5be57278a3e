import { describe, expect, it } from "vitest";

import { shortcutOf } from "./shortcuts.ts";

const press = (
  key: string,
  held: Partial<Record<"ctrlKey" | "metaKey" | "altKey", boolean>> = {},
) => shortcutOf({ key, ctrlKey: false, metaKey: false, altKey: false, ...held });

describe("a key", () => {
  it("means the same in both cases", () => {
    expect(press("m")).toBe("mute");
    expect(press("M")).toBe("mute");
    expect(press("c")).toBe("captions");
    expect(press("Escape")).toBe("hang-up");
    expect(press("?")).toBe("help");
  });

  it("belongs to the browser when it is held with another", () => {
    expect(press("c", { ctrlKey: true })).toBeNull();
    expect(press("m", { metaKey: true })).toBeNull();
    expect(press("c", { altKey: true })).toBeNull();
  });

  it("means nothing otherwise", () => {
    expect(press("x")).toBeNull();
    expect(press("Enter")).toBeNull();
  });
});
