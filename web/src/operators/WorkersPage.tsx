/** The workers of this server, for whoever runs it: how they are, and what may be asked of them. */

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";

import { storedKey, storeKey } from "../call/address.ts";
import { fetchWorkers } from "./api.ts";
import { useAsks } from "./asks.ts";
import { Blocked } from "./Blocked.tsx";
import { Catalogue } from "./Catalogue.tsx";
import { Confirm } from "./Confirm.tsx";
import { EmptyCard } from "./EmptyCard.tsx";
import { isInside, type Worker } from "./fleet.ts";
import { useWide } from "./wide.ts";
import { FleetWatch, needsKey } from "./watch.ts";
import { counts, timeOfDay, whyOld } from "./words.ts";
import { WorkerCards } from "./WorkerCards.tsx";
import type { WorkerHands } from "./WorkerParts.tsx";
import { WorkersTable } from "./WorkersTable.tsx";

export function WorkersPage({ onKey }: { onKey: () => void }) {
  const [watch] = useState(() => new FleetWatch(() => fetchWorkers(document.baseURI, storedKey())));
  const { fleet, problem, asOfMs } = useSyncExternalStore(watch.subscribe, watch.view);
  const refresh = useCallback(() => watch.refresh(), [watch]);
  const asks = useAsks(refresh);
  const [questioned, setQuestioned] = useState<Worker | null>(null);
  const isWide = useWide();
  useWatching(watch);

  const enterKey = (key: string): void => {
    storeKey(key);
    onKey();
    void refresh();
  };

  const hands: WorkerHands = { asks, isStale: problem !== null, onQuestion: setQuestioned };
  const isBlocked = problem !== null && (fleet === null || needsKey(problem));
  return (
    <main className="operators">
      <div className="operators-head">
        <h1>Workers</h1>
        {fleet !== null && !isBlocked && (
          <>
            <p className="operators-counts">{counts(fleet)}</p>
            <p
              className={problem === null ? "freshness" : "freshness freshness-old"}
              role="status"
              data-testid="freshness"
            >
              {problem === null
                ? "Up to date"
                : `Not up to date: ${whyOld(problem)}. This is from ${timeOfDay(asOfMs)}.`}
            </p>
          </>
        )}
      </div>
      {isBlocked && (
        <Blocked
          problem={problem}
          onRetry={() => {
            void refresh();
          }}
          onKey={enterKey}
        />
      )}
      {fleet === null && problem === null && (
        <p className="operators-loading" role="status">
          Asking the server for its workers…
        </p>
      )}
      {fleet !== null && !isBlocked && (
        <>
          {fleet.workers.every(isInside) && <EmptyCard hasRegistry={fleet.hasRegistry} />}
          {isWide ? (
            <WorkersTable workers={fleet.workers} hands={hands} />
          ) : (
            <WorkerCards workers={fleet.workers} hands={hands} />
          )}
          <Catalogue occasion={problem === null} />
          {questioned !== null && (
            <Confirm
              fleet={fleet}
              worker={questioned}
              onYes={(ask) => {
                asks.ask(questioned.name, ask);
              }}
              onClose={() => {
                setQuestioned(null);
              }}
            />
          )}
        </>
      )}
      <p className="unseen" role="status" data-testid="done">
        {asks.done}
      </p>
    </main>
  );
}

/** Nobody is asked while the page is hidden. */
function useWatching(watch: FleetWatch): void {
  useEffect(() => {
    const look = (): void => {
      if (document.hidden) watch.stop();
      else watch.start();
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      watch.stop();
    };
  }, [watch]);
}
