/** The orb: shows at a glance who has the floor. The label beside it says the same in words. */

import { useEffect, useRef } from "react";

import type { LevelFeed, Levels } from "../levels.ts";
import { ECHO_LENGTH, type Echoes, type Palette, paintOrb, type Rgb } from "./paint.ts";
import { type OrbPhase, POSES, type Pose, settle } from "./pose.ts";

interface OrbProps {
  phase: OrbPhase;
  levels: LevelFeed;
}

/** More pixels than this nobody sees in soft lines, and a phone's battery does. */
const MAX_PIXEL_RATIO = 2;

export function Orb({ phase, levels }: OrbProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useRef<Drawing>(null);

  useEffect(() => {
    if (canvas.current === null) return;
    const orb = new Drawing(canvas.current, levels);
    drawing.current = orb;
    return () => {
      orb.stop();
    };
  }, [levels]);

  useEffect(() => {
    drawing.current?.pose(POSES[phase]);
  }, [phase]);

  return <canvas ref={canvas} className="orb" aria-hidden="true" />;
}

class Drawing {
  readonly #canvas: HTMLCanvasElement;
  readonly #levels: LevelFeed;
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  readonly #resized: ResizeObserver;
  readonly #you: number[] = new Array<number>(ECHO_LENGTH).fill(0);
  readonly #agent: number[] = new Array<number>(ECHO_LENGTH).fill(0);
  #palette: Palette;
  #goal: Pose = POSES.resting;
  #pose: Pose = POSES.resting;
  #previousMs = 0;
  #unsubscribe: (() => void) | null = null;

  constructor(canvas: HTMLCanvasElement, levels: LevelFeed) {
    this.#canvas = canvas;
    this.#levels = levels;
    this.#palette = readPalette(canvas);
    this.#resized = new ResizeObserver(() => {
      this.#fit();
    });
    this.#resized.observe(canvas);
    this.#dark.addEventListener("change", this.#recolour);
    this.#calm.addEventListener("change", this.#choosePace);
    this.#choosePace();
  }

  pose(goal: Pose): void {
    this.#goal = goal;
    if (this.#calm.matches) this.#paintStill();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#resized.disconnect();
    this.#dark.removeEventListener("change", this.#recolour);
    this.#calm.removeEventListener("change", this.#choosePace);
  }

  /** With reduced motion the orb is a picture that changes only with the phase. */
  readonly #choosePace = (): void => {
    this.#unsubscribe?.();
    this.#unsubscribe = this.#calm.matches ? null : this.#levels.subscribe(this.#move);
    if (this.#calm.matches) this.#paintStill();
  };

  readonly #recolour = (): void => {
    this.#palette = readPalette(this.#canvas);
    if (this.#calm.matches) this.#paintStill();
  };

  readonly #move = ({ you, agent, atMs }: Levels): void => {
    remember(this.#you, you);
    remember(this.#agent, agent);
    this.#pose = settle(this.#pose, this.#goal, Math.min(100, atMs - this.#previousMs));
    this.#previousMs = atMs;
    this.#paint(atMs / 1000, { you: this.#you, agent: this.#agent });
  };

  #fit(): void {
    const side = this.#canvas.clientWidth;
    const ratio = Math.min(MAX_PIXEL_RATIO, window.devicePixelRatio);
    this.#canvas.width = this.#canvas.height = Math.round(side * ratio);
    this.#paintStill();
  }

  #paintStill(): void {
    if (this.#calm.matches) this.#pose = this.#goal;
    this.#paint(this.#previousMs / 1000, { you: this.#you, agent: this.#agent });
  }

  #paint(seconds: number, echoes: Echoes): void {
    const context = this.#canvas.getContext("2d");
    if (context === null || this.#canvas.width === 0) return;
    paintOrb(context, this.#canvas.width, seconds, this.#pose, echoes, this.#palette);
  }
}

function remember(echoes: number[], level: number): void {
  echoes.pop();
  echoes.unshift(level);
}

function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string): Rgb => {
    const [red = 128, green = 128, blue = 128] = style
      .getPropertyValue(name)
      .split(" ")
      .map(Number);
    return [red, green, blue];
  };
  return { agent: colour("--orb-agent"), you: colour("--orb-you"), light: colour("--orb-light") };
}
