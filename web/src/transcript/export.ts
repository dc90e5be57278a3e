/** A call's transcript as a file: plain text, WebVTT captions, or JSON. */

import type { CallView, Segment } from "../call/state.ts";

export type TranscriptFormat = "txt" | "vtt" | "json";

export const TRANSCRIPT_FORMATS: TranscriptFormat[] = ["txt", "vtt", "json"];

/** A caption stays at least this long, however quickly its words came. */
const MIN_CUE_MS = 1000;

export type Conversation = Pick<CallView, "segments" | "sessionId" | "startedAt" | "transport">;

export function exportTranscript(call: Conversation, format: TranscriptFormat): Blob {
  return new Blob([write(call, format)], { type: MEDIA_TYPES[format] });
}

/** As in `parlor-2026-11-21-14-05.vtt`: the time the call began, by the caller's clock. */
export function transcriptName(startedAt: Date | null, format: TranscriptFormat): string {
  if (startedAt === null) return `parlor.${format}`;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = [startedAt.getFullYear(), two(startedAt.getMonth() + 1), two(startedAt.getDate())];
  const time = [two(startedAt.getHours()), two(startedAt.getMinutes())];
  return `parlor-${[...day, ...time].join("-")}.${format}`;
}

/** Hours only when there are any, as on a clock: `3:07`, `1:02:09`. */
export function clockTime(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const tail = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}

/** Whose words: the agent's, the caller's own, or those of somebody else in the room. */
export function speakerName({ role, speaker }: Pick<Segment, "role" | "speaker">): string {
  return speaker ?? (role === "user" ? "You" : "Parlor");
}

export function toText({ segments }: Conversation): string {
  const lines = spoken(segments).map((segment) => {
    const cut = segment.interrupted ? " [interrupted]" : "";
    return `[${clockTime(segment.startMs)}] ${speakerName(segment)}: ${segment.text}${cut}\n`;
  });
  return lines.join("");
}

export function toVtt({ segments }: Conversation): string {
  const cues = spoken(segments).map((segment) => {
    const endMs = Math.max(segment.endMs, segment.startMs + MIN_CUE_MS);
    const cut = segment.interrupted ? " —" : "";
    const times = `${vttTime(segment.startMs)} --> ${vttTime(endMs)}`;
    return `${times}\n<v ${vttText(speakerName(segment))}>${vttText(segment.text)}${cut}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

export function toJson({ segments, sessionId, startedAt, transport }: Conversation): string {
  const body = {
    session_id: sessionId,
    started_at: startedAt?.toISOString() ?? null,
    transport,
    segments: spoken(segments).map((segment) => ({
      id: segment.id,
      role: segment.role,
      ...(segment.speaker !== null && { speaker: segment.speaker }),
      text: segment.text,
      start_ms: Math.round(segment.startMs),
      end_ms: Math.round(segment.endMs),
      is_final: segment.isFinal,
      interrupted: segment.interrupted,
      typed: segment.typed,
    })),
  };
  return `${JSON.stringify(body, null, 2)}\n`;
}

const MEDIA_TYPES: Record<TranscriptFormat, string> = {
  txt: "text/plain;charset=utf-8",
  vtt: "text/vtt;charset=utf-8",
  json: "application/json",
};

function write(call: Conversation, format: TranscriptFormat): string {
  switch (format) {
    case "txt":
      return toText(call);
    case "vtt":
      return toVtt(call);
    case "json":
      return toJson(call);
  }
}

function spoken(segments: Segment[]): Segment[] {
  return segments.filter((segment) => segment.text.trim() !== "");
}

/** `hh:mm:ss.mmm`; the hours may be left out, but every player reads them. */
function vttTime(ms: number): string {
  const whole = Math.round(Math.max(0, ms));
  const part = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  const seconds = Math.floor(whole / 1000);
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${clock.map((value) => part(value)).join(":")}.${part(whole % 1000, 3)}`;
}

/** A cue may hold neither markup nor an empty line, which would end it. */
function vttText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/\s+/g, " ")
    .trim();
}
