/** Ties a call to the life of its page: the title, coming back to the tab, closing it. */

import { useEffect } from "react";

import type { Call } from "../call/call.ts";
import type { CallView } from "../call/state.ts";
import type { Place } from "./place.ts";
import { PHASE_LABELS, shownPhase } from "./words.ts";

export function useCallLife(call: Call, view: CallView, place: Place): void {
  const title = titleOf(view, place);
  useEffect(() => {
    document.title = title;
  }, [title]);

  useEffect(() => {
    // Phones stop the sound of a page that was put away.
    const onVisible = (): void => {
      if (document.visibilityState === "visible") void call.resumeAudio();
    };
    const onLeave = (): void => {
      call.hangUp();
    };
    document.addEventListener("visibilitychange", onVisible);
    window.addEventListener("pagehide", onLeave);
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      window.removeEventListener("pagehide", onLeave);
    };
  }, [call]);
}

function titleOf(view: CallView, place: Place): string {
  if (view.stage !== "start") return `${PHASE_LABELS[shownPhase(view)]} · parlor`;
  return place === "workers" ? "Workers · parlor" : "parlor";
}
