/** Ties a call to the life of its page: the title, coming back to the tab, closing it. */

import { useEffect } from "react";

import type { Call } from "../call/call.ts";
import type { CallView } from "../call/state.ts";
import { PHASE_LABELS, shownPhase } from "./words.ts";

export function useCallLife(call: Call, view: CallView): void {
  const title = view.stage === "start" ? "parlor" : `${PHASE_LABELS[shownPhase(view)]} · parlor`;
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
