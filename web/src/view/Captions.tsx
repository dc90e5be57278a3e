/** Live captions: the latest words of both sides, replaced as they are understood better. */

import { useRef } from "react";

import type { Segment } from "../call/state.ts";
import { speakerName } from "../transcript/export.ts";
import { useFollowEnd } from "./follow.ts";
import { Spoken } from "./Spoken.tsx";

/** One exchange: what was asked, and what is being answered. */
const SHOWN_SEGMENTS = 2;

export function Captions({ segments }: { segments: Segment[] }) {
  const region = useRef<HTMLElement>(null);
  const shown = segments.filter(({ text }) => text !== "").slice(-SHOWN_SEGMENTS);
  // A long reply scrolls with the voice.
  useFollowEnd(region);
  return (
    <section
      ref={region}
      className="captions"
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, so keys must reach it
      tabIndex={0}
      aria-label="Captions"
      aria-live="polite"
    >
      {shown.map((segment) => (
        <p key={segment.id} className={`caption caption-${segment.role}`} data-segment={segment.id}>
          <span className="speaker">{speakerName(segment)}</span>
          <Spoken segment={segment} />
        </p>
      ))}
    </section>
  );
}
