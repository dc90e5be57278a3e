/** A call over WebRTC, straight to the server: Opus both ways, JSON on the data channel `parlor`. */

import { Ear } from "../audio/ear.ts";
import { setOutput } from "../device/output.ts";
import { callsAddress, keyHeaders } from "./address.ts";
import type { CallClient, ClientEvent, ClientOptions, Loudness } from "./client.ts";
import { answerProblem, reach } from "./info.ts";
import { LineWatch } from "./line.ts";
import { type Problem, ProblemError, problemOf } from "./problems.ts";
import { type ClientMessage, parseServerMessage } from "./protocol.ts";

/** The server needs few of our candidates, so the offer waits no longer for stragglers. */
const GATHER_WITHIN_MS = 1000;
const ANSWER_WITHIN_MS = 10_000;
const CONNECT_WITHIN_MS = 10_000;
const STATISTICS_EVERY_MS = 1000;

export class WebRtcClient implements CallClient {
  readonly transport = "webrtc";
  readonly #base: string;
  readonly #options: ClientOptions;
  readonly #peer = new RTCPeerConnection();
  readonly #channel = this.#peer.createDataChannel("parlor", { ordered: true });
  readonly #context = new AudioContext({ latencyHint: "interactive" });
  readonly #yourEar = new Ear(this.#context);
  readonly #agentEar = new Ear(this.#context);
  readonly #speaker = new Audio();
  #yourSource: MediaStreamAudioSourceNode | null = null;
  #sender: RTCRtpSender | null = null;
  #callAddress: URL | null = null;
  #statisticsTimer: ReturnType<typeof setInterval> | undefined;
  #connected = false;
  #closed = false;

  constructor(base: string, options: ClientOptions) {
    this.#base = base;
    this.#options = options;
    this.#speaker.autoplay = true;
    this.#peer.ontrack = ({ track, streams }) => {
      this.#hearAgent(streams[0] ?? new MediaStream([track]));
    };
  }

  async start(): Promise<void> {
    try {
      void this.#context.resume();
      this.#addMicrophone();
      const { outputDeviceId } = this.#options;
      if (outputDeviceId !== null) await this.setOutputDevice(outputDeviceId);
      const connected = this.#untilConnected();
      // Until the offer is answered nobody waits for this promise yet.
      connected.catch(() => undefined);
      await this.#exchange();
      await within(CONNECT_WITHIN_MS, connected);
    } catch (error) {
      this.close();
      throw new ProblemError(problemOf(error));
    }
    this.#connected = true;
    this.#emit({ type: "open" });
    this.#watchLine();
  }

  send(message: ClientMessage): void {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  async replaceMicrophone(microphone: MediaStream): Promise<void> {
    await this.#sender?.replaceTrack(microphone.getAudioTracks()[0] ?? null);
    this.#hearYou(microphone);
  }

  setOutputDevice(deviceId: string): Promise<void> {
    return setOutput(this.#speaker, deviceId);
  }

  async resumeAudio(): Promise<void> {
    await this.#context.resume();
    await this.#playSpeaker();
  }

  loudness(): Loudness {
    return { you: this.#yourEar.loudness(), agent: this.#agentEar.loudness() };
  }

  close(): void {
    if (this.#closed) return;
    this.send({ type: "hangup" });
    if (this.#callAddress !== null) {
      // keepalive lets the request outlive the page when the tab is being closed.
      const headers = keyHeaders(this.#options.key);
      void fetch(this.#callAddress, { method: "DELETE", keepalive: true, headers }).catch(
        () => undefined,
      );
    }
    this.#letGo();
  }

  #addMicrophone(): void {
    const { microphone } = this.#options;
    const track = microphone?.getAudioTracks()[0];
    if (microphone === null || track === undefined) {
      this.#peer.addTransceiver("audio", { direction: "recvonly" });
      return;
    }
    this.#sender = this.#peer.addTrack(track, microphone);
    this.#hearYou(microphone);
  }

  async #exchange(): Promise<void> {
    const { key } = this.#options;
    await this.#peer.setLocalDescription();
    await gathered(this.#peer);
    const answer = await reach(callsAddress(this.#base, this.#options), {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...keyHeaders(key) },
      body: this.#peer.localDescription?.sdp ?? "",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (!answer.ok) {
      const problem = await answerProblem(answer, key !== null);
      // A server (or a proxy before it) without this door offers no WebRTC at all.
      const noDoor = [404, 405, 501].includes(answer.status) && problem.detail === undefined;
      throw new ProblemError(noDoor ? { kind: "webrtc-failed" } : problem);
    }
    const location = answer.headers.get("Location");
    if (location !== null) this.#callAddress = new URL(location, answer.url);
    await this.#peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  }

  /** Resolves when the data channel is open: then ICE, DTLS and SCTP have all found each other. */
  #untilConnected(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#channel.onopen = () => {
        resolve();
      };
      this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (typeof data === "string") this.#read(data);
      };
      this.#channel.onclose = () => {
        this.#end({ kind: "connection-lost" });
      };
      this.#peer.onconnectionstatechange = () => {
        const state = this.#peer.connectionState;
        this.#emit({ type: "reconnecting", reconnecting: state === "disconnected" });
        if (state !== "failed") return;
        reject(new ProblemError({ kind: "webrtc-failed" }));
        this.#end({ kind: "connection-lost" });
      };
    });
  }

  #read(frame: string): void {
    const message = parseServerMessage(frame);
    if (message === null) return;
    this.#emit({ type: "message", message });
    if (message.type === "session_end") this.#end(null);
  }

  #hearYou(microphone: MediaStream): void {
    this.#yourSource?.disconnect();
    this.#yourSource = this.#context.createMediaStreamSource(microphone);
    this.#yourSource.connect(this.#yourEar.node);
  }

  #hearAgent(stream: MediaStream): void {
    // The element plays; the graph only listens in. Chrome feeds a graph from a remote stream
    // only while an element plays it as well.
    this.#speaker.srcObject = stream;
    this.#context.createMediaStreamSource(stream).connect(this.#agentEar.node);
    void this.#playSpeaker();
  }

  async #playSpeaker(): Promise<void> {
    if (this.#speaker.srcObject === null) return;
    try {
      await this.#speaker.play();
      this.#emit({ type: "audio-blocked", blocked: false });
    } catch (error) {
      const blocked = error instanceof DOMException && error.name === "NotAllowedError";
      this.#emit({ type: "audio-blocked", blocked });
    }
  }

  #watchLine(): void {
    const watch = new LineWatch();
    this.#statisticsTimer = setInterval(() => {
      void this.#peer.getStats().then((report) => {
        this.#emit({ type: "line", quality: watch.read(report) });
      });
    }, STATISTICS_EVERY_MS);
  }

  /** After `start` has resolved a fault ends the call; before, `start` itself rejects. */
  #end(problem: Problem | null): void {
    if (this.#closed || !this.#connected) return;
    this.#emit({ type: "closed", problem });
    this.#letGo();
  }

  #letGo(): void {
    this.#closed = true;
    clearInterval(this.#statisticsTimer);
    this.#channel.onclose = null;
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
    this.#speaker.srcObject = null;
    void this.#context.close();
  }

  #emit(event: ClientEvent): void {
    if (!this.#closed) this.#options.onEvent(event);
  }
}

/** Waits until every candidate is in the offer, but not for a slow resolver. */
function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_WITHIN_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** ICE itself gives up only after half a minute; a person would have left by then. */
async function within(limitMs: number, connected: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new ProblemError({ kind: "webrtc-failed" }));
    }, limitMs);
  });
  try {
    await Promise.race([connected, late]);
  } finally {
    clearTimeout(timer);
  }
}
