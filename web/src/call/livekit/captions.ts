/** Captions as they come in a room, text streams on the topic `lk.transcription`, and what people write there. */

import type { TranscriptMessage } from "../protocol.ts";

/** What people write to each other and to the agent. */
export const CHAT_TOPIC = "lk.chat";

/** One text stream, with all of its text so far. */
export interface CaptionStream {
  text: string;
  participantInfo: { identity: string };
  streamInfo: { id: string; attributes?: Record<string, string> | undefined };
}

/** Who is in the room, as far as captions are concerned. */
export interface People {
  /** This page's caller. */
  caller: string;
  /** The agent's identity; null while there is none. */
  agent: string | null;
  /** Whose track this is, where that is known. */
  ownerOf(trackId: string): string | null;
  /** What somebody is called. */
  nameOf(identity: string): string;
}

const SEGMENT = "lk.segment_id";
const FINAL = "lk.transcription_final";
const TRACK = "lk.transcribed_track_id";
/** Ours: the agent was cut off, and these are the words that were heard. */
const INTERRUPTED = "parlor.interrupted";

/** Finds, in the growing list of streams, what is new since it last looked. */
export class CaptionReader {
  readonly #told = new Map<string, TranscriptMessage>();
  readonly #typed: boolean;

  /** With `typed` the streams are what people wrote: each is complete as it stands. */
  constructor({ typed = false } = {}) {
    this.#typed = typed;
  }

  /** What a caption's listener does not know yet, in the order of the streams. */
  news(streams: CaptionStream[], people: People): TranscriptMessage[] {
    const news = streams
      .map((stream) => readCaption(stream, people))
      .map((caption) => (this.#typed ? { ...caption, isFinal: true } : caption))
      .filter((caption) => !isSame(this.#told.get(caption.segmentId), caption));
    for (const caption of news) this.#told.set(caption.segmentId, caption);
    return news;
  }
}

function readCaption(
  { text, participantInfo, streamInfo }: CaptionStream,
  people: People,
): TranscriptMessage {
  const attributes = streamInfo.attributes ?? {};
  const track = attributes[TRACK];
  // An agent writes a person's words in the person's name, or only says whose track it heard them on.
  const owner = track === undefined ? null : people.ownerOf(track);
  const identity = owner ?? participantInfo.identity;
  const isAgents = identity === people.agent;
  return {
    type: "transcript",
    role: isAgents ? "agent" : "user",
    text,
    isFinal: attributes[FINAL] === "true",
    segmentId: attributes[SEGMENT] ?? streamInfo.id,
    interrupted: attributes[INTERRUPTED] === "true",
    ...(!isAgents && identity !== people.caller && { speaker: people.nameOf(identity) }),
  };
}

function isSame(told: TranscriptMessage | undefined, now: TranscriptMessage): boolean {
  return (
    told?.text === now.text && told.isFinal === now.isFinal && told.interrupted === now.interrupted
  );
}
