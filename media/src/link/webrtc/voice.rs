//! Our voice on the wire: each frame an RTP packet whose timestamp is its place on the call's clock.

use crate::codec::{self, Encoder, EncoderSettings};
use crate::frame::{AudioFrame, FRAME_SAMPLES};
use bytes::Bytes;
use rtc::rtp::Packet;
use rtc::rtp::header::Header;

/// Encodes frames and numbers their packets.
pub(in crate::link) struct Voice {
    encoder: Encoder,
    payload_type: u8,
    ssrc: u32,
    base: u32,
    sequence: u16,
    last_tick: Option<u64>,
}

impl Voice {
    /// A voice that begins at a random sequence number and timestamp, as RFC 3550 asks.
    pub(in crate::link) fn new(
        settings: EncoderSettings,
        payload_type: u8,
        ssrc: u32,
    ) -> Result<Self, codec::Error> {
        Ok(Self {
            encoder: Encoder::new(settings)?,
            payload_type,
            ssrc,
            base: rand::random(),
            // In the lower half: were the first packets lost, and with them a wrap, the caller could decrypt none that follow.
            sequence: rand::random::<u16>() >> 1,
            last_tick: None,
        })
    }

    /// The packet for the 20 ms slot `tick` since the call began; marked when slots before it stayed empty. None where Opus
    /// has nothing to say (DTX): the listener's decoder makes the same silence up by itself.
    pub(in crate::link) fn packet(
        &mut self,
        tick: u64,
        frame: &AudioFrame,
    ) -> Result<Option<Packet>, codec::Error> {
        let payload = self.encoder.encode(frame)?;
        Ok((payload.len() > codec::DTX_BYTES).then(|| self.encoded(tick, payload)))
    }

    /// The packet for slot `tick` with what is already Opus.
    pub(in crate::link) fn encoded(&mut self, tick: u64, payload: Bytes) -> Packet {
        let marker = self.last_tick.is_none_or(|last| tick != last + 1);
        self.last_tick = Some(tick);
        self.sequence = self.sequence.wrapping_add(1);
        // Both wrap: the timestamp is the low 32 bits of the clock in samples.
        let timestamp = self
            .base
            .wrapping_add((tick as u32).wrapping_mul(FRAME_SAMPLES as u32));
        let header = Header {
            version: 2,
            marker,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        Packet { header, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_not_sent_and_what_follows_it_is_marked() {
        let settings = EncoderSettings {
            dtx: true,
            ..EncoderSettings::default()
        };
        let mut voice = Voice::new(settings, 111, 7).unwrap();
        let silence = AudioFrame::silence();
        let sent = (0..100).filter(|tick| voice.packet(*tick, &silence).unwrap().is_some());
        let sent: Vec<_> = sent.collect();
        assert!((1..50).contains(&sent.len()), "{sent:?}");
        let loud = AudioFrame::try_from(&[9_000; FRAME_SAMPLES][..]).unwrap();
        let gap = voice.packet(200, &loud).unwrap().unwrap();
        assert!(gap.header.marker);
    }

    #[test]
    fn timestamps_run_on_through_silence_and_the_first_packet_after_it_is_marked() {
        let mut voice = Voice::new(EncoderSettings::default(), 111, 7).unwrap();
        let frame = AudioFrame::silence();
        let ticks = [3_u64, 4, 5, 55, 56, u64::from(u32::MAX) + 9];
        let packets: Vec<_> = ticks
            .iter()
            .map(|tick| voice.packet(*tick, &frame).unwrap().unwrap().header)
            .collect();
        let marked: Vec<_> = packets.iter().map(|packet| packet.marker).collect();
        assert_eq!(marked, [true, false, false, true, false, true]);
        for (pair, ticks) in packets.windows(2).zip(ticks.windows(2)) {
            assert_eq!(
                pair[1].sequence_number,
                pair[0].sequence_number.wrapping_add(1)
            );
            let elapsed = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert_eq!(elapsed, ((ticks[1] - ticks[0]) as u32).wrapping_mul(960));
        }
    }
}
