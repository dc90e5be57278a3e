import { expect, test } from "vitest";

import { addressOf, placeOf } from "./place.ts";

test("the last part of the path decides, under whatever path the page is", () => {
  expect(placeOf("/")).toBe("talk");
  expect(placeOf("/workers")).toBe("workers");
  expect(placeOf("/voice/workers")).toBe("workers");
  expect(placeOf("/voice/")).toBe("talk");
  expect(placeOf("/coworkers")).toBe("talk");
});

test("each place leads to the other from wherever the page is", () => {
  for (const base of ["https://a.example/", "https://a.example/voice/"]) {
    const workers = new URL(addressOf("workers", "?room=kitchen"), base);
    expect(placeOf(workers.pathname)).toBe("workers");
    expect(new URL(addressOf("talk", workers.search), workers).href).toBe(`${base}?room=kitchen`);
  }
});
