"""Recordings for a caller, and what can be told of the sound that comes back. Samples are arrays of 16-bit numbers."""

import array
import math
import sys
import wave

FRAME_MS = 20
"""How long a stretch is whose level is measured."""

AUDIBLE_DBFS = -50.0
"""Louder than this is sound. A codec's own noise is far below."""

PAUSE_MS = 300
"""A shorter silence is part of the speech around it."""

CLICK = 12_000
"""No voice of ours moves that far from one sample to the next."""


def read(path, rate_hz):
    """A WAV file of 16-bit samples as mono sound of a rate."""
    with wave.open(path, "rb") as file:
        if file.getsampwidth() != 2:
            raise SystemExit(f"{path}: 16-bit samples are needed")
        channels, own_rate_hz = file.getnchannels(), file.getframerate()
        samples = array.array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    if channels > 1:
        mixed = (sum(samples[i : i + channels]) // channels for i in range(0, len(samples), channels))
        samples = array.array("h", mixed)
    return resample(samples, own_rate_hz, rate_hz)


def write(path, samples, rate_hz):
    """Mono sound as a WAV file."""
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())


def resample(samples, from_hz, to_hz):
    """A straight line from each sample to the next: a little dull, and good enough to be understood."""
    if from_hz == to_hz or not samples:
        return samples
    step, last = from_hz / to_hz, len(samples) - 1
    made = array.array("h")
    for number in range(int(len(samples) / step)):
        at = number * step
        left = min(int(at), last)
        right = min(left + 1, last)
        made.append(int(samples[left] + (samples[right] - samples[left]) * (at - left)))
    return made


def frames(samples, rate_hz):
    """Whole frames of it, the last one filled up with silence."""
    length = rate_hz * FRAME_MS // 1000
    for begin in range(0, len(samples), length):
        frame = samples[begin : begin + length]
        frame.extend([0] * (length - len(frame)))
        yield frame


def dbfs(samples):
    """How loud it is: 0 is a square wave of full scale."""
    power = sum(sample * sample for sample in samples) / max(len(samples), 1)
    return round(10 * math.log10(max(power, 1e-2) / 32_768**2), 1)


class Listener:
    """Hears frames as they come and measures them."""

    def __init__(self):
        self.times_ms = []
        self.levels_dbfs = []
        self.samples = array.array("h")
        self.largest_step = 0
        self.clicks = 0
        self._last = 0

    def hear(self, at_ms, samples):
        """One frame."""
        self.times_ms.append(at_ms)
        self.levels_dbfs.append(dbfs(samples))
        self.samples.extend(samples)
        for sample in samples:
            step = abs(sample - self._last)
            self._last = sample
            self.largest_step = max(self.largest_step, step)
            self.clicks += step > CLICK

    def first_sound_ms(self):
        """When something was heard for the first time."""
        return next((at for at, level in self._heard() if level > AUDIBLE_DBFS), None)

    def speaking(self):
        """When it was loud: pairs of times, with pauses of speech inside."""
        stretches = []
        for at, level in self._heard():
            if level <= AUDIBLE_DBFS:
                continue
            if stretches and at - stretches[-1][1] <= PAUSE_MS:
                stretches[-1][1] = at
            else:
                stretches.append([at, at])
        return [[begin, end + FRAME_MS] for begin, end in stretches]

    def first_stretch(self, pause_ms=1000):
        """What was said first, up to a long pause, with a little silence around it."""
        stretches = self.speaking()
        if not stretches:
            return self.samples[:0]
        begin, end = stretches[0]
        for stretch in stretches[1:]:
            if stretch[0] - end > pause_ms:
                break
            end = stretch[1]
        per_ms = len(self.samples) // len(self.levels_dbfs) // FRAME_MS
        around = [(at - self.times_ms[0]) * per_ms for at in (begin - PAUSE_MS, end + PAUSE_MS)]
        return self.samples[max(around[0], 0) : around[1]]

    def gaps(self):
        """Silences inside speech: pairs of a time and a length in milliseconds. A steady tone has none."""
        found, last = [], None
        for at, level in self._heard():
            if level <= AUDIBLE_DBFS:
                continue
            if last is not None and FRAME_MS * 2 <= at - last <= PAUSE_MS:
                found.append([last + FRAME_MS, at - last - FRAME_MS])
            last = at
        return found

    def report(self, levels):
        """What was measured, with each level if asked for."""
        loud = [level for level in self.levels_dbfs if level > AUDIBLE_DBFS]
        return {
            "frames": len(self.levels_dbfs),
            "first_sound_ms": self.first_sound_ms(),
            "speaking_ms": self.speaking(),
            "gaps_ms": self.gaps(),
            "loud_frames": len(loud),
            "loud_dbfs": round(sum(loud) / len(loud), 1) if loud else None,
            "peak_dbfs": max(self.levels_dbfs, default=None),
            "largest_step": self.largest_step,
            "clicks": self.clicks,
            "levels_dbfs": self.levels_dbfs if levels else None,
        }

    def _heard(self):
        """Levels at the times that the frames have in the sound: those of their arrival wobble."""
        if not self.times_ms:
            return []
        begin = self.times_ms[0]
        return ((begin + number * FRAME_MS, level) for number, level in enumerate(self.levels_dbfs))
