/** What passed between page and server, for the curious: folded away until asked for. */

import type { LogEntry } from "../call/log.ts";

export function EventLog({ log }: { log: LogEntry[] }) {
  return (
    <details className="panel panel-events">
      <summary>
        <h3>Events</h3>
        <span className="count">{log.length}</span>
      </summary>
      <ol
        className="events"
        aria-label="Events, newest first"
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, so keys must reach it
        tabIndex={0}
      >
        {log.toReversed().map((entry) => (
          <li key={entry.id} className={`event event-${entry.direction}`}>
            <span className="event-time">{(entry.atMs / 1000).toFixed(2)}</span>
            <span
              className="event-way"
              aria-label={entry.direction === "in" ? "from the server" : "from the page"}
              role="img"
            >
              {entry.direction === "in" ? "▼" : "▲"}
            </span>
            <span className="event-name">
              {entry.name}
              {entry.count > 1 && <span className="event-count"> ×{entry.count}</span>}
            </span>
            <span className="event-detail">{entry.detail}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}
