/** Keys of the call: one letter each, and none of them while a person is writing. */

import { useEffect } from "react";

export type Shortcut = "mute" | "captions" | "hang-up" | "help";

/** The key a person presses and what the help calls it. */
export const SHORTCUTS: { key: string; shortcut: Shortcut; meaning: string }[] = [
  { key: "M", shortcut: "mute", meaning: "Mute or unmute the microphone" },
  { key: "C", shortcut: "captions", meaning: "Show or hide the captions" },
  { key: "Esc", shortcut: "hang-up", meaning: "Hang up" },
  { key: "?", shortcut: "help", meaning: "This help" },
];

interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What a key means, or null. Combinations belong to the browser. */
export function shortcutOf({ key, ctrlKey, metaKey, altKey }: KeyPress): Shortcut | null {
  if (ctrlKey || metaKey || altKey) return null;
  const name = key === "Escape" ? "Esc" : key.toUpperCase();
  return SHORTCUTS.find((entry) => entry.key === name)?.shortcut ?? null;
}

export function useShortcuts(active: boolean, onShortcut: (shortcut: Shortcut) => void): void {
  useEffect(() => {
    if (!active) return;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.repeat || isBusy(event.target)) return;
      const shortcut = shortcutOf(event);
      if (shortcut === null) return;
      event.preventDefault();
      onShortcut(shortcut);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => {
      document.removeEventListener("keydown", onKeyDown);
    };
  }, [active, onShortcut]);
}

/** True while keys go into a field, or a dialog is open and has its own Escape. */
function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches("input, textarea, select"))
  );
}
