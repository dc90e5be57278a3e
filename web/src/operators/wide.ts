/** Whether there is room for a table. */

import { useSyncExternalStore } from "react";

const WIDE = "(min-width: 62rem)";

export function useWide(): boolean {
  return useSyncExternalStore(subscribe, isWide);
}

function subscribe(listener: () => void): () => void {
  const query = matchMedia(WIDE);
  query.addEventListener("change", listener);
  return () => {
    query.removeEventListener("change", listener);
  };
}

function isWide(): boolean {
  return matchMedia(WIDE).matches;
}
