/** Listens to a room through LiveKit's own hooks, and draws nothing. */

import {
  RoomContext,
  useAudioPlayback,
  useConnectionState,
  useDataChannel,
  useTextStream,
  useTranscriptions,
  useVoiceAssistant,
} from "@livekit/components-react";
import { ConnectionState, type Participant, type Room, RoomEvent } from "livekit-client";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";

import type { AgentState } from "../client.ts";
import { parseServerMessage, type ServerMessage } from "../protocol.ts";
import { CaptionReader, CHAT_TOPIC } from "./captions.ts";

type ReceivedDataMessage = Parameters<NonNullable<Parameters<typeof useDataChannel>[0]>>[0];

/** Who is told what happens in the room. */
export interface RoomEars {
  onReconnecting(reconnecting: boolean): void;
  onAgent(identity: string | null, state: AgentState): void;
  onMessage(message: ServerMessage): void;
  onAudioBlocked(blocked: boolean): void;
}

/** The agent's messages beside the sound: parlor's own, each kind on a topic of its own. */
const TOPICS = "parlor.";

const STATE = "lk.agent.state";
const STATES: AgentState[] = ["initializing", "idle", "listening", "thinking", "speaking"];

/** Listens until the answer is called. */
export function listenIn(room: Room, ears: RoomEars): () => void {
  const root = createRoot(document.createElement("div"));
  // At once, so that nothing that the room says from now on is missed.
  flushSync(() => {
    root.render(
      <RoomContext value={room}>
        <RoomListener room={room} ears={ears} />
      </RoomContext>,
    );
  });
  return () => {
    // It may be one of the listener's own effects that has had enough.
    queueMicrotask(() => {
      root.unmount();
    });
  };
}

function RoomListener({ room, ears }: { room: Room; ears: RoomEars }) {
  const { agent } = useVoiceAssistant();
  const state = useAgentState(room, agent);
  const connection = useConnectionState(room);
  const streams = useTranscriptions();
  const { canPlayAudio } = useAudioPlayback(room);
  const { textStreams: written } = useTextStream(CHAT_TOPIC);
  const [captions] = useState(() => new CaptionReader());
  const [chat] = useState(() => new CaptionReader({ typed: true }));
  const identity = agent?.identity ?? null;
  const reconnecting =
    connection === ConnectionState.Reconnecting ||
    connection === ConnectionState.SignalReconnecting;

  useEffect(() => {
    ears.onReconnecting(reconnecting);
  }, [ears, reconnecting]);

  // Told again after a reconnection, during which the agent may have been missed.
  useEffect(() => {
    ears.onAgent(identity, state);
  }, [ears, identity, state, reconnecting]);

  // What an agent's caption closes with changes nothing in the list of streams, but its state changes soon after.
  useEffect(() => {
    const people = {
      caller: room.localParticipant.identity,
      agent: identity,
      ownerOf: (trackId: string) => ownerOf(room, trackId),
      nameOf: (person: string) => room.getParticipantByIdentity(person)?.name || person,
    };
    for (const caption of captions.news(streams, people)) ears.onMessage(caption);
    for (const caption of chat.news(written, people)) ears.onMessage(caption);
  }, [room, ears, captions, streams, chat, written, identity, state]);

  useEffect(() => {
    ears.onAudioBlocked(!canPlayAudio);
  }, [ears, canPlayAudio]);

  const onData = useCallback(
    ({ topic, payload, from }: ReceivedDataMessage) => {
      if (topic?.startsWith(TOPICS) !== true || from?.isAgent !== true) return;
      const message = parseServerMessage(new TextDecoder().decode(payload));
      if (message !== null) ears.onMessage(message);
    },
    [ears],
  );
  useDataChannel(onData);
  return null;
}

/** LiveKit's hook begins to listen a moment after it first looks, and an agent that is ready at once is missed by it. */
function useAgentState(room: Room, agent: Participant | undefined): AgentState {
  const subscribe = useCallback(
    (onChange: () => void) => {
      room.on(RoomEvent.ParticipantAttributesChanged, onChange);
      return () => {
        room.off(RoomEvent.ParticipantAttributesChanged, onChange);
      };
    },
    [room],
  );
  const state = useSyncExternalStore(subscribe, () => agent?.attributes[STATE]);
  return STATES.find((known) => known === state) ?? "initializing";
}

function ownerOf(room: Room, trackId: string): string | null {
  const everybody = [room.localParticipant, ...room.remoteParticipants.values()];
  return everybody.find((person) => person.trackPublications.has(trackId))?.identity ?? null;
}
