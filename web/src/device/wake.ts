/** Keeps the screen awake during a call, as a phone would. */

import { useEffect } from "react";

export function useWakeLock(inCall: boolean): void {
  useEffect(() => {
    if (!inCall || !("wakeLock" in navigator)) return;
    let lock: WakeLockSentinel | null = null;
    let current = true;
    const hold = (): void => {
      if (document.visibilityState !== "visible") return;
      navigator.wakeLock.request("screen").then(
        (sentinel) => {
          if (current) lock = sentinel;
          else void sentinel.release();
        },
        // Low battery, or not allowed: the call goes on without.
        () => undefined,
      );
    };
    hold();
    // The browser takes the lock away while the page is hidden.
    document.addEventListener("visibilitychange", hold);
    return () => {
      current = false;
      document.removeEventListener("visibilitychange", hold);
      void lock?.release();
    };
  }, [inCall]);
}
