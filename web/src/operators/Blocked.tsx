/** Why there is nothing to show, and what to do about it. */

import type { Problem, ProblemKind } from "../call/problems.ts";
import { Icon } from "../view/Icon.tsx";
import { ProblemCard } from "../view/ProblemCard.tsx";
import { shown } from "./words.ts";

interface BlockedProps {
  problem: Problem;
  onRetry: () => void;
  onKey: (key: string) => void;
}

/** Problems whose words are not about a call. */
const TOLD: ProblemKind[] = ["key-refused", "key-required", "offline", "server-gone"];

export function Blocked({ problem, onRetry, onKey }: BlockedProps) {
  if (TOLD.includes(problem.kind)) {
    return <ProblemCard problem={problem} onRemedy={onRetry} onKey={onKey} />;
  }
  return (
    <section className="problem" role="alert" data-testid="problem" data-kind={problem.kind}>
      <h2>
        <Icon name="alert" />
        The server does not tell of its workers
      </h2>
      <p>{problem.detail === undefined ? "It gave no reason." : shown(problem.detail)}</p>
      <div className="problem-buttons">
        <button type="button" className="button button-primary" onClick={onRetry}>
          Try again
        </button>
      </div>
    </section>
  );
}
