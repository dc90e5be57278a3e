"""A person in a LiveKit room, with the official SDK: speaks recordings, types, listens, and prints what happened as JSON.

Times are milliseconds since the caller joined. Recordings are spoken one after the other, each when the agent has been
listening for a while; the last may be followed by an interruption of the answer. The call ends when everything was said
and answered, when the room ends it, or when its seconds are over.
"""

import argparse
import asyncio
import collections
import json
import sys
import time

from livekit import rtc

import sound

STATE = "lk.agent.state"
TRANSCRIPTION = "lk.transcription"
CHAT = "lk.chat"
PRECONNECT = "lk.agent.pre-connect-audio-buffer"
POLL_S = 0.02


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seconds", type=float, default=60, help="the longest that the call may take")
    parser.add_argument("--wav", action="append", default=[], help="what to say; several are several turns")
    parser.add_argument("--chat", action="append", default=[], help="what to type, after what was said")
    parser.add_argument("--interrupt-wav", help="what to say into the last answer")
    parser.add_argument("--interrupt-after", type=float, default=1.0, help="seconds after the answer is heard")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds of listening before anything is said")
    parser.add_argument("--tail", type=float, default=1.5, help="seconds of listening before the call ends")
    parser.add_argument("--stay", action="store_true", help="stay until the seconds are over or the room ends it")
    parser.add_argument("--rate", type=int, default=48_000, help="of the microphone, in Hz")
    parser.add_argument("--stereo", action="store_true", help="a microphone with two channels")
    parser.add_argument("--silent", action="store_true", help="publish no microphone")
    parser.add_argument("--preconnect", help="what was said before the agent came")
    parser.add_argument("--attribute", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--flood", type=int, default=0, help="data packets to send in one go, first of all")
    parser.add_argument("--chat-bytes", type=int, default=0, help="the length of a message to send then")
    parser.add_argument("--levels", action="store_true", help="print how loud each 20 ms were")
    parser.add_argument("--save", help="a WAV file for what the agent said first")
    return parser.parse_args()


class Call:
    """What happens in one call."""

    def __init__(self, options):
        self.options = options
        self.room = rtc.Room()
        self.began = time.monotonic()
        self.agent = None
        self.track = None
        self.listener = sound.Listener()
        self.state = None
        self.states = []
        self.attributes = []
        self.transcriptions = []
        self.legacy = []
        self.data = []
        self.lines = []
        self.errors = []
        self.said = []
        self.disconnected = None
        self.to_say = collections.deque()
        self.tasks = set()

    def now_ms(self):
        return round((time.monotonic() - self.began) * 1000)

    def start(self, work):
        """Keeps a task alive, and its trouble for the report."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)

        def ended(task):
            self.tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.errors.append(repr(task.exception()))

        task.add_done_callback(ended)
        return task

    # What comes.

    def listen(self):
        on = self.room.on
        on("participant_connected", self.somebody)
        on("participant_attributes_changed", self.attributes_changed)
        on("track_subscribed", self.track_subscribed)
        on("transcription_received", self.legacy_transcription)
        on("data_received", self.data_received)
        on("connection_state_changed", self.line_changed)
        on("disconnected", self.ended)
        on("participant_disconnected", self.somebody_left)
        self.room.register_text_stream_handler(
            TRANSCRIPTION, lambda reader, who: self.start(self.transcription(reader, who))
        )

    def somebody(self, person):
        if person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT and self.agent is None:
            self.agent = {
                "identity": person.identity,
                "name": person.name,
                "kind": "agent",
                "seen_ms": self.now_ms(),
            }
            self.state_is(person.attributes.get(STATE))
            if person.attributes:
                self.attributes.append({"at_ms": self.now_ms(), "changed": dict(person.attributes)})

    def somebody_left(self, person):
        if self.agent is not None and person.identity == self.agent["identity"]:
            self.agent["left_ms"] = self.now_ms()

    def attributes_changed(self, changed, person):
        if person.identity == self.room.local_participant.identity:
            return
        self.somebody(person)
        self.attributes.append({"at_ms": self.now_ms(), "changed": dict(changed)})
        self.state_is(changed.get(STATE))

    def state_is(self, state):
        if state is not None and state != self.state:
            self.state = state
            self.states.append({"at_ms": self.now_ms(), "state": state})

    def track_subscribed(self, track, publication, person):
        if track.kind != rtc.TrackKind.KIND_AUDIO:
            return
        self.somebody(person)
        self.track = {
            "sid": publication.sid,
            "name": publication.name,
            "source": rtc.TrackSource.Name(publication.source),
            "subscribed_ms": self.now_ms(),
        }
        self.start(self.hear(track))

    async def hear(self, track):
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1, frame_size_ms=sound.FRAME_MS)
        async for event in stream:
            samples = event.frame.data.cast("B").cast("h")
            self.listener.hear(self.now_ms(), samples)

    async def transcription(self, reader, who):
        info = reader.info
        begun = {
            "at_ms": self.now_ms(),
            "from": who,
            "stream": info.stream_id,
            "segment": (info.attributes or {}).get("lk.segment_id"),
            "track": (info.attributes or {}).get("lk.transcribed_track_id"),
            "pieces": [],
        }
        self.transcriptions.append(begun)
        async for piece in reader:
            begun["pieces"].append({"at_ms": self.now_ms(), "text": piece})
        # The last word on it may come with the stream's end.
        attributes = reader.info.attributes or {}
        begun["final"] = attributes.get("lk.transcription_final")
        begun["text"] = "".join(piece["text"] for piece in begun["pieces"])
        begun["ended_ms"] = self.now_ms()

    def legacy_transcription(self, segments, person, publication):
        for segment in segments:
            self.legacy.append(
                {
                    "at_ms": self.now_ms(),
                    "from": person.identity if person is not None else None,
                    "segment": segment.id,
                    "text": segment.text,
                    "final": segment.final,
                    "language": segment.language,
                }
            )

    def data_received(self, packet):
        text = packet.data.decode("utf-8", "replace")
        lossy = packet.kind == rtc.DataPacketKind.KIND_LOSSY
        self.data.append({"at_ms": self.now_ms(), "topic": packet.topic, "text": text, "lossy": lossy})

    def line_changed(self, state):
        self.lines.append({"at_ms": self.now_ms(), "state": rtc.ConnectionState.Name(state)})

    def ended(self, reason=None):
        name = rtc.DisconnectReason.Name(reason) if reason is not None else "UNKNOWN_REASON"
        self.disconnected = {"at_ms": self.now_ms(), "reason": name}

    # What goes.

    async def microphone(self):
        """Publishes a microphone and speaks what is to be said, and silence otherwise."""
        rate, channels = self.options.rate, 2 if self.options.stereo else 1
        source = rtc.AudioSource(rate, channels, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        options.preconnect_buffer = self.options.preconnect is not None
        publication = await self.room.local_participant.publish_track(track, options)
        self.start(self.speak(source, rate, channels))
        return publication

    async def speak(self, source, rate, channels):
        length = rate * sound.FRAME_MS // 1000
        silence = [0] * length
        due = time.monotonic()
        while self.disconnected is None:
            samples = self.to_say.popleft() if self.to_say else silence
            frame = rtc.AudioFrame.create(rate, channels, length)
            for channel in range(channels):
                frame.data[channel::channels] = samples_of(samples)
            await source.capture_frame(frame)
            due += sound.FRAME_MS / 1000
            await asyncio.sleep(max(due - time.monotonic(), 0))

    async def say(self, path, what):
        """Says a recording to its end."""
        self.to_say.extend(sound.frames(sound.read(path, self.options.rate), self.options.rate))
        said = {"what": what, "wav": path, "began_ms": self.now_ms()}
        self.said.append(said)
        while self.to_say and self.disconnected is None:
            await asyncio.sleep(POLL_S)
        said["ended_ms"] = self.now_ms()
        return said

    async def preconnect(self, publication):
        """Sends what was said before, once the agent can hear."""
        rate = self.options.rate
        samples = sound.read(self.options.preconnect, rate)
        await self.until(lambda: self.agent is not None)
        await self.room.local_participant.send_bytes(
            samples.tobytes(),
            topic=PRECONNECT,
            name="preconnect",
            mime_type="audio/pcm",
            destination_identities=[self.agent["identity"]],
            attributes={"trackId": publication.sid, "sampleRate": str(rate), "channels": "1"},
        )
        self.said.append({"what": "preconnect", "wav": self.options.preconnect, "began_ms": self.now_ms()})

    async def type(self, text):
        self.said.append({"what": "chat", "began_ms": self.now_ms()})
        await self.room.local_participant.send_text(text, topic=CHAT)

    async def flood(self):
        for number in range(self.options.flood):
            await self.room.local_participant.publish_data(
                json.dumps({"flood": number}), reliable=number % 2 == 0, topic="flood"
            )

    # The course of the call.

    async def until(self, fits):
        while not fits() and self.disconnected is None:
            await asyncio.sleep(POLL_S)

    async def until_listening(self, seconds):
        """Waits until the agent has been listening for so long."""
        since = None
        while self.disconnected is None:
            if self.state != "listening":
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since >= seconds:
                return
            await asyncio.sleep(POLL_S)

    async def until_answer_is_heard(self, after_ms):
        """Waits until the agent is speaking after a time, and can be heard."""
        spoke = lambda: any(s["state"] == "speaking" and s["at_ms"] >= after_ms for s in self.states)
        await self.until(lambda: spoke() and self.state == "speaking" and self.is_loud())

    def is_loud(self):
        return bool(self.listener.levels_dbfs) and self.listener.levels_dbfs[-1] > sound.AUDIBLE_DBFS

    async def converse(self, publication):
        options = self.options
        if options.flood:
            await self.until(lambda: self.agent is not None)
            await self.flood()
        if options.chat_bytes:
            await self.type("x" * options.chat_bytes)
        if options.preconnect:
            await self.preconnect(publication)
            await self.until_answer_is_heard(self.said[-1]["began_ms"])
        for path in options.wav:
            await self.until_listening(options.wait)
            said = await self.say(path, "question")
            await self.until_answer_is_heard(said["began_ms"])
        if options.interrupt_wav:
            await asyncio.sleep(options.interrupt_after)
            await self.say(options.interrupt_wav, "interruption")
        for text in options.chat:
            await self.until_listening(options.wait)
            await self.type(text)
            await self.until_answer_is_heard(self.said[-1]["began_ms"])
        await self.until_listening(options.tail)
        if options.stay:
            await self.until(lambda: False)

    async def run(self):
        self.listen()
        await self.room.connect(self.options.url, self.options.token)
        joining_ms, self.began = self.now_ms(), time.monotonic()
        for person in list(self.room.remote_participants.values()):
            self.somebody(person)
        publication = None
        if self.options.attribute:
            pairs = dict(pair.split("=", 1) for pair in self.options.attribute)
            await self.room.local_participant.set_attributes(pairs)
        if not self.options.silent:
            publication = await self.microphone()
        timed_out = False
        try:
            await asyncio.wait_for(self.converse(publication), self.options.seconds)
        except asyncio.TimeoutError:
            timed_out = True
        report = {
            "joining_ms": joining_ms,
            "ended_ms": self.now_ms(),
            "timed_out": timed_out,
            "agent": self.agent,
            "track": self.track,
            "state": self.state,
            "states": self.states,
            "attributes": self.attributes,
            "transcriptions": self.transcriptions,
            "legacy_transcriptions": self.legacy,
            "data": self.data,
            "said": self.said,
            "lines": self.lines,
            "disconnected": self.disconnected,
            "errors": self.errors,
            "audio": self.listener.report(self.options.levels),
        }
        if self.options.save:
            sound.write(self.options.save, self.listener.first_stretch(), 48_000)
        await self.room.disconnect()
        return report


def samples_of(samples):
    """As the SDK's frames take them."""
    return memoryview(sound.array.array("h", samples))


async def call():
    # The SDK's room belongs to the loop in which it is made.
    return await Call(arguments()).run()


json.dump(asyncio.run(call()), sys.stdout)
