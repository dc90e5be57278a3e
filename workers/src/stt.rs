//! Engines that listen: one small trait for the engine and one for a recogniser, and an adapter for each engine.

pub mod pocketsphinx;
pub mod scripted;
pub mod segments;
pub mod slots;

use crate::library::Missing;
use crate::settings::{SttEngine, SttSettings};
use std::sync::Arc;
use std::time::Duration;

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

/// Listens to one utterance after another. It is made on the thread that it stays on.
pub trait Recogniser {
    /// A new utterance begins. One that was not finished is forgotten.
    fn begin(&mut self, speaker: &Speaker);

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

    /// Where its recognisers run.
    fn placement(&self) -> Placement;

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

/// Finds the engine that the settings name, without loading its model.
///
/// # Errors
/// [`Error::Missing`] with what to type.
pub fn open(settings: &SttSettings) -> Result<Arc<dyn SttAdapter>, Error> {
    Ok(match settings.adapter {
        SttEngine::Pocketsphinx => Arc::new(pocketsphinx::PocketSphinx::open()?),
        SttEngine::Scripted => Arc::new(scripted::Scripted::new(settings.script.clone())),
    })
}
