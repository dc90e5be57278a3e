//! One utterance: when its sound is looked at, how much of it, and what comes of that.
//!
//! ```text
//!   |<------------------ the utterance ------------------>|
//!        words that are certain  |<-- the window -->| new
//!                                ^ cut at the end of a sentence that is certain
//! ```
//!
//! The window is looked at again with each half second of new sound; [`Agreement`] tells which words are certain. When it has
//! become long it is cut behind words that are certain, so that no look takes more than a model can hold (30 s).

use super::agreement::Agreement;
use super::gates::{self, Verdict};
use super::rhythm::Rhythm;
use super::words::{self, Heard};
use crate::stt::segments::is_silent;
use crate::stt::{RATE_HZ, Segment, Task, Transcript, Wanted, Word};
use std::time::Duration;

const SECOND: usize = RATE_HZ as usize;
/// Of the silence before the first speech, 300 ms are kept.
const LEAD: usize = SECOND * 3 / 10;
/// Less voiced sound than this is no word.
const LEAST: u64 = RATE_HZ as u64 / 10;
/// A window longer than this is cut at the end of a sentence, then at the end of any word, and then in any case.
const GOOD: usize = 8 * SECOND;
const LONG: usize = 15 * SECOND;
const MOST: usize = 28 * SECOND;
/// What is left of a window in which there is nothing that is certain.
const LEFT: usize = 10 * SECOND;
/// Sound behind the last word that must have been overlooked: so much of it is more than the silence that ends an utterance.
const OVERLOOKED: u64 = RATE_HZ as u64 * 5 / 2;
/// Looks at an utterance that is over, at most: each looks behind the words of the one before.
const LAST_LOOKS: usize = 4;
/// A language that is as likely as this, or that so much sound speaks for, is not asked for again.
const SURE: f32 = 0.8;
const ENOUGH: usize = 3 * SECOND;
/// Tokens that the model is reminded of before it looks.
pub const REMINDED: usize = 200;
/// How many of them the client's words may be.
pub(super) const REMINDED_BY_CLIENT: usize = 100;

/// Writes down what is said in some sound.
pub trait Decoder {
    /// Looks at the sound; nothing if that was broken off or failed.
    fn look(&mut self, look: &Look<'_>) -> Option<Pass>;

    /// The language that is spoken and how likely that is.
    fn detect(&mut self, samples: &[i16]) -> Option<(&'static str, f32)>;
}

/// What is to be looked at, and how.
pub struct Look<'a> {
    /// Sound at 16 kHz, less than 30 s.
    pub samples: &'a [i16],
    /// The place of its first sample in the utterance.
    pub start: u64,
    /// The language that is spoken.
    pub language: &'static str,
    /// Tokens of what was said before.
    pub prompt: &'a [i32],
    /// What is to be written down.
    pub task: Task,
    /// How freely words are chosen.
    pub temperature: f32,
    /// How much trouble is taken.
    pub effort: Effort,
    /// Whether anybody still waits for it.
    pub wanted: &'a Wanted,
}

/// How much trouble is taken over a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// One try.
    Quick,
    /// Another one where the words are unlikely or go round in circles.
    Thorough,
}

/// What was found.
pub struct Pass {
    /// The words, by their places in the utterance.
    pub words: Vec<Heard>,
    /// How likely nobody spoke.
    pub no_speech: f32,
    /// How long it took.
    pub took: Duration,
}

/// What is known of an utterance before it is heard.
#[derive(Default)]
pub struct Plan {
    /// The language; none: it is found out.
    pub language: Option<&'static str>,
    /// What is to be written down.
    pub task: Task,
    /// How freely words are chosen.
    pub temperature: f32,
    /// Tokens of what the client says about it.
    pub client: Vec<i32>,
    /// Tokens of what the speaker said last.
    pub before: Vec<i32>,
    /// Whether anybody still waits for it.
    pub wanted: Wanted,
}

/// An utterance that is being heard.
#[derive(Default)]
pub struct Utterance {
    plan: Plan,
    window: Vec<i16>,
    /// The places of the window's first sample, of the end of the last voiced sound, and of the end of what was looked at.
    start: u64,
    voiced_to: u64,
    looked_to: u64,
    voiced: u64,
    /// Whether the last look found words that were said.
    is_settled: bool,
    guess: Option<&'static str>,
    rhythm: Rhythm,
    agreement: Agreement,
}

impl Utterance {
    /// One of which nothing has been heard.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// Hears some samples; the words that are certain so far, if there are more of them now.
    pub fn hear(&mut self, samples: &[i16], decoder: &mut impl Decoder) -> Option<String> {
        self.window.extend_from_slice(samples);
        if !is_silent(samples) {
            self.voiced_to = self.end();
            self.voiced += samples.len() as u64;
        } else if self.voiced_to <= self.start {
            // Silence before speech is passed over, and there is always some after words that are certain.
            self.cut(self.end().saturating_sub(LEAD as u64).max(self.start));
            return None;
        }
        let is_due = self.plan.wanted.are_partials_wanted()
            && self.voiced >= LEAST
            && self.voiced_to > self.looked_to
            && self.rhythm.is_due(self.end() - self.looked_to);
        let is_full = self.window.len() >= MOST;
        if !is_due && !is_full {
            return None;
        }
        let is_more = self.look(Effort::Quick, decoder);
        self.trim();
        is_more.then(|| words::text(self.agreement.confirmed()))
    }

    /// The utterance is over: what it says.
    pub fn finish(&mut self, decoder: &mut impl Decoder) -> Transcript {
        for _ in 0..LAST_LOOKS {
            if !self.plan.wanted.is_wanted() || self.voiced < LEAST || self.voiced_to <= self.start
            {
                break;
            }
            // Often the silence at the end is all that is new: then nothing need be looked at again.
            if !(self.is_settled && self.looked_to >= self.voiced_to) {
                self.look(Effort::Thorough, decoder);
            }
            self.agreement.accept(usize::MAX);
            let Some(last) = self.agreement.looked_at().last().map(|word| word.end) else {
                break;
            };
            if self.voiced_to <= last + OVERLOOKED || last <= self.start {
                break;
            }
            self.cut(last);
            self.is_settled = false;
        }
        self.agreement.accept(usize::MAX);
        self.transcript()
    }

    /// The tokens of what was said, to remind the model of with the speaker's next utterance.
    pub fn tokens(&self) -> Vec<i32> {
        let words = self.agreement.confirmed().iter();
        last(words.flat_map(|word| word.tokens.iter().copied()).collect())
    }

    /// Looks at the window; whether more words are certain now.
    fn look(&mut self, effort: Effort, decoder: &mut impl Decoder) -> bool {
        self.looked_to = self.end();
        self.is_settled = false;
        let language = self.language(decoder);
        let prompt = self.prompt();
        let pass = decoder.look(&Look {
            samples: &self.window,
            start: self.start,
            language,
            prompt: &prompt,
            task: self.plan.task,
            temperature: self.plan.temperature,
            effort,
            wanted: &self.plan.wanted,
        });
        let Some(pass) = pass else {
            return false;
        };
        if effort == Effort::Quick {
            self.rhythm.took(pass.took);
        }
        let mut words = gates::without_sounds(pass.words);
        for word in &mut words {
            word.no_speech = pass.no_speech;
        }
        let verdict = gates::verdict(&words, pass.no_speech);
        self.is_settled = verdict == Verdict::Said;
        let are_believed = match (verdict, effort) {
            (Verdict::Said, _) | (Verdict::Unlikely, Effort::Thorough) => true,
            (Verdict::Unlikely, Effort::Quick) | (Verdict::Repeating | Verdict::Invented, _) => {
                false
            }
        };
        if !are_believed {
            words.clear();
        }
        self.agreement.pass(words)
    }

    /// The language that is spoken.
    fn language(&mut self, decoder: &mut impl Decoder) -> &'static str {
        if let Some(language) = self.plan.language {
            return language;
        }
        if self.plan.wanted.is_wanted()
            && let Some((language, sure)) = decoder.detect(&self.window)
        {
            self.guess = Some(language);
            if sure >= SURE || self.window.len() >= ENOUGH {
                self.plan.language = Some(language);
            }
        }
        self.guess.unwrap_or("en")
    }

    /// What the model is reminded of: the client's words, then what was said before the window.
    fn prompt(&self) -> Vec<i32> {
        let confirmed = self.agreement.confirmed();
        let out = confirmed.len() - self.agreement.looked_at().len();
        let said = confirmed.iter().take(out);
        let said = said.flat_map(|word| word.tokens.iter().copied());
        let client = last_of(self.plan.client.clone(), REMINDED_BY_CLIENT);
        let before = self.plan.before.iter().copied().chain(said).collect();
        let before = last_of(before, REMINDED - client.len());
        client.into_iter().chain(before).collect()
    }

    /// Cuts a window that has become long.
    fn trim(&mut self) {
        let inside = self.agreement.looked_at();
        let at = match self.window.len() {
            LONG.. => inside.last(),
            GOOD.. => inside
                .iter()
                .rfind(|word| word.is_last || word.ends_sentence()),
            _ => None,
        };
        if let Some(at) = at.map(|word| word.end) {
            self.cut(at);
        }
        if self.window.len() < MOST {
            return;
        }
        // Nothing is certain in all that time: what was heard last must do, but for its end.
        self.agreement
            .accept(self.agreement.tail().len().saturating_sub(2));
        let heard = self.agreement.looked_at().last().map(|word| word.end);
        let left = self.end() - LEFT as u64;
        self.cut(heard.unwrap_or(left).max(left));
    }

    /// The window begins at this sample from now on.
    fn cut(&mut self, at: u64) {
        let at = at.clamp(self.start, self.end());
        let count = usize::try_from(at - self.start).unwrap_or(self.window.len());
        self.window.drain(..count.min(self.window.len()));
        self.start = at;
        self.agreement.cut(at);
    }

    fn transcript(&self) -> Transcript {
        let heard = self.agreement.confirmed();
        let words: Vec<Word> = heard
            .iter()
            .map(|word| Word {
                text: word.text.clone(),
                start: time(word.start),
                end: time(word.end),
                probability: word.probability.clamp(0.0, 1.0),
            })
            .collect();
        let sum: f32 = words.iter().map(|word| word.probability).sum();
        Transcript {
            text: words::text(heard),
            confidence: sum / words.len().max(1) as f32,
            segments: heard
                .split_inclusive(|word| word.is_last)
                .filter_map(segment)
                .collect(),
            language: self
                .plan
                .language
                .or(self.guess)
                .map(|language| match self.plan.task {
                    Task::Transcribe => language.to_owned(),
                    Task::Translate => "en".to_owned(),
                }),
            words,
        }
    }
}

fn segment(words: &[Heard]) -> Option<Segment> {
    let text = words::text(words);
    let unheard = words.iter().map(|word| word.no_speech).fold(0.0, f32::max);
    Some(Segment {
        start: time(words.first()?.start),
        end: time(words.last()?.end),
        avg_logprob: gates::mean_logprob(words),
        no_speech_prob: unheard.clamp(0.0, 1.0),
        compression_ratio: gates::compression_ratio(&text),
        text,
    })
}

/// The last of these tokens, as many as a model is reminded of.
fn last(tokens: Vec<i32>) -> Vec<i32> {
    last_of(tokens, REMINDED)
}

fn last_of(mut tokens: Vec<i32>, most: usize) -> Vec<i32> {
    tokens.drain(..tokens.len().saturating_sub(most));
    tokens
}

fn time(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(RATE_HZ))
}

#[cfg(test)]
mod tests;
