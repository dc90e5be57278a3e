/** How the orb holds itself in each phase of the call, and how it passes from one to the next. */

import type { AgentPhase } from "../../call/state.ts";

/** `resting` is the orb of the start view, before there is a call. */
export type OrbPhase = AgentPhase | "resting";

/** Every value is 0 to 1. */
export interface Pose {
  /** How clearly the rings stand. */
  rings: number;
  /** How full the core is. */
  core: number;
  /** How far the agent's voice drives the rings outwards. */
  outward: number;
  /** How far the caller's voice presses them inwards. */
  inward: number;
  /** Slow swell of the rings when nothing happens. */
  drift: number;
  /** Beads that go round while it thinks. */
  beads: number;
  /** How wide the rings open towards the caller. */
  opening: number;
  /** How broken the rings are while there is no line. */
  broken: number;
  /** 0 is the agent's colour, 1 the caller's. */
  warmth: number;
}

const STILL: Pose = {
  rings: 0.6,
  core: 1,
  outward: 0,
  inward: 0,
  drift: 1,
  beads: 0,
  opening: 0,
  broken: 0,
  warmth: 0,
};

export const POSES: Record<OrbPhase, Pose> = {
  resting: STILL,
  connecting: { ...STILL, rings: 0.55, core: 0.35, drift: 0.2, broken: 1 },
  waiting: { ...STILL, rings: 0.55, core: 0.35, drift: 0.6, beads: 0.6 },
  listening: { ...STILL, rings: 0.7, inward: 1 },
  thinking: { ...STILL, rings: 0.45, drift: 0.4, beads: 1 },
  speaking: { ...STILL, rings: 0.95, drift: 0.5, outward: 1 },
  paused: { ...STILL, rings: 0.9, inward: 0.25, drift: 0.3, opening: 1, warmth: 1 },
  reconnecting: { ...STILL, rings: 0.45, core: 0.35, drift: 0.2, broken: 1 },
  ended: { ...STILL, rings: 0.28, core: 0.16, drift: 0 },
};

/** Time in which two thirds of a change of pose are done. */
const SETTLE_MS = 160;

/** Moves a pose towards its goal. */
export function settle(pose: Pose, goal: Pose, elapsedMs: number): Pose {
  const share = 1 - Math.exp(-elapsedMs / SETTLE_MS);
  const towards = (from: number, to: number): number => from + (to - from) * share;
  return {
    rings: towards(pose.rings, goal.rings),
    core: towards(pose.core, goal.core),
    outward: towards(pose.outward, goal.outward),
    inward: towards(pose.inward, goal.inward),
    drift: towards(pose.drift, goal.drift),
    beads: towards(pose.beads, goal.beads),
    opening: towards(pose.opening, goal.opening),
    broken: towards(pose.broken, goal.broken),
    warmth: towards(pose.warmth, goal.warmth),
  };
}
