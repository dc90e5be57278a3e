import { expect, test } from "vitest";

import { askAddress, refusal, workersAddress } from "./api.ts";

const BASE = "https://a.example/voice/workers";

test("the list lies beside the page, wherever that is", () => {
  expect(workersAddress(BASE).href).toBe("https://a.example/voice/api/v1/workers");
});

test("names of workers and models are one part of the path each", () => {
  const address = (worker: string, model: string): string =>
    askAddress(BASE, worker, { act: "load", model }).pathname;
  expect(address("tts-piper@0", "lessac")).toBe(
    "/voice/api/v1/workers/tts-piper%400/models/lessac/load",
  );
  expect(address("a/b?c#d", "..%2F")).toBe(
    "/voice/api/v1/workers/a%2Fb%3Fc%23d/models/..%252F/load",
  );
  expect(askAddress(BASE, "one", { act: "drain" }).pathname).toBe(
    "/voice/api/v1/workers/one/drain",
  );
});

test("a refusal is told in the server's words where it has any", () => {
  expect(refusal(409, '{"error":{"message":"the model speaks"}}')).toBe("the model speaks");
  for (const body of ["", "<html>", "null", "{}", '{"error":"x"}', '{"error":{"message":""}}']) {
    expect(refusal(502, body)).toBe("The server refused (502) and gave no reason.");
  }
});
