#!/usr/bin/env node
// Word error rates on recordings with their words in a .txt beside them:
//   scripts/word-error-rate.mjs PARLOR FOLDER           through `parlor transcribe`, as fast as it goes
//   scripts/word-error-rate.mjs --calls PARLOR FOLDER   through `parlor talk` and a server that is started here, in real time
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, parse } from "node:path";
import { createInterface } from "node:readline";

const usage = "usage: scripts/word-error-rate.mjs [--calls] PARLOR FOLDER";
const flags = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const [parlor, folder] = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
if (!parlor || !folder || flags.some((flag) => flag !== "--calls")) {
  console.error(usage);
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

const percent = (count, all) => `${((100 * count) / all).toFixed(all < 100 ? 0 : 1)} %`;

function recordings() {
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, path: join(folder, file), ...parse(file) }))
    .filter(({ name, ext }) => ext !== ".txt" && existsSync(join(folder, `${name}.txt`)))
    .map((recording) => ({ ...recording, said: words(readFileSync(join(folder, `${recording.name}.txt`), "utf8")) }));
}

function transcribeAll() {
  let [wrong, all, sound, wall] = [0, 0, 0, 0];
  for (const { file, path, said } of recordings()) {
    const began = performance.now();
    const out = execFileSync(parlor, ["transcribe", "--json", "--quiet", path], { stdio: ["ignore", "pipe", "ignore"] });
    const seconds = (performance.now() - began) / 1000;
    const { text, duration } = JSON.parse(out);
    const count = errors(said, words(text));
    wrong += count;
    all += said.length;
    sound += duration;
    wall += seconds;
    console.log(`${file}\t${count}/${said.length}\t${percent(count, said.length)}`);
  }
  console.log(`all\t${wrong}/${all}\t${percent(wrong, all)}\t${sound.toFixed(1)} s of sound in ${wall.toFixed(1)} s, start included`);
}

// A server on a free port; `address` is where it says that it answers.
function serve() {
  const server = spawn(parlor, ["serve", "--listen", "127.0.0.1:0", "--set", "webrtc.enabled=false"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const address = new Promise((found, failed) => {
    let log = "";
    server.on("error", failed);
    server.on("exit", (code) => failed(new Error(`the server ended with ${code}:\n${log}`)));
    createInterface({ input: server.stderr }).on("line", (line) => {
      log += `${line}\n`;
      const match = /Open http:\/\/(\S+)/.exec(line);
      if (match) found(match[1]);
    });
  });
  return { server, address };
}

// One call; its events, and the exit code of `parlor talk`.
function call(url, path) {
  return new Promise((done, failed) => {
    const talk = spawn(parlor, ["talk", "--url", url, "--wav", path, "--json", "--quiet"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const events = [];
    createInterface({ input: talk.stdout }).on("line", (line) => events.push(JSON.parse(line)));
    talk.on("error", failed);
    talk.on("close", (code) => done({ code, events }));
  });
}

async function callAll() {
  const { server, address } = serve();
  try {
    const url = `ws://${await address}/ws`;
    let [wrong, all, answered, count] = [0, 0, 0, 0];
    for (const { file, path, said } of recordings()) {
      const { code, events } = await call(url, path);
      // A long pause in a recording ends a turn: the words of all turns together are what was heard.
      const heard = events
        .filter((event) => event.event === "transcript" && event.role === "user" && event.is_final)
        .map((event) => event.text)
        .join(" ");
      const end = events.find((event) => event.event === "end");
      const firstAudio = events.find((event) => event.event === "timings" && event.total_ms !== null)?.total_ms;
      const spoken = code === 0 && end?.replies > 0 && end.audio_ms > 0;
      const mistakes = errors(said, words(heard));
      wrong += mistakes;
      all += said.length;
      answered += spoken ? 1 : 0;
      count += 1;
      const answer = spoken ? `answered\tfirst audio ${firstAudio ?? "?"} ms` : `no answer\texit code ${code}`;
      console.log(`${file}\t${mistakes}/${said.length}\t${percent(mistakes, said.length)}\t${answer}\t${heard}`);
    }
    console.log(`all\t${wrong}/${all}\t${percent(wrong, all)}\t${answered} of ${count} answered`);
    process.exitCode = answered === count ? 0 : 1;
  } finally {
    server.removeAllListeners("exit");
    server.kill();
  }
}

if (flags.includes("--calls")) await callAll();
else transcribeAll();
