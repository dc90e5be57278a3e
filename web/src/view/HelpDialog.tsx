/** What one can do here, and the keys for it. */

import { Dialog } from "./Dialog.tsx";
import { SHORTCUTS } from "./shortcuts.ts";

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Help" onClose={onClose}>
      <p>
        Speak as you would with a person. Pause when you have finished, and Parlor answers. Start to
        speak while it talks, and it stops.
      </p>
      <p>
        Try: “What time is it?”, “Tell me a joke”, “Spell parlor”, or “Tell me a long story” and
        interrupt it.
      </p>
      <h3>Keys</h3>
      <dl className="keys">
        {SHORTCUTS.map(({ key, meaning }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <h3>If it cannot hear you</h3>
      <ul>
        <li>Watch the “You” meter: it must move when you speak.</li>
        <li>Choose another microphone under Devices.</li>
        <li>Use headphones if it keeps interrupting itself: then it cannot hear its own voice.</li>
        <li>
          On a phone, sound leaves through the loudspeaker or the earpiece as the phone decides.
        </li>
      </ul>
    </Dialog>
  );
}
