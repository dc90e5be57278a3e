/** Beside the call: everything said, how long each answer took, and what passed on the wire. */

import type { Call } from "../call/call.ts";
import type { CallView } from "../call/state.ts";
import { EventLog } from "./EventLog.tsx";
import { Icon } from "./Icon.tsx";
import { LatencyPanel } from "./LatencyPanel.tsx";
import { TranscriptPanel } from "./TranscriptPanel.tsx";

interface DetailsPanelProps {
  call: Call;
  view: CallView;
  onClose: () => void;
}

export function DetailsPanel({ view, onClose }: DetailsPanelProps) {
  return (
    <aside className="details" id="details" aria-label="Details">
      <div className="details-head">
        <h2>Details</h2>
        <button type="button" className="icon-button" aria-label="Close details" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <TranscriptPanel view={view} />
      <LatencyPanel turns={view.turns} line={view.line} transport={view.transport} />
      <EventLog log={view.log} />
    </aside>
  );
}
