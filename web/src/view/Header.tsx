/** The top line: name, length of the call, help, details. */

import { useEffect, useState } from "react";

import type { CallView } from "../call/state.ts";
import { clockTime } from "../transcript/export.ts";
import { Icon } from "./Icon.tsx";
import { TRANSPORT_LABELS } from "./words.ts";

interface HeaderProps {
  view: CallView;
  detailsOpen: boolean;
  onHelp: () => void;
  onDetails: () => void;
}

export function Header({ view, detailsOpen, onHelp, onDetails }: HeaderProps) {
  const inCall = view.stage !== "start";
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
      <button type="button" className="header-button" aria-keyshortcuts="?" onClick={onHelp}>
        <Icon name="help" />
        <span>Help</span>
      </button>
      {inCall && (
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
