//! Engines that listen: one small trait for the engine and one for a recogniser, and an adapter for each engine.

pub mod pocketsphinx;
pub mod scripted;
pub mod segments;
pub mod slots;
mod wanted;
#[cfg(feature = "whisper")]
pub mod whisper;

use crate::library::Missing;
use crate::places::Places;
use crate::settings::{SttEngine, SttSettings};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
pub use wanted::Wanted;

/// Samples a second of all that a recogniser hears.
pub const RATE_HZ: u32 = 16_000;

/// A word and where it was heard.
#[derive(Clone, PartialEq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// From the start of the utterance.
    pub start: Duration,
    /// From the start of the utterance.
    pub end: Duration,
    /// How sure the engine is, from 0 to 1.
    pub probability: f32,
}

/// What an utterance says.
#[derive(Clone, Default, PartialEq)]
pub struct Transcript {
    /// The words with blanks between; empty if none were heard.
    pub text: String,
    /// How sure the engine is, from 0 to 1.
    pub confidence: f32,
    /// Each word, if the engine tells.
    pub words: Vec<Word>,
    /// The sentences or breaths that it consists of, if the engine tells.
    pub segments: Vec<Segment>,
    /// The language (ISO 639-1) that it was heard in, if the engine tells.
    pub language: Option<String>,
}

/// A part of a transcript that the engine heard as one.
#[derive(Clone, PartialEq)]
pub struct Segment {
    /// From the start of the utterance.
    pub start: Duration,
    /// From the start of the utterance.
    pub end: Duration,
    /// Its words with blanks between.
    pub text: String,
    /// The mean of the logarithms of its tokens' probabilities.
    pub avg_logprob: f32,
    /// How likely nobody spoke, from 0 to 1.
    pub no_speech_prob: f32,
    /// How much shorter its text can be written; above 2.4 it mostly repeats itself.
    pub compression_ratio: f32,
}

// What somebody said is private: debug output must not spill it.
impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Word({:?} to {:?}, {})",
            self.start, self.end, self.probability
        )
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Segment({:?} to {:?}, {})",
            self.start, self.end, self.avg_logprob
        )
    }
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Transcript({} words, {})",
            self.text.split_whitespace().count(),
            self.confidence
        )
    }
}

/// Why an engine does not listen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something it needs is not on this machine.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// All recognisers are listening to others.
    #[error(
        "no recogniser is free: {slots} of {slots} are listening; try again in a moment or raise stt.slots"
    )]
    NoneFree {
        /// How many there are.
        slots: usize,
    },
    /// The engine could not be started.
    #[error("cannot start the {engine} recogniser: {reason}")]
    Start {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
    /// The recogniser's thread has ended.
    #[error("the {0} recogniser has stopped; try again")]
    Stopped(&'static str),
}

/// Who speaks; a recogniser may get used to a voice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Speaker(pub String);

/// What a client says about an utterance or a recording; an engine passes over what it cannot use.
#[derive(Clone, Default, PartialEq)]
pub struct Hints {
    /// The language that is spoken.
    pub language: Language,
    /// What was said before, or a text that has the names and the spelling that are expected.
    pub prompt: String,
    /// Words that are likely, the most likely first.
    pub hot_words: Vec<String>,
    /// What is to be written down.
    pub task: Task,
    /// How freely words are chosen, from 0 (the likeliest always) to 1.
    pub temperature: f32,
}

// A prompt may hold what somebody said.
impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Hints({:?}, {:?}, a prompt of {} bytes, {} hot words, temperature {})",
            self.language,
            self.task,
            self.prompt.len(),
            self.hot_words.len(),
            self.temperature
        )
    }
}

/// Which language is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Language {
    /// The one that the engine is set to.
    #[default]
    AsSet,
    /// It is to be found out.
    Unknown,
    /// This one (ISO 639-1).
    Is(String),
}

/// What is to be written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Task {
    /// What is said.
    #[default]
    Transcribe,
    /// What is said, in English.
    Translate,
}

/// An utterance that is about to be heard.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Who speaks.
    pub speaker: Speaker,
    /// What the client says about it.
    pub hints: Hints,
    /// Whether somebody still waits for it: work that takes long looks at it.
    pub wanted: Wanted,
}

/// Listens to one utterance after another. It is made on the thread that it stays on.
pub trait Recogniser {
    /// A new utterance begins. One that was not finished is forgotten.
    fn begin(&mut self, opening: &Opening);

    /// Hears some samples at 16 kHz and returns all the words so far, if they have changed.
    fn hear(&mut self, samples: &[i16]) -> Option<String>;

    /// The utterance is over.
    fn finish(&mut self) -> Transcript;
}

/// Where an engine's recognisers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On named threads, so many at most: they take time and memory.
    Slots,
    /// Wherever they are needed: they cost nothing.
    Inline,
}

/// An engine that listens.
pub trait SttAdapter: Send + Sync + 'static {
    /// The engine's name.
    fn engine(&self) -> &'static str;

    /// The model's name.
    fn model(&self) -> String;

    /// The languages it understands (ISO 639-1); none: any.
    fn languages(&self) -> &'static [&'static str];

    /// The language (ISO 639-1) of a transcript that does not tell its own; empty where that is not known before.
    fn language(&self) -> &str {
        self.languages().first().copied().unwrap_or("en")
    }

    /// Where its recognisers run.
    fn placement(&self) -> Placement;

    /// Recognisers there may be where nobody says how many.
    fn slots(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    /// Makes a recogniser; may take seconds.
    ///
    /// # Errors
    /// What keeps it from listening.
    fn open(&self) -> Result<Box<dyn Recogniser>, Error>;

    /// Makes a recogniser that may move between threads, for [`Placement::Inline`].
    fn open_inline(&self) -> Option<Box<dyn Recogniser + Send>> {
        None
    }
}

/// Finds the engine that the settings name and its files in these places, without loading its model.
///
/// # Errors
/// [`Error::Missing`] with what to type, [`Error::Start`] when what is there cannot be used.
pub fn open(settings: &SttSettings, places: &Places) -> Result<Arc<dyn SttAdapter>, Error> {
    Ok(match settings.adapter {
        SttEngine::Pocketsphinx => Arc::new(pocketsphinx::PocketSphinx::open()?),
        SttEngine::Whisper => whisper(settings, places)?,
        SttEngine::Scripted => Arc::new(scripted::Scripted::new(settings.script.clone())),
    })
}

#[cfg(feature = "whisper")]
fn whisper(settings: &SttSettings, places: &Places) -> Result<Arc<dyn SttAdapter>, Error> {
    Ok(Arc::new(whisper::Whisper::open(&settings.whisper, places)?))
}

#[cfg(not(feature = "whisper"))]
fn whisper(_: &SttSettings, _: &Places) -> Result<Arc<dyn SttAdapter>, Error> {
    Err(Missing {
        engine: "whisper",
        what: "a program that was built with it".to_owned(),
        remedy: "build parlor with its default features".to_owned(),
    }
    .into())
}
