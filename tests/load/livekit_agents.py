"""The same agent as parlor's under `parlor bench calls`, made with livekit-agents: Silero hears, a recogniser that knows
its words beforehand, a story for an answer, and a 440 Hz voice. Nothing of it needs a network or a model server.

LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET say where it works; the first argument is the name that it answers to.
"""

import array
import asyncio
import math
import sys

from livekit import agents, rtc
from livekit.agents import llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.plugins import silero

RATE_HZ = 48_000
FRAME = RATE_HZ // 50
WORDS = "tell me a long story"
STORY = "Once upon a time there was a house at the edge of a wood, and in it lived somebody who had time. " * 12
CHARACTERS_A_SECOND = 14


class Recogniser(stt.STT):
    """Hears the same words whatever is said."""

    def __init__(self):
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))

    async def _recognize_impl(self, buffer, *, language=None, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return stt.SpeechEvent(
            type=stt.SpeechEventType.FINAL_TRANSCRIPT,
            alternatives=[stt.SpeechData(language="en", text=WORDS)],
        )


class Storyteller(llm.LLM):
    """Tells the same story whatever is asked."""

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return Story(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Story(llm.LLMStream):
    async def _run(self):
        for word in STORY.split():
            delta = llm.ChoiceDelta(role="assistant", content=word + " ")
            self._event_ch.send_nowait(llm.ChatChunk(id="story", delta=delta))


class Voice(tts.TTS):
    """A tone as long as the words would take."""

    def __init__(self):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE_HZ, num_channels=1)
        # As loud and soft as syllables are: a tone that never changes counts as noise to Opus, and is left out. A whole
        # number of periods, so that it goes on without a click.
        turn = 2 * math.pi / RATE_HZ
        period = (math.sin(440 * turn * n) * (5000 + 4000 * math.sin(4 * turn * n)) for n in range(RATE_HZ // 4))
        self.tone = array.array("h", map(int, period))

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return Tone(tts=self, input_text=text, conn_options=conn_options)


class Tone(tts.ChunkedStream):
    async def _run(self, output_emitter):
        output_emitter.initialize(
            request_id="tone", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm", frame_size_ms=20
        )
        samples = int(len(self._input_text) / CHARACTERS_A_SECOND * RATE_HZ) // FRAME * FRAME
        tone = (self._tts.tone * (samples // len(self._tts.tone) + 1))[:samples]
        # A second at a time, as a fast engine would.
        for start in range(0, samples, RATE_HZ):
            output_emitter.push(tone[start : start + RATE_HZ].tobytes())
            await asyncio.sleep(0)
        output_emitter.flush()


def prewarm(process):
    process.userdata["vad"] = silero.VAD.load()


async def entrypoint(job):
    await job.connect(auto_subscribe=agents.AutoSubscribe.AUDIO_ONLY)
    session = agents.AgentSession(
        vad=job.proc.userdata["vad"],
        stt=Recogniser(),
        llm=Storyteller(),
        tts=Voice(),
        turn_detection="vad",
        min_endpointing_delay=0.7,
    )
    await session.start(agent=agents.Agent(instructions=""), room=job.room)


if __name__ == "__main__":
    name = sys.argv[1]
    sys.argv[1:] = ["start"]
    agents.cli.run_app(
        agents.WorkerOptions(
            entrypoint_fnc=entrypoint,
            prewarm_fnc=prewarm,
            agent_name=name,
            # As many rooms as are asked for: how many the machine carries is what is measured.
            load_threshold=math.inf,
            num_idle_processes=1,
        )
    )
