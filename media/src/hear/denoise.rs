//! RNNoise: takes what is not voice out of a frame, at 48 kHz.

use crate::frame::{AudioFrame, FRAME_SAMPLES};
use nnnoiseless::{DenoiseState, RnnModel};
use std::sync::LazyLock;

const HALF: usize = DenoiseState::FRAME_SIZE;
const _: () = assert!(HALF * 2 == FRAME_SAMPLES);

// The weights never change, so all calls read the same ones.
static MODEL: LazyLock<RnnModel> = LazyLock::new(RnnModel::default);

/// One call's denoiser.
pub struct Denoiser {
    state: Box<DenoiseState<'static>>,
    input: [f32; HALF],
    output: [f32; HALF],
    frame: AudioFrame,
}

impl Denoiser {
    /// A denoiser that has heard nothing yet.
    pub fn new() -> Self {
        Self {
            state: DenoiseState::with_model(&MODEL),
            input: [0.0; HALF],
            output: [0.0; HALF],
            frame: AudioFrame::silence(),
        }
    }

    /// The frame without its noise, 10 ms late: RNNoise overlaps its windows by one half.
    pub fn denoise(&mut self, frame: &AudioFrame) -> &AudioFrame {
        // RNNoise works on 10 ms at 48 kHz, so a frame goes through in two halves, as floats in the range of i16.
        let halves = frame
            .samples()
            .chunks_exact(HALF)
            .zip(self.frame.samples_mut().chunks_exact_mut(HALF));
        for (from, to) in halves {
            for (input, sample) in self.input.iter_mut().zip(from) {
                *input = f32::from(*sample);
            }
            self.state.process_frame(&mut self.output, &self.input);
            for (sample, output) in to.iter_mut().zip(&self.output) {
                // `as` saturates, so an overshoot is clipped and never wraps.
                *sample = output.round() as i16;
            }
        }
        &self.frame
    }
}

impl Default for Denoiser {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Denoiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Denoiser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    #[test]
    fn a_rumble_becomes_far_quieter() {
        let mut denoiser = Denoiser::new();
        let (mut seed, mut rumble) = (1u32, 0.0f32);
        let (mut before, mut after) = (0.0, 0.0);
        for n in 0..300 {
            let mut frame = AudioFrame::silence();
            for sample in frame.samples_mut() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                rumble = rumble * 0.98 + f32::from((seed >> 16) as i16) * 0.02;
                *sample = rumble as i16;
            }
            let clean = level::rms(denoiser.denoise(&frame).samples());
            if n >= 100 {
                before += level::rms(frame.samples());
                after += clean;
            }
        }
        assert!(after < before / 4.0, "{after} of {before}");
    }

    #[test]
    fn full_scale_never_wraps() {
        let mut denoiser = Denoiser::new();
        let loud = AudioFrame::padded(&[i16::MAX; FRAME_SAMPLES]);
        for _ in 0..20 {
            let peak = denoiser
                .denoise(&loud)
                .samples()
                .iter()
                .filter(|sample| **sample == i16::MIN)
                .count();
            assert_eq!(peak, 0);
        }
    }
}
