/** Somebody in a room who does what a test says, through LiveKit's own client: an agent, or one more person. */

import { join } from "node:path";

import type { Page } from "@playwright/test";
import type * as LiveKitClient from "livekit-client";

import type { LiveKit } from "./livekit.ts";
import { access, type Guest } from "./room.ts";

declare global {
  interface Window {
    LivekitClient: typeof LiveKitClient;
    guest: {
      room: LiveKitClient.Room;
      voice: GainNode;
      /** What came on `lk.chat` and `parlor.control`. */
      heard: string[];
    };
  }
}

/** LiveKit's client as a page without a bundler uses it; its global name is `LivekitClient`. */
export const SDK = join(
  import.meta.dirname,
  "../node_modules/livekit-client/dist/livekit-client.umd.js",
);

export type State = "initializing" | "listening" | "thinking" | "speaking";

export class ScriptedGuest {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Joins with a voice that is silent at first. */
  static async join(page: Page, livekit: LiveKit, guest: Guest): Promise<ScriptedGuest> {
    // LiveKit's own front door: a page of a trusted address, with no content policy.
    await page.goto(livekit.url.replace("ws:", "http:"));
    await page.addScriptTag({ path: SDK });
    await page.evaluate(
      async ([url, token]) => {
        const { Room, Track } = window.LivekitClient;
        const room = new Room();
        const context = new AudioContext();
        const voice = new GainNode(context, { gain: 0 });
        const microphone = context.createMediaStreamDestination();
        const tone = new OscillatorNode(context, { frequency: 300 });
        tone.connect(voice).connect(microphone);
        tone.start();
        const heard: string[] = [];
        room.registerTextStreamHandler("lk.chat", (reader) => {
          void reader.readAll().then((text) => heard.push(text));
        });
        room.on("dataReceived", (payload, _from, _kind, topic) => {
          if (topic === "parlor.control") heard.push(new TextDecoder().decode(payload));
        });
        await room.connect(url, token);
        const [track] = microphone.stream.getAudioTracks();
        if (track === undefined) throw new Error("the tone has no track");
        await room.localParticipant.publishTrack(track, { source: Track.Source.Microphone });
        window.guest = { room, voice, heard };
      },
      [livekit.url, access(livekit, guest)] as const,
    );
    return new ScriptedGuest(page);
  }

  static agent(page: Page, livekit: LiveKit, room: string): Promise<ScriptedGuest> {
    return ScriptedGuest.join(page, livekit, { room, identity: "agent-scripted", kind: "agent" });
  }

  is(state: State): Promise<void> {
    return this.page.evaluate(
      ([value]) => window.guest.room.localParticipant.setAttributes({ "lk.agent.state": value }),
      [state] as const,
    );
  }

  voice(loudness: number): Promise<void> {
    return this.page.evaluate((gain) => {
      window.guest.voice.gain.value = gain;
    }, loudness);
  }

  /** One text stream that grows: the agent's own words. */
  says(segment: string, pieces: string[]): Promise<void> {
    return this.page.evaluate(
      async ([id, words]) => {
        const { localParticipant } = window.guest.room;
        const writer = await localParticipant.streamText({
          topic: "lk.transcription",
          attributes: { "lk.segment_id": id, "lk.transcription_final": "false" },
        });
        for (const piece of words) await writer.write(piece);
        await writer.close();
      },
      [segment, pieces] as const,
    );
  }

  /** A text stream of its own: somebody's words so far, as heard on their track. */
  captions(identity: string, segment: string, text: string, attributes = {}): Promise<void> {
    return this.page.evaluate(
      async ([whose, id, words, more]) => {
        const { room } = window.guest;
        const person = room.getParticipantByIdentity(whose);
        const track = [...(person?.trackPublications.values() ?? [])][0]?.trackSid ?? "";
        await room.localParticipant.sendText(words, {
          topic: "lk.transcription",
          attributes: { "lk.segment_id": id, "lk.transcribed_track_id": track, ...more },
        });
      },
      [identity, segment, text, attributes] as const,
    );
  }

  tells(topic: string, message: Record<string, unknown>): Promise<void> {
    return this.page.evaluate(
      ([about, json]) =>
        window.guest.room.localParticipant.publishData(new TextEncoder().encode(json), {
          reliable: true,
          topic: about,
        }),
      [topic, JSON.stringify(message)] as const,
    );
  }

  heard(): Promise<string[]> {
    return this.page.evaluate(() => window.guest.heard);
  }

  /** The identity of the page's caller, as soon as they are in the room; the parlor gives them such a name. */
  async caller(): Promise<string> {
    const found = await this.page.waitForFunction(() =>
      [...window.guest.room.remoteParticipants.keys()].find((name) => name.startsWith("caller-")),
    );
    return (await found.jsonValue()) ?? "nobody";
  }

  /** The identity of whoever is there beside this one; and whether their microphone is on. */
  others(): Promise<{ identity: string; isMuted: boolean }[]> {
    return this.page.evaluate(() =>
      [...window.guest.room.remoteParticipants.values()].map((person) => ({
        identity: person.identity,
        isMuted: !person.isMicrophoneEnabled,
      })),
    );
  }

  leave(): Promise<void> {
    return this.page.evaluate(() => window.guest.room.disconnect());
  }
}
