//! Voices of the Piper project: one network a voice pack, in ONNX Runtime, fed with espeak-ng's phonemes.
//!
//! A pack is a folder `piper/<model>/` with `<model>.onnx`, `<model>.onnx.json` and `metadata.yaml`. Each model that is loaded has a
//! thread of its own and says one clause after the other on it; a long clause leaves it sentence by sentence.

mod config;
mod network;
mod voice;

use super::onnx::Runtime;
use super::pack::{self, Pack, language_tag};
use super::residents::Residents;
use super::{Clause, Error, Gender, Model, Newcomer, Speech, TtsAdapter, Voice};
use crate::places::Places;
use config::Config;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// Its voices, the model's own first; empty until all packs are known, whose voices must not share a name.
    voices: Vec<Named>,
}

/// A voice of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// What sessions ask for.
    name: String,
    /// The number of the speaker whom it is; 0 where there is one.
    number: i64,
    /// The speaker's name, where there are several.
    speaker: Option<String>,
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
            return Err(pack::missing(NAME, "MODEL.onnx and MODEL.onnx.json", places).into());
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
            return Err(Error::start(NAME, reason.clone()));
        }
        name_voices(&mut models);
        let mut piper = Self {
            residents: Residents::new(NAME, runtime.gpu()),
            runtime,
            models,
            voices: HashMap::new(),
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

impl Piper {
    /// What loads a model on the thread that is to be its own.
    fn loading(
        &self,
        model: &str,
    ) -> Result<impl FnMut() -> Result<voice::Speaker, Error> + Send + 'static + use<>, Error> {
        let known = self.models.iter().find(|known| known.pack.id == model);
        let files = match known.map(|known| &known.files) {
            Some(Ok(files)) => files.clone(),
            Some(Err(reason)) => return Err(Error::start(NAME, reason.clone())),
            None => {
                let reason = format!("there is no model {model:?}");
                return Err(Error::start(NAME, reason));
            }
        };
        let runtime = self.runtime.clone();
        Ok(move || {
            voice::Speaker::load(&runtime, files.clone())
                .map_err(|reason| Error::start(NAME, reason))
        })
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
            let Ok(files) = &known.files else {
                continue;
            };
            let language = known.languages().into_iter().next().unwrap_or_default();
            for Named { name, speaker, .. } in &files.voices {
                let of = speaker
                    .as_ref()
                    .map_or(String::new(), |of| format!(", {of}"));
                voices.push(Voice {
                    title: format!("{}{of}", known.pack.id),
                    name: name.clone(),
                    language: language.clone(),
                    gender: Gender::Unknown,
                    model: known.pack.id.clone(),
                    // Their speech tells: it is known only when they have spoken.
                    loudness_lufs: None,
                });
            }
        }
        voices
    }

    fn max_sessions(&self) -> u32 {
        self.max_sessions
    }

    fn load(&self, model: &str) -> Result<(), Error> {
        self.residents.load(model, self.loading(model)?)
    }

    fn renew(&self, model: &str) -> Result<Option<Box<dyn Newcomer>>, Error> {
        self.residents.renew(model, self.loading(model)?)
    }

    fn unload(&self, model: &str) {
        self.residents.unload(model);
    }

    fn has_failed(&self, model: &str) -> bool {
        self.residents.has_failed(model)
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

/// Gives every voice a name of its own. A pack's own voice is called like the pack; of speakers whose names are taken, as that of
/// the speaker `a` of a pack `en` beside a pack `en-a`, the later gets a number behind it.
fn name_voices(models: &mut [Known]) {
    let mut taken = HashSet::new();
    for Known { pack, files } in models.iter_mut() {
        if let Ok(files) = files {
            let first = files.config.speakers.keys().next();
            files.voices.push(Named {
                name: named(pack, pack.id.clone(), &mut taken),
                number: first.copied().unwrap_or(0),
                speaker: None,
            });
        }
    }
    for Known { pack, files } in models {
        let Ok(files) = files else {
            continue;
        };
        for (number, speaker) in &files.config.speakers {
            files.voices.push(Named {
                name: named(pack, format!("{}-{speaker}", pack.id), &mut taken),
                number: *number,
                speaker: Some(speaker.clone()),
            });
        }
    }
}

fn named(pack: &Pack, wanted: String, taken: &mut HashSet<String>) -> String {
    let name = pack::free_name(wanted.clone(), taken);
    if name != wanted {
        warn!(
            model = pack.id,
            voice = wanted,
            instead = name,
            "Two voices of Piper would have one name; this one has another."
        );
    }
    name
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
    Ok(Files {
        model,
        config,
        voices: Vec::new(),
    })
}
