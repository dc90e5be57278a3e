//! Kokoro-82M: many voices on one network, in ONNX Runtime, fed with espeak-ng's phonemes in the network's own alphabet.
//!
//! A pack is a folder `kokoro/<model>/` with the model, its voices (`voices-v1.0.bin`, or `voices/<voice>.bin`), perhaps
//! `config.json` or `tokenizer.json` with its alphabet, and `metadata.yaml`. Each model that is loaded has a thread of its own.

mod name;
mod npz;
mod styles;
mod symbols;
mod voice;

use super::onnx::Runtime;
use super::pack::{self, Pack};
use super::residents::Residents;
use super::{Clause, Error, Model, Newcomer, Speech, TtsAdapter, Voice};
use crate::places::Places;
use name::Named;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use styles::Shelf;
use symbols::Vocabulary;
use tracing::{info, warn};

const NAME: &str = "kokoro";
/// Samples a second of all its models.
const RATE_HZ: u32 = 24_000;
/// Clauses that a processor core says in real time at once, and some that pause: a guess, for nobody has measured it on the real
/// weights.
const SESSIONS: u32 = 4;
/// The same on a GPU.
const SESSIONS_ON_GPU: u32 = 16;
/// The voice that the project itself puts first.
const BEST: &str = "af_heart";

/// The adapter.
pub struct Kokoro {
    runtime: Runtime,
    models: Vec<Known>,
    residents: Residents,
    max_sessions: u32,
}

/// A pack, and what it holds or why it cannot be used.
struct Known {
    pack: Pack,
    files: Result<Files, String>,
    /// Voices that nobody here can pronounce for.
    left_out: Vec<String>,
}

/// What a usable pack holds.
#[derive(Debug, Clone)]
struct Files {
    model: PathBuf,
    shelf: Shelf,
    vocabulary: Vocabulary,
    /// The voices by the names that sessions ask for.
    voices: Vec<(String, Named)>,
}

impl Kokoro {
    /// Looks for voice packs and the names of their voices; loads no model. A pack that is wrong is kept as a model without
    /// voices, so that whoever loads it learns what is wrong.
    ///
    /// # Errors
    /// [`Error::Missing`] with what to type when packs, ONNX Runtime or espeak-ng are missing, [`Error::Start`] when no pack can
    /// be used.
    pub fn open(places: &Places) -> Result<Self, Error> {
        let packs = pack::find(NAME, &places.voicepacks);
        if packs.is_empty() {
            let files = "model.onnx and voices-v1.0.bin";
            return Err(pack::missing(NAME, files, places).into());
        }
        let runtime = Runtime::of(NAME, places)?;
        let mut taken = HashSet::new();
        let mut models = Vec::new();
        for pack in packs {
            models.push(known(pack, &mut taken)?);
        }
        if let Some(Err(reason)) = models.first().map(|known| &known.files)
            && models.iter().all(|known| known.files.is_err())
        {
            return Err(Error::start(NAME, reason.clone()));
        }
        Ok(Self {
            residents: Residents::new(NAME, runtime.gpu()),
            runtime,
            models,
            max_sessions: if places.gpu.is_some() {
                SESSIONS_ON_GPU
            } else {
                SESSIONS
            },
        })
    }

    /// The models that can be used, each with its voices.
    fn usable(&self) -> impl Iterator<Item = (&Pack, &Files)> {
        self.models
            .iter()
            .filter_map(|known| Some((&known.pack, known.files.as_ref().ok()?)))
    }
}

impl Kokoro {
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

impl TtsAdapter for Kokoro {
    fn family(&self) -> &'static str {
        NAME
    }

    fn models(&self) -> Vec<Model> {
        let model = |known: &Known| {
            let mut metadata: BTreeMap<String, String> = known.pack.metadata.clone();
            let mut languages = BTreeSet::new();
            match &known.files {
                Ok(files) => {
                    metadata.insert("sample_rate".into(), RATE_HZ.to_string());
                    metadata.insert("voices".into(), files.voices.len().to_string());
                    languages.extend(files.voices.iter().map(|(_, voice)| voice.language));
                }
                Err(reason) => {
                    metadata.insert("problem".into(), reason.clone());
                }
            }
            if !known.left_out.is_empty() {
                metadata.insert("left_out".into(), known.left_out.join(", "));
            }
            Model {
                id: known.pack.id.clone(),
                languages: languages.into_iter().map(str::to_owned).collect(),
                metadata,
            }
        };
        self.models.iter().map(model).collect()
    }

    fn voices(&self) -> Vec<Voice> {
        let mut voices: Vec<Voice> = self
            .usable()
            .flat_map(|(pack, files)| {
                files.voices.iter().map(|(name, voice)| Voice {
                    name: name.clone(),
                    title: voice.title(),
                    language: voice.language.to_owned(),
                    gender: voice.gender,
                    model: pack.id.clone(),
                    // Their speech tells: it is known only when they have spoken.
                    loudness_lufs: None,
                })
            })
            .collect();
        voices.sort_by_key(|voice| voice.name != BEST);
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
        let has = |files: &Files| files.voices.iter().any(|(name, _)| *name == clause.voice);
        let model = self.usable().find(|(_, files)| has(files));
        let (pack, _) = model.ok_or_else(|| Error::Failed {
            engine: NAME,
            reason: format!("there is no voice {:?}", clause.voice),
        })?;
        self.residents.speak(&pack.id, clause)
    }
}

/// What is known of a pack. A voice of a name that is taken gets the model's name behind its own.
fn known(pack: Pack, taken: &mut HashSet<String>) -> Result<Known, Error> {
    let mut left_out = Vec::new();
    let files = match files(&pack) {
        Ok(mut files) => {
            for style in files.shelf.names() {
                let Some(voice) = Named::of(style) else {
                    left_out.push(style.to_owned());
                    continue;
                };
                match voice.phonemiser().check() {
                    Ok(()) => {}
                    Err(Error::Start { .. }) => {
                        left_out.push(style.to_owned());
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                let mut name = style.to_owned();
                if !taken.insert(name.clone()) {
                    name = format!("{style}-{}", pack.id);
                }
                files.voices.push((name, voice));
            }
            files.voices.sort_by_key(|(_, voice)| voice.style != BEST);
            if files.voices.is_empty() {
                Err(format!(
                    "{} has no voice that espeak-ng can pronounce for",
                    pack.folder.display()
                ))
            } else {
                Ok(files)
            }
        }
        Err(reason) => Err(reason),
    };
    if let Err(reason) = &files {
        warn!(model = pack.id, %reason, "A voice pack of Kokoro cannot be used.");
    }
    if !left_out.is_empty() {
        info!(
            model = pack.id,
            voices = left_out.join(", "),
            "Voices of Kokoro are left out: espeak-ng does not pronounce their language for it."
        );
    }
    Ok(Known {
        pack,
        files,
        left_out,
    })
}

fn files(pack: &Pack) -> Result<Files, String> {
    let model = pack.model()?;
    let shelf = Shelf::of(pack)?;
    let mut vocabulary = None;
    for name in ["config.json", "tokenizer.json"] {
        let path = pack.folder.join(name);
        if vocabulary.is_none() && path.is_file() {
            vocabulary = Vocabulary::parse(&pack::read(&path)?)
                .map_err(|reason| format!("{}: {reason}", path.display()))?;
        }
    }
    Ok(Files {
        model,
        shelf,
        vocabulary: vocabulary.unwrap_or_default(),
        voices: Vec::new(),
    })
}
