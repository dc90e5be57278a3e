//! Tones through every rate in use: their level, their place and their length.

use super::*;
use crate::level::{dbfs, rms};
use proptest::prelude::*;

fn tone(hz: f32, rate_hz: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| {
            ((std::f32::consts::TAU * hz * n as f32 / rate_hz as f32).sin() * 10_000.0).round()
                as i16
        })
        .collect()
}

fn converted(from_hz: u32, to_hz: u32, input: &[i16], chunk: usize) -> Vec<i16> {
    let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
    let mut out = Vec::new();
    for chunk in input.chunks(chunk) {
        resampler.process(chunk, &mut out);
    }
    resampler.flush(&mut out);
    out
}

/// Level of the middle of a sound, where filters have settled.
fn level(sound: &[i16]) -> f32 {
    dbfs(rms(&sound[sound.len() / 4..sound.len() * 3 / 4]))
}

fn down(input: &[i16]) -> Vec<i16> {
    let mut downsampler = Downsampler48To16::new();
    let mut out = Vec::new();
    for chunk in input.chunks_exact(FRAME_SAMPLES) {
        let mut samples = [0; FRAME_SAMPLES_16K];
        downsampler.process(&AudioFrame::padded(chunk), &mut samples);
        out.extend_from_slice(&samples);
    }
    out
}

#[test]
fn going_down_to_16_khz_keeps_speech_and_stops_what_would_fold_back() {
    let full = level(&tone(1_000.0, 48_000, 48_000));
    for hz in [100.0, 1_000.0, 3_400.0, 6_500.0] {
        let got = level(&down(&tone(hz, 48_000, 48_000)));
        assert!((got - full).abs() < 0.5, "{hz} Hz: {got} dB of {full} dB");
    }
    for hz in [8_300.0, 10_000.0, 15_000.0, 20_000.0] {
        let got = level(&down(&tone(hz, 48_000, 48_000)));
        assert!(got < full - 40.0, "{hz} Hz: {got} dB of {full} dB");
    }
}

#[test]
fn the_step_to_16_khz_is_five_milliseconds_late() {
    let got = down(&tone(500.0, 48_000, 9_600));
    let want = tone(500.0, 16_000, 3_200);
    for (got, want) in got[1_080..2_000].iter().zip(&want[1_000..]) {
        assert!((got - want).abs() < 20, "{got} for {want}");
    }
}

#[test]
fn all_rates_in_use_keep_length_level_and_place() {
    for (from_hz, to_hz) in [
        (44_100, 48_000),
        (16_000, 48_000),
        (22_050, 48_000),
        (8_000, 48_000),
        (24_000, 48_000),
        (96_000, 48_000),
        (48_000, 16_000),
        (48_000, 8_000),
        (44_100, 16_000),
        (48_000, 48_000),
        (44_101, 48_000),
        (48_000, 11_027),
    ] {
        let input = tone(1_000.0, from_hz, from_hz as usize / 2);
        let out = converted(from_hz, to_hz, &input, 333);
        assert!(
            out.len().abs_diff(to_hz as usize / 2) <= 1,
            "{from_hz} to {to_hz}: {}",
            out.len()
        );
        assert!(
            (level(&out) - level(&input)).abs() < 0.5,
            "{from_hz} to {to_hz}"
        );
        let want = tone(1_000.0, to_hz, to_hz as usize / 2);
        let middle = want.len() / 4..want.len() * 3 / 4;
        // A filter of odd length lies half a sample beside its place; one sample is allowed.
        let steepest =
            (10_000.0 * std::f32::consts::TAU * 1_000.0 / from_hz.min(to_hz) as f32) as u16;
        for (got, want) in out[middle.clone()].iter().zip(&want[middle]) {
            assert!(
                got.abs_diff(*want) <= steepest,
                "{from_hz} to {to_hz}: {got} for {want}"
            );
        }
    }
}

#[test]
fn ten_kilohertz_does_not_survive_the_way_to_16_khz() {
    let input = tone(10_000.0, 48_000, 24_000);
    assert!(level(&converted(48_000, 16_000, &input, 960)) < level(&input) - 40.0);
}

#[test]
fn full_scale_does_not_wrap_around() {
    let square: Vec<i16> = (0..8_000)
        .map(|n| if n % 80 < 40 { i16::MAX } else { i16::MIN })
        .collect();
    let out = converted(16_000, 48_000, &square, 320);
    let inside = out[300..].chunks(240).filter(|chunk| chunk.len() == 240);
    for chunk in inside {
        let steps = chunk
            .windows(2)
            .filter(|pair| pair[0].abs_diff(pair[1]) > 40_000)
            .count();
        assert_eq!(steps, 0, "an overshoot wrapped around");
    }
}

#[test]
fn absurd_rates_are_refused() {
    for (from_hz, to_hz) in [(0, 48_000), (48_000, 0), (999, 48_000), (48_000, u32::MAX)] {
        assert!(matches!(
            Resampler::new(from_hz, to_hz),
            Err(Error::Rate { .. })
        ));
    }
}

#[test]
fn a_second_stream_after_a_flush_is_like_the_first() {
    let input = tone(440.0, 22_050, 5_000);
    let mut resampler = Resampler::new(22_050, 48_000).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    resampler.process(&input, &mut first);
    resampler.flush(&mut first);
    resampler.process(&input, &mut second);
    resampler.flush(&mut second);
    assert_eq!(first, second);
    let mut nothing = Vec::new();
    resampler.flush(&mut nothing);
    assert!(nothing.is_empty());
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_makes_no_difference(
        cuts in prop::collection::vec(0usize..3_000, 0..12),
        rate in prop::sample::select(vec![8_000u32, 16_000, 22_050, 44_100]),
    ) {
        let samples: usize = cuts.iter().sum();
        let input = tone(700.0, rate, samples);
        let whole = converted(rate, 48_000, &input, samples.max(1));
        let mut resampler = Resampler::new(rate, 48_000).unwrap();
        let (mut out, mut rest) = (Vec::new(), input.as_slice());
        for cut in cuts {
            let (now, later) = rest.split_at(cut);
            resampler.process(now, &mut out);
            rest = later;
        }
        resampler.flush(&mut out);
        prop_assert_eq!(out, whole);
    }
}
