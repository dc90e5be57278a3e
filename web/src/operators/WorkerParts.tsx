/** What a row of the table and a card have in common. */

import { Icon } from "../view/Icon.tsx";
import type { Asks } from "./asks.ts";
import { isInside, type Worker, type WorkerModel } from "./fleet.ts";
import { loadDetail, loadShare, loadText, shown, STATE_LABELS, stateDetail } from "./words.ts";

/** What can be done with a worker. */
export interface WorkerHands {
  asks: Asks;
  /** What is shown is from before: nothing can be asked. */
  isStale: boolean;
  onQuestion: (worker: Worker) => void;
}

interface PartProps {
  worker: Worker;
  hands: WorkerHands;
}

/** Models beyond these are folded away. */
const MODELS_SHOWN = 4;

export function State({ worker }: { worker: Worker }) {
  return (
    <div className="worker-state" data-testid="state" data-state={worker.state}>
      <p className={`state-mark state-${worker.state}`}>{STATE_LABELS[worker.state]}</p>
      <p className="worker-detail">{stateDetail(worker)}</p>
    </div>
  );
}

export function Load({ worker }: { worker: Worker }) {
  const share = loadShare(worker);
  const detail = loadDetail(worker);
  return (
    <div className="worker-load">
      <p className="load-text">
        <span>{loadText(worker)}</span>
        <span className="worker-detail">{worker.slots > 0 && "sessions"}</span>
      </p>
      {share !== null && (
        <div
          className={share === 1 ? "load-track load-full" : "load-track"}
          role="meter"
          aria-label={`Load of ${shown(worker.name)}`}
          aria-valuemin={0}
          aria-valuemax={worker.slots}
          aria-valuenow={Math.min(worker.slotsInUse, worker.slots)}
          aria-valuetext={`${loadText(worker)} sessions`}
        >
          <div className="load-bar" style={{ transform: `scaleX(${share})` }} />
        </div>
      )}
      {detail !== "" && <p className="worker-detail">{detail}</p>}
    </div>
  );
}

export function Models({ worker, hands }: PartProps) {
  if (worker.models.length === 0) return <p className="worker-detail">None told</p>;
  const sorted = worker.models.toSorted((one, other) => +other.resident - +one.resident);
  const list = (models: WorkerModel[]) => (
    <ul className="models">
      {models.map((model) => (
        <Model key={model.id} worker={worker} model={model} hands={hands} />
      ))}
    </ul>
  );
  const folded = sorted.slice(MODELS_SHOWN);
  return (
    <>
      {list(sorted.slice(0, MODELS_SHOWN))}
      {folded.length > 0 && (
        <details className="models-more">
          <summary>{folded.length} more</summary>
          {list(folded)}
        </details>
      )}
    </>
  );
}

function Model({ worker, model, hands }: PartProps & { model: WorkerModel }) {
  const { asks, isStale } = hands;
  const ask = { act: model.resident ? "unload" : "load", model: model.id } as const;
  const isPending = asks.isPending(worker.name, ask);
  const verb = model.resident ? "Unload" : "Load";
  const busy = model.resident ? "Unloading…" : "Loading…";
  return (
    <li className={model.resident ? "model model-resident" : "model"} data-model={model.id}>
      <span className="model-name">
        {shown(model.id)}
        <span className="unseen">{model.resident ? ", in memory" : ", not loaded"}</span>
      </span>
      {worker.kind === "tts" && worker.state !== "vanished" && (
        <button
          type="button"
          className="link-button model-button"
          aria-disabled={isPending || isStale}
          aria-label={`${isPending ? busy : verb} ${shown(model.id)}`}
          onClick={() => {
            if (!isPending && !isStale) asks.ask(worker.name, ask);
          }}
        >
          {isPending ? busy : verb}
        </button>
      )}
    </li>
  );
}

export function Service({ worker, hands }: PartProps) {
  if (isInside(worker) || worker.state === "vanished") return null;
  const { asks, isStale, onQuestion } = hands;
  const isDraining = worker.state === "draining";
  const isPending = (["drain", "resume"] as const).some((act) =>
    asks.isPending(worker.name, { act }),
  );
  const verb = isDraining ? "Resume" : "Drain";
  return (
    <button
      type="button"
      className="button button-small service-button"
      aria-disabled={isPending || isStale}
      aria-label={`${verb} ${shown(worker.name)}`}
      aria-haspopup="dialog"
      onClick={() => {
        if (!isPending && !isStale) onQuestion(worker);
      }}
    >
      {isPending ? "One moment…" : verb}
    </button>
  );
}

export function Refusal({ worker, hands }: PartProps) {
  const error = hands.asks.errorOf(worker.name);
  if (error === null) return null;
  return (
    <div className="worker-error" role="alert">
      <Icon name="alert" />
      <p>{error}</p>
      <button
        type="button"
        className="icon-button"
        aria-label="Close this message"
        onClick={() => {
          hands.asks.dismiss(worker.name);
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
