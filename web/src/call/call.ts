/** Runs one call after another and keeps the view that the page draws. */

import { Player } from "../audio/player.ts";
import { openMicrophone, stopMicrophone } from "../device/microphone.ts";
import { storedKey } from "./address.ts";
import type { CallClient, ClientEvent, ClientOptions, Loudness } from "./client.ts";
import { ProblemError, problemOf } from "./problems.ts";
import type { ControlCommand, SessionMode, Transport } from "./protocol.ts";
import { type CallAction, type CallView, NO_CALL, reduceCall } from "./state.ts";
import { WebRtcClient } from "./webrtc.ts";
import { WebSocketClient } from "./websocket.ts";

export interface CallSettings {
  transport: Transport;
  mode: SessionMode;
  /** Null: the server's own voice. */
  voice: string | null;
  inputDeviceId: string | null;
  outputDeviceId: string | null;
}

/** How the caller takes part. */
export type Joining = "speaking" | "typing";

const SILENCE: Loudness = { you: 0, agent: 0 };

const SILENT_PAGE =
  "Without https the browser plays no sound over WebSocket. Read the captions, or use WebRTC.";

export class Call {
  readonly #base: string;
  readonly #listeners = new Set<() => void>();
  #view: CallView = NO_CALL;
  #client: CallClient | null = null;
  #microphone: MediaStream | null = null;
  /** Grows with every call and hang-up, so that what an older call still says is not heard. */
  #generation = 0;

  constructor(base: string) {
    this.#base = base;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly view = (): CallView => this.#view;

  /** Rings the server. Call it inside a click, so that the browser lets sound begin. */
  async dial(settings: CallSettings, joining: Joining): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    const { transport, mode } = settings;
    this.#apply({ type: "dialled", transport, mode, hasMicrophone: joining === "speaking" });
    try {
      const microphone =
        joining === "speaking" ? await openMicrophone(settings.inputDeviceId) : null;
      if (generation !== this.#generation) {
        stopMicrophone(microphone);
        return;
      }
      this.#keep(microphone);
      this.#apply({ type: "microphone-open" });
      await this.#connect(settings, generation);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#drop();
      this.#apply({ type: "failed", problem: problemOf(error) });
    }
  }

  ask(text: string): void {
    this.#send({ type: "ask", text });
  }

  control(command: ControlCommand): void {
    this.#send({ type: "control", command });
  }

  /** Push-to-talk: the turn ends now. */
  commit(): void {
    this.#send({ type: "commit" });
  }

  setMuted(muted: boolean): void {
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
    // Silence reaches the other side in any case; that it is told as well makes no difference to the caller.
    void this.#client?.setMuted?.(muted).catch(() => undefined);
    this.#apply({ type: "muted", muted });
  }

  async setInputDevice(deviceId: string | null): Promise<void> {
    const client = this.#client;
    if (client === null || this.#microphone === null) return;
    const generation = this.#generation;
    try {
      const microphone = await openMicrophone(deviceId);
      if (generation !== this.#generation) {
        stopMicrophone(microphone);
        return;
      }
      for (const track of microphone.getAudioTracks()) track.enabled = !this.#view.muted;
      await client.replaceMicrophone(microphone);
      stopMicrophone(this.#microphone);
      this.#keep(microphone);
    } catch {
      this.#apply({ type: "notice", notice: "That microphone did not start. Choose another one." });
    }
  }

  async setOutputDevice(deviceId: string | null): Promise<void> {
    await this.#client?.setOutputDevice(deviceId ?? "");
  }

  async resumeAudio(): Promise<void> {
    await this.#client?.resumeAudio();
  }

  loudness(): Loudness {
    return this.#client?.loudness() ?? SILENCE;
  }

  dismissNotice(): void {
    this.#apply({ type: "notice", notice: null });
  }

  hangUp(): void {
    this.#drop();
    this.#apply({ type: "hung-up", atMs: performance.now() });
  }

  /** From an ended call back to the start. */
  goBack(): void {
    this.#drop();
    this.#apply({ type: "back" });
  }

  async #connect(settings: CallSettings, generation: number): Promise<void> {
    const options: ClientOptions = {
      mode: settings.mode,
      voice: settings.voice,
      outputDeviceId: settings.outputDeviceId,
      key: storedKey(),
      microphone: this.#microphone,
      onEvent: (event) => {
        if (generation === this.#generation) this.#hear(event);
      },
    };
    requireBrowser(settings.transport);
    const client = await makeClient(settings.transport, this.#base, options);
    if (generation !== this.#generation) {
      client.close();
      return;
    }
    this.#client = client;
    await client.start();
    if (settings.transport === "websocket" && !Player.canPlay()) {
      this.#apply({ type: "notice", notice: SILENT_PAGE });
    }
  }

  /** A microphone that is unplugged in mid-call gives way to whichever is left. */
  #keep(microphone: MediaStream | null): void {
    this.#microphone = microphone;
    const generation = this.#generation;
    for (const track of microphone?.getAudioTracks() ?? []) {
      track.onended = () => {
        if (generation === this.#generation) void this.setInputDevice(null);
      };
    }
  }

  #hear(event: ClientEvent): void {
    this.#apply({ type: "client", event, atMs: performance.now(), now: new Date() });
    if (event.type === "closed") this.#drop();
  }

  #send(message: Parameters<CallClient["send"]>[0]): void {
    if (this.#client === null) return;
    this.#client.send(message);
    this.#apply({ type: "sent", message, atMs: performance.now() });
  }

  /** Lets client and microphone go; the view stays as it is. */
  #drop(): void {
    this.#generation += 1;
    this.#client?.close();
    this.#client = null;
    stopMicrophone(this.#microphone);
    this.#microphone = null;
  }

  #apply(action: CallAction): void {
    this.#view = reduceCall(this.#view, action);
    for (const listener of this.#listeners) listener();
  }
}

async function makeClient(
  transport: Transport,
  base: string,
  options: ClientOptions,
): Promise<CallClient> {
  switch (transport) {
    case "webrtc":
      return new WebRtcClient(base, options);
    case "websocket":
      return new WebSocketClient(base, options);
    case "livekit": {
      const { LiveKitClient } = await loadLiveKit();
      return new LiveKitClient(base, options);
    }
  }
}

/** LiveKit's client is larger than the rest of the page, and only who joins a room needs it. */
async function loadLiveKit(): Promise<typeof import("./livekit.ts")> {
  try {
    return await import("./livekit.ts");
  } catch {
    throw new ProblemError({ kind: "server-gone" });
  }
}

/** An old or crippled browser is told so, instead of failing with a name that says nothing. */
function requireBrowser(transport: Transport): void {
  const door = transport === "websocket" ? "WebSocket" : "RTCPeerConnection";
  const missing = ["AudioContext", door].find((name) => !(name in window));
  if (missing === undefined) return;
  throw new ProblemError({ kind: "unsupported-browser", detail: `(${missing})` });
}
