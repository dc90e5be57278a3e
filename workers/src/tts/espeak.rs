//! Over a hundred languages through libespeak-ng, found when the program runs.
//!
//! The library keeps its state in the process, so one thread at a time calls it: the one that speaks, or one that asks how a text
//! is pronounced. It is never linked: it is under the GPL and this program is not.

mod ffi;
mod hear;

use super::engine::{Engine, thread_name};
use super::{Clause, Error, Model, Speech, SpeechSink, TtsAdapter, Voice};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

const NAME: &str = "espeak";
const MODEL: &str = "espeak-ng";
/// The Debian package of the library.
pub const PACKAGE: &str = "libespeak-ng1";

/// The adapter. All adapters of a process share one engine.
pub struct Espeak {
    started: &'static Started,
}

/// The engine and the voices that it named when it was started.
struct Started {
    engine: Engine,
    voices: Vec<Voice>,
}

impl Espeak {
    /// Finds the library and asks it for its voices, which takes some milliseconds.
    ///
    /// # Errors
    /// What keeps it from starting, with what to type when it is not installed.
    pub fn open() -> Result<Self, Error> {
        started().map(|started| Self { started })
    }
}

impl TtsAdapter for Espeak {
    fn family(&self) -> &'static str {
        NAME
    }

    fn models(&self) -> Vec<Model> {
        let languages: BTreeSet<_> = self
            .started
            .voices
            .iter()
            .map(|voice| voice.language.clone())
            .collect();
        let metadata = BTreeMap::from([
            (
                "licence".to_owned(),
                "GPL-3.0-or-later, loaded from the system".to_owned(),
            ),
            ("voices".to_owned(), self.started.voices.len().to_string()),
        ]);
        vec![Model {
            id: MODEL.to_owned(),
            languages: languages.into_iter().collect(),
            metadata,
        }]
    }

    fn voices(&self) -> Vec<Voice> {
        self.started.voices.clone()
    }

    fn max_sessions(&self) -> u32 {
        100
    }

    fn load(&self, _model: &str) -> Result<(), Error> {
        Ok(())
    }

    // The library stays: it takes about 3 MB and cannot be started twice safely while others speak.
    fn unload(&self, _model: &str) {}

    fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        // Control characters would be taken for commands to the engine.
        let text = clause
            .text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        self.started.engine.speak(Clause { text, ..clause })
    }
}

/// Whether there is a voice of this name or language; starts the library if nobody has.
///
/// # Errors
/// What keeps the library from starting, with what to type when it is not installed.
pub(super) fn has_voice(voice: &str) -> Result<bool, Error> {
    Ok(ffi::hold(ffi::library()?).choose(voice))
}

/// How a voice pronounces a text, in letters of the International Phonetic Alphabet with blanks between words; with `tie` between
/// the letters of one phoneme. Words of another language come with its name in round brackets before them.
///
/// # Errors
/// What keeps the library from starting, or that it has no such voice.
pub(super) fn phonemes(voice: &str, text: &str, tie: Option<u8>) -> Result<String, Error> {
    let mut library = ffi::hold(ffi::library()?);
    if !library.choose(voice) {
        return Err(Error::Failed {
            engine: NAME,
            reason: format!("there is no voice {voice}"),
        });
    }
    Ok(library.phonemes(text, tie))
}

/// The one engine of the process, started by the first who needs it.
fn started() -> Result<&'static Started, Error> {
    static STARTED: OnceLock<Started> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(started) = STARTED.get() {
        return Ok(started);
    }
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(started) = STARTED.get() {
        return Ok(started);
    }
    let library = ffi::library()?;
    let voices = ffi::hold(library).voices().to_vec();
    let engine = Engine::start(NAME, thread_name(NAME, None, ""), move || {
        Ok(move |clause: &Clause, sink: SpeechSink| ffi::hold(library).say(clause, sink))
    })?;
    Ok(STARTED.get_or_init(|| Started { engine, voices }))
}
