//! What is printed about models.

use super::Which;
use crate::models::store::look;
use crate::models::{Entry, Fetched, FileState, Model, Store, Sum, remove::Removed};
use indicatif::DecimalBytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A size for people: `147.96 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// A model in one line, its parts divided by tabs.
pub(super) fn line(model: &Model, store: &Store, home: Option<&Path>) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}",
        model.id,
        model.kind.name(),
        bytes(model.size()),
        model.licence,
        store.state(model).name(),
        place(model, store.holder(model).or(home))
            .map_or("-".to_owned(), |path| path.display().to_string())
    )
}

/// Where a model of one file is, or the folder of one with several.
fn place(model: &Model, folder: Option<&Path>) -> Option<PathBuf> {
    let path = folder?.join(&model.files.first()?.path);
    if model.files.len() == 1 {
        return Some(path);
    }
    path.parent().map(Path::to_owned)
}

/// A model with all that is known about it.
pub(super) fn model(model: &Model, store: &Store, home: Option<&Path>) -> Value {
    let holder = store.holder(model);
    let folder = holder.or(home);
    let files: Vec<Value> = model
        .files
        .iter()
        .map(|file| {
            let state = folder.map_or(FileState::Absent, |folder| look(folder, file));
            json!({
                "path": folder.map_or_else(|| file.path.clone().into(), |folder| folder.join(&file.path)),
                "url": file.url.as_str(),
                "sha256": file.sha256.to_string(),
                "bytes": file.size,
                "state": state.name(),
            })
        })
        .collect();
    json!({
        "id": model.id,
        "kind": model.kind,
        "languages": model.languages,
        "licence": model.licence,
        "licence_url": model.licence_url.as_ref().map(|url| url.as_str()),
        "source": model.source.as_str(),
        "description": model.description,
        "bytes": model.size(),
        "state": store.state(model).name(),
        "path": place(model, folder),
        "files": files,
    })
}

/// What is said of a model before it is fetched.
pub(super) fn licence(model: &Model) -> String {
    let url = model.licence_url.as_ref().unwrap_or(&model.source);
    format!(
        "{}: {} Licence: {} ({url}). {}.",
        model.id,
        model.description,
        model.licence,
        bytes(model.size())
    )
}

/// A file that is in the store now.
pub(super) fn fetched(model: &Model, file: &Fetched) -> Value {
    json!({
        "id": model.id,
        "path": file.path,
        "bytes": file.size,
        "sha256": file.sha256.to_string(),
        "fetched": file.is_new,
    })
}

/// What was taken away.
pub(super) fn removed(model: &Model, removed: &Removed) -> Value {
    json!({
        "id": model.id,
        "files": removed.files,
        "bytes": removed.bytes,
        "left": removed.left,
    })
}

/// A file and its sum.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    pub(super) id: String,
    path: PathBuf,
    wanted: String,
    found: Option<String>,
    good: bool,
}

impl Checked {
    /// A file, and the sum that it has if it is there.
    pub(super) fn new(model: &Model, file: &Entry, path: PathBuf, found: Option<Sum>) -> Self {
        Self {
            id: model.id.clone(),
            path,
            wanted: file.sha256.to_string(),
            found: found.map(|sum| sum.to_string()),
            good: found == Some(file.sha256),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.good
    }

    /// Whether that is a failure. A file that is not there is none, unless its model was asked for.
    pub(super) fn is_bad(&self, which: Which) -> bool {
        !self.good && (self.found.is_some() || which == Which::Named)
    }

    /// The file in one line, its parts divided by tabs.
    pub(super) fn line(&self) -> String {
        let Self {
            id, path, wanted, ..
        } = self;
        let path = path.display();
        match &self.found {
            _ if self.good => format!("{id}\tgood\t{path}"),
            None => format!("{id}\tmissing\t{path}"),
            Some(found) => {
                format!("{id}\tdiffers\t{path}\tit has {found} and should have {wanted}")
            }
        }
    }
}
