import { describe, expect, it } from "vitest";

import { CaptionReader, type CaptionStream, type People } from "./captions.ts";

const people: People = {
  caller: "me",
  agent: "parlor-1",
  ownerOf: (track) => ({ TR_me: "me", TR_ada: "ada-7", TR_agent: "parlor-1" })[track] ?? null,
  nameOf: (identity) => (identity === "ada-7" ? "Ada" : identity),
};

const stream = (
  identity: string,
  text: string,
  attributes: Record<string, string> = {},
): CaptionStream => ({
  text,
  participantInfo: { identity },
  streamInfo: { id: `ST_${text}`, attributes },
});

const segment = (id: string, final: boolean, track?: string): Record<string, string> => ({
  "lk.segment_id": id,
  "lk.transcription_final": String(final),
  ...(track !== undefined && { "lk.transcribed_track_id": track }),
});

describe("captions in a room", () => {
  it("are the agent's, one's own, or those of somebody with a name", () => {
    const found = new CaptionReader().news(
      [
        stream("parlor-1", "Hello", segment("a1", false, "TR_agent")),
        stream("me", "what time", segment("u1", false, "TR_me")),
        stream("ada-7", "stop", segment("u2", true, "TR_ada")),
        // An agent may also write in its own name and only say whose track it heard.
        stream("parlor-1", "go on", segment("u3", true, "TR_ada")),
      ],
      people,
    );
    expect(found.map(({ role, speaker }) => [role, speaker])).toEqual([
      ["agent", undefined],
      ["user", undefined],
      ["user", "Ada"],
      ["user", "Ada"],
    ]);
    expect(found.map(({ isFinal }) => isFinal)).toEqual([false, false, true, true]);
  });

  it("go by who writes them where the track is unknown", () => {
    const found = new CaptionReader().news(
      [
        stream("parlor-1", "Hello", segment("a1", true, "TR_gone")),
        stream("me", "hi", segment("u1", true)),
      ],
      people,
    );
    expect(found.map(({ role }) => role)).toEqual(["agent", "user"]);
  });

  it("are told once, and again whenever something about them is new", () => {
    const reader = new CaptionReader();
    const told = (text: string, final: boolean, more = {}) =>
      reader
        .news([stream("me", text, { ...segment("u1", final), ...more })], people)
        .map((caption) => caption.text);
    expect(told("what", false)).toEqual(["what"]);
    expect(told("what", false)).toEqual([]);
    expect(told("what time", false)).toEqual(["what time"]);
    expect(told("what time", true)).toEqual(["what time"]);
    expect(told("what", true, { "parlor.interrupted": "true" })).toEqual(["what"]);
    expect(told("what", true, { "parlor.interrupted": "true" })).toEqual([]);
  });

  it("without a segment are known by their stream", () => {
    const [caption] = new CaptionReader().news([stream("me", "hi")], people);
    expect(caption).toMatchObject({ segmentId: "ST_hi", isFinal: false, interrupted: false });
  });

  it("has what somebody wrote as their words, complete as they stand", () => {
    const found = new CaptionReader({ typed: true }).news(
      [stream("ada-7", "good morning")],
      people,
    );
    expect(found).toEqual([
      {
        type: "transcript",
        role: "user",
        text: "good morning",
        isFinal: true,
        segmentId: "ST_good morning",
        interrupted: false,
        speaker: "Ada",
      },
    ]);
  });
});
