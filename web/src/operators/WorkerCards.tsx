/** The workers on a narrow screen, a card each. */

import type { Worker } from "./fleet.ts";
import { facts, shown } from "./words.ts";
import { Load, Models, Refusal, Service, State, type WorkerHands } from "./WorkerParts.tsx";

interface WorkerCardsProps {
  workers: Worker[];
  hands: WorkerHands;
}

export function WorkerCards({ workers, hands }: WorkerCardsProps) {
  return (
    <ul className={hands.isStale ? "worker-cards workers-old" : "worker-cards"}>
      {workers.map((worker) => (
        <li key={worker.name} className="worker-card" data-worker={worker.name}>
          <div className="worker-head">
            <div>
              <h2 className="worker-name">{shown(worker.name)}</h2>
              <p className="worker-detail">{facts(worker).join(" · ")}</p>
            </div>
            <Service worker={worker} hands={hands} />
          </div>
          <Refusal worker={worker} hands={hands} />
          <State worker={worker} />
          <Load worker={worker} />
          <Models worker={worker} hands={hands} />
        </li>
      ))}
    </ul>
  );
}
