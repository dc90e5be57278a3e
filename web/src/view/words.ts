/** What the page says about the state of a call. */

import type { EngineJob, Voice } from "../call/info.ts";
import type { SessionMode, Transport } from "../call/protocol.ts";
import type { AgentPhase, CallView } from "../call/state.ts";

export const PHASE_LABELS: Record<AgentPhase, string> = {
  connecting: "Connecting",
  waiting: "Waiting for the agent",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  paused: "Paused for you",
  reconnecting: "Reconnecting",
  ended: "Ended",
};

export const TRANSPORT_LABELS: Record<Transport, string> = {
  livekit: "LiveKit",
  webrtc: "WebRTC",
  websocket: "WebSocket",
};

export const MODE_LABELS: Record<SessionMode, string> = {
  duplex: "Interrupt at any time",
  mute: "Mute me while it talks",
  manual: "Wait until I press Done",
};

export const ENGINE_LABELS: Record<EngineJob, string> = {
  stt: "Recognition",
  responder: "Answers",
  tts: "Voice",
  vad: "Speech detection",
  denoise: "Noise removal",
};

/** The phase that the label and the orb show: a line that is being mended comes first, a held reply counts as paused. */
export function shownPhase(view: CallView): AgentPhase {
  if (view.reconnecting) return "reconnecting";
  return view.held ? "paused" : view.phase;
}

/** One short line under the label: what to do now. */
export function hint(view: CallView): string {
  if (view.stage === "asking") return "Choose “Allow” when your browser asks for the microphone.";
  if (view.audioBlocked && view.stage === "open" && !view.reconnecting) {
    return "Your browser holds the sound back. Press Start audio.";
  }
  if (view.held && !view.reconnecting) return "Press Resume to hear the rest.";
  switch (shownPhase(view)) {
    case "reconnecting":
      return "The network stumbled; trying to find the way back.";
    case "connecting":
      return "Setting up the line.";
    case "waiting":
      return "You are in the room; the agent is on its way.";
    case "listening":
      return listeningHint(view);
    case "thinking":
      return "One moment.";
    case "speaking":
      return speakingHint(view);
    case "paused":
      return "You have the floor.";
    case "ended":
      return view.problem === null ? (view.ending ?? "") : "";
  }
}

/** A language code in the reader's own words: `pt-BR` is "Brazilian Portuguese". */
export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames([navigator.language, "en"], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** Voices by engine, in the server's order: `flite:slt` belongs to `flite`. */
export function voicesByEngine(voices: Voice[]): [engine: string, voices: Voice[]][] {
  const groups = new Map<string, Voice[]>();
  for (const voice of voices) {
    const engine = voice.id.includes(":") ? (voice.id.split(":", 1)[0] ?? "") : "";
    groups.set(engine, [...(groups.get(engine) ?? []), voice]);
  }
  return [...groups];
}

function listeningHint(view: CallView): string {
  if (!view.hasMicrophone) return "Type a question below.";
  if (view.muted) return "You are muted. Unmute to speak, or type.";
  if (view.mode === "manual") return "Speak, then press Done.";
  return view.dialog === "Listening" ? "I hear you." : "Go ahead, I’m listening.";
}

function speakingHint(view: CallView): string {
  if (!view.hasMicrophone) return "Ask again at any time.";
  if (view.mode === "mute") return "It hears you again when it has finished.";
  return view.muted ? "You are muted." : "Talk to interrupt.";
}
