//! A Piper model in memory, which says clauses.

use super::super::engine::{Job, Say, TOGETHER};
use super::super::levels::{Levels, PHRASE};
use super::super::onnx::Runtime;
use super::super::phonemes::{Phonemiser, pieces};
use super::super::{Clause, SpeechSink};
use super::network::{Manner, Network};
use super::{Config, Files};
use crate::text::Clauses;
use std::collections::{HashMap, VecDeque};

/// Says clauses; lives on one thread.
pub(super) struct Speaker {
    config: Config,
    /// The numbers of the speakers, by the names of their voices.
    speakers: HashMap<String, i64>,
    phonemiser: Option<Phonemiser>,
    network: Network,
    levels: Levels,
}

/// A clause of a batch that is being said.
struct Part {
    rows: VecDeque<Vec<i64>>,
    sink: SpeechSink,
}

impl Speaker {
    /// Loads a model and has it say something, which finds out whether it fits its configuration, how loud it is and whether it
    /// can say several rows at once.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(super) fn load(runtime: &Runtime, files: Files) -> Result<Self, String> {
        let Files {
            model: path,
            config,
            voices,
        } = files;
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let network = Network::of(runtime.open(&path)?, &config).map_err(wrong)?;
        let first = voices.first().map_or(0, |voice| voice.number);
        let speakers = voices.into_iter().map(|voice| (voice.name, voice.number));
        let mut speaker = Self {
            phonemiser: config.phonemiser(),
            speakers: speakers.collect(),
            config,
            network,
            levels: Levels::default(),
        };
        speaker.try_out(first).map_err(wrong)?;
        Ok(speaker)
    }

    fn manner(&self, clause: &Clause) -> Manner {
        Manner {
            speaker: self.speakers.get(&clause.voice).copied().unwrap_or(0),
            speed: clause.speed,
        }
    }

    /// Tells how loud the voice is, before it is heard.
    fn tell(&self, manner: Manner, sink: &mut SpeechSink) {
        if let Some(lufs) = self.levels.of(number(manner)) {
            sink.loudness(lufs);
        }
    }

    /// Says rows at the same time, each as the next of its clause; those who are through leave.
    fn round(&mut self, manner: Manner, parts: &mut Vec<Part>) {
        // A row is taken out of each that still wants one; the others are done.
        let mut rows = Vec::new();
        let mut speaking = Vec::new();
        for mut part in parts.drain(..) {
            match part.rows.pop_front() {
                Some(row) if part.sink.is_wanted() => {
                    rows.push(row);
                    speaking.push(part);
                }
                Some(_) | None => part.sink.finish(),
            }
        }
        if rows.is_empty() {
            return;
        }
        match self.network.run_batch(&self.config, &rows, manner) {
            Err(reason) => {
                for part in speaking {
                    part.sink.fail(reason.clone());
                }
            }
            Ok(spoken) => {
                for (mut part, samples) in speaking.into_iter().zip(spoken) {
                    self.levels
                        .hear(number(manner), &samples, self.config.rate_hz);
                    // Whoever does not want more is found out in the next round.
                    let _ = part.sink.push(self.config.rate_hz, &samples);
                    parts.push(part);
                }
            }
        }
    }

    /// All rows of a text.
    fn rows(&self, text: &str) -> Result<VecDeque<Vec<i64>>, String> {
        let mut rows = VecDeque::new();
        for sentence in sentences(self.phonemiser.as_ref(), text) {
            let sentence = sentence?;
            let of_pieces = pieces(&sentence).into_iter();
            let of_pieces = of_pieces.map(|piece| self.config.row(piece));
            rows.extend(of_pieces.filter(|row| !row.is_empty()));
        }
        Ok(rows)
    }

    fn try_out(&mut self, speaker: i64) -> Result<(), String> {
        let mut rows = self.rows(PHRASE)?;
        let row = match rows.pop_front() {
            Some(row) => row,
            None => self.config.row(&self.config.trial()),
        };
        if row.is_empty() {
            return Err("the configuration's phoneme_id_map has no phonemes".to_owned());
        }
        let manner = Manner {
            speaker,
            speed: 1.0,
        };
        let samples = self.network.try_out(&self.config, &row, manner)?;
        self.levels
            .measure(number(manner), &samples, self.config.rate_hz);
        Ok(())
    }
}

impl Say for Speaker {
    /// Sentence by sentence; between them, and between the parts of a long one, it looks whether anybody still listens.
    fn say(&mut self, clause: &Clause, mut sink: SpeechSink) {
        let manner = self.manner(clause);
        self.tell(manner, &mut sink);
        for sentence in sentences(self.phonemiser.as_ref(), &clause.text) {
            let sentence = match sentence {
                Ok(sentence) => sentence,
                Err(reason) => return sink.fail(reason),
            };
            for piece in pieces(&sentence) {
                if !sink.is_wanted() {
                    return sink.finish();
                }
                let row = self.config.row(piece);
                if row.is_empty() {
                    continue;
                }
                match self.network.run(&self.config, row, manner) {
                    Err(reason) => return sink.fail(reason),
                    Ok(samples) => {
                        self.levels
                            .hear(number(manner), &samples, self.config.rate_hz);
                        if sink.push(self.config.rate_hz, &samples).is_break() {
                            return sink.finish();
                        }
                    }
                }
            }
        }
        sink.finish();
    }

    fn together(&self) -> usize {
        match self.network.tells_lengths() {
            true => TOGETHER,
            false => 1,
        }
    }

    fn say_batch(&mut self, jobs: Vec<Job>) {
        let Some(manner) = jobs.first().map(|job| self.manner(&job.clause)) else {
            return;
        };
        let mut parts = Vec::new();
        for Job { clause, mut sink } in jobs {
            match self.rows(&clause.text) {
                Ok(rows) => {
                    self.tell(manner, &mut sink);
                    parts.push(Part { rows, sink });
                }
                Err(reason) => sink.fail(reason),
            }
        }
        while !parts.is_empty() {
            self.round(manner, &mut parts);
        }
    }
}

/// A speaker's number as the levels count them.
fn number(manner: Manner) -> usize {
    usize::try_from(manner.speaker).unwrap_or_default()
}

/// The sentences of a text in the alphabet of the model: phonemes, or plain small letters.
fn sentences<'a>(
    phonemiser: Option<&'a Phonemiser>,
    text: &'a str,
) -> Box<dyn Iterator<Item = Result<String, String>> + 'a> {
    match phonemiser {
        Some(phonemiser) => Box::new(
            phonemiser
                .sentences(text)
                .map(|sentence| sentence.map_err(|error| error.to_string())),
        ),
        None => Box::new(Clauses::of(text).map(|clause| Ok(clause.text.to_lowercase()))),
    }
}
