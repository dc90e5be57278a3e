/** In the call: who has the floor, what is being said, and the few things a person can do. */

import { useEffect, useRef } from "react";

import type { Call } from "../call/call.ts";
import type { Remedy } from "../call/problems.ts";
import type { CallView as View } from "../call/state.ts";
import { clockTime } from "../transcript/export.ts";
import { Captions } from "./Captions.tsx";
import { Composer } from "./Composer.tsx";
import { Controls } from "./Controls.tsx";
import { DetailsPanel } from "./DetailsPanel.tsx";
import { Icon } from "./Icon.tsx";
import type { LevelFeed } from "./levels.ts";
import { Meter } from "./Meter.tsx";
import { Orb } from "./orb/Orb.tsx";
import { ProblemCard } from "./ProblemCard.tsx";
import { ReplyButtons } from "./ReplyButtons.tsx";
import { hint, PHASE_LABELS, shownPhase } from "./words.ts";

interface CallViewProps {
  call: Call;
  view: View;
  levels: LevelFeed;
  captions: boolean;
  detailsOpen: boolean;
  onCaptions: () => void;
  onDevices: () => void;
  onCloseDetails: () => void;
  onAgain: () => void;
  onRemedy: (remedy: Exclude<Remedy, "enter-key">) => void;
  onKey: (key: string) => void;
}

export function CallView(props: CallViewProps) {
  const { call, view, levels } = props;
  const main = useRef<HTMLElement>(null);
  // The button that was pressed is gone: readers and keys go on from here.
  useEffect(() => {
    main.current?.focus();
  }, []);
  const phase = shownPhase(view);
  return (
    <div className={props.detailsOpen ? "call call-with-details" : "call"}>
      <main ref={main} className="stage" tabIndex={-1} data-phase={phase}>
        <h1 className="unseen">Call with Parlor</h1>
        <div className="stage-orb">
          <Orb phase={phase} levels={levels} />
        </div>
        <div className="floor">
          <p
            className="agent-state"
            role="status"
            data-testid="agent-state"
            data-state={phase}
            data-dialog={view.dialog ?? ""}
          >
            {PHASE_LABELS[phase]}
          </p>
          <p className="hint">{hint(view)}</p>
        </div>
        {view.stage === "ended" ? <Ending {...props} /> : <Talking {...props} />}
      </main>
      {props.detailsOpen && <DetailsPanel call={call} view={view} onClose={props.onCloseDetails} />}
    </div>
  );
}

function Talking({ call, view, levels, captions, onCaptions, onDevices }: CallViewProps) {
  return (
    <>
      <div className="meters">
        <Meter side="you" label="You" levels={levels} />
        <Meter side="agent" label="Parlor" levels={levels} />
      </div>
      {captions ? <Captions segments={view.segments} /> : <div className="captions-hidden" />}
      <ReplyButtons call={call} view={view} />
      {view.notice !== null && (
        <div className="notice" role="alert">
          <Icon name="alert" />
          <p>{view.notice}</p>
          <button
            type="button"
            className="icon-button"
            aria-label="Dismiss"
            onClick={() => {
              call.dismissNotice();
            }}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
      <Composer call={call} open={view.stage === "open"} />
      <Controls
        call={call}
        view={view}
        captions={captions}
        onCaptions={onCaptions}
        onDevices={onDevices}
      />
    </>
  );
}

function Ending({ call, view, onAgain, onRemedy, onKey }: CallViewProps) {
  return (
    <div className="ending">
      {view.problem !== null && (
        <ProblemCard problem={view.problem} onRemedy={onRemedy} onKey={onKey} />
      )}
      {view.segments.length > 0 && (
        <p className="ending-length">
          It lasted {clockTime(view.durationMs)}. The transcript stays here until you leave.
        </p>
      )}
      <div className="start-buttons">
        {view.problem === null && (
          <button type="button" className="button button-primary button-big" onClick={onAgain}>
            Call again
          </button>
        )}
        <button
          type="button"
          className="button button-big"
          onClick={() => {
            call.goBack();
          }}
        >
          Back to start
        </button>
      </div>
    </div>
  );
}
