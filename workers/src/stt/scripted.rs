//! A recogniser for tests: it hears that something is said, and takes the words from a script.

use super::{
    Error, Opening, Placement, RATE_HZ, Recogniser, Speaker, SttAdapter, Transcript, Word,
};
use media::level;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Speech that brings forth one more word.
const WORD_SAMPLES: usize = RATE_HZ as usize / 5;
/// Speech is told from silence by parts of 10 ms.
const PART_SAMPLES: usize = RATE_HZ as usize / 100;
/// A part is speech from this level on, in 16-bit units: the noise gate's lowest threshold.
const VOICED_RMS: f32 = 200.0;
/// Speakers remembered; more are as good as new.
const SPEAKERS: usize = 4_096;
/// What is heard when the script is empty.
const UNSCRIPTED: &str = "hello";

/// The scripted adapter. The n-th utterance of a speaker is the n-th line, from the start again after the last.
pub struct Scripted(Arc<Script>);

struct Script {
    lines: Vec<String>,
    heard: Mutex<HashMap<Speaker, usize>>,
}

impl Scripted {
    /// Hears these lines.
    pub fn new(mut lines: Vec<String>) -> Self {
        if lines.is_empty() {
            lines.push(UNSCRIPTED.to_owned());
        }
        Self(Arc::new(Script {
            lines,
            heard: Mutex::default(),
        }))
    }
}

impl Script {
    /// The next line of this speaker.
    fn next(&self, speaker: &Speaker) -> String {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= SPEAKERS && !heard.contains_key(speaker) {
            heard.clear();
        }
        let count = heard.entry(speaker.clone()).or_default();
        let line = self
            .lines
            .get(*count % self.lines.len().max(1))
            .cloned()
            .unwrap_or_default();
        *count += 1;
        line
    }
}

impl SttAdapter for Scripted {
    fn engine(&self) -> &'static str {
        "scripted"
    }

    fn model(&self) -> String {
        format!("a script ({} lines)", self.0.lines.len())
    }

    fn languages(&self) -> &'static [&'static str] {
        &[]
    }

    fn placement(&self) -> Placement {
        Placement::Inline
    }

    fn open(&self) -> Result<Box<dyn Recogniser>, Error> {
        Ok(Box::new(Listener::new(self.0.clone())))
    }

    fn open_inline(&self) -> Option<Box<dyn Recogniser + Send>> {
        Some(Box::new(Listener::new(self.0.clone())))
    }
}

struct Listener {
    script: Arc<Script>,
    words: Vec<String>,
    /// Where each word told so far was complete.
    told: Vec<Duration>,
    samples: usize,
    voiced: usize,
    /// Samples of a part that is not complete.
    part: Vec<i16>,
}

impl Listener {
    fn new(script: Arc<Script>) -> Self {
        Self {
            script,
            words: Vec::new(),
            told: Vec::new(),
            samples: 0,
            voiced: 0,
            part: Vec::new(),
        }
    }

    fn now(&self) -> Duration {
        at(self.samples)
    }
}

impl Recogniser for Listener {
    fn begin(&mut self, opening: &Opening) {
        let line = self.script.next(&opening.speaker);
        *self = Self::new(self.script.clone());
        self.words = line.split_whitespace().map(str::to_owned).collect();
    }

    fn hear(&mut self, samples: &[i16]) -> Option<String> {
        self.samples += samples.len();
        self.part.extend_from_slice(samples);
        let whole = self.part.len() / PART_SAMPLES * PART_SAMPLES;
        let voiced = self
            .part
            .chunks_exact(PART_SAMPLES)
            .filter(|part| level::rms(part) >= VOICED_RMS)
            .count();
        self.part.drain(..whole);
        self.voiced += voiced * PART_SAMPLES;
        let due = (self.voiced / WORD_SAMPLES).min(self.words.len());
        if due <= self.told.len() {
            return None;
        }
        self.told.resize(due, self.now());
        Some(self.words.get(..due)?.join(" "))
    }

    fn finish(&mut self) -> Transcript {
        let end = self.now();
        self.told.resize(self.words.len(), end);
        let mut start = Duration::ZERO;
        let words = self.words.iter().zip(&self.told).map(|(text, told)| {
            let word = Word {
                text: text.clone(),
                start,
                end: *told,
                probability: 1.0,
            };
            start = *told;
            word
        });
        Transcript {
            text: self.words.join(" "),
            confidence: 1.0,
            words: words.collect(),
            ..Transcript::default()
        }
    }
}

fn at(samples: usize) -> Duration {
    Duration::from_secs(samples as u64) / RATE_HZ
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(lines: &[&str]) -> Box<dyn Recogniser> {
        Scripted::new(lines.iter().map(|line| line.to_string()).collect())
            .open()
            .unwrap()
    }

    #[test]
    fn a_word_comes_with_each_fifth_of_a_second_of_speech_and_none_with_silence() {
        let mut listener = listener(&["tell me a story"]);
        listener.begin(&Opening::default());
        assert_eq!(listener.hear(&[0; 16_000]), None);
        assert_eq!(listener.hear(&[1_000; 3_200]).unwrap(), "tell");
        assert_eq!(listener.hear(&[1_000; 3_000]), None);
        assert_eq!(listener.hear(&[1_000; 3_400]).unwrap(), "tell me a");
        let transcript = listener.finish();
        assert_eq!(transcript.text, "tell me a story");
        assert_eq!(transcript.words[0].end, Duration::from_millis(1_200));
        assert_eq!(transcript.words[3].end, Duration::from_millis(1_600));
    }

    #[test]
    fn each_speaker_has_a_place_of_its_own_in_the_script() {
        let mut listener = listener(&["one", "two"]);
        let mut said = |speaker: &str| {
            listener.begin(&Opening {
                speaker: Speaker(speaker.to_owned()),
                ..Opening::default()
            });
            listener.finish().text
        };
        assert_eq!(
            [said("a"), said("a"), said("b"), said("a")],
            ["one", "two", "one", "one"]
        );
    }
}
