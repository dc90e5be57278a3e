/** The workers on a wide screen. */

import { Fragment } from "react";

import type { Worker } from "./fleet.ts";
import { facts, shown } from "./words.ts";
import { Load, Models, Refusal, Service, State, type WorkerHands } from "./WorkerParts.tsx";

interface WorkersTableProps {
  workers: Worker[];
  hands: WorkerHands;
}

export function WorkersTable({ workers, hands }: WorkersTableProps) {
  return (
    <table className={hands.isStale ? "workers workers-old" : "workers"}>
      <caption className="unseen">Workers, those of this server last</caption>
      <thead>
        <tr>
          <th scope="col">Worker</th>
          <th scope="col">State</th>
          <th scope="col">Load</th>
          <th scope="col">Models</th>
          <th scope="col">
            <span className="unseen">Service</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {workers.map((worker) => (
          <Fragment key={worker.name}>
            <tr data-worker={worker.name}>
              <th scope="row">
                <p className="worker-name">{shown(worker.name)}</p>
                <p className="worker-detail">{facts(worker).join(" · ")}</p>
              </th>
              <td>
                <State worker={worker} />
              </td>
              <td>
                <Load worker={worker} />
              </td>
              <td>
                <Models worker={worker} hands={hands} />
              </td>
              <td>
                <Service worker={worker} hands={hands} />
              </td>
            </tr>
            {hands.asks.errorOf(worker.name) !== null && (
              <tr className="error-row">
                <td colSpan={5}>
                  <Refusal worker={worker} hands={hands} />
                </td>
              </tr>
            )}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}
