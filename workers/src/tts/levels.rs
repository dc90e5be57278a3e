//! Brings the voices of a model to one level.
//!
//! How loud a voice is stands in no file. A model's first voice is measured when it is loaded, and the others start with its gain.
//! The first clause of a voice that is long enough gives the voice's own gain, which then stays: so no frame waits for a
//! measurement, and a soft clause remains softer than a loud one.

use crate::finish::{Leveller, speech_level_dbfs};
use std::collections::HashMap;

/// Shorter clauses say too little about a voice.
const ENOUGH_MS: usize = 1_000;

/// What is known of the levels of one model's voices.
#[derive(Debug, Default)]
pub(super) struct Levels {
    model_dbfs: Option<f32>,
    voices_dbfs: HashMap<usize, f32>,
}

impl Levels {
    /// Measures the model by something that its first voice said.
    pub(super) fn measure(&mut self, samples: &[i16], rate_hz: u32) {
        self.model_dbfs = speech_level_dbfs(samples, rate_hz);
    }

    /// The gain of a voice for a clause.
    pub(super) fn leveller(&self, voice: usize) -> Leveller {
        Leveller::new(self.voices_dbfs.get(&voice).copied().or(self.model_dbfs))
    }

    /// Takes note of what a voice said, as it came from the model.
    pub(super) fn heard(&mut self, voice: usize, samples: &[i16], rate_hz: u32) {
        let enough = samples.len() >= rate_hz as usize * ENOUGH_MS / 1000;
        if enough
            && !self.voices_dbfs.contains_key(&voice)
            && let Some(level) = speech_level_dbfs(samples, rate_hz)
        {
            self.voices_dbfs.insert(voice, level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finish::SPEECH_DBFS;

    fn tone(height: f32) -> Vec<i16> {
        (0..22_050)
            .map(|n| ((n as f32 * 0.3).sin() * height) as i16)
            .collect()
    }

    fn level(levels: &Levels, voice: usize, mut samples: Vec<i16>) -> f32 {
        levels.leveller(voice).process(&mut samples);
        speech_level_dbfs(&samples, 22_050).unwrap()
    }

    #[test]
    fn a_voice_gets_its_own_gain_once_and_keeps_it() {
        let mut levels = Levels::default();
        levels.measure(&tone(8_000.0), 22_050);
        assert!((level(&levels, 1, tone(8_000.0)) - SPEECH_DBFS).abs() < 0.3);
        levels.heard(1, &tone(2_000.0), 22_050);
        assert!((level(&levels, 1, tone(2_000.0)) - SPEECH_DBFS).abs() < 0.3);
        levels.heard(1, &tone(8_000.0), 22_050);
        assert!((level(&levels, 1, tone(2_000.0)) - SPEECH_DBFS).abs() < 0.3);
        // Another voice still has the model's.
        assert!((level(&levels, 2, tone(8_000.0)) - SPEECH_DBFS).abs() < 0.3);
    }

    #[test]
    fn silence_and_short_words_change_nothing() {
        let mut levels = Levels::default();
        levels.measure(&[0; 22_050], 22_050);
        levels.heard(0, &tone(2_000.0)[..5_000], 22_050);
        let mut samples = tone(2_000.0);
        levels.leveller(0).process(&mut samples);
        assert_eq!(samples, tone(2_000.0));
    }
}
