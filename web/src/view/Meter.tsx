/** A level meter for one side of the call. */

import { useEffect, useRef } from "react";

import type { LevelFeed } from "./levels.ts";

interface MeterProps {
  side: "you" | "agent";
  label: string;
  levels: LevelFeed;
}

/** Ten a second are enough for a screen reader or a test; the bar itself moves with the screen. */
const ANNOUNCE_EVERY_MS = 100;

export function Meter({ side, label, levels }: MeterProps) {
  const meter = useRef<HTMLDivElement>(null);
  const bar = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let announcedMs = 0;
    let peak = 0;
    return levels.subscribe((now) => {
      const level = now[side];
      peak = Math.max(peak, level);
      bar.current?.style.setProperty("transform", `scaleX(${level.toFixed(3)})`);
      if (meter.current === null || now.atMs - announcedMs < ANNOUNCE_EVERY_MS) return;
      announcedMs = now.atMs;
      meter.current.setAttribute("aria-valuenow", String(Math.round(level * 100)));
      meter.current.dataset["level"] = level.toFixed(3);
      meter.current.dataset["peak"] = peak.toFixed(3);
    });
  }, [levels, side]);

  return (
    <div className={`meter meter-${side}`}>
      <span className="meter-label" aria-hidden="true">
        {label}
      </span>
      <div
        ref={meter}
        className="meter-track"
        role="meter"
        aria-label={`Level of ${label}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={0}
        data-testid={`${side}-level`}
        data-level="0"
        data-peak="0"
      >
        <div ref={bar} className="meter-bar" />
      </div>
    </div>
  );
}
