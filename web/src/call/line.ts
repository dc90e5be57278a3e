/** Reads how good the line is from WebRTC's statistics. */

import type { LineQuality } from "./client.ts";

/** The fields we read; TypeScript knows the entries of a report only as a bare `RTCStats`. */
interface StatisticsEntry {
  type: string;
  kind?: string;
  nominated?: boolean;
  state?: string;
  currentRoundTripTime?: number;
  jitter?: number;
  packetsReceived?: number;
  packetsLost?: number;
  jitterBufferDelay?: number;
  jitterBufferEmittedCount?: number;
}

interface Counts {
  received: number;
  lost: number;
  delaySeconds: number;
  emitted: number;
}

/** Turns counters that only grow into figures for the time since the last look. */
export class LineWatch {
  #previous: Counts = { received: 0, lost: 0, delaySeconds: 0, emitted: 0 };

  read(report: Pick<RTCStatsReport, "forEach">): LineQuality {
    const quality: LineQuality = {
      roundTripMs: null,
      jitterMs: null,
      lossRatio: null,
      bufferedMs: null,
    };
    report.forEach((value: StatisticsEntry) => {
      if (
        value.type === "candidate-pair" &&
        value.state === "succeeded" &&
        value.nominated === true
      ) {
        quality.roundTripMs = toMs(value.currentRoundTripTime);
      }
      if (value.type === "inbound-rtp" && value.kind === "audio") {
        quality.jitterMs = toMs(value.jitter);
        this.#count(value, quality);
      }
    });
    return quality;
  }

  #count(entry: StatisticsEntry, quality: LineQuality): void {
    const now: Counts = {
      received: entry.packetsReceived ?? 0,
      lost: entry.packetsLost ?? 0,
      delaySeconds: entry.jitterBufferDelay ?? 0,
      emitted: entry.jitterBufferEmittedCount ?? 0,
    };
    const received = now.received - this.#previous.received;
    // A late packet is first counted lost and then not: the difference may be negative.
    const lost = Math.max(0, now.lost - this.#previous.lost);
    const emitted = now.emitted - this.#previous.emitted;
    quality.lossRatio = received + lost > 0 ? lost / (received + lost) : 0;
    if (emitted > 0) {
      quality.bufferedMs = ((now.delaySeconds - this.#previous.delaySeconds) * 1000) / emitted;
    }
    this.#previous = now;
  }
}

function toMs(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}
