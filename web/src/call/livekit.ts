/** A call in a LiveKit room: the agent is one of those in it, and this page an ordinary LiveKit client. */

import { Room, RoomEvent, setLogLevel } from "livekit-client";

import { wishedRoom } from "./address.ts";
import type { AgentState, CallClient, ClientEvent, ClientOptions, Loudness } from "./client.ts";
import { LineWatch } from "./line.ts";
import { requestAccess } from "./livekit/access.ts";
import { joinProblem, leaveProblem, type Reached } from "./livekit/reasons.ts";
import { CHAT_TOPIC } from "./livekit/captions.ts";
import { listenIn } from "./livekit/RoomListener.tsx";
import { RoomSound } from "./livekit/sound.ts";
import { type Problem, ProblemError } from "./problems.ts";
import type { ClientMessage, ServerMessage } from "./protocol.ts";

const JOIN_WITHIN_MS = 10_000;
/** As long as LiveKit's own pages wait for an agent. */
const AGENT_WITHIN_MS = 20_000;
const STATISTICS_EVERY_MS = 1000;

const CONTROL_TOPIC = "parlor.control";

setLogLevel("warn");

export class LiveKitClient implements CallClient {
  readonly transport = "livekit";
  readonly #base: string;
  readonly #options: ClientOptions;
  readonly #room = new Room({ stopLocalTrackOnUnpublish: false });
  readonly #sound: RoomSound;
  /** Who the agent is, and what it does; its voice may come a moment after it. */
  #agent: { identity: string; state: AgentState } | null = null;
  #reached: Reached = "nobody";
  #joined = false;
  #opened = false;
  #closed = false;
  #agentCame: { resolve: () => void; reject: (why: ProblemError) => void } | null = null;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #statisticsTimer: ReturnType<typeof setInterval> | undefined;
  #stopListening: (() => void) | null = null;

  constructor(base: string, options: ClientOptions) {
    this.#base = base;
    this.#options = options;
    this.#sound = new RoomSound(this.#room, options.outputDeviceId, () => {
      this.#lookForAgent();
    });
    this.#room
      .on(RoomEvent.SignalConnected, () => {
        this.#reached = "signalling";
      })
      .on(RoomEvent.Disconnected, (reason) => {
        this.#fail(leaveProblem(reason));
      });
  }

  async start(): Promise<void> {
    const agentCame = new Promise<void>((resolve, reject) => {
      this.#agentCame = { resolve, reject };
    });
    // Until the room is joined nobody waits for this promise yet.
    agentCame.catch(() => undefined);
    try {
      await this.#join();
      await agentCame;
    } catch (error) {
      this.close();
      throw new ProblemError(joinProblem(error, this.#reached));
    }
    this.#opened = true;
    this.#emit({ type: "open" });
    this.#watchLine();
  }

  send(message: ClientMessage): void {
    // What a broken line does not take is lost, as on every transport.
    if (!this.#closed) this.#publish(message).catch(() => undefined);
  }

  setMuted(muted: boolean): Promise<void> {
    return this.#sound.setMuted(muted);
  }

  replaceMicrophone(microphone: MediaStream): Promise<void> {
    return this.#sound.replaceMicrophone(microphone);
  }

  setOutputDevice(deviceId: string): Promise<void> {
    return this.#sound.setOutputDevice(deviceId);
  }

  resumeAudio(): Promise<void> {
    return this.#sound.resume();
  }

  loudness(): Loudness {
    return this.#sound.loudness();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#patience);
    clearInterval(this.#statisticsTimer);
    this.#agentCame?.reject(new ProblemError({ kind: "connection-lost" }));
    this.#stopListening?.();
    this.#sound.close();
    void this.#room.disconnect();
  }

  async #join(): Promise<void> {
    const { microphone, key } = this.#options;
    const wished = wishedRoom(location.search, this.#options);
    const { serverUrl, token } = await requestAccess(this.#base, key, wished);
    if (this.#closed) return;
    this.#stopListening = this.#listen();
    if (microphone !== null) this.#sound.take(microphone);
    await this.#room.connect(serverUrl, token, {
      maxRetries: 0,
      websocketTimeout: JOIN_WITHIN_MS,
      peerConnectionTimeout: JOIN_WITHIN_MS,
    });
    await this.#sound.publish();
    this.#joined = true;
    this.#lookForAgent();
  }

  #listen(): () => void {
    return listenIn(this.#room, {
      onReconnecting: (reconnecting) => {
        this.#emit({ type: "reconnecting", reconnecting });
      },
      onAgent: (identity, state) => {
        this.#agent = identity === null ? null : { identity, state };
        this.#lookForAgent();
      },
      onMessage: (message) => {
        this.#read(message);
      },
      onAudioBlocked: (blocked) => {
        this.#emit({ type: "audio-blocked", blocked });
      },
    });
  }

  /** The call is open once the agent and its voice are there; without them it goes on only for so long. */
  #lookForAgent(): void {
    if (!this.#joined || this.#closed) return;
    this.#emit({ type: "agent", state: this.#agent?.state ?? null });
    if (this.#agent !== null && this.#sound.voice !== null) {
      clearTimeout(this.#patience);
      this.#patience = undefined;
      this.#agentCame?.resolve();
      return;
    }
    this.#patience ??= setTimeout(() => {
      this.#fail({ kind: this.#opened ? "agent-left" : "agent-missing" });
    }, AGENT_WITHIN_MS);
  }

  async #publish(message: ClientMessage): Promise<void> {
    const { localParticipant } = this.#room;
    switch (message.type) {
      case "ask":
        await localParticipant.sendText(message.text, { topic: CHAT_TOPIC });
        break;
      case "control":
      case "commit":
        await localParticipant.publishData(new TextEncoder().encode(JSON.stringify(message)), {
          reliable: true,
          topic: CONTROL_TOPIC,
          ...(this.#agent !== null && { destinationIdentities: [this.#agent.identity] }),
        });
        break;
      case "hangup":
        // Who leaves a room says so by leaving; the agent may stay for the others.
        break;
    }
  }

  #read(message: ServerMessage): void {
    this.#emit({ type: "message", message });
    if (message.type === "session_end") this.#end(null);
  }

  #watchLine(): void {
    const watch = new LineWatch();
    this.#statisticsTimer = setInterval(() => {
      void this.#sound.voice?.getRTCStatsReport().then((report) => {
        if (report !== undefined) this.#emit({ type: "line", quality: watch.read(report) });
      });
    }, STATISTICS_EVERY_MS);
  }

  /** Before the call is open `start` itself rejects; afterwards a fault ends the call. */
  #fail(problem: Problem): void {
    if (this.#opened) this.#end(problem);
    else this.#agentCame?.reject(new ProblemError(problem));
  }

  #end(problem: Problem | null): void {
    if (this.#closed) return;
    this.#emit({ type: "closed", problem });
    this.close();
  }

  #emit(event: ClientEvent): void {
    if (!this.#closed) this.#options.onEvent(event);
  }
}
