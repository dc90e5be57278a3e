//! Voices of the Piper project: one network a voice pack, in ONNX Runtime, fed with espeak-ng's phonemes.
//!
//! A pack is a folder `piper/<model>/` with `<model>.onnx`, `<model>.onnx.json` and `metadata.yaml`. Each model that is loaded has a
//! thread of its own and says one clause after the other on it; a long clause leaves it sentence by sentence.

mod config;
mod voice;

use super::onnx::Runtime;
use super::pack::{self, Pack, language_tag};
use super::residents::Residents;
use super::{Clause, Error, Gender, Model, Speech, TtsAdapter, Voice};
use crate::library::Missing;
use crate::places::Places;
use config::Config;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use tracing::warn;

const NAME: &str = "piper";
/// Clauses that a processor core says in real time at once, and some more that pause: a guess, for nobody has measured it on real
/// voices.
const SESSIONS: u32 = 8;
/// The same on a GPU.
const SESSIONS_ON_GPU: u32 = 32;

/// The adapter.
pub struct Piper {
    runtime: Runtime,
    models: Vec<Known>,
    /// Which model a voice belongs to, by the voice's name.
    voices: HashMap<String, String>,
    residents: Residents,
    max_sessions: u32,
}

/// A pack, and what it holds or why it cannot be used.
struct Known {
    pack: Pack,
    files: Result<Files, String>,
}

/// What a usable pack holds.
#[derive(Debug, Clone)]
struct Files {
    model: PathBuf,
    config: Config,
}

impl Piper {
    /// Looks for voice packs and reads their configurations; loads no model. A pack that is wrong is kept as a model without
    /// voices, so that whoever loads it learns what is wrong.
    ///
    /// # Errors
    /// [`Error::Missing`] with what to type when packs, ONNX Runtime or espeak-ng are missing, [`Error::Start`] when no pack can
    /// be used.
    pub fn open(places: &Places) -> Result<Self, Error> {
        let packs = pack::find(NAME, &places.voicepacks);
        if packs.is_empty() {
            return Err(missing_pack(places).into());
        }
        let runtime = Runtime::of(NAME, places)?;
        let mut models = Vec::new();
        for pack in packs {
            let files = files(&pack);
            if let Ok(Files { config, .. }) = &files
                && let Some(phonemiser) = config.phonemiser()
            {
                match phonemiser.check() {
                    Ok(()) => {}
                    Err(Error::Start { reason, .. }) => {
                        models.push(Known::wrong(pack, reason));
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            models.push(match files {
                Ok(files) => Known {
                    pack,
                    files: Ok(files),
                },
                Err(reason) => Known::wrong(pack, reason),
            });
        }
        if let Some(Err(reason)) = models.first().map(|known| &known.files)
            && models.iter().all(|known| known.files.is_err())
        {
            return Err(Error::Start {
                engine: NAME,
                reason: reason.clone(),
            });
        }
        let mut piper = Self {
            runtime,
            models,
            voices: HashMap::new(),
            residents: Residents::new(NAME),
            max_sessions: if places.gpu.is_some() {
                SESSIONS_ON_GPU
            } else {
                SESSIONS
            },
        };
        let voices = piper.voices();
        piper.voices = voices
            .into_iter()
            .map(|voice| (voice.name, voice.model))
            .collect();
        Ok(piper)
    }
}

impl Known {
    fn wrong(pack: Pack, reason: String) -> Self {
        warn!(model = pack.id, %reason, "A voice pack of Piper cannot be used.");
        Self {
            pack,
            files: Err(reason),
        }
    }

    fn languages(&self) -> Vec<String> {
        let named = self.pack.languages();
        match &self.files {
            Ok(files) if named.is_empty() => vec![language_tag(&files.config.language)],
            _ => named,
        }
    }
}

impl TtsAdapter for Piper {
    fn family(&self) -> &'static str {
        NAME
    }

    fn models(&self) -> Vec<Model> {
        let model = |known: &Known| {
            let mut metadata: BTreeMap<String, String> = known.pack.metadata.clone();
            match &known.files {
                Ok(Files { config, .. }) => {
                    metadata.insert("sample_rate".into(), config.rate_hz.to_string());
                    metadata.insert("voices".into(), config.speakers.len().max(1).to_string());
                }
                Err(reason) => {
                    metadata.insert("problem".into(), reason.clone());
                }
            }
            Model {
                id: known.pack.id.clone(),
                languages: known.languages(),
                metadata,
            }
        };
        self.models.iter().map(model).collect()
    }

    fn voices(&self) -> Vec<Voice> {
        let mut voices = Vec::new();
        for known in &self.models {
            let Ok(Files { config, .. }) = &known.files else {
                continue;
            };
            let language = known.languages().into_iter().next().unwrap_or_default();
            for (name, speaker) in config.voices(&known.pack.id) {
                let of = speaker.map_or(String::new(), |speaker| format!(", {speaker}"));
                voices.push(Voice {
                    title: format!("{}{of}", known.pack.id),
                    name,
                    language: language.clone(),
                    gender: Gender::Unknown,
                    model: known.pack.id.clone(),
                    // The adapter levels them itself: their level is known only when they have spoken.
                    level_dbfs: None,
                });
            }
        }
        voices
    }

    fn max_sessions(&self) -> u32 {
        self.max_sessions
    }

    fn load(&self, model: &str) -> Result<(), Error> {
        let known = self.models.iter().find(|known| known.pack.id == model);
        let files = match known.map(|known| &known.files) {
            Some(Ok(files)) => files.clone(),
            Some(Err(reason)) => return Err(start(reason.clone())),
            None => return Err(start(format!("there is no model {model:?}"))),
        };
        let runtime = self.runtime.clone();
        let model_id = model.to_owned();
        self.residents.load(model, move || {
            let mut speaker = voice::Speaker::load(&runtime, &model_id, files).map_err(start)?;
            Ok(move |clause: &Clause, sink| speaker.say(clause, sink))
        })
    }

    fn unload(&self, model: &str) {
        self.residents.unload(model);
    }

    fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        let model = self
            .voices
            .get(&clause.voice)
            .ok_or_else(|| Error::Failed {
                engine: NAME,
                reason: format!("there is no voice {:?}", clause.voice),
            })?;
        self.residents.speak(model, clause)
    }
}

fn start(reason: String) -> Error {
    Error::Start {
        engine: NAME,
        reason,
    }
}

fn missing_pack(places: &Places) -> Missing {
    let folder = places
        .voicepacks
        .last()
        .map_or_else(|| PathBuf::from("voicepacks"), PathBuf::clone);
    Missing {
        engine: NAME,
        what: "a voice pack".to_owned(),
        remedy: format!(
            "put MODEL.onnx and MODEL.onnx.json into {}",
            folder.join(NAME).join("MODEL").display()
        ),
    }
}

/// What a pack holds.
fn files(pack: &Pack) -> Result<Files, String> {
    let model = pack.model()?;
    let mut beside = model.clone().into_os_string();
    beside.push(".json");
    let beside = PathBuf::from(beside);
    let path = if beside.is_file() {
        beside
    } else {
        let other = pack.folder.join("config.json");
        if !other.is_file() {
            return Err(format!(
                "the configuration {} is missing; Piper's voices come with it",
                beside.display()
            ));
        }
        other
    };
    let config = Config::parse(&pack::read(&path)?)
        .map_err(|reason| format!("{}: {reason}", path.display()))?;
    Ok(Files { model, config })
}
