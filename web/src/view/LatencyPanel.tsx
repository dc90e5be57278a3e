/** How long each answer took to begin, stage by stage, and how good the line is. */

import type { LineQuality } from "../call/client.ts";
import { formatMs, type Stage, STAGES, stageMs, totalMs } from "../call/latency.ts";
import type { TimingsMessage, Transport } from "../call/protocol.ts";
import { LatencyChart } from "./LatencyChart.tsx";
import { TRANSPORT_LABELS } from "./words.ts";

interface LatencyPanelProps {
  turns: TimingsMessage[];
  line: LineQuality | null;
  transport: Transport;
}

export function LatencyPanel({ turns, line, transport }: LatencyPanelProps) {
  const last = turns.at(-1);
  return (
    <section className="panel panel-latency" aria-label="Latency" data-testid="latency">
      <div className="panel-head">
        <h3>Time to answer</h3>
        {last !== undefined && (
          <p className="total" data-testid="latency-total" data-turn={last.turn}>
            {formatMs(totalMs(last))}
          </p>
        )}
      </div>
      {last === undefined ? (
        <p className="empty">After your first question: how long the answer took, and why.</p>
      ) : (
        <>
          <LatencyChart turns={turns} />
          <dl className="stages">
            {STAGES.map(({ stage, label, meaning }) => (
              <StageRow key={stage} stage={stage} label={label} meaning={meaning} turn={last} />
            ))}
          </dl>
        </>
      )}
      <Line line={line} transport={transport} />
    </section>
  );
}

interface StageRowProps {
  stage: Exclude<Stage, "other">;
  label: string;
  meaning: string;
  turn: TimingsMessage;
}

function StageRow({ stage, label, meaning, turn }: StageRowProps) {
  const ms = stageMs(turn, stage);
  return (
    <div className="stage-row" title={`${label}: ${meaning}`} data-stage={stage}>
      <dt>
        <span className={`swatch swatch-${stage}`} aria-hidden="true" />
        {label}
      </dt>
      <dd>{ms === null ? "–" : formatMs(ms)}</dd>
    </div>
  );
}

function Line({ line, transport }: { line: LineQuality | null; transport: Transport }) {
  const facts = [TRANSPORT_LABELS[transport]];
  if (line !== null) {
    if (line.roundTripMs !== null) facts.push(`round trip ${formatMs(line.roundTripMs)}`);
    if (line.lossRatio !== null) facts.push(`loss ${(line.lossRatio * 100).toFixed(1)} %`);
    if (line.bufferedMs !== null) facts.push(`buffer ${formatMs(line.bufferedMs)}`);
  }
  return (
    <p className="line-quality" data-testid="line-quality">
      {facts.join(" · ")}
    </p>
  );
}
