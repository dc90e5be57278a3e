/** What is being asked of workers just now, and what came of it. */

import { useCallback, useState } from "react";

import { storedKey } from "../call/address.ts";
import { type Ask, askWorker } from "./api.ts";
import { shown } from "./words.ts";

export interface Asks {
  isPending: (worker: string, ask: Ask) => boolean;
  /** Why a worker did not do what it was asked last. */
  errorOf: (worker: string) => string | null;
  /** What was done last, for those who do not see it. */
  done: string;
  ask: (worker: string, ask: Ask) => void;
  dismiss: (worker: string) => void;
}

/** `refresh` is awaited, so that a button never shows for a moment what was before. */
export function useAsks(refresh: () => Promise<void>): Asks {
  const [pending, setPending] = useState<ReadonlySet<string>>(new Set());
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const [done, setDone] = useState("");

  const dismiss = useCallback((worker: string) => {
    setErrors((now) => new Map([...now].filter(([name]) => name !== worker)));
  }, []);

  const ask = useCallback(
    (worker: string, wanted: Ask) => {
      const key = keyOf(worker, wanted);
      const go = async (): Promise<void> => {
        setPending((now) => new Set([...now, key]));
        dismiss(worker);
        setDone("");
        const error = await askWorker(document.baseURI, storedKey(), worker, wanted);
        if (error === null) setDone(sentence(worker, wanted));
        else setErrors((now) => new Map([...now, [worker, shown(error)]]));
        await refresh();
        setPending((now) => new Set([...now].filter((other) => other !== key)));
      };
      void go();
    },
    [dismiss, refresh],
  );

  return {
    isPending: (worker, wanted) => pending.has(keyOf(worker, wanted)),
    errorOf: (worker) => errors.get(worker) ?? null,
    done,
    ask,
    dismiss,
  };
}

function keyOf(worker: string, ask: Ask): string {
  return JSON.stringify([worker, ask.act, "model" in ask ? ask.model : null]);
}

function sentence(worker: string, ask: Ask): string {
  switch (ask.act) {
    case "drain":
      return `${shown(worker)} is draining.`;
    case "resume":
      return `${shown(worker)} takes callers again.`;
    case "load":
      return `${shown(ask.model)} is loaded.`;
    case "unload":
      return `${shown(ask.model)} is unloaded.`;
  }
}
