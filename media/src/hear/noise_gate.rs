//! The adaptive noise gate: learns how loud the room is, and keeps what is no louder from beginning as speech.
//!
//! ```text
//!   level ─► quiet? ──► window of 100 levels ─► 25th percentile = floor ─► threshold = max(2.5 x floor, 200)
//!               │
//!               └ speech open: nothing is learned; from 10 s on a trial window fills beside the other, and becomes
//!                 it only when its sound is steady: steady sound is the room, swinging sound is someone talking
//! ```

use super::settings::{NoiseGateSettings, frames_of};
use serde::Serialize;
use std::time::Duration;

/// Levels above this percentile of a window are its loud frames, by which talk is told from a steady noise.
const LOUD_PERCENTILE: f64 = 0.9;

/// The adaptive noise gate of one call. Levels are RMS in units of 16-bit samples.
#[derive(Debug)]
pub struct NoiseGate {
    settings: NoiseGateSettings,
    window: Window,
    /// Fills during long unbroken speech, beside the window that it may replace.
    trial: Window,
    warmup_left: u32,
    until_update: u32,
    statistics: GateStatistics,
}

/// What the noise gate has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct GateStatistics {
    /// Frames heard.
    pub frames: u64,
    /// Frames kept from beginning speech.
    pub gated: u64,
    /// The noise floor (RMS, 16-bit units); 0 until the warm-up is over.
    pub floor_rms: f32,
    /// The threshold at multiplier 1.0 (RMS, 16-bit units).
    pub threshold_rms: f32,
}

impl GateStatistics {
    /// The part of all frames that was gated, 0 to 1.
    pub fn ratio(&self) -> f64 {
        super::statistics::ratio(self.gated, self.frames)
    }
}

impl NoiseGate {
    /// A gate that knows nothing of the room yet.
    pub fn new(settings: NoiseGateSettings) -> Self {
        let statistics = GateStatistics {
            threshold_rms: settings.min_threshold as f32,
            ..GateStatistics::default()
        };
        Self {
            window: Window::new(settings.window_size),
            trial: Window::new(settings.window_size),
            warmup_left: if settings.warmup_ms == 0 {
                0
            } else {
                frames_of(settings.warmup_ms)
            },
            until_update: settings.update_interval_frames,
            statistics,
            settings,
        }
    }

    /// Whether a frame of this level is too quiet to begin speech when the state scales the threshold by `multiplier`.
    pub fn blocks(&self, level_rms: f32, multiplier: f64) -> bool {
        self.settings.enabled
            && f64::from(level_rms) < f64::from(self.statistics.threshold_rms) * multiplier
    }

    /// Takes a frame's level into account. `speech` is how long speech has been open without a break, if it is.
    pub fn learn(&mut self, level_rms: f32, speech: Option<Duration>) {
        self.until_update = self.until_update.saturating_sub(1);
        match speech {
            None => {
                self.trial.clear();
                self.window.push(level_rms);
                self.warmup_left = self.warmup_left.saturating_sub(1);
            }
            Some(unbroken)
                if unbroken.as_millis() >= u128::from(self.settings.relearn_after_ms) =>
            {
                self.trial.push(level_rms);
            }
            Some(_) => return,
        }
        if self.until_update == 0 {
            self.until_update = self.settings.update_interval_frames;
            self.update();
        }
    }

    /// Counts a frame and whether it was gated.
    pub fn count(&mut self, gated: bool) {
        self.statistics.frames += 1;
        self.statistics.gated += u64::from(gated);
    }

    /// What the gate has done so far.
    pub fn statistics(&self) -> GateStatistics {
        self.statistics
    }

    fn update(&mut self) {
        if self.trial.is_full() {
            // A long talker's percentile lies in the speech: taken for the room, it would keep the talker's next words
            // from beginning. But talk has frames far above it, which the threshold would let through; a steady noise
            // has none.
            let [floor, loud] = self
                .trial
                .percentiles([self.settings.percentile, LOUD_PERCENTILE]);
            if f64::from(loud) < f64::from(floor) * self.settings.threshold_multiplier {
                std::mem::swap(&mut self.window, &mut self.trial);
                self.warmup_left = 0;
            }
            self.trial.clear();
        }
        if self.warmup_left > 0 {
            return;
        }
        let [floor] = self.window.percentiles([self.settings.percentile]);
        let threshold = (f64::from(floor) * self.settings.threshold_multiplier)
            .max(self.settings.min_threshold);
        self.statistics.floor_rms = floor;
        self.statistics.threshold_rms = threshold as f32;
    }
}

/// The last levels, as many as fit.
#[derive(Debug)]
struct Window {
    levels: Vec<f32>,
    size: usize,
    next: usize,
    sorted: Vec<f32>,
}

impl Window {
    fn new(size: usize) -> Self {
        let size = size.max(1);
        Self {
            levels: Vec::with_capacity(size),
            size,
            next: 0,
            sorted: Vec::with_capacity(size),
        }
    }

    fn push(&mut self, level: f32) {
        match self.levels.get_mut(self.next) {
            Some(oldest) => *oldest = level,
            None => self.levels.push(level),
        }
        self.next = (self.next + 1) % self.size;
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.next = 0;
    }

    fn is_full(&self) -> bool {
        self.levels.len() == self.size
    }

    /// The levels at the given fractions of the sorted window (nearest rank); 0 of an empty one.
    fn percentiles<const N: usize>(&mut self, fractions: [f64; N]) -> [f32; N] {
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.levels);
        self.sorted.sort_unstable_by(f32::total_cmp);
        fractions.map(|fraction| {
            let rank = (self.sorted.len() as f64 * fraction).ceil() as usize;
            self.sorted
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or(0.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Option<Duration> = None;

    fn heard(gate: &mut NoiseGate, levels: impl IntoIterator<Item = f32>) {
        for level in levels {
            gate.learn(level, QUIET);
        }
    }

    /// Unbroken speech of the levels given, one frame each.
    fn spoken(gate: &mut NoiseGate, levels: impl IntoIterator<Item = f32>) {
        for (n, level) in levels.into_iter().enumerate() {
            gate.learn(level, Some(Duration::from_millis(n as u64 * 20)));
        }
    }

    #[test]
    fn until_the_warm_up_is_over_the_threshold_is_the_least() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [400.0; 99]);
        assert!(gate.blocks(199.0, 1.0) && !gate.blocks(201.0, 1.0));
        heard(&mut gate, [400.0; 1]);
        assert!(gate.blocks(999.0, 1.0) && !gate.blocks(1001.0, 1.0));
        assert_eq!(gate.statistics().floor_rms, 400.0);
    }

    #[test]
    fn the_floor_is_the_25th_percentile_of_the_last_100_frames() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [9000.0; 100]);
        heard(&mut gate, (1..=100u8).map(|n| f32::from(n) * 10.0));
        assert_eq!(gate.statistics().floor_rms, 250.0);
        assert_eq!(gate.statistics().threshold_rms, 625.0);
    }

    #[test]
    fn the_threshold_changes_every_10_frames_only() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [100.0; 100]);
        assert_eq!(gate.statistics().threshold_rms, 250.0);
        heard(&mut gate, [800.0; 79]);
        assert_eq!(gate.statistics().floor_rms, 100.0);
        heard(&mut gate, [800.0; 1]);
        assert_eq!(gate.statistics().floor_rms, 800.0);
    }

    #[test]
    fn a_multiplier_raises_the_threshold() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [100.0; 100]);
        assert!(!gate.blocks(260.0, 1.0));
        assert!(gate.blocks(260.0, 1.2));
        assert!(gate.blocks(499.0, 2.0) && !gate.blocks(501.0, 2.0));
    }

    #[test]
    fn open_speech_teaches_nothing_for_10_s() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [100.0; 100]);
        spoken(&mut gate, [5000.0; 500]);
        assert_eq!(gate.statistics().floor_rms, 100.0);
    }

    #[test]
    fn a_steady_noise_that_holds_speech_open_is_learned_after_10_s() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [100.0; 100]);
        spoken(&mut gate, (0..620).map(|n| 1000.0 + (n % 7) as f32 * 50.0));
        let floor = gate.statistics().floor_rms;
        assert!((1000.0..1300.0).contains(&floor), "{floor}");
    }

    #[test]
    fn a_talker_of_40_s_without_a_pause_is_not_taken_for_the_room() {
        let mut gate = NoiseGate::new(NoiseGateSettings::default());
        heard(&mut gate, [100.0; 100]);
        // Syllables at 4 Hz with 20 dB between vowel and closure.
        spoken(
            &mut gate,
            (0..2000).map(|n| 400.0 * 10f32.powf((n % 12) as f32 / 11.0)),
        );
        assert_eq!(gate.statistics().floor_rms, 100.0);
    }

    #[test]
    fn a_switched_off_gate_measures_and_blocks_nothing() {
        let mut gate = NoiseGate::new(NoiseGateSettings {
            enabled: false,
            ..NoiseGateSettings::default()
        });
        heard(&mut gate, [400.0; 100]);
        assert!(!gate.blocks(0.0, 2.0));
        assert_eq!(gate.statistics().floor_rms, 400.0);
    }
}
