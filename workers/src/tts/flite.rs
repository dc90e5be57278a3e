//! English voices through libflite, found when the program runs.
//!
//! The library keeps its state in the process, so one thread calls it. It gives speech in steps of about 20 ms while it makes
//! it, so the first is heard long before a clause is complete, and a clause that nobody wants ends at its next step.

mod ffi;

use super::engine::{Engine, thread_name};
use super::{Clause, Error, Gender, Model, Speech, SpeechSink, TtsAdapter, Voice, levels};
use crate::library::Missing;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

const NAME: &str = "flite";
/// The Debian package of the library and its voices.
pub const PACKAGE: &str = "libflite1";

/// What is known of a voice without asking it.
struct Known {
    name: &'static str,
    title: &'static str,
    gender: Gender,
}

#[rustfmt::skip]
const VOICES: [Known; 5] = [
    Known { name: "slt", title: "SLT, American", gender: Gender::Female },
    Known { name: "rms", title: "RMS, American", gender: Gender::Male },
    Known { name: "awb", title: "AWB, Scottish", gender: Gender::Male },
    Known { name: "kal16", title: "Kal, American, diphones at 16 kHz", gender: Gender::Male },
    Known { name: "kal", title: "Kal, American, diphones at 8 kHz", gender: Gender::Male },
];

/// The adapter. All adapters of a process share one engine.
pub struct Flite {
    voices: Vec<Voice>,
}

impl Flite {
    /// Finds the library and its voices, and loads none.
    ///
    /// # Errors
    /// [`Missing`] with what to type.
    pub fn open() -> Result<Self, Missing> {
        let library = ffi::find()?;
        let voices: Vec<Voice> = VOICES
            .iter()
            .filter(|known| library.has(known.name))
            .map(|known| Voice {
                name: known.name.to_owned(),
                title: known.title.to_owned(),
                language: "en-US".to_owned(),
                gender: known.gender,
                model: NAME.to_owned(),
                loudness_lufs: levels::fixed(NAME, known.name),
            })
            .collect();
        if voices.is_empty() {
            return Err(Missing::package(
                NAME,
                "a voice such as libflite_cmu_us_slt.so.1",
                PACKAGE,
            ));
        }
        Ok(Self { voices })
    }
}

impl TtsAdapter for Flite {
    fn family(&self) -> &'static str {
        NAME
    }

    fn models(&self) -> Vec<Model> {
        let metadata = BTreeMap::from([
            ("licence".to_owned(), "BSD-like".to_owned()),
            ("voices".to_owned(), self.voices.len().to_string()),
        ]);
        vec![Model {
            id: NAME.to_owned(),
            languages: vec!["en".to_owned(), "en-US".to_owned()],
            metadata,
        }]
    }

    fn voices(&self) -> Vec<Voice> {
        self.voices.clone()
    }

    fn max_sessions(&self) -> u32 {
        100
    }

    fn load(&self, _model: &str) -> Result<(), Error> {
        engine().map(|_| ())
    }

    // The voices lie in the library's own tables; there is nothing to give back.
    fn unload(&self, _model: &str) {}

    fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        engine()?.speak(clause)
    }
}

/// The one engine of the process, started by the first who needs it.
fn engine() -> Result<&'static Engine, Error> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let library = ffi::find()?;
    let engine = Engine::start(NAME, thread_name(NAME, None, ""), move || {
        let mut speaker = library.clone().start();
        Ok(move |clause: &Clause, sink: SpeechSink| speaker.say(clause, sink))
    })?;
    Ok(ENGINE.get_or_init(|| engine))
}
