/** What others' code the page may hold: everything that it is built from, except the tools. */

import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

const ALLOWED = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];

interface Entry {
  version?: string;
  license?: string;
  resolved?: string;
  integrity?: string;
  dev?: boolean;
}

const lock = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url), "utf8")) as {
  packages: Record<string, Entry>;
};

const others = Object.entries(lock.packages).filter(([path]) => path !== "");

it("every package that the page holds has a licence that we allow", () => {
  const shipped = others.filter(([, { dev }]) => dev !== true);
  expect(shipped.length).toBeGreaterThan(10);
  const wrong = shipped.filter(([, { license = "" }]) => !isAllowed(license));
  expect(wrong.map(([path, { license }]) => `${path}: ${license ?? "none"}`)).toEqual([]);
});

it("the lock names no registry, and knows every package by its contents", () => {
  const wrong = others.filter(
    ([, { resolved, integrity }]) => resolved !== undefined || !integrity,
  );
  expect(wrong.map(([path]) => path)).toEqual([]);
});

/** Of packages under several licences at once all must be allowed. */
function isAllowed(licence: string): boolean {
  return licence
    .replace(/^\((.*)\)$/, "$1")
    .split(" AND ")
    .every((part) => ALLOWED.includes(part));
}
