//! Sound through Opus and back, packets lost, of any length, and of chance.

use super::*;
use crate::framer::Framer;
use crate::level::rms;
use proptest::prelude::*;

/// 20 ms number `n` of something like a vowel: 150 Hz and its harmonics.
fn vowel(n: usize) -> AudioFrame {
    let mut frame = AudioFrame::silence();
    for (i, sample) in frame.samples_mut().iter_mut().enumerate() {
        let t = (n * FRAME_SAMPLES + i) as f32 / SAMPLE_RATE_HZ as f32;
        let wave: f32 = (1..12)
            .map(|k| (std::f32::consts::TAU * 150.0 * k as f32 * t).sin() / k as f32)
            .sum();
        *sample = (wave * 4_000.0) as i16;
    }
    frame
}

fn encoder() -> Encoder {
    Encoder::new(EncoderSettings::default()).unwrap()
}

fn packets(encoder: &mut Encoder, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|n| encoder.encode(&vowel(n)).unwrap())
        .collect()
}

#[test]
fn speech_comes_back_as_loud_as_it_went() {
    let mut decoder = Decoder::new().unwrap();
    let mut heard = Vec::new();
    for packet in packets(&mut encoder(), 50) {
        assert!(packet.len() < 300);
        assert_eq!(packet_samples(&packet), Some(960));
        heard.extend_from_slice(decoder.decode(&packet).unwrap());
    }
    assert_eq!(heard.len(), 50 * FRAME_SAMPLES);
    let ratio = rms(&heard[9_600..]) / rms(vowel(10).samples());
    assert!((0.8..1.2).contains(&ratio), "{ratio}");
}

#[test]
fn a_lost_packet_is_decoded_from_the_next_one() {
    let mut encoder = Encoder::new(EncoderSettings {
        expected_loss_percent: 20,
        ..EncoderSettings::default()
    })
    .unwrap();
    let packets = packets(&mut encoder, 30);
    let mut decoder = Decoder::new().unwrap();
    for packet in &packets[..20] {
        decoder.decode(packet).unwrap();
    }
    let recovered = decoder.decode_fec(&packets[21]).unwrap();
    assert_eq!(recovered.len(), FRAME_SAMPLES);
    assert!(rms(recovered) > 0.5 * rms(vowel(20).samples()));
    assert_eq!(decoder.decode(&packets[21]).unwrap().len(), FRAME_SAMPLES);
}

#[test]
fn concealment_goes_on_and_dies_away() {
    let mut decoder = Decoder::new().unwrap();
    assert!(decoder.conceal().is_silent());
    for packet in packets(&mut encoder(), 20) {
        decoder.decode(&packet).unwrap();
    }
    let first = rms(decoder.conceal().samples());
    assert!(first > 500.0, "{first}");
    let later: Vec<f32> = (0..50).map(|_| rms(decoder.conceal().samples())).collect();
    assert!(later[49] < first / 4.0, "{} after {first}", later[49]);
}

#[test]
fn with_dtx_silence_is_next_to_nothing() {
    let mut encoder = Encoder::new(EncoderSettings {
        dtx: true,
        ..EncoderSettings::default()
    })
    .unwrap();
    packets(&mut encoder, 20);
    let sizes: Vec<usize> = (0..50)
        .map(|_| encoder.encode(&AudioFrame::silence()).unwrap().len())
        .collect();
    assert!(
        sizes.iter().filter(|size| **size <= 2).count() > 30,
        "{sizes:?}"
    );
}

#[test]
fn packets_of_any_length_and_of_two_channels_become_mono_frames() {
    let mut decoder = Decoder::new().unwrap();
    for samples in [120, 240, 480, 960, 1920, 2880] {
        let mut stereo = opus::Encoder::new(
            SAMPLE_RATE_HZ,
            opus::Channels::Stereo,
            opus::Application::Audio,
        )
        .unwrap();
        stereo
            .set_force_channels(Some(opus::Channels::Stereo))
            .unwrap();
        let mut framer = Framer::new();
        for _ in 0..24 {
            let sound: Vec<i16> = (0..samples * 2).map(|n| (n % 100) as i16 * 50).collect();
            let packet = stereo.encode_vec(&sound, 4000).unwrap();
            assert_eq!(packet_samples(&packet), Some(samples as u32));
            framer.push(decoder.decode(&packet).unwrap());
        }
        assert_eq!(framer.pending(), 24 * samples);
    }
}

#[test]
fn garbage_is_an_error_and_the_stream_goes_on() {
    let mut decoder = Decoder::new().unwrap();
    let packets = packets(&mut encoder(), 3);
    decoder.decode(&packets[0]).unwrap();
    assert!(matches!(decoder.decode(&[]), Err(Error::Empty)));
    assert!(matches!(decoder.decode_fec(&[]), Err(Error::Empty)));
    // Code 3 with 63 frames: more than 120 ms.
    let error = decoder.decode(&[0x7b, 0x3f, 1, 2]).unwrap_err();
    assert!(matches!(error, Error::Garbage { bytes: 4, .. }), "{error}");
    assert!(packet_samples(&[0x7b, 0x3f]).is_none());
    assert_eq!(decoder.decode(&packets[1]).unwrap().len(), FRAME_SAMPLES);
}

#[test]
fn a_setting_out_of_range_is_named() {
    for (settings, named) in [
        (
            EncoderSettings {
                complexity: 11,
                ..EncoderSettings::default()
            },
            "complexity 11",
        ),
        (
            EncoderSettings {
                bitrate_bps: 0,
                ..EncoderSettings::default()
            },
            "rate of 0",
        ),
        (
            EncoderSettings {
                expected_loss_percent: 101,
                ..EncoderSettings::default()
            },
            "101 %",
        ),
    ] {
        let error = Encoder::new(settings).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_packet_panics(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let mut decoder = Decoder::new().unwrap();
        for packet in packets {
            let samples = decoder.decode(&packet).map(<[i16]>::len);
            prop_assert!(samples.unwrap_or(0) <= MAX_PACKET_SAMPLES);
            let _ = decoder.decode_fec(&packet);
            decoder.conceal();
        }
    }
}
