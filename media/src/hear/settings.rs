//! What of hearing can be set, with the names and defaults that users of earlier systems know.

use super::Floor;
use crate::frame::FRAME;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the ear hears.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarSettings {
    /// Voice activity detection and its noise gate.
    pub vad: VadSettings,
    /// What cleans the sound before it is judged and recognised.
    pub denoise: Denoise,
}

/// What cleans the caller's sound at 48 kHz.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Denoise {
    /// Nothing: the sound is judged and recognised as it came.
    #[default]
    Off,
    /// RNNoise, a small recurrent network; delays the sound by 10 ms.
    RnNoise,
}

/// Which voice activity detector to open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VadChoice {
    /// Silero where its model file and ONNX Runtime are there, webrtc-vad otherwise.
    #[default]
    Auto,
    /// Silero; webrtc-vad, with a note, where it cannot be opened.
    Silero,
    /// webrtc-vad, which needs no file.
    WebRtc,
}

/// When sound counts as speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VadSettings {
    /// Which detector to open.
    pub engine: VadChoice,
    /// Probability (0 to 1) from which a frame is voiced, at multiplier 1.0.
    pub threshold: f64,
    /// Voiced sound without a break after which speech has started, in milliseconds.
    pub min_speech_duration_ms: u32,
    /// The same while the machine's own voice sounds: an interruption should be heard sooner.
    pub min_speech_duration_speaking_ms: u32,
    /// Sound without voice after which speech has ended, in milliseconds.
    pub min_silence_duration_ms: u32,
    /// The same while the machine's own voice sounds or is held: a pause of so long ends no speech, but stops counting as
    /// overlap with the reply.
    pub lull_ms: u32,
    /// How much of the sound before the speech began recognition gets to hear, in milliseconds.
    pub preroll_ms: u32,
    /// Whether the multipliers below apply; 1.0 in every state otherwise.
    pub state_aware_gating: bool,
    /// Scales the gate's threshold and the odds of `threshold` while the machine's own voice sounds.
    pub speaking_threshold_multiplier: f64,
    /// The same while listening or preparing a reply.
    pub listening_threshold_multiplier: f64,
    /// The same after a barge-in.
    pub barged_in_threshold_multiplier: f64,
    /// The adaptive noise gate in front of the detector.
    pub noise_gate: NoiseGateSettings,
}

impl Default for VadSettings {
    fn default() -> Self {
        Self {
            engine: VadChoice::Auto,
            threshold: 0.5,
            min_speech_duration_ms: 100,
            min_speech_duration_speaking_ms: 60,
            min_silence_duration_ms: 300,
            lull_ms: 100,
            preroll_ms: 300,
            state_aware_gating: true,
            speaking_threshold_multiplier: 2.0,
            listening_threshold_multiplier: 1.0,
            barged_in_threshold_multiplier: 1.2,
            noise_gate: NoiseGateSettings::default(),
        }
    }
}

impl VadSettings {
    /// By how much the state scales what it takes to be heard.
    pub fn multiplier(&self, floor: Floor) -> f64 {
        if !self.state_aware_gating {
            return 1.0;
        }
        match floor {
            Floor::Speaking => self.speaking_threshold_multiplier,
            Floor::Listening => self.listening_threshold_multiplier,
            Floor::BargedIn => self.barged_in_threshold_multiplier,
        }
    }
}

/// How the noise gate measures the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseGateSettings {
    /// Whether the gate may keep speech from beginning. It measures either way.
    pub enabled: bool,
    /// Frames of 20 ms that the noise floor is taken from.
    pub window_size: usize,
    /// Which percentile of the window is the floor, as a fraction: 0.25 is the 25th.
    pub percentile: f64,
    /// The threshold is this many times the floor.
    pub threshold_multiplier: f64,
    /// The threshold is never below this RMS, in units of 16-bit samples.
    pub min_threshold: f64,
    /// Frames after which floor and threshold are computed anew.
    pub update_interval_frames: u32,
    /// Sound that the gate must have learned before its floor counts, in milliseconds; until then the threshold is
    /// `min_threshold`, because nothing is known of the room yet and a caller may speak at once.
    pub warmup_ms: u32,
    /// Unbroken speech after which the gate learns again, in milliseconds.
    pub relearn_after_ms: u32,
}

impl Default for NoiseGateSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            window_size: 100,
            percentile: 0.25,
            threshold_multiplier: 2.5,
            min_threshold: 200.0,
            update_interval_frames: 10,
            warmup_ms: 2000,
            relearn_after_ms: 10_000,
        }
    }
}

impl EarSettings {
    /// Everything that is wrong with the settings, one sentence each with the key's name; empty if they can be used.
    pub fn validate(&self) -> Vec<String> {
        let VadSettings {
            noise_gate: gate, ..
        } = &self.vad;
        let vad = &self.vad;
        let mut problems = Vec::new();
        let mut must = |holds: bool, key: &str, rule: &str| {
            if !holds {
                problems.push(format!("{key} must be {rule}"));
            }
        };
        must(
            vad.threshold > 0.0 && vad.threshold < 1.0,
            "vad.threshold",
            "more than 0 and less than 1",
        );
        for (key, ms) in [
            ("vad.min_speech_duration_ms", vad.min_speech_duration_ms),
            (
                "vad.min_speech_duration_speaking_ms",
                vad.min_speech_duration_speaking_ms,
            ),
            ("vad.min_silence_duration_ms", vad.min_silence_duration_ms),
            ("vad.lull_ms", vad.lull_ms),
        ] {
            must((1..=10_000).contains(&ms), key, "1 to 10000 milliseconds");
        }
        must(
            vad.preroll_ms <= 5_000,
            "vad.preroll_ms",
            "at most 5000 milliseconds",
        );
        for (key, multiplier) in [
            (
                "vad.speaking_threshold_multiplier",
                vad.speaking_threshold_multiplier,
            ),
            (
                "vad.listening_threshold_multiplier",
                vad.listening_threshold_multiplier,
            ),
            (
                "vad.barged_in_threshold_multiplier",
                vad.barged_in_threshold_multiplier,
            ),
            (
                "vad.noise_gate.threshold_multiplier",
                gate.threshold_multiplier,
            ),
        ] {
            must((0.01..=100.0).contains(&multiplier), key, "0.01 to 100");
        }
        must(
            (1..=3_000).contains(&gate.window_size),
            "vad.noise_gate.window_size",
            "1 to 3000 frames",
        );
        must(
            (0.0..=1.0).contains(&gate.percentile),
            "vad.noise_gate.percentile",
            "a fraction from 0 to 1",
        );
        must(
            (0.0..=32_768.0).contains(&gate.min_threshold),
            "vad.noise_gate.min_threshold",
            "0 to 32768",
        );
        must(
            gate.update_interval_frames >= 1,
            "vad.noise_gate.update_interval_frames",
            "at least 1",
        );
        must(
            gate.warmup_ms <= 60_000,
            "vad.noise_gate.warmup_ms",
            "at most 60000 milliseconds",
        );
        problems
    }
}

/// Whole frames that last at least `ms`, and at least one.
pub(super) fn frames_of(ms: u32) -> u32 {
    let frame_ms = FRAME.as_millis() as u32;
    ms.div_ceil(frame_ms).max(1)
}

/// How long `frames` last.
pub(super) fn lasting(frames: u32) -> Duration {
    FRAME * frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error() {
        let unknown =
            serde_json::from_str::<EarSettings>(r#"{"vad": {"noise_gate": {"windowsize": 3}}}"#);
        assert!(unknown.unwrap_err().to_string().contains("windowsize"));
    }

    #[test]
    fn the_defaults_are_those_that_users_know() {
        let settings: EarSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, EarSettings::default());
        assert!(settings.validate().is_empty());
        assert_eq!(settings.vad.multiplier(Floor::Speaking), 2.0);
        assert_eq!(settings.vad.multiplier(Floor::Listening), 1.0);
        assert_eq!(settings.vad.multiplier(Floor::BargedIn), 1.2);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let mut settings = EarSettings::default();
        settings.vad.threshold = 1.0;
        settings.vad.min_silence_duration_ms = 0;
        settings.vad.speaking_threshold_multiplier = f64::NAN;
        settings.vad.noise_gate.window_size = 0;
        let problems = settings.validate();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(
            problems[0],
            "vad.threshold must be more than 0 and less than 1"
        );
    }

    #[test]
    fn a_duration_is_rounded_up_to_whole_frames() {
        assert_eq!(
            [0, 1, 20, 21, 60, 100, 300].map(frames_of),
            [1, 1, 1, 2, 3, 5, 15]
        );
    }
}
