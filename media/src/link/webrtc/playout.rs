//! The caller's voice: packets in as they come, a frame out every 20 ms.

use crate::clock::FrameTicks;
use crate::codec::{self, Decoder};
use crate::frame::{AudioFrame, FRAME, FRAME_SAMPLES};
use crate::framer::Framer;
use crate::jitter::{JitterBuffer, JitterSettings, JitterStatistics, Packet, Playout as Turn};
use crate::level::rms;
use std::time::Duration;

/// Below this level (16-bit RMS) nobody hears that 20 ms were left out; the noise gate's lowest threshold.
const SILENCE_RMS: f32 = 200.0;
/// Frames made up for at once after a stall: what the jitter buffer can hold. The ear's clock must not fall behind.
const MAX_CATCH_UP: u64 = 10;

/// Jitter buffer, decoder and the 20 ms beat of one call.
pub(in crate::link) struct Playout {
    jitter: JitterBuffer,
    decoder: Decoder,
    framer: Framer,
    /// None before the first packet: until then there is nothing to hear.
    ticks: Option<FrameTicks>,
    phase: Duration,
    is_silent: bool,
    undecodable: u64,
}

impl Playout {
    /// A playout whose beat falls at `phase` after the first packet.
    pub(in crate::link) fn new(
        settings: JitterSettings,
        phase: Duration,
    ) -> Result<Self, codec::Error> {
        Ok(Self {
            jitter: JitterBuffer::new(settings),
            decoder: Decoder::new()?,
            framer: Framer::new(),
            ticks: None,
            phase,
            is_silent: true,
            undecodable: 0,
        })
    }

    /// Takes a packet that came at `now`.
    pub(in crate::link) fn insert(&mut self, now: Duration, packet: Packet) {
        self.jitter.insert(now, packet);
        self.ticks
            .get_or_insert_with(|| FrameTicks::new(now, self.phase));
    }

    /// When the next frame is due.
    pub(in crate::link) fn next_timeout(&self) -> Option<Duration> {
        self.ticks.as_ref().map(FrameTicks::next_timeout)
    }

    /// Hands over the frames that are due, silence where there is nothing to hear.
    pub(in crate::link) fn handle_timeout(
        &mut self,
        now: Duration,
        mut hear: impl FnMut(AudioFrame),
    ) {
        let Some(ticks) = &mut self.ticks else {
            return;
        };
        let due = ticks.next_timeout();
        let Some(missed) = ticks.handle_timeout(now) else {
            return;
        };
        let missed = missed.min(MAX_CATCH_UP) as u32;
        for beat in 0..=missed {
            let frame = self.turn(due.max(now.saturating_sub(FRAME * missed)) + FRAME * beat);
            hear(frame);
        }
    }

    /// The beat rests until the next packet: nothing is to be heard meanwhile.
    pub(in crate::link) fn rest(&mut self) {
        self.ticks = None;
    }

    /// What has happened so far.
    pub(in crate::link) fn statistics(&self) -> JitterStatistics {
        self.jitter.statistics()
    }

    /// Packets that were no Opus.
    pub(in crate::link) fn undecodable(&self) -> u64 {
        self.undecodable
    }

    fn turn(&mut self, now: Duration) -> AudioFrame {
        // Packets may be shorter than a frame, so more than one may be needed; and longer, so that some wait already.
        loop {
            let decoded = match self.jitter.next(now, self.is_silent) {
                Turn::Decode(packet) => self.decoder.decode(&packet),
                Turn::Fec(next) => self.decoder.decode_fec(&next),
                Turn::Conceal => {
                    self.framer.push(self.decoder.conceal().samples());
                    break;
                }
                Turn::Nothing => break,
            };
            match decoded {
                Ok(samples) => self.framer.push(samples),
                Err(_) => {
                    self.undecodable += 1;
                    self.framer.push(self.decoder.conceal().samples());
                }
            }
            if self.framer.pending() >= FRAME_SAMPLES {
                break;
            }
        }
        let frame = self.framer.pop().or_else(|| self.framer.flush());
        let frame = frame.unwrap_or_else(AudioFrame::silence);
        self.is_silent = rms(frame.samples()) < SILENCE_RMS;
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Encoder, EncoderSettings};
    use bytes::Bytes;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn tone() -> AudioFrame {
        let mut frame = AudioFrame::silence();
        for (n, sample) in frame.samples_mut().iter_mut().enumerate() {
            *sample = ((n as f32 * 0.0576).sin() * 8000.0) as i16;
        }
        frame
    }

    fn packet(sequence: u16, payload: Bytes) -> Packet {
        let timestamp = u32::from(sequence) * 960;
        Packet {
            sequence,
            timestamp,
            payload,
            marker: false,
        }
    }

    fn heard(playout: &mut Playout, now: Duration) -> Vec<f32> {
        let mut levels = Vec::new();
        playout.handle_timeout(now, |frame| levels.push(rms(frame.samples())));
        levels
    }

    #[test]
    fn the_ears_clock_goes_on_when_the_caller_sends_nothing() {
        let mut playout = Playout::new(JitterSettings::default(), ms(7)).unwrap();
        assert_eq!(playout.next_timeout(), None);
        let mut encoder = Encoder::new(EncoderSettings::default()).unwrap();
        playout.insert(ms(100), packet(1, encoder.encode(&tone()).unwrap()));
        assert_eq!(playout.next_timeout(), Some(ms(107)));
        let frames: usize = (0..100)
            .map(|n| heard(&mut playout, ms(107 + n * 20)).len())
            .sum();
        assert_eq!(frames, 100);
        assert_eq!(heard(&mut playout, ms(2107)), [0.0]);
    }

    #[test]
    fn a_stall_is_made_up_for_and_never_more() {
        let mut playout = Playout::new(JitterSettings::default(), ms(0)).unwrap();
        playout.insert(ms(0), packet(1, Bytes::from_static(&[0xfc])));
        assert_eq!(heard(&mut playout, ms(0)).len(), 1);
        assert_eq!(heard(&mut playout, ms(85)).len(), 4);
        assert_eq!(heard(&mut playout, ms(90)).len(), 0);
        assert_eq!(heard(&mut playout, ms(60_000)).len(), 11);
    }

    #[test]
    fn garbage_between_good_packets_is_concealed() {
        let mut playout = Playout::new(JitterSettings::default(), ms(0)).unwrap();
        let mut encoder = Encoder::new(EncoderSettings::default()).unwrap();
        let mut levels = Vec::new();
        for n in 0..40_u16 {
            let good = encoder.encode(&tone()).unwrap();
            let payload = if n == 20 {
                Bytes::from_static(&[0x7b, 0x3f, 1, 2])
            } else {
                good
            };
            playout.insert(ms(u64::from(n) * 20), packet(n, payload));
            levels.extend(heard(&mut playout, ms(u64::from(n) * 20)));
        }
        assert_eq!(playout.undecodable(), 1);
        assert!(
            levels[10..].iter().all(|level| *level > 1000.0),
            "{levels:?}"
        );
    }
}
