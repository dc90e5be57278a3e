//! Up to 100 languages through whisper.cpp, with a model that is fetched.
//!
//! One model is in memory for all recognisers; each has a thread with a state of its own. Whisper hears no stream: it looks at some
//! seconds of sound and writes down what is said in them, so an utterance is looked at again and again while it grows
//! ([`utterance`]).
//!
//! whisper.cpp ends the process over what it does not expect. So a file is checked before it gets there ([`file`]), and what
//! clients say reaches it only in safe amounts.

pub mod agreement;
pub mod file;
pub mod gates;
pub mod languages;
mod listener;
mod memory;
pub mod native;
mod processor;
pub mod rhythm;
pub mod tensors;
pub mod utterance;
pub mod words;

use super::{Error, Placement, Recogniser, SttAdapter, Task, Wanted};
use crate::library::Missing;
use crate::places::Places;
use crate::settings::WhisperSettings;
use file::Header;
use listener::Listener;
use memory::Memory;
use native::{Manner, Model, Sight};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use utterance::{Decoder as _, Effort, Look};

const NAME: &str = "whisper";
/// More threads for one look are hardly faster, but keep other recognisers waiting.
const MOST_THREADS: usize = 4;
/// On a GPU the processor has little to do.
const SLOTS_ON_GPU: usize = 4;
const MOST_BEAM: u8 = 8;
/// Sound of the first look, which nobody waits for: half a second.
const WARM_UP: [i16; 8_000] = [0; 8_000];

/// The adapter.
pub struct Whisper {
    model: String,
    path: PathBuf,
    header: Header,
    /// The language that is spoken where a client says nothing; none: it is found out.
    language: Option<&'static str>,
    task: Task,
    manner: Manner,
    gpu: Option<u32>,
    /// Loaded with the first recogniser, and kept.
    loaded: Mutex<Option<Arc<Model>>>,
    memory: Arc<Memory>,
}

impl Whisper {
    /// Finds the model and checks its file; loads nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] with what to type, [`Error::Start`] when the file or a setting cannot be used.
    pub fn open(settings: &WhisperSettings, places: &Places) -> Result<Self, Error> {
        let WhisperSettings {
            model,
            language,
            translate,
            threads,
            beam,
            audio_context,
        } = settings;
        let path = find(model, places)?;
        let header = file::check(&path).map_err(|wrong| unusable(&path, &wrong.to_string()))?;
        if let Some(lacking) = processor::lacking() {
            return Err(start(format!(
                "this processor lacks {lacking}; build parlor on this machine with GGML_NATIVE=ON set, or choose another stt.adapter"
            )));
        }
        if places.gpu.is_some() && !cfg!(feature = "cuda") {
            return Err(start(
                "this program was built without CUDA; build it with --features workers/cuda, or name no GPU".to_owned(),
            ));
        }
        let language = match language.as_str() {
            "" | "auto" if header.languages() > 1 => None,
            "" | "auto" => Some("en"),
            named => Some(known(named, &header).ok_or_else(|| {
                start(format!(
                    "stt.whisper.language is {named:?}, which the model {model:?} does not understand; write auto or one of {}",
                    languages::first(header.languages()).join(", ")
                ))
            })?),
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            model: name(model, &path),
            path,
            header,
            language,
            task: match translate {
                true => Task::Translate,
                false => Task::Transcribe,
            },
            manner: Manner {
                threads: match threads {
                    // One core is left for all else: a thread that waits for its turn keeps the others of its look waiting too.
                    0 => cores.saturating_sub(1).clamp(1, MOST_THREADS),
                    threads => (*threads).min(cores),
                },
                beam: (*beam).clamp(1, MOST_BEAM),
                audio_context: *audio_context,
            },
            gpu: places.gpu,
            loaded: Mutex::default(),
            memory: Arc::default(),
        })
    }

    /// The model in memory.
    fn load(&self) -> Result<Arc<Model>, Error> {
        // Held while it loads: whoever else needs it waits for the same one.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*loaded {
            return Ok(model.clone());
        }
        // It may have been replaced since it was found.
        let header =
            file::check(&self.path).map_err(|wrong| unusable(&self.path, &wrong.to_string()))?;
        if header != self.header {
            return Err(unusable(&self.path, "it has been replaced; start again"));
        }
        let model = Model::load(&self.path, header.languages(), self.gpu).map_err(start)?;
        Ok(loaded.insert(Arc::new(model)).clone())
    }
}

impl SttAdapter for Whisper {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn model(&self) -> String {
        self.model.clone()
    }

    fn languages(&self) -> &'static [&'static str] {
        languages::first(self.header.languages())
    }

    fn language(&self) -> &str {
        match self.task {
            Task::Transcribe => self.language.unwrap_or_default(),
            Task::Translate => "en",
        }
    }

    fn placement(&self) -> Placement {
        Placement::Slots
    }

    fn slots(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        match self.gpu {
            Some(_) => SLOTS_ON_GPU,
            None => (cores / self.manner.threads.max(1)).max(1),
        }
    }

    fn open(&self) -> Result<Box<dyn Recogniser>, Error> {
        let mut sight = Sight::new(self.load()?, self.manner).map_err(start)?;
        // The first look takes the memory that all others need.
        let wanted = Wanted::default();
        let first = sight.look(&Look {
            samples: &WARM_UP,
            start: 0,
            language: self.language.unwrap_or("en"),
            prompt: &[],
            task: self.task,
            temperature: 0.0,
            effort: Effort::Quick,
            wanted: &wanted,
        });
        if first.is_none() {
            return Err(start("its first look at some sound failed".to_owned()));
        }
        let (language, memory) = (self.language, self.memory.clone());
        let listener = Listener::new(sight, self.header, language, self.task, memory);
        Ok(Box::new(listener))
    }
}

/// The language that a client or a setting names, if this model knows it.
fn known(language: &str, header: &Header) -> Option<&'static str> {
    let known = languages::first(header.languages());
    languages::named(language).filter(|language| known.contains(language))
}

/// The file of a model that is named, or its path.
fn find(model: &str, places: &Places) -> Result<PathBuf, Error> {
    let is_path = model.contains(['/', '\\']) || model.ends_with(".bin");
    let found = match is_path {
        true => Some(PathBuf::from(model)).filter(|path| path.is_file()),
        false => places
            .models
            .iter()
            .map(|store| store.join(NAME).join(format!("ggml-{model}.bin")))
            .find(|path| path.is_file()),
    };
    found.ok_or_else(|| {
        Error::Missing(Missing {
            engine: NAME,
            what: match is_path {
                true => format!("the model {model}"),
                false => format!("the model whisper-{model}"),
            },
            remedy: match is_path {
                true => "put it there, or name another with stt.whisper.model".to_owned(),
                false => format!("type `parlor models fetch whisper-{model}`"),
            },
        })
    })
}

/// What the model is called in records and on pages.
fn name(model: &str, path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    let stem = stem.as_deref().unwrap_or(model);
    format!("{NAME}-{}", stem.strip_prefix("ggml-").unwrap_or(stem))
}

fn start(reason: String) -> Error {
    Error::Start {
        engine: NAME,
        reason,
    }
}

fn unusable(path: &Path, reason: &str) -> Error {
    start(format!(
        "the model {} cannot be used: {reason}; fetch it again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_name_or_path_and_else_comes_with_what_to_type() {
        let root = tempfile::tempdir().unwrap();
        let stores = ["one", "two"].map(|store| root.path().join(store));
        let places = Places {
            models: stores.to_vec(),
            ..Places::default()
        };
        let error = find("base.en", &places).unwrap_err().to_string();
        assert_eq!(
            error,
            "whisper needs the model whisper-base.en; type `parlor models fetch whisper-base.en`"
        );
        let folder = stores[1].join("whisper");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ggml-base.en.bin");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(find("base.en", &places).unwrap(), path);
        assert_eq!(find(path.to_str().unwrap(), &places).unwrap(), path);
        assert!(find("./base.en.bin", &places).is_err());
        assert_eq!(name("base.en", &path), "whisper-base.en");
        assert_eq!(name("x", Path::new("/a/mine.bin")), "whisper-mine");
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ggml-x.bin");
        std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\n").unwrap();
        let settings = WhisperSettings {
            model: path.display().to_string(),
            ..WhisperSettings::default()
        };
        let error = Whisper::open(&settings, &Places::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("a pointer of Git LFS"), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
