import { describe, expect, it } from "vitest";

import { type CallView, NO_CALL } from "../call/state.ts";
import { hint, shownPhase, voicesByEngine } from "./words.ts";

const open = (fields: Partial<CallView>): CallView => ({
  ...NO_CALL,
  stage: "open",
  phase: "listening",
  ...fields,
});

describe("the line under the label", () => {
  it("says what the caller can do", () => {
    expect(hint(open({}))).toBe("Go ahead, I’m listening.");
    expect(hint(open({ dialog: "Listening" }))).toBe("I hear you.");
    expect(hint(open({ hasMicrophone: false }))).toBe("Type a question below.");
    expect(hint(open({ muted: true }))).toMatch(/^You are muted/);
    expect(hint(open({ mode: "manual" }))).toBe("Speak, then press Done.");
    expect(hint(open({ phase: "speaking" }))).toBe("Talk to interrupt.");
    expect(hint(open({ phase: "speaking", mode: "mute" }))).toMatch(/when it has finished/);
  });

  it("puts a fault before everything else", () => {
    expect(hint(open({ audioBlocked: true }))).toMatch(/Start audio/);
    expect(hint(open({ reconnecting: true }))).toMatch(/network/);
  });

  it("leaves the words to the card when a problem ended the call", () => {
    const ended = open({ stage: "ended", phase: "ended", ending: "The call is complete." });
    expect(hint(ended)).toBe("The call is complete.");
    expect(hint({ ...ended, problem: { kind: "connection-lost" } })).toBe("");
  });
});

describe("the label", () => {
  it("says first of all that the line is being mended", () => {
    const away = open({ phase: "speaking", held: true, reconnecting: true, audioBlocked: true });
    expect(shownPhase(away)).toBe("reconnecting");
    expect(hint(away)).toMatch(/find the way back/);
  });

  it("calls a held reply paused", () => {
    expect(shownPhase(open({ phase: "speaking", held: true }))).toBe("paused");
    expect(shownPhase(open({ phase: "speaking" }))).toBe("speaking");
  });
});

describe("the voices", () => {
  it("stand together by engine, in the server's order", () => {
    const voice = (id: string) => ({ id, name: id, language: "en" });
    const grouped = voicesByEngine(["flite:slt", "espeak:en", "flite:rms", "own"].map(voice));
    expect(grouped.map(([engine, members]) => [engine, members.map(({ id }) => id)])).toEqual([
      ["flite", ["flite:slt", "flite:rms"]],
      ["espeak", ["espeak:en"]],
      ["", ["own"]],
    ]);
  });
});
