//! The 10 ms over which a voice stops or goes on, so that neither clicks.

use crate::frame::{AudioFrame, FRAME_SAMPLES};
use std::f32::consts::PI;

/// Length of a fade: 10 ms at 48 kHz.
pub(super) const FADE_SAMPLES: usize = 480;
const _: () = assert!(FADE_SAMPLES <= FRAME_SAMPLES);

/// Fades the first 10 ms out and silences the rest.
pub(super) fn out(frame: &mut AudioFrame) {
    let (fading, rest) = frame.samples_mut().split_at_mut(FADE_SAMPLES);
    for (n, sample) in fading.iter_mut().enumerate() {
        *sample = scaled(*sample, gain(FADE_SAMPLES - 1 - n));
    }
    rest.fill(0);
}

/// Fades the first 10 ms in and leaves the rest.
pub(super) fn r#in(frame: &mut AudioFrame) {
    for (n, sample) in frame
        .samples_mut()
        .iter_mut()
        .take(FADE_SAMPLES)
        .enumerate()
    {
        *sample = scaled(*sample, gain(n));
    }
}

/// Goes over from one sound to another within the first 10 ms: `from` fades out while `into` fades in.
pub(super) fn cross(mut from: AudioFrame, into: &mut AudioFrame) {
    out(&mut from);
    r#in(into);
    for (sample, leaving) in into.samples_mut().iter_mut().zip(from.samples()) {
        *sample = sample.saturating_add(*leaving);
    }
}

/// A raised cosine from 0 to 1: no corner at either end, and a fade-out and a fade-in add up to 1.
fn gain(n: usize) -> f32 {
    0.5 - 0.5 * (PI * (n as f32 + 0.5) / FADE_SAMPLES as f32).cos()
}

fn scaled(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_has_no_step_and_ends_in_silence() {
        let mut frame = AudioFrame::padded(&[10_000; FRAME_SAMPLES]);
        out(&mut frame);
        let samples = frame.samples();
        assert!(samples[0] > 9_990);
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0] >= pair[1] && pair[0] - pair[1] < 40)
        );
        assert!(samples[FADE_SAMPLES..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn fading_out_and_in_again_adds_up_to_the_frame() {
        let frame = AudioFrame::padded(&[12_345; FRAME_SAMPLES]);
        let (mut leaving, mut coming) = (frame.clone(), frame.clone());
        out(&mut leaving);
        r#in(&mut coming);
        for ((a, b), whole) in leaving
            .samples()
            .iter()
            .zip(coming.samples())
            .zip(frame.samples())
        {
            assert!((a + b - whole).abs() <= 1);
        }
    }
}
