//! How loud voices are as their engines make them.
//!
//! Of the voices that come with an engine it is known. How loud the voice of a model is stands in no file: a model's first voice is
//! measured when it is loaded, by a phrase, and the others begin with what that gave. The first seconds that a voice says give
//! its own loudness, which then stays: so no frame waits for a measurement, and a soft clause remains softer than a loud one.

use crate::finish::Meter;
use std::collections::HashMap;

/// What voices are measured by: figures, for they are words in every language.
pub(super) const PHRASE: &str = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.";
/// So much of a voice tells how loud it is.
const ENOUGH_MS: u64 = 3_000;

/// The loudness of flite's voices in LUFS, with what the limiter takes of it, as `cargo run --release -p workers --example loudness`
/// measures it.
#[rustfmt::skip]
const FLITE: [(&str, f32); 5] = [
    ("awb", -20.7), ("kal", -22.0), ("kal16", -30.3), ("rms", -21.1), ("slt", -16.5),
];
/// The same of espeak-ng's voices: all of them, and those that differ from it by more than 0.3 dB.
const ESPEAK: f32 = -23.2;
#[rustfmt::skip]
const ESPEAK_OTHERS: [(&str, f32); 104] = [
    ("af", -24.2), ("an", -23.9), ("ar", -22.5), ("as", -21.2), ("az", -22.4), ("ba", -24.2), ("be", -25.5),
    ("bg", -24.1), ("bn", -21.3), ("bpy", -21.8), ("bs", -24.6), ("ca", -25.0), ("cmn", -20.6),
    ("cmn-latn-pinyin", -20.6), ("cs", -25.1), ("cy", -22.5), ("da", -23.6), ("en-029", -21.1), ("en-gb", -21.3),
    ("en-gb-scotland", -21.2), ("en-gb-x-gbclan", -20.5), ("en-gb-x-gbcwmd", -21.0), ("en-gb-x-rp", -21.9),
    ("en-us", -21.5), ("en-us-nyc", -21.3), ("eo", -24.7), ("es", -21.9), ("es-419", -21.6), ("et", -24.6),
    ("eu", -22.2), ("fa", -23.7), ("fa-latn", -23.6), ("fi", -23.9), ("ga", -22.1), ("grc", -25.0), ("gu", -24.0),
    ("hak", -21.8), ("haw", -16.7), ("hi", -23.5), ("hr", -24.6), ("ht", -25.3), ("hu", -26.6), ("hy", -22.5),
    ("hyw", -22.6), ("ia", -24.6), ("io", -22.8), ("is", -22.8), ("it", -23.8), ("ja", -22.8), ("jbo", -22.7),
    ("ka", -22.8), ("kk", -25.3), ("kl", -24.5), ("kn", -23.6), ("ko", -21.8), ("kok", -22.4), ("ku", -22.6),
    ("ky", -22.1), ("lb", -24.3), ("lfn", -22.6), ("lt", -24.2), ("ltg", -22.7), ("mi", -12.8), ("ml", -23.9),
    ("mr", -23.8), ("mt", -21.5), ("my", -19.7), ("nb", -23.9), ("nci", -20.4), ("ne", -23.8), ("nl", -26.1),
    ("om", -22.3), ("or", -20.9), ("pa", -23.8), ("piqd", -24.4), ("pl", -24.6), ("pt", -21.5), ("pt-br", -21.5),
    ("py", -24.3), ("qdb", -22.7), ("qu", -24.0), ("quc", -25.0), ("ro", -22.7), ("ru", -26.1), ("ru-lv", -27.5),
    ("sd", -23.8), ("si", -24.2), ("sk", -24.0), ("sl", -22.0), ("smj", -24.4), ("sq", -24.3), ("sv", -24.2),
    ("sw", -21.8), ("ta", -23.5), ("te", -22.8), ("th", -22.0), ("tn", -19.5), ("tr", -22.9), ("tt", -25.3),
    ("ug", -24.6), ("uk", -26.3), ("vi", -22.4), ("vi-vn-x-central", -25.0), ("yue", -22.9),
];

/// How loud a voice is that comes with an engine, in LUFS; none where that is not known.
pub(super) fn fixed(engine: &str, voice: &str) -> Option<f32> {
    let of = |voices: &[(&str, f32)]| {
        let found = voices.iter().find(|(name, _)| *name == voice);
        found.map(|(_, lufs)| *lufs)
    };
    match engine {
        "flite" => of(&FLITE),
        "espeak" => of(&ESPEAK_OTHERS).or(Some(ESPEAK)),
        _ => None,
    }
}

/// What is known of the voices of one model, by their numbers.
#[derive(Default)]
pub(super) struct Levels {
    model_lufs: Option<f32>,
    voices: HashMap<usize, Voice>,
}

enum Voice {
    /// It is being listened to.
    Heard(Box<Meter>),
    /// It is so loud, in LUFS.
    Known(f32),
}

impl Levels {
    /// Measures the model by the phrase that its first voice, which has this number, has said.
    pub(super) fn measure(&mut self, voice: usize, samples: &[i16], rate_hz: u32) {
        let Some(mut meter) = Meter::new(rate_hz) else {
            return;
        };
        meter.hear(samples);
        self.model_lufs = meter.loudness_lufs();
        self.note(voice, meter);
    }

    /// How loud a voice is, in LUFS; what is known of its model where nothing is known of itself.
    pub(super) fn of(&self, voice: usize) -> Option<f32> {
        match self.voices.get(&voice) {
            Some(Voice::Known(lufs)) => Some(*lufs),
            Some(Voice::Heard(_)) | None => self.model_lufs,
        }
    }

    /// Takes note of what a voice said, as it came from the model.
    pub(super) fn hear(&mut self, voice: usize, samples: &[i16], rate_hz: u32) {
        let meter = match self.voices.remove(&voice) {
            Some(known @ Voice::Known(_)) => {
                self.voices.insert(voice, known);
                return;
            }
            Some(Voice::Heard(meter)) => Some(*meter),
            None => Meter::new(rate_hz),
        };
        if let Some(mut meter) = meter {
            meter.hear(samples);
            self.note(voice, meter);
        }
    }

    fn note(&mut self, voice: usize, meter: Meter) {
        let known = match meter.loudness_lufs() {
            Some(lufs) if meter.heard_ms() >= ENOUGH_MS => Voice::Known(lufs),
            Some(_) | None => Voice::Heard(Box::new(meter)),
        };
        self.voices.insert(voice, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finish::loudness_lufs;

    const RATE_HZ: u32 = 22_050;

    fn tone(height: f32, seconds: usize) -> Vec<i16> {
        (0..RATE_HZ as usize * seconds)
            .map(|n| ((n as f32 * 0.3).sin() * height) as i16)
            .collect()
    }

    fn is(levels: &Levels, voice: usize, height: f32) -> bool {
        let expected = loudness_lufs(&tone(height, 2), RATE_HZ).unwrap();
        levels
            .of(voice)
            .is_some_and(|lufs| (lufs - expected).abs() < 0.3)
    }

    #[test]
    fn a_voice_gets_its_own_loudness_once_and_keeps_it() {
        let mut levels = Levels::default();
        levels.measure(0, &tone(8_000.0, 4), RATE_HZ);
        assert!(is(&levels, 0, 8_000.0) && is(&levels, 1, 8_000.0));
        // A second says too little about a voice; three do not, however they come.
        levels.hear(1, &tone(2_000.0, 1), RATE_HZ);
        assert!(is(&levels, 1, 8_000.0));
        levels.hear(1, &tone(2_000.0, 1), RATE_HZ);
        levels.hear(1, &tone(2_000.0, 1), RATE_HZ);
        assert!(is(&levels, 1, 2_000.0));
        levels.hear(1, &tone(8_000.0, 4), RATE_HZ);
        assert!(is(&levels, 1, 2_000.0));
        // The measured one and others keep theirs.
        levels.hear(0, &tone(2_000.0, 4), RATE_HZ);
        assert!(is(&levels, 0, 8_000.0) && is(&levels, 2, 8_000.0));
    }

    #[test]
    fn silence_tells_nothing() {
        let mut levels = Levels::default();
        levels.measure(0, &vec![0; RATE_HZ as usize * 4], RATE_HZ);
        assert_eq!(levels.of(0), None);
        levels.hear(0, &tone(2_000.0, 3), RATE_HZ);
        assert!(is(&levels, 0, 2_000.0));
    }
}
