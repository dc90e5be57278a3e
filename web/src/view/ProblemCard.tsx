/** Says what went wrong and what to do next, with the buttons that help. */

import { type SyntheticEvent, useState } from "react";

import { advise, type Problem, type Remedy } from "../call/problems.ts";
import { Icon } from "./Icon.tsx";

interface ProblemCardProps {
  problem: Problem;
  onRemedy: (remedy: Exclude<Remedy, "enter-key">) => void;
  onKey: (key: string) => void;
}

const REMEDY_LABELS: Record<Exclude<Remedy, "enter-key">, string> = {
  retry: "Try again",
  "type-instead": "Type instead",
  "use-websocket": "Use WebSocket instead",
};

export function ProblemCard({ problem, onRemedy, onKey }: ProblemCardProps) {
  const { title, text, steps, remedies } = advise(problem);
  const buttons = remedies.filter((remedy) => remedy !== "enter-key");
  return (
    <section className="problem" role="alert" data-testid="problem" data-kind={problem.kind}>
      <h2>
        <Icon name="alert" />
        {title}
      </h2>
      <p>{text}</p>
      {steps.length === 1 && <p>{withCode(steps[0] ?? "")}</p>}
      {steps.length > 1 && (
        <ol>
          {steps.map((step) => (
            <li key={step}>{withCode(step)}</li>
          ))}
        </ol>
      )}
      {remedies.includes("enter-key") && <KeyForm onKey={onKey} />}
      {buttons.length > 0 && (
        <div className="problem-buttons">
          {buttons.map((remedy, index) => (
            <button
              key={remedy}
              type="button"
              className={index === 0 ? "button button-primary" : "button"}
              onClick={() => {
                onRemedy(remedy);
              }}
            >
              {REMEDY_LABELS[remedy]}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

function KeyForm({ onKey }: { onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (key.trim() !== "") onKey(key.trim());
  };
  return (
    <form className="key-form" onSubmit={submit}>
      <label htmlFor="access-key">Access key</label>
      <div className="key-row">
        <input
          id="access-key"
          type="password"
          autoComplete="off"
          value={key}
          onChange={(event) => {
            setKey(event.target.value);
          }}
        />
        <button type="submit" className="button button-primary">
          Continue
        </button>
      </div>
    </form>
  );
}

/** What stands between backticks is something to type. */
function withCode(text: string) {
  return text
    .split("`")
    .map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part));
}
