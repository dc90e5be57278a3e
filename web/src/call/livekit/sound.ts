/** The sound of a room: this page's microphone into it, and everybody else's voices out of it. */

import {
  isAudioTrack,
  LocalAudioTrack,
  type LocalTrack,
  type RemoteAudioTrack,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  type Room,
  RoomEvent,
  Track,
} from "livekit-client";

import { Ear } from "../../audio/ear.ts";
import { setOutput } from "../../device/output.ts";
import type { Loudness } from "../client.ts";

export class RoomSound {
  readonly #room: Room;
  readonly #onVoice: () => void;
  readonly #context = new AudioContext({ latencyHint: "interactive" });
  readonly #yourEar = new Ear(this.#context);
  readonly #agentEar = new Ear(this.#context);
  #yourSource: MediaStreamAudioSourceNode | null = null;
  #agentSource: MediaStreamAudioSourceNode | null = null;
  #microphone: LocalAudioTrack | null = null;
  #voice: RemoteAudioTrack | null = null;
  #outputDeviceId: string;

  /** `onVoice` is called whenever the agent's voice has come or gone. */
  constructor(room: Room, outputDeviceId: string | null, onVoice: () => void) {
    this.#room = room;
    this.#outputDeviceId = outputDeviceId ?? "";
    this.#onVoice = onVoice;
    room
      .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
        this.#play(track, publication, participant);
      })
      .on(RoomEvent.TrackUnsubscribed, (track) => {
        this.#stopPlaying(track);
      });
  }

  /** The agent's voice, while it is there to be heard. */
  get voice(): RemoteAudioTrack | null {
    return this.#voice;
  }

  /** From here on what the caller says is kept, for an agent that comes a moment later. */
  take(microphone: MediaStream): void {
    const [track] = microphone.getAudioTracks();
    if (track === undefined) return;
    this.#microphone = new LocalAudioTrack(track, undefined, true);
    this.#microphone.source = Track.Source.Microphone;
    this.#microphone.startPreConnectBuffer();
    this.#hearYou(microphone);
  }

  async publish(): Promise<void> {
    if (this.#microphone === null) return;
    // Under our strict settings LiveKit's two types for one track disagree about what is optional.
    await this.#room.localParticipant.publishTrack(this.#microphone as LocalTrack, {
      source: Track.Source.Microphone,
    });
  }

  async setMuted(muted: boolean): Promise<void> {
    await (muted ? this.#microphone?.mute() : this.#microphone?.unmute());
  }

  async replaceMicrophone(microphone: MediaStream): Promise<void> {
    const [track] = microphone.getAudioTracks();
    if (track !== undefined) await this.#microphone?.replaceTrack(track);
    this.#hearYou(microphone);
  }

  async setOutputDevice(deviceId: string): Promise<void> {
    this.#outputDeviceId = deviceId;
    const elements = [...this.#room.remoteParticipants.values()]
      .flatMap((person) => [...person.audioTrackPublications.values()])
      .flatMap(({ track }) => track?.attachedElements ?? []);
    await Promise.all(elements.map((element) => setOutput(element, deviceId)));
  }

  async resume(): Promise<void> {
    await this.#context.resume();
    await this.#room.startAudio();
  }

  /** By the same measure as on the other transports: LiveKit's own volume hook weighs frequencies, not loudness. */
  loudness(): Loudness {
    return { you: this.#yourEar.loudness(), agent: this.#agentEar.loudness() };
  }

  close(): void {
    this.#microphone?.stopPreConnectBuffer();
    void this.#context.close();
  }

  /** Everybody in the room is heard; the agent's voice moves the orb as well. */
  #play(
    track: RemoteTrack,
    { source }: RemoteTrackPublication,
    { isAgent }: RemoteParticipant,
  ): void {
    if (!isAudioTrack(track)) return;
    void setOutput(track.attach(), this.#outputDeviceId);
    if (!isAgent || source !== Track.Source.Microphone) return;
    this.#voice = track;
    // The element plays; the graph only listens in.
    this.#agentSource?.disconnect();
    const stream = new MediaStream([track.mediaStreamTrack]);
    this.#agentSource = this.#context.createMediaStreamSource(stream);
    this.#agentSource.connect(this.#agentEar.node);
    this.#onVoice();
  }

  #stopPlaying(track: RemoteTrack): void {
    track.detach();
    if (track !== this.#voice) return;
    this.#voice = null;
    this.#agentSource?.disconnect();
    this.#agentSource = null;
    this.#onVoice();
  }

  #hearYou(microphone: MediaStream): void {
    this.#yourSource?.disconnect();
    this.#yourSource = this.#context.createMediaStreamSource(microphone);
    this.#yourSource.connect(this.#yourEar.node);
  }
}
