//! A voice for tests: a 440 Hz tone as long as its text would take.

use super::{Clause, Error, Gender, Model, Pace, Piece, Portion, Speech, TtsAdapter, Voice};
use media::SAMPLE_RATE_HZ;
use std::collections::BTreeMap;
use std::f64::consts::{PI, TAU};
use std::sync::LazyLock;

/// The one model.
pub const MODEL: &str = "mock-440hz";
/// The tone.
const TONE_HZ: f64 = 440.0;
/// Its height in 16-bit units: a level of -20 dBFS.
const HEIGHT: f64 = 4_634.0;
/// What the first 20 characters take.
const SHORTEST_MS: u64 = 500;
/// Characters that take no more than that.
const FREE_CHARS: u64 = 20;
/// What each further character takes.
const CHAR_MS: u64 = 20;
/// The tone rises and falls over 5 ms, so that it does not click.
const EDGE_SAMPLES: u64 = SAMPLE_RATE_HZ as u64 / 200;
/// Eleven waves of the tone: after them it repeats to the sample.
const PERIOD_SAMPLES: u64 = 1_200;
static PERIOD: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let wave = |at| TAU * TONE_HZ * at as f64 / f64::from(SAMPLE_RATE_HZ);
    (0..PERIOD_SAMPLES)
        .map(|at| (HEIGHT * wave(at).sin()).round() as i16)
        .collect()
});
/// Samples made at a time: 100 ms.
const PIECE_SAMPLES: u64 = SAMPLE_RATE_HZ as u64 / 10;

/// The 440 Hz adapter.
#[derive(Debug, Clone, Copy)]
pub struct Mock;

impl TtsAdapter for Mock {
    fn family(&self) -> &'static str {
        "mock"
    }

    fn models(&self) -> Vec<Model> {
        let metadata = BTreeMap::from([(
            "description".to_owned(),
            "a 440 Hz tone, for tests".to_owned(),
        )]);
        vec![Model {
            id: MODEL.to_owned(),
            languages: vec!["en".to_owned()],
            metadata,
        }]
    }

    fn voices(&self) -> Vec<Voice> {
        vec![Voice {
            name: "440hz".to_owned(),
            title: "440 Hz tone".to_owned(),
            language: "en".to_owned(),
            gender: Gender::Unknown,
            model: MODEL.to_owned(),
            loudness_lufs: None,
        }]
    }

    fn max_sessions(&self) -> u32 {
        10
    }

    fn portion(&self) -> Portion {
        Portion::Chunk
    }

    fn pace(&self) -> Pace {
        Pace::TimesRealTime(4)
    }

    fn is_light(&self) -> bool {
        true
    }

    fn load(&self, _model: &str) -> Result<(), Error> {
        Ok(())
    }

    fn unload(&self, _model: &str) {}

    fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        let samples = length_samples(&clause.text, clause.speed);
        let pieces = (0..samples.div_ceil(PIECE_SAMPLES)).map(move |piece| {
            let from = piece * PIECE_SAMPLES;
            Piece {
                rate_hz: SAMPLE_RATE_HZ,
                samples: (from..samples.min(from + PIECE_SAMPLES))
                    .map(|at| tone(at, samples))
                    .collect(),
                marks: Vec::new(),
            }
        });
        Ok(Speech::made(pieces))
    }
}

/// How long the tone lasts: half a second, 20 ms more for every character past 20, and all of it by the speed.
fn length_samples(text: &str, speed: f32) -> u64 {
    let chars = text.chars().count() as u64;
    let length_ms = SHORTEST_MS + CHAR_MS * chars.saturating_sub(FREE_CHARS);
    let samples = length_ms * u64::from(SAMPLE_RATE_HZ) / 1000;
    (samples as f64 / f64::from(speed)).round() as u64
}

/// One sample of a tone of `samples` samples, raised and lowered along half a cosine.
fn tone(at: u64, samples: u64) -> i16 {
    let sample = PERIOD
        .get((at % PERIOD_SAMPLES) as usize)
        .copied()
        .unwrap_or_default();
    let edge = at.min(samples.saturating_sub(at + 1));
    if edge >= EDGE_SAMPLES {
        return sample;
    }
    let height = 0.5 * (1.0 - (PI * edge as f64 / EDGE_SAMPLES as f64).cos());
    (height * f64::from(sample)).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::Class;

    async fn sound(text: &str, speed: f32) -> Vec<i16> {
        let mut speech = Mock
            .speak(Clause {
                text: text.into(),
                voice: "440hz".into(),
                speed,
                class: Class::RealTime,
            })
            .unwrap();
        let mut all = Vec::new();
        while let Some(piece) = speech.next().await {
            all.extend(piece.unwrap().samples);
        }
        all
    }

    #[tokio::test]
    async fn a_chunk_lasts_half_a_second_and_20_ms_for_each_character_past_20() {
        assert_eq!(sound("hi", 1.0).await.len(), 24_000);
        assert_eq!(sound(&"x".repeat(20), 1.0).await.len(), 24_000);
        assert_eq!(sound(&"é".repeat(30), 1.0).await.len(), 24_000 + 9_600);
        assert_eq!(sound("hi", 2.0).await.len(), 12_000);
    }

    #[tokio::test]
    async fn it_is_a_440_hz_tone_that_does_not_click() {
        let sound = sound("hi", 1.0).await;
        let rises = sound[4_800..19_200]
            .windows(2)
            .filter(|pair| pair[0] < 0 && pair[1] >= 0)
            .count();
        assert!((131..=133).contains(&rises), "{rises} periods in 300 ms");
        // At full height one sample differs from the next by at most this much.
        let steepest = (HEIGHT * TAU * TONE_HZ / 48_000.0).ceil() as i32 + 1;
        let edges = std::iter::once(&0)
            .chain(&sound)
            .chain(std::iter::once(&0))
            .map(|sample| i32::from(*sample));
        let edges: Vec<_> = edges.collect();
        assert!(
            edges
                .windows(2)
                .all(|pair| (pair[1] - pair[0]).abs() <= steepest)
        );
    }
}
