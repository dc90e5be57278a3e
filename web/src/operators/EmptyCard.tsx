/** Says how to start a worker where there is none but the engines inside the server. */

import { Fragment } from "react";

const REDIS = "redis://127.0.0.1:6379";
/** Each part stays on one line. */
const COMMAND = ["parlor worker", "--kind tts", "--adapter flite", `--redis ${REDIS}`];

export function EmptyCard({ hasRegistry }: { hasRegistry: boolean }) {
  return (
    <section className="empty-card" aria-label="How to start a worker" data-testid="no-workers">
      <h2>No worker outside this server yet</h2>
      {hasRegistry ? (
        <>
          <p>
            Calls use the engines inside it. Start a worker with this server’s registry, on this or
            another host, and it shows up here:
          </p>
          <Command />
          <p>
            Put the address of your own Redis after <code>--redis</code>.
          </p>
        </>
      ) : (
        <>
          <p>
            Calls use the engines inside it. A worker is found through a registry, which this server
            has none of: start it again with the variable <code>REDIS_URL={REDIS}</code>. Then one
            command starts a worker:
          </p>
          <Command />
        </>
      )}
    </section>
  );
}

function Command() {
  return (
    <pre>
      <code>
        {COMMAND.map((part, index) => (
          <Fragment key={part}>
            {index > 0 && " "}
            <span>{part}</span>
          </Fragment>
        ))}
      </code>
    </pre>
  );
}
