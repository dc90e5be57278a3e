import { expect, test } from "vitest";

import { kindLabel, readCatalogue, sizeText } from "./catalogue.ts";

test("a model is read, and what is none is left out", () => {
  const told = { id: "silero", kind: "vad", size_bytes: 2_327_524, licence: "MIT", present: true };
  expect(readCatalogue({ models: [told, {}, null] })).toEqual([
    { id: "silero", kind: "vad", sizeBytes: 2_327_524, licence: "MIT", present: true },
  ]);
  expect(readCatalogue({ models: "none" })).toEqual([]);
  expect(readCatalogue(null)).toEqual([]);
});

test("sizes and kinds are told in words of people", () => {
  expect([12, 63_201_294, 1_624_555_275].map(sizeText)).toEqual(["1 kB", "63 MB", "1.6 GB"]);
  expect([kindLabel("stt"), kindLabel("music")]).toEqual(["Recognition", "music"]);
});
