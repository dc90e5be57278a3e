/** The top line: name, length of the call, help, details. */

import { useEffect, useState } from "react";

import type { CallView } from "../call/state.ts";
import { clockTime } from "../transcript/export.ts";
import { Icon } from "./Icon.tsx";
import { addressOf, type Place } from "./place.ts";
import { TRANSPORT_LABELS } from "./words.ts";

interface HeaderProps {
  view: CallView;
  place: Place;
  detailsOpen: boolean;
  onPlace: (place: Place) => void;
  onHelp: () => void;
  onDetails: () => void;
}

export function Header({ view, place, detailsOpen, onPlace, onHelp, onDetails }: HeaderProps) {
  const inCall = view.stage !== "start";
  const isTalk = place === "talk";
  return (
    <header className="header">
      <p className="wordmark">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <circle className="mark-core" cx="16" cy="16" r="6" />
          <circle className="mark-ring" cx="16" cy="16" r="10" />
          <path className="mark-you" d="M3 16a13 13 0 0 0 26 0" />
        </svg>
        parlor
      </p>
      {view.stage === "open" && (
        <p className="call-facts">
          <span>{TRANSPORT_LABELS[view.transport]}</span>
          <Elapsed originMs={view.originMs} />
        </p>
      )}
      {/* One link that changes, so that who has pressed it can press it again. */}
      {(!isTalk || !inCall) && (
        <PlaceLink
          to={isTalk ? "workers" : "talk"}
          label={isTalk ? "Workers" : inCall ? "Back to the call" : "Talk"}
          onPlace={onPlace}
        />
      )}
      {isTalk && (
        <button type="button" className="header-button" aria-keyshortcuts="?" onClick={onHelp}>
          <Icon name="help" />
          <span>Help</span>
        </button>
      )}
      {isTalk && inCall && (
        <button
          type="button"
          className="header-button"
          aria-expanded={detailsOpen}
          aria-controls="details"
          onClick={onDetails}
        >
          <Icon name="details" />
          <span>Details</span>
        </button>
      )}
    </header>
  );
}

interface PlaceLinkProps {
  to: Place;
  label: string;
  onPlace: (place: Place) => void;
}

/** A link like any other, but a plain click does not load the page anew. */
function PlaceLink({ to, label, onPlace }: PlaceLinkProps) {
  return (
    <a
      className="header-button"
      href={addressOf(to, location.search)}
      onClick={(event) => {
        const { altKey, button, ctrlKey, metaKey, shiftKey } = event;
        if (button !== 0 || altKey || ctrlKey || metaKey || shiftKey) return;
        event.preventDefault();
        onPlace(to);
      }}
    >
      <Icon name={to === "talk" ? "microphone" : "workers"} />
      <span>{label}</span>
    </a>
  );
}

function Elapsed({ originMs }: { originMs: number }) {
  const [nowMs, setNowMs] = useState(originMs);
  useEffect(() => {
    const timer = setInterval(() => {
      setNowMs(performance.now());
    }, 1000);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return <time title="Length of the call">{clockTime(nowMs - originMs)}</time>;
}
