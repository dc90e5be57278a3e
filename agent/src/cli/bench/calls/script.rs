//! What callers send: a room's hiss and the words spoken over it, made once and shared by all of them.

use super::line::Transport;
use crate::cli::Failure;
use crate::cli::bench::speech::audible;
use anyhow::Context as _;
use bytes::Bytes;
use media::FRAME_SAMPLES;
use media::codec::{Encoder, EncoderSettings};
use media::framer::Framer;

/// A recording is cut here: a bench interrupts, it does not lecture.
const LONGEST_TAKE_SAMPLES: usize = 10 * 48_000;
/// How loud the callers' rooms are, in 16-bit units: a quiet room's hiss, far below the gate.
const ROOM_PEAK: i16 = 12;
const ROOM_FRAMES: usize = 100;
/// A recorded room is cut here.
const LONGEST_ROOM_SAMPLES: usize = 60 * 48_000;
/// As a browser encodes a voice.
const BROWSER_COMPLEXITY: u8 = 9;

/// What callers say, ready for the wire: PCM for a WebSocket, Opus for WebRTC. Made once, shared by all of them.
#[derive(Debug, Clone)]
pub struct Script {
    /// The room while nobody speaks, over and over.
    pub room: Vec<Bytes>,
    /// The words, each time beginning at another place of their first frame.
    pub takes: Vec<Vec<Bytes>>,
}

/// What callers send, in the transport's form. The words begin at four places of their first frame, since no speaker
/// waits for a frame's beginning.
fn script(transport: Transport, speech: &[i16], room: &[i16]) -> Result<Script, Failure> {
    let words = audible(speech);
    let words = words.get(..LONGEST_TAKE_SAMPLES).unwrap_or(words);
    if words.len() < 2 * FRAME_SAMPLES {
        return Err(Failure::Usage(
            "the recording has less than 40 ms of speech".into(),
        ));
    }
    let room = room.get(..LONGEST_ROOM_SAMPLES).unwrap_or(room);
    if room.len() < FRAME_SAMPLES {
        return Err(Failure::Usage(
            "the room's recording has less than 20 ms".into(),
        ));
    }
    let mut hiss = Hiss::default();
    let mut encoder = Encoder::new(EncoderSettings {
        complexity: BROWSER_COMPLEXITY,
        ..EncoderSettings::default()
    })
    .context("cannot encode the callers' words")?;
    let mut wired = |samples: &[i16]| -> anyhow::Result<Vec<Bytes>> {
        let mut framer = Framer::new();
        framer.push(samples);
        let frames = std::iter::from_fn(|| framer.pop());
        match transport {
            Transport::WebSocket => Ok(frames.map(|frame| frame.to_le_bytes().into()).collect()),
            Transport::WebRtc => Ok(frames
                .map(|frame| encoder.encode(&frame))
                .collect::<Result<_, _>>()?),
        }
    };
    let room = wired(room)?;
    let quarters = (0..4).map(|quarter| quarter * FRAME_SAMPLES / 4);
    let takes = quarters.map(|quarter| {
        let mut take = hiss.samples(quarter);
        take.extend_from_slice(words);
        let rest = take.len().next_multiple_of(FRAME_SAMPLES) - take.len();
        take.extend(hiss.samples(rest));
        wired(&take)
    });
    let takes = takes.collect::<anyhow::Result<_>>()?;
    Ok(Script { room, takes })
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
    use crate::cli::bench::speech::onset;
    use super::*;
    use media::AudioFrame;

    fn speech() -> Vec<i16> {
        [vec![0; 700], vec![5000; 3000], vec![0; 700]].concat()
    }

    fn script_of(transport: Transport, speech: &[i16]) -> Result<Script, Failure> {
        script(
            transport,
            speech,
            &Hiss::default().samples(2 * FRAME_SAMPLES),
        )
    }

    #[test]
    fn every_take_begins_to_sound_in_its_first_frame() {
        let script = script_of(Transport::WebSocket, &speech()).unwrap();
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
        let script = script_of(Transport::WebSocket, &speech()).unwrap();
        assert_eq!(script.takes[0].len(), 4);
        let last = AudioFrame::from_le_bytes(&script.takes[0][3]).unwrap();
        assert!(onset(last.samples()).is_some());
    }

    #[test]
    fn over_webrtc_the_words_are_opus() {
        let script = script_of(Transport::WebRtc, &speech()).unwrap();
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
        assert!(script_of(Transport::WebSocket, &[9000; 100]).is_err());
    }
}
