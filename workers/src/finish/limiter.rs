//! A voice's gain, and a ceiling that no sample passes.
//!
//! The gain of the moment is the lowest that any sample of the next 5 ms needs, let go slowly and averaged over 5 ms. So it is
//! there when a peak comes, it never jumps, and between the waves of a voice it stays where it is.

use media::SAMPLE_RATE_HZ;
use std::collections::VecDeque;

/// The ceiling, which leaves room for what encoders add.
pub const CEILING_DBFS: f32 = -1.0;
/// The same in 16-bit units.
const CEILING: f32 = 29_204.0;
/// How far it looks ahead: 5 ms, in which the gain falls.
const AHEAD: usize = SAMPLE_RATE_HZ as usize / 200;
/// The part of its way back to the voice's gain that the gain makes with each sample: two thirds of it within 80 ms, longer than
/// any wave of a voice.
const RELEASE: f64 = 1.0 / (0.08 * SAMPLE_RATE_HZ as f64);

/// Brings samples at 48 kHz to a level by a fixed gain, and lets no peak pass [`CEILING_DBFS`].
#[derive(Debug)]
pub struct Limiter {
    gain: f32,
    /// Samples after the gain that have not left.
    ahead: VecDeque<f32>,
    /// The samples of those that need a lower gain than all after them: their numbers, and the gains. Rising.
    lowest: VecDeque<(u64, f64)>,
    /// Samples taken so far.
    taken: u64,
    /// The lowest gain of the window, let go slowly.
    held: f64,
    /// The last of those gains, and their sum.
    recent: VecDeque<f64>,
    sum: f64,
}

impl Limiter {
    /// For one clause, with this gain as a factor.
    pub fn new(gain: f32) -> Self {
        Self {
            gain,
            ahead: VecDeque::with_capacity(AHEAD),
            lowest: VecDeque::new(),
            taken: 0,
            held: 1.0,
            recent: VecDeque::with_capacity(AHEAD),
            sum: 0.0,
        }
    }

    /// Takes samples, and appends those to `out` for which it has looked far enough ahead.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        for sample in samples {
            self.step(f32::from(*sample) * self.gain, out);
        }
    }

    /// Appends the samples that have not left; after that a new limiter is needed.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        let mut rest = self.ahead.len();
        while rest > 0 {
            let before = out.len();
            self.step(0.0, out);
            rest -= out.len() - before;
        }
    }

    fn step(&mut self, sample: f32, out: &mut Vec<i16>) {
        let needed = match sample.abs() {
            height if height > CEILING => f64::from(CEILING) / f64::from(height),
            _ => 1.0,
        };
        // What a later sample needs too is no longer asked for by an earlier one.
        while self.lowest.back().is_some_and(|(_, gain)| *gain >= needed) {
            self.lowest.pop_back();
        }
        self.lowest.push_back((self.taken, needed));
        self.taken += 1;
        let first = self.taken.saturating_sub(AHEAD as u64);
        while self.lowest.front().is_some_and(|(at, _)| *at < first) {
            self.lowest.pop_front();
        }
        let lowest = self.lowest.front().map_or(1.0, |(_, gain)| *gain);
        self.held = lowest.min(self.held + (1.0 - self.held) * RELEASE);
        if self.recent.len() == AHEAD {
            self.sum -= self.recent.pop_front().unwrap_or_default();
        }
        self.recent.push_back(self.held);
        self.sum += self.held;
        self.ahead.push_back(sample);
        if self.ahead.len() == AHEAD
            && let Some(sample) = self.ahead.pop_front()
        {
            // Each of the gains that are averaged here suits this sample: it lay in the window of every one of them.
            let gain = (self.sum / self.recent.len() as f64) as f32;
            out.push((sample * gain).clamp(-CEILING, CEILING).round() as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(gain: f32, samples: &[i16]) -> Vec<i16> {
        let mut limiter = Limiter::new(gain);
        let mut out = Vec::new();
        for part in samples.chunks(700) {
            limiter.process(part, &mut out);
        }
        limiter.finish(&mut out);
        out
    }

    fn tone(hz: f32, height: f32, samples: usize) -> Vec<i16> {
        let step = std::f32::consts::TAU * hz / SAMPLE_RATE_HZ as f32;
        (0..samples)
            .map(|n| ((n as f32 * step).sin() * height) as i16)
            .collect()
    }

    #[test]
    fn what_stays_under_the_ceiling_is_only_made_louder_and_not_shifted() {
        let sound = tone(440.0, 10_000.0, 48_000);
        assert_eq!(limited(1.0, &sound), sound);
        let twice: Vec<i16> = sound.iter().map(|sample| sample * 2).collect();
        assert_eq!(limited(2.0, &sound), twice);
        for length in [0, 1, AHEAD - 1, AHEAD, AHEAD + 1, 1_000] {
            assert_eq!(limited(1.0, &sound[..length]), sound[..length]);
        }
    }

    #[test]
    fn no_peak_passes_the_ceiling_wherever_it_stands() {
        let peaks = [0, 1, 100, AHEAD - 1, AHEAD, 5_000, 9_998, 9_999];
        for gain in [1.0, 1.5, 4.0, 10.0] {
            let mut sound = tone(150.0, 8_000.0, 10_000);
            for at in peaks {
                sound[at] = if at % 2 == 0 { i16::MAX } else { i16::MIN };
            }
            let out = limited(gain, &sound);
            assert_eq!(out.len(), sound.len());
            let highest = out.iter().map(|sample| sample.unsigned_abs()).max();
            let highest = f32::from(highest.unwrap());
            assert!(highest <= CEILING, "{highest} by {gain}");
            assert!(highest > CEILING * 0.9, "{highest} by {gain}");
        }
        assert!((20.0 * (CEILING / 32_768.0).log10() - CEILING_DBFS).abs() < 0.01);
    }

    #[test]
    fn the_gain_neither_jumps_nor_follows_the_waves_and_comes_back() {
        // A steady sound with a loud second in it: what leaves over what came is the gain.
        let mut sound = vec![10_000; 48_000];
        sound.extend(tone(100.0, 30_000.0, 48_000));
        sound.extend(vec![10_000; 48_000]);
        let out = limited(2.0, &sound);
        let gain = |at: usize| f32::from(out[at]) / f32::from(sound[at]);
        let gains: Vec<f32> = (0..48_000).chain(96_000..144_000).map(gain).collect();
        // It falls by what 5 ms of the way down are, and rounding.
        let steepest = 2.0 / AHEAD as f32 + 0.001;
        let jumps = |pair: &[f32]| (pair[1] - pair[0]).abs() > steepest;
        assert!(!gains[..48_000].windows(2).any(jumps));
        assert!(!gains[48_000..].windows(2).any(jumps));
        assert!((gains[47_000] - 2.0).abs() < 0.001);
        assert!(
            (gains[48_000 + 24_000] - 2.0).abs() < 0.01,
            "it is back in half a second"
        );
        // In the loud second the waves keep their shape: each half of a wave is as high as the other ones.
        let heights = out[60_000..90_000].chunks(480).map(|wave| {
            wave.iter()
                .map(|sample| sample.unsigned_abs())
                .max()
                .unwrap()
        });
        let heights: Vec<u16> = heights.collect();
        let (least, most) = (heights.iter().min().unwrap(), heights.iter().max().unwrap());
        assert!(most - least < 500, "from {least} to {most}");
    }
}
