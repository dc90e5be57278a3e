/** The words of one segment: unsettled ones lighter, interrupted ones marked. */

import type { Segment } from "../call/state.ts";

export function Spoken({ segment }: { segment: Segment }) {
  const { role, text, isFinal, interrupted } = segment;
  // Recognition may still change its mind; what the agent has said stays said.
  const settled = isFinal || role === "agent";
  return (
    <span className={settled ? "spoken" : "spoken spoken-partial"}>
      {text}
      {interrupted && <span className="cut"> — interrupted</span>}
    </span>
  );
}
