//! The catalogue: which models there are, and for each file where it comes from and how to know that it is whole.

mod written;

use super::{Error, Sum};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

/// The models that the program knows without being told.
const BUILT_IN: &str = include_str!("catalogue.toml");
/// No catalogue is larger, in bytes.
const LARGEST_BYTES: u64 = 4 << 20;

/// Models, each id once and each file in one of them.
#[derive(Debug, Clone)]
pub struct Catalogue {
    models: Vec<Model>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Recognition.
    Stt,
    /// Synthesis.
    Tts,
    /// Voice activity detection.
    Vad,
    /// Telling whether a turn is over.
    Turn,
    /// Noise suppression.
    Denoise,
}

impl Kind {
    /// The kind as catalogues write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stt => "stt",
            Self::Tts => "tts",
            Self::Vad => "vad",
            Self::Turn => "turn",
            Self::Denoise => "denoise",
        }
    }
}

/// A model and its files.
#[derive(Debug, Clone)]
pub struct Model {
    /// What people call it, as in `whisper-base.en`.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// Its languages as BCP 47 tags; none for a model that has to do with no language, or with all.
    pub languages: Vec<String>,
    /// Its licence: an SPDX identifier, or what it is called.
    pub licence: String,
    /// Where the licence can be read, if that is known.
    pub licence_url: Option<Url>,
    /// Where it comes from: a page about it.
    pub source: Url,
    /// What it is, in one sentence.
    pub description: String,
    /// Its files, at least one.
    pub files: Vec<Entry>,
    /// What `metadata.yaml` beside the first file is to say, if the model needs one.
    pub metadata: Option<String>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs in a store: a relative path with `/`, without `.` and `..`.
    pub path: String,
    /// Where it comes from.
    pub url: Url,
    /// Its sum.
    pub sha256: Sum,
    /// Its size in bytes.
    pub size: u64,
}

impl Model {
    /// The size of all its files, in bytes.
    pub fn size(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Where its `metadata.yaml` belongs in a store, if it has one.
    pub fn metadata_path(&self) -> Option<String> {
        self.metadata.as_ref()?;
        let first = self.files.first()?;
        let folder = first.path.rsplit_once('/').map(|(folder, _)| folder);
        Some(match folder {
            Some(folder) => format!("{folder}/{METADATA}"),
            None => METADATA.to_owned(),
        })
    }
}

/// What voice packs call the file that describes them.
const METADATA: &str = "metadata.yaml";

impl Catalogue {
    /// The models that the program knows.
    pub fn built_in() -> Self {
        let models = written::read(BUILT_IN).expect("a test reads it");
        Self { models }
    }

    /// The models that the program knows, and those of a catalogue of the user's own. Of two models of one id the user's
    /// counts.
    ///
    /// # Errors
    /// [`Error::Catalogue`] with all that is wrong with the user's.
    pub fn open(own: Option<&Path>) -> Result<Self, Error> {
        let built_in = Self::built_in();
        let Some(path) = own else {
            return Ok(built_in);
        };
        let place = path.display().to_string();
        let own = read(path)
            .and_then(|text| written::read(&text))
            .and_then(|own| built_in.with(own));
        own.map_err(|problems| Error::Catalogue { place, problems })
    }

    /// A catalogue of nothing but these lines.
    ///
    /// # Errors
    /// [`Error::Catalogue`] with all that is wrong with them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let empty = Self { models: Vec::new() };
        let parsed = written::read(text).and_then(|models| empty.with(models));
        parsed.map_err(|problems| Error::Catalogue {
            place: "given".to_owned(),
            problems,
        })
    }

    /// All models, in the catalogue's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of this id.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is none.
    pub fn model(&self, id: &str) -> Result<&Model, Error> {
        let mut models = self.models.iter();
        models
            .find(|model| model.id == id)
            .ok_or_else(|| Error::Unknown(id.to_owned()))
    }

    /// The file that belongs at this place of a store, and its model.
    pub fn at(&self, path: &str) -> Option<(&Model, &Entry)> {
        self.models.iter().find_map(|model| {
            let entry = model.files.iter().find(|entry| entry.path == path)?;
            Some((model, entry))
        })
    }

    fn with(mut self, own: Vec<Model>) -> Result<Self, Vec<String>> {
        self.models
            .retain(|model| own.iter().all(|other| other.id != model.id));
        self.models.extend(own);
        let problems = collisions(&self.models);
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(problems)
        }
    }
}

/// Places of a store that two files want. One would overwrite the other.
fn collisions(models: &[Model]) -> Vec<String> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    let mut problems = Vec::new();
    for model in models {
        let files = model.files.iter().map(|file| file.path.clone());
        for path in files.chain(model.metadata_path()) {
            if let Some(other) = owners.insert(path.clone(), &model.id) {
                problems.push(format!(
                    "{}: the place {path:?} in the store is taken by {other}",
                    model.id
                ));
            }
        }
    }
    problems
}

fn read(path: &Path) -> Result<String, Vec<String>> {
    let unreadable = |error: std::io::Error| vec![format!("cannot read it: {error}")];
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(LARGEST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LARGEST_BYTES {
        return Err(vec![format!("it is larger than {LARGEST_BYTES} bytes")]);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
