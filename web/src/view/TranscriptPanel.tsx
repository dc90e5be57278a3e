/** The whole conversation so far, to read back and to take away. */

import { useRef } from "react";

import type { CallView, Segment } from "../call/state.ts";
import {
  clockTime,
  exportTranscript,
  speakerName,
  TRANSCRIPT_FORMATS,
  type TranscriptFormat,
  transcriptName,
} from "../transcript/export.ts";
import { useFollowEnd } from "./follow.ts";
import { Icon } from "./Icon.tsx";
import { Spoken } from "./Spoken.tsx";

export function TranscriptPanel({ view }: { view: CallView }) {
  const segments = view.segments.filter(({ text }) => text !== "");
  return (
    <section className="panel panel-transcript" aria-label="Transcript">
      <div className="panel-head">
        <h3>Transcript</h3>
        <div className="downloads">
          <Icon name="download" />
          {TRANSCRIPT_FORMATS.map((format) => (
            <button
              key={format}
              type="button"
              className="link-button"
              aria-label={`Download transcript as ${format}`}
              disabled={segments.length === 0}
              onClick={() => {
                download(view, format);
              }}
            >
              {format}
            </button>
          ))}
        </div>
      </div>
      {segments.length === 0 ? (
        <p className="empty">What you both say will stand here.</p>
      ) : (
        <Lines segments={segments} />
      )}
    </section>
  );
}

function Lines({ segments }: { segments: Segment[] }) {
  const list = useRef<HTMLOListElement>(null);
  useFollowEnd(list);
  return (
    <ol
      ref={list}
      className="transcript"
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, so keys must reach it
      tabIndex={0}
      aria-label="Everything said"
    >
      {segments.map((segment) => (
        <li key={segment.id} className={`line line-${segment.role}`} data-role={segment.role}>
          <span className="line-head">
            <span className="speaker">{speakerName(segment)}</span>
            <time>{clockTime(segment.startMs)}</time>
          </span>
          <Spoken segment={segment} />
        </li>
      ))}
    </ol>
  );
}

function download(view: CallView, format: TranscriptFormat): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(exportTranscript(view, format));
  link.download = transcriptName(view.startedAt, format);
  link.click();
  // Safari reads the address a moment after the click.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 10_000);
}
