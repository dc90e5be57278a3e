#!/usr/bin/env node
// Word error rates of `parlor transcribe` on recordings with their words in a .txt beside them:
//   scripts/word-error-rate.mjs PARLOR FOLDER
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, parse } from "node:path";

const [parlor, folder] = process.argv.slice(2);
if (!parlor || !folder) {
  console.error("usage: scripts/word-error-rate.mjs PARLOR FOLDER");
  process.exit(2);
}

const words = (text) => text.toLowerCase().replace(/[^a-z0-9' ]+/g, " ").split(/\s+/).filter(Boolean);

// Substitutions, insertions and deletions: Levenshtein's distance over words.
function errors(said, heard) {
  let row = heard.map((_, i) => i + 1);
  said.forEach((word, i) => {
    let diagonal = i;
    let left = i + 1;
    row = row.map((above, j) => {
      const cost = Math.min(above + 1, left + 1, diagonal + (word === heard[j] ? 0 : 1));
      [diagonal, left] = [above, cost];
      return cost;
    });
  });
  return heard.length ? row.at(-1) : said.length;
}

let [wrong, all, sound, wall] = [0, 0, 0, 0];
for (const file of readdirSync(folder).sort()) {
  const { name, ext } = parse(file);
  const script = join(folder, `${name}.txt`);
  if (ext === ".txt" || !existsSync(script)) continue;
  const began = performance.now();
  const out = execFileSync(parlor, ["transcribe", "--json", "--quiet", join(folder, file)], { stdio: ["ignore", "pipe", "ignore"] });
  const seconds = (performance.now() - began) / 1000;
  const { text, duration } = JSON.parse(out);
  const said = words(readFileSync(script, "utf8"));
  const count = errors(said, words(text));
  wrong += count;
  all += said.length;
  sound += duration;
  wall += seconds;
  console.log(`${file}\t${count}/${said.length}\t${((100 * count) / said.length).toFixed(0)} %`);
}
console.log(`all\t${wrong}/${all}\t${((100 * wrong) / all).toFixed(1)} %\t${sound.toFixed(1)} s of sound in ${wall.toFixed(1)} s, start included`);
