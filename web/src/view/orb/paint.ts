/**
 * Draws the orb: a core with rings around it, like a stone and the ripples on a pond.
 * The agent's voice travels outwards from ring to ring, the caller's comes in from below.
 */

import type { Pose } from "./pose.ts";

export type Rgb = [number, number, number];

export interface Palette {
  agent: Rgb;
  you: Rgb;
  light: Rgb;
}

/** The voices of the last half second, newest first. */
export interface Echoes {
  you: readonly number[];
  agent: readonly number[];
}

export const ECHO_LENGTH = 32;

const RINGS = 6;
const POINTS = 120;
/** Screen frames by which a ring follows its neighbour: sound needs time to spread. */
const FRAMES_PER_RING = 4;
const TURN = Math.PI * 2;
const DOWN = Math.PI / 2;
/** Half of the opening towards the caller, in radians. */
const HALF_OPENING = 0.45;

interface Scene {
  canvas: CanvasRenderingContext2D;
  /** Half the side of the picture. */
  radius: number;
  seconds: number;
  pose: Pose;
  echoes: Echoes;
}

export function paintOrb(
  canvas: CanvasRenderingContext2D,
  side: number,
  seconds: number,
  pose: Pose,
  echoes: Echoes,
  palette: Palette,
): void {
  const scene: Scene = { canvas, radius: side / 2, seconds, pose, echoes };
  const colour = mix(palette.agent, palette.you, pose.warmth);
  canvas.clearRect(0, 0, side, side);
  canvas.save();
  canvas.translate(side / 2, side / 2);
  paintGlow(scene, colour);
  for (let ring = RINGS - 1; ring >= 0; ring -= 1) paintRing(scene, ring, colour, palette.you);
  paintCore(scene, colour, palette.light);
  canvas.restore();
}

function paintGlow({ canvas, radius, pose, echoes }: Scene, colour: Rgb): void {
  const voice = pose.outward * (echoes.agent[0] ?? 0);
  const glow = canvas.createRadialGradient(0, 0, radius * 0.2, 0, 0, radius);
  glow.addColorStop(0, css(colour, (0.14 + 0.12 * voice) * pose.core));
  glow.addColorStop(1, css(colour, 0));
  canvas.fillStyle = glow;
  canvas.fillRect(-radius, -radius, radius * 2, radius * 2);
}

function paintRing(scene: Scene, ring: number, colour: Rgb, you: Rgb): void {
  const { canvas, radius, seconds, pose } = scene;
  const heard = incoming(scene, ring);
  const fading = 1 - ring / (RINGS + 1.5);
  canvas.lineWidth = Math.max(1, radius * 0.011 * (1.1 - ring * 0.09));
  canvas.lineCap = "round";
  canvas.strokeStyle = css(mix(colour, you, Math.min(1, heard * 1.6)), pose.rings * fading);
  const around = TURN * radius * ringRadius(ring);
  const piece = around / (10 + ring * 3);
  canvas.setLineDash(
    pose.broken > 0.02 ? [piece * (1 - 0.55 * pose.broken), piece * 0.55 * pose.broken] : [],
  );
  canvas.lineDashOffset = seconds * radius * 0.12 * (ring % 2 === 0 ? 1 : -1);
  trace(scene, ring, heard);
  canvas.stroke();
  canvas.setLineDash([]);
  if (pose.beads > 0.02 && ring % 2 === 0) paintBead(scene, ring, colour);
}

function trace(scene: Scene, ring: number, heard: number): void {
  const { canvas, radius, pose } = scene;
  const open = HALF_OPENING * pose.opening;
  const span = TURN - open * 2;
  canvas.beginPath();
  for (let point = 0; point <= POINTS; point += 1) {
    const angle = DOWN + open + (span * point) / POINTS;
    const distance = radius * (ringRadius(ring) + displacement(scene, ring, angle, heard));
    const x = Math.cos(angle) * distance;
    const y = Math.sin(angle) * distance;
    if (point === 0) canvas.moveTo(x, y);
    else canvas.lineTo(x, y);
  }
  if (open < 0.01) canvas.closePath();
}

/** How far a ring leaves its circle at an angle, as a share of the radius. */
function displacement(
  { seconds, pose, echoes }: Scene,
  ring: number,
  angle: number,
  heard: number,
): number {
  const swell = 0.5 + ring * 0.22;
  const drift =
    pose.drift * 0.007 * swell * Math.sin(2 * angle + seconds * 0.7 + ring * 0.8) +
    pose.drift * 0.005 * swell * Math.sin(3 * angle - seconds * 0.5 + ring * 1.7);
  const voice = pose.outward * (echoes.agent[ring * FRAMES_PER_RING] ?? 0);
  const spoken =
    voice * (0.022 + 0.03 * Math.sin(5 * angle + seconds * 1.3 + ring * 0.55) * (0.5 + ring * 0.1));
  const below = (1 + Math.sin(angle)) / 2;
  const pressed = heard * below ** 2;
  return drift + spoken - pressed * (0.055 + 0.024 * Math.sin(11 * angle + seconds * 5 + ring));
}

/** The caller's voice reaches the outermost ring first. */
function incoming({ pose, echoes }: Scene, ring: number): number {
  return pose.inward * (echoes.you[(RINGS - 1 - ring) * FRAMES_PER_RING] ?? 0);
}

function paintBead({ canvas, radius, seconds, pose }: Scene, ring: number, colour: Rgb): void {
  const angle = seconds * (2.4 - ring * 0.32) + ring * 1.9 - DOWN;
  const distance = radius * ringRadius(ring);
  canvas.fillStyle = css(colour, pose.beads);
  canvas.beginPath();
  canvas.arc(
    Math.cos(angle) * distance,
    Math.sin(angle) * distance,
    radius * (0.04 - ring * 0.003),
    0,
    TURN,
  );
  canvas.fill();
}

function paintCore(scene: Scene, colour: Rgb, light: Rgb): void {
  const { canvas, radius, seconds, pose, echoes } = scene;
  const breath = pose.drift * 0.012 * Math.sin(seconds * 1.1);
  const voice = pose.outward * (echoes.agent[0] ?? 0) * 0.05;
  const core = radius * (0.3 + breath + voice);
  const fill = canvas.createRadialGradient(-core * 0.35, -core * 0.45, core * 0.1, 0, 0, core);
  fill.addColorStop(0, css(mix(colour, light, 0.55), pose.core));
  fill.addColorStop(0.55, css(mix(colour, light, 0.12), pose.core));
  fill.addColorStop(1, css(colour, pose.core));
  canvas.fillStyle = fill;
  canvas.beginPath();
  canvas.arc(0, 0, core, 0, TURN);
  canvas.fill();
}

function ringRadius(ring: number): number {
  return 0.4 + ring * 0.095;
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (a: number, b: number): number => a + (b - a) * share;
  return [part(from[0], to[0]), part(from[1], to[1]), part(from[2], to[2])];
}

function css([red, green, blue]: Rgb, alpha: number): string {
  return `rgb(${red} ${green} ${blue} / ${Math.min(1, Math.max(0, alpha))})`;
}
