/** A question in writing, answered aloud like a spoken one. */

import { type SyntheticEvent, useState } from "react";

import type { Call } from "../call/call.ts";
import { Icon } from "./Icon.tsx";

/** Longer than anybody types, shorter than what the server refuses. */
const MAX_CHARACTERS = 4000;

export function Composer({ call, open }: { call: Call; open: boolean }) {
  const [text, setText] = useState("");
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (text.trim() === "" || !open) return;
    call.ask(text.trim());
    setText("");
  };
  return (
    <form className="composer" onSubmit={submit}>
      <input
        type="text"
        aria-label="Type a question"
        placeholder="Type a question"
        autoComplete="off"
        enterKeyHint="send"
        maxLength={MAX_CHARACTERS}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
        }}
      />
      <button
        type="submit"
        className="icon-button"
        aria-label="Send"
        disabled={!open || text.trim() === ""}
      >
        <Icon name="send" />
      </button>
    </form>
  );
}
