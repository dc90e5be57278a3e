/** Which of the page's two addresses is shown: the place to talk, or the workers. */

import { useCallback, useEffect, useState } from "react";

export type Place = "talk" | "workers";

/** Relative, since a proxy may put the page under any path. */
const ADDRESSES: Record<Place, string> = { talk: "./", workers: "workers" };

/** What was wished for in the page's own address, as a room, is still wished for on the way back. */
export function addressOf(place: Place, search: string): string {
  return ADDRESSES[place] + search;
}

export function placeOf(path: string): Place {
  return path.endsWith("/workers") ? "workers" : "talk";
}

/** The place, and how to go to another without leaving the page: a call goes on meanwhile. */
export function usePlace(): [Place, (place: Place) => void] {
  const [place, setPlace] = useState(() => placeOf(location.pathname));
  useEffect(() => {
    const onTravel = (): void => {
      setPlace(placeOf(location.pathname));
    };
    window.addEventListener("popstate", onTravel);
    return () => {
      window.removeEventListener("popstate", onTravel);
    };
  }, []);
  const go = useCallback((next: Place) => {
    history.pushState(null, "", new URL(addressOf(next, location.search), document.baseURI));
    setPlace(next);
    window.scrollTo(0, 0);
  }, []);
  return [place, go];
}
