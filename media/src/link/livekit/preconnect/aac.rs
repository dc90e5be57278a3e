//! Decodes AAC (the low-complexity profile, mono or stereo; of the high-efficiency profiles the core, without the treble).
//!
//! The decoder makes room for one packet of at most two channels, whatever its configuration claims; packets that lie make
//! it fail or panic, which is for the caller to catch.

use super::{Collector, Unreadable, mix};
use crate::frame::AudioFrame;
use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_AAC, CodecParameters, Decoder as _, DecoderOptions};
use symphonia::core::formats::Packet;
use symphonia::default::codecs::AacDecoder;

/// How many packets may be damaged. The decoder logs each one, and a stranger shall not fill the log.
const MOST_DAMAGED: usize = 10;

/// Decodes packets that MPEG-4's AudioSpecificConfig describes. The encoder's silent start, some 40 ms, stays in.
pub(super) fn decode(config: &[u8], packets: &[&[u8]]) -> Result<Vec<AudioFrame>, Unreadable> {
    let mut params = CodecParameters::new();
    params
        .for_codec(CODEC_TYPE_AAC)
        .with_extra_data(config.into());
    let mut decoder = AacDecoder::try_new(&params, &DecoderOptions::default())
        .map_err(|error| Unreadable(error.to_string()))?;
    // Of what the configuration says, only the decoder knows how much it believes.
    let empty = decoder.last_decoded();
    let spec = *empty.spec();
    let mut interleaved = SampleBuffer::<i16>::new(empty.capacity() as u64, spec);
    let mut collector = Collector::new(spec.rate)?;
    let mut damaged = 0;
    for packet in packets {
        match decoder.decode(&Packet::new_from_slice(0, 0, 0, packet)) {
            Ok(sound) => {
                interleaved.copy_interleaved_ref(sound);
                collector.push(&mix(interleaved.samples(), spec.channels.count()));
            }
            Err(_) if damaged == MOST_DAMAGED => break,
            Err(_) => damaged += 1,
        }
    }
    let frames = collector.finish();
    match frames.is_empty() {
        true => Err(Unreadable("there is no AAC in it".into())),
        false => Ok(frames),
    }
}

#[cfg(test)]
mod tests {
    use super::super::mp4;
    use super::*;

    fn packets() -> Vec<&'static [u8]> {
        mp4::read(include_bytes!("testdata/mono.mp4"))
            .unwrap()
            .packets
    }

    /// Low complexity, 48 kHz, mono.
    const CONFIG: [u8; 2] = [0x11, 0x88];

    #[test]
    fn the_core_of_high_efficiency_sound_is_heard() {
        // Treble up to 48 kHz is announced over a core at 48 kHz.
        let announced = decode(&[0x29, 0x89, 0x88, 0], &packets()).unwrap();
        assert!(announced == decode(&CONFIG, &packets()).unwrap());
        assert!(announced.len() > 70);
    }

    #[test]
    fn configurations_that_cannot_be_are_refused() {
        // No bytes, no rate, a rate of 1 Hz in full, no channels, six of them, another profile, frames of 960 samples.
        for config in [
            [].as_slice(),
            &[0x16, 0x88],
            &[0x17, 0x80, 0, 0, 0x88],
            &[0x11, 0x80],
            &[0x11, 0xb0],
            &[0x09, 0x88],
            &[0x11, 0x8c],
        ] {
            assert!(decode(config, &packets()).is_err(), "{config:?}");
        }
    }

    #[test]
    fn some_damage_is_skipped_and_much_ends_the_recording() {
        let whole = decode(&CONFIG, &packets()).unwrap();
        // An element that couples channels, which no recorder writes.
        let damage = |count| [vec![[0x40].as_slice(); count], packets()].concat();
        assert!(decode(&CONFIG, &damage(MOST_DAMAGED)).unwrap() == whole);
        assert!(decode(&CONFIG, &damage(MOST_DAMAGED + 1)).is_err());
    }
}
