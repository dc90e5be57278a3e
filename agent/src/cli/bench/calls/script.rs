//! What callers send: a room's hiss and the words spoken over it, made once and shared by all of them.

use super::line::Transport;
use crate::cli::Failure;
use crate::cli::bench::speech::{audible, browser_encoder};
use anyhow::Context as _;
use bytes::Bytes;
use media::FRAME_SAMPLES;
use media::codec::Encoder;
use media::framer::Framer;

/// A recording is cut here: a bench interrupts, it does not lecture.
const LONGEST_TAKE_SAMPLES: usize = 10 * 48_000;
/// How loud the callers' rooms are, in 16-bit units: a quiet room's hiss, far below the gate.
const ROOM_PEAK: i16 = 12;
const ROOM_FRAMES: usize = 100;
/// A recorded room is cut here.
const LONGEST_ROOM_SAMPLES: usize = 60 * 48_000;

/// What callers say, ready for the wire: PCM for a WebSocket, Opus for WebRTC. Made once, shared by all of them.
#[derive(Debug, Clone)]
pub struct Script {
    /// The room while nobody speaks, over and over.
    pub room: Vec<Bytes>,
    /// The words, each time beginning at another place of their first frame.
    pub takes: Vec<Vec<Bytes>>,
}

impl Script {
    /// What callers over `transport` send: `speech` from its first to its last audible sample, and between the words
    /// `room`, or a faint hiss.
    ///
    /// # Errors
    /// When a recording is too short.
    pub fn new(
        transport: Transport,
        speech: &[i16],
        room: Option<&[i16]>,
    ) -> Result<Self, Failure> {
        let mut hiss = Hiss::default();
        let still = hiss.samples(ROOM_FRAMES * FRAME_SAMPLES);
        let room = room.unwrap_or(&still);
        let room = room.get(..LONGEST_ROOM_SAMPLES).unwrap_or(room);
        let words = audible(speech);
        let words = words.get(..LONGEST_TAKE_SAMPLES).unwrap_or(words);
        if words.len() < 2 * FRAME_SAMPLES || room.len() < FRAME_SAMPLES {
            let why = "a recording is too short: the words need 40 ms of sound, the room 20 ms";
            return Err(Failure::Usage(why.into()));
        }
        let mut wired = Wired::new(transport)?;
        let room = wired.frames(room)?;
        // No speaker waits for a frame's beginning.
        let places = (0..4).map(|quarter| quarter * FRAME_SAMPLES / 4);
        let takes = places.map(|place| {
            let mut take = hiss.samples(place);
            take.extend_from_slice(words);
            let rest = take.len().next_multiple_of(FRAME_SAMPLES) - take.len();
            take.extend(hiss.samples(rest));
            wired.frames(&take)
        });
        let takes = takes.collect::<anyhow::Result<_>>()?;
        Ok(Self { room, takes })
    }
}

/// Brings sound into the transport's form.
enum Wired {
    Pcm,
    Opus(Encoder),
}

impl Wired {
    fn new(transport: Transport) -> anyhow::Result<Self> {
        Ok(match transport {
            Transport::WebSocket => Self::Pcm,
            Transport::WebRtc | Transport::LiveKit => Self::Opus(
                Encoder::new(browser_encoder()).context("cannot encode the callers' words")?,
            ),
        })
    }

    fn frames(&mut self, samples: &[i16]) -> anyhow::Result<Vec<Bytes>> {
        let mut framer = Framer::new();
        framer.push(samples);
        let frames = std::iter::from_fn(|| framer.pop());
        match self {
            Self::Pcm => Ok(frames.map(|frame| frame.to_le_bytes().into()).collect()),
            Self::Opus(encoder) => Ok(frames
                .map(|frame| encoder.encode(&frame))
                .collect::<Result<_, _>>()?),
        }
    }
}

/// The hiss of a quiet room.
#[derive(Debug, Default)]
struct Hiss {
    state: u32,
}

impl Hiss {
    fn samples(&mut self, count: usize) -> Vec<i16> {
        let mut sample = || {
            // Numerical Recipes' generator: any would do.
            self.state = self
                .state
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            (self.state >> 16) as i16 % (ROOM_PEAK + 1)
        };
        (0..count).map(|_| sample()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::speech::onset;
    use media::AudioFrame;

    fn speech() -> Vec<i16> {
        [vec![0; 700], vec![5000; 3000], vec![0; 700]].concat()
    }

    fn script(transport: Transport, speech: &[i16]) -> Result<Script, Failure> {
        Script::new(transport, speech, None)
    }

    #[test]
    fn every_take_begins_to_sound_in_its_first_frame() {
        let script = script(Transport::WebSocket, &speech()).unwrap();
        let onsets = script
            .takes
            .iter()
            .map(|take| onset(AudioFrame::from_le_bytes(&take[0]).unwrap().samples()));
        assert_eq!(onsets.collect::<Vec<_>>(), [0, 240, 480, 720].map(Some));
        for frame in &script.room {
            assert_eq!(
                onset(AudioFrame::from_le_bytes(frame).unwrap().samples()),
                None
            );
        }
    }

    #[test]
    fn the_words_end_in_the_last_frame() {
        let script = script(Transport::WebSocket, &speech()).unwrap();
        assert_eq!(script.takes[0].len(), 4);
        let last = AudioFrame::from_le_bytes(&script.takes[0][3]).unwrap();
        assert!(onset(last.samples()).is_some());
    }

    #[test]
    fn over_webrtc_the_words_are_opus() {
        let script = script(Transport::WebRtc, &speech()).unwrap();
        assert!(
            script
                .takes
                .iter()
                .flatten()
                .chain(&script.room)
                .all(|packet| packet.len() < 400)
        );
    }

    #[test]
    fn a_click_is_no_speech() {
        assert!(script(Transport::WebSocket, &[9000; 100]).is_err());
    }
}
