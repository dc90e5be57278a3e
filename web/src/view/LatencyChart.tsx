/** The last turns as a row of stacked bars, the newest at the right. */

import { chartCeilingMs, formatMs, shares, totalMs } from "../call/latency.ts";
import type { TimingsMessage } from "../call/protocol.ts";

const WIDTH = 320;
const HEIGHT = 84;
const BARS = 16;
const BAR_WIDTH = 12;
const GAP = 8;

export function LatencyChart({ turns }: { turns: TimingsMessage[] }) {
  const shown = turns.slice(-BARS);
  const ceilingMs = chartCeilingMs(shown);
  const high = (ms: number): number => (ms / ceilingMs) * HEIGHT;
  const latest = shown.at(-1);
  return (
    <svg
      className="latency-chart"
      viewBox={`0 0 ${WIDTH} ${HEIGHT + 4}`}
      role="img"
      aria-label={`Answer times of the last ${shown.length} turns; the latest ${
        latest === undefined ? "unknown" : formatMs(totalMs(latest))
      }`}
    >
      {[0, 0.5, 1].map((share) => (
        <line
          key={share}
          className="grid"
          x1={0}
          x2={WIDTH}
          y1={2 + HEIGHT * share}
          y2={2 + HEIGHT * share}
        />
      ))}
      {shown.map((turn, index) => (
        <Bar key={turn.turn} turn={turn} x={index * (BAR_WIDTH + GAP) + 4} high={high} />
      ))}
      <text className="axis" x={WIDTH} y={13} textAnchor="end">
        {formatMs(ceilingMs)}
      </text>
    </svg>
  );
}

interface BarProps {
  turn: TimingsMessage;
  x: number;
  high: (ms: number) => number;
}

function Bar({ turn, x, high }: BarProps) {
  return (
    <g>
      <title>{`Turn ${turn.turn}: ${formatMs(totalMs(turn))}`}</title>
      {shares(turn).map(({ stage, ms, untilMs }) => (
        <rect
          key={stage}
          className={`share-${stage}`}
          x={x}
          y={2 + HEIGHT - high(untilMs)}
          width={BAR_WIDTH}
          height={Math.max(1, high(ms) - 1)}
          rx={1.5}
        />
      ))}
    </g>
  );
}
