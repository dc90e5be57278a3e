/** Asks once more before callers are kept away from a worker, or let in again. */

import { useRef } from "react";

import { Dialog } from "../view/Dialog.tsx";
import type { Ask } from "./api.ts";
import { type Fleet, hasStandIn, type Worker } from "./fleet.ts";
import { shown } from "./words.ts";

interface ConfirmProps {
  fleet: Fleet;
  worker: Worker;
  onYes: (ask: Ask) => void;
  onClose: () => void;
}

export function Confirm({ fleet, worker, onYes, onClose }: ConfirmProps) {
  const body = useRef<HTMLDivElement>(null);
  const act = worker.state === "draining" ? "resume" : "drain";
  const verb = act === "drain" ? "Drain" : "Resume";
  const close = (): void => {
    body.current?.closest("dialog")?.close();
  };
  return (
    <Dialog title={`${verb} ${shown(worker.name)}?`} onClose={onClose}>
      <div ref={body} className="confirm">
        {act === "drain" ? (
          <>
            <p>
              It takes nobody new. What goes on there ends by itself, and the worker stays up until
              you end it or resume it.
            </p>
            {!hasStandIn(fleet, worker) && (
              <p className="confirm-note">
                No other worker is ready for this: new calls fall back on the engine inside the
                server.
              </p>
            )}
          </>
        ) : (
          <p>It takes callers again at once.</p>
        )}
        <div className="problem-buttons">
          <button
            type="button"
            className="button button-primary"
            onClick={() => {
              onYes({ act });
              close();
            }}
          >
            {verb}
          </button>
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
        </div>
      </div>
    </Dialog>
  );
}
