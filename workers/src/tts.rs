//! Engines that speak: one small trait, and an adapter for each engine.

mod class;
pub mod engine;
pub mod espeak;
pub mod flite;
pub mod kokoro;
mod levels;
pub mod mock;
mod onnx;
mod pack;
mod phonemes;
pub mod piper;
mod residents;
pub mod speech;

use crate::library;
use crate::places::Places;
use crate::settings::TtsEngine;
pub use class::{Class, NoClass};
pub use speech::{Mark, Piece, Speech, SpeechSink, Took};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A voice that sessions may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// Its name in its engine, as in `slt`.
    pub name: String,
    /// Who or what it is, for people.
    pub title: String,
    /// Its language as a BCP 47 tag.
    pub language: String,
    /// Whose voice it is like.
    pub gender: Gender,
    /// The model that must be loaded for it.
    pub model: String,
    /// How loud the engine makes its speech, in LUFS; none: the speech itself tells, or nothing is known.
    pub loudness_lufs: Option<f32>,
}

/// Whose voice a voice is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gender {
    /// A woman's.
    Female,
    /// A man's.
    Male,
    /// It does not say.
    Unknown,
}

impl Gender {
    /// The word that goes over the wire; empty where nothing is known.
    pub fn word(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Unknown => "",
        }
    }
}

/// Something that is loaded before any of its voices can speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// The languages it speaks, as BCP 47 tags.
    pub languages: Vec<String>,
    /// What else there is to say about it.
    pub metadata: BTreeMap<String, String>,
}

/// Words to be said in one go.
#[derive(Clone, PartialEq)]
pub struct Clause {
    /// The words.
    pub text: String,
    /// The voice's name in its engine.
    pub voice: String,
    /// 1.0 is the voice's own pace; from 0.25 to 4.0.
    pub speed: f32,
    /// Whether somebody waits for them.
    pub class: Class,
}

// What is said is private: debug output must not spill it.
impl std::fmt::Debug for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            text,
            voice,
            speed,
            class,
        } = self;
        write!(
            f,
            "Clause({} characters, {voice}, speed {speed}, {class})",
            text.chars().count()
        )
    }
}

/// How an engine wants its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// Clause by clause; silence around the speech is trimmed, pauses are put between, and the level is evened out.
    Clause,
    /// Chunk by chunk, and its sound is left as it is.
    Chunk,
}

/// How fast speech may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it is made and taken.
    AsMade,
    /// So many times as fast as it will be heard.
    TimesRealTime(u32),
}

/// Why an engine does not speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its library is not on this machine.
    #[error(transparent)]
    Missing(#[from] library::Missing),
    /// Its queue is full.
    #[error("the {0} engine has more to say than it can hold; try again in a moment")]
    Busy(&'static str),
    /// Its thread has ended.
    #[error("the {0} engine has stopped; restart the worker")]
    Stopped(&'static str),
    /// It could not be started.
    #[error("cannot start the {engine} engine: {reason}")]
    Start {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
    /// It could not say this.
    #[error("the {engine} engine could not speak: {reason}")]
    Failed {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// It could not be started.
    fn start(engine: &'static str, reason: impl Into<String>) -> Self {
        Self::Start {
            engine,
            reason: reason.into(),
        }
    }
}

/// An engine that speaks, whatever library or model is underneath.
pub trait TtsAdapter: Send + Sync + 'static {
    /// The engine's name; the part of a voice's name before the colon.
    fn family(&self) -> &'static str;

    /// What can be loaded.
    fn models(&self) -> Vec<Model>;

    /// Who can speak, the best first.
    fn voices(&self) -> Vec<Voice>;

    /// Sessions that it takes at a time.
    fn max_sessions(&self) -> u32;

    /// How it wants its text.
    fn portion(&self) -> Portion {
        Portion::Clause
    }

    /// How fast its speech may leave.
    fn pace(&self) -> Pace {
        Pace::AsMade
    }

    /// Whether it costs nothing to keep its models loaded, so that they are from the start.
    fn is_light(&self) -> bool {
        false
    }

    /// Brings a model's files to this machine if they are not on it yet; may take minutes, so it is called on a thread of its
    /// own.
    ///
    /// # Errors
    /// Why they cannot be had.
    fn fetch(&self, _model: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Makes a model ready; may take seconds, so it is called on a thread of its own. One that is ready already is loaded anew:
    /// clauses under way end on the old copy, which also stays if the new one cannot be loaded.
    ///
    /// # Errors
    /// What keeps the engine from speaking.
    fn load(&self, model: &str) -> Result<(), Error>;

    /// Loads a model anew beside the copy that speaks, and returns the new one, which may be tried before it takes over; called on
    /// a thread of its own. `None`: the engine keeps but one copy, and has renewed it as [`load`](Self::load) does.
    ///
    /// # Errors
    /// What keeps the engine from speaking; the old copy stays.
    fn renew(&self, model: &str) -> Result<Option<Box<dyn Newcomer>>, Error> {
        self.load(model).map(|()| None)
    }

    /// Lets a model go.
    fn unload(&self, model: &str);

    /// Whether a model that was loaded has panicked since and is not yet loaded anew, which the next clause for it does.
    fn has_failed(&self, _model: &str) -> bool {
        false
    }

    /// Starts to speak, and returns at once with the speech that is being made.
    ///
    /// Dropping the speech takes the clause out of the engine's queue, or stops the engine at its next step.
    ///
    /// # Errors
    /// [`Error::Busy`] when too much waits to be said, [`Error::Stopped`] when the engine is gone.
    fn speak(&self, clause: Clause) -> Result<Speech, Error>;
}

/// A new copy of a model that is in memory, not yet in the place of the one that speaks. Dropping it lets it go.
pub trait Newcomer: Send {
    /// Has the new copy say something, as [`TtsAdapter::speak`] does.
    ///
    /// # Errors
    /// See there.
    fn speak(&self, clause: Clause) -> Result<Speech, Error>;

    /// Clauses that come from now on are said by the new copy. The old one is let go when it has said what it was told.
    fn take_over(self: Box<Self>);
}

/// Opens an engine without loading any of its models.
///
/// # Errors
/// [`Error::Missing`] with what to type when it is not installed.
pub fn open(engine: TtsEngine, places: &Places) -> Result<Arc<dyn TtsAdapter>, Error> {
    Ok(match engine {
        TtsEngine::Flite => Arc::new(flite::Flite::open()?),
        TtsEngine::Espeak => Arc::new(espeak::Espeak::open()?),
        TtsEngine::Piper => Arc::new(piper::Piper::open(places)?),
        TtsEngine::Kokoro => Arc::new(kokoro::Kokoro::open(places)?),
        TtsEngine::Mock => Arc::new(mock::Mock),
    })
}
