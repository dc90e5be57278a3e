//! `parlor models`.

mod progress;
mod shown;

use super::{Failure, Global, interrupted, out};
use crate::models::remove::{Removed, remove};
use crate::models::store::FileState;
use crate::models::{self, Catalogue, Fetcher, Mirror, Model, Patience, Store};
use crate::server::engines;
use crate::telemetry;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use progress::Progress;
use std::path::PathBuf;

/// Shows, fetches, checks and removes the files of models.
#[derive(Debug, Args)]
#[command(after_help = "\
Files are fetched into the first folder of $PARLOR_MODELS that can be written, else into models in parlor's cache. A fetch that
was broken off goes on where it stopped. docs/models.md says how to add models, and how to do without a network.

Examples:
  parlor models list
  parlor models list --json | jq -r '.[] | select(.state == \"present\") | .id'
  parlor models fetch whisper-base.en piper-en_US-lessac-medium
  parlor models fetch kokoro-v1.0 --mirror https://mirror.lan/models
  parlor models verify
  parlor models rm whisper-base.en")]
pub struct Models {
    #[command(subcommand)]
    action: Action,
    /// A catalogue of your own beside parlor's (default: models.catalogue).
    #[arg(long, global = true, value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints a line a model: id, kind, size, licence, what there is of it by size, and where it is or would be.
    List {
        /// Prints the models with their files as one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Fetches models, each file only if it is not there and right.
    Fetch {
        /// The models' ids, as the list shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// A server that has the files of all hosts; the path of a file's own address follows it (default: models.mirror).
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
        /// Prints where the files are as one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Computes the sums of files that are there; exit code 1 if one differs.
    Verify {
        /// The models' ids; without any, all that are there.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Prints one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Removes a model's files from the folder that models are fetched into.
    Rm {
        /// The models' ids, as the list shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Prints what was removed as one JSON list.
        #[arg(long)]
        json: bool,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Json,
}

impl From<bool> for Form {
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Lines }
    }
}

/// Which models are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that were named: each must be there.
    Named,
    /// Those that are there.
    Present,
}

impl Models {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        let own = self
            .catalogue
            .as_deref()
            .or(config.models.catalogue.as_deref());
        let catalogue = Catalogue::open(own)?;
        let store = Store::new(engines::model_stores());
        match self.action {
            Action::List { json } => list(&catalogue, &store, json.into()),
            Action::Fetch { ids, mirror, json } => {
                let mirror = match mirror {
                    Some(address) => Some(address.parse::<Mirror>()?),
                    None => config.models.mirror()?,
                };
                let fetcher = Fetcher::new(Patience::default(), mirror);
                let models = named(&catalogue, &ids)?;
                tokio::select! {
                    fetched = fetch(&fetcher, &models, &store, global, json.into()) => fetched,
                    () = interrupted() => Err(Failure::Interrupted),
                }
            }
            Action::Verify { ids, json } => {
                let (models, which) = if ids.is_empty() {
                    (catalogue.models().iter().collect(), Which::Present)
                } else {
                    (named(&catalogue, &ids)?, Which::Named)
                };
                let checking = verify(&models, which, &store, global, json.into());
                tokio::select! {
                    verified = checking => verified,
                    () = interrupted() => Err(Failure::Interrupted),
                }
            }
            Action::Rm { ids, json } => {
                let models = named(&catalogue, &ids)?;
                let mut all = Vec::new();
                for model in models {
                    let removed = remove(&store, model)?;
                    if !global.quiet {
                        out::note(&told(model, &removed));
                    }
                    all.push(shown::removed(model, &removed));
                }
                if json {
                    out::json(&all)?;
                }
                Ok(())
            }
        }
    }
}

fn named<'a>(catalogue: &'a Catalogue, ids: &[String]) -> Result<Vec<&'a Model>, Failure> {
    let models = ids.iter().map(|id| catalogue.model(id));
    Ok(models.collect::<Result<_, models::Error>>()?)
}

fn list(catalogue: &Catalogue, store: &Store, form: Form) -> Result<(), Failure> {
    // Where a model would be is told even before the folder is made.
    let home = store
        .writable()
        .or(store.folders().last().map(PathBuf::as_path));
    if form == Form::Json {
        let models: Vec<_> = catalogue
            .models()
            .iter()
            .map(|model| shown::model(model, store, home))
            .collect();
        out::json(&models)?;
        return Ok(());
    }
    for model in catalogue.models() {
        out::line(&shown::line(model, store, home))?;
    }
    Ok(())
}

async fn fetch(
    fetcher: &Fetcher,
    models: &[&Model],
    store: &Store,
    global: &Global,
    form: Form,
) -> Result<(), Failure> {
    let mut all = Vec::new();
    for model in models {
        if !global.quiet {
            out::note(&shown::licence(model));
        }
        let mut progress = Progress::new(global);
        let files = fetcher.fetch(model, store, &mut progress).await?;
        for file in &files {
            all.push(shown::fetched(model, file));
        }
    }
    if form == Form::Json {
        out::json(&all)?;
    }
    Ok(())
}

async fn verify(
    models: &[&Model],
    which: Which,
    store: &Store,
    global: &Global,
    form: Form,
) -> Result<(), Failure> {
    let mut checked = Vec::new();
    for model in models {
        let Some(folder) = store.holder(model) else {
            match which {
                Which::Named => return Err(models::Error::NotThere(model.id.clone()).into()),
                Which::Present => continue,
            }
        };
        for file in &model.files {
            let path = folder.join(&file.path);
            let found = match models::store::look(folder, file) {
                FileState::Absent | FileState::Partial { .. } => None,
                FileState::Present | FileState::Damaged { .. } => {
                    Some(models::fetch::sum_of(path.clone()).await?)
                }
            };
            let check = shown::Checked::new(model, file, path, found);
            if form == Form::Lines && (!global.quiet || !check.is_good()) {
                out::line(&check.line())?;
            }
            checked.push(check);
        }
    }
    if form == Form::Json {
        out::json(&checked)?;
    } else if checked.is_empty() && !global.quiet {
        out::note("No model is there.");
    }
    let bad: Vec<&str> = checked
        .iter()
        .filter(|check| check.is_bad(which))
        .map(|check| check.id.as_str())
        .collect();
    match bad.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Failure::Failed(anyhow!(
            "{} of {} files are not as the catalogue has them; type parlor models fetch {first}",
            bad.len(),
            checked.len()
        ))),
    }
}

fn told(model: &Model, removed: &Removed) -> String {
    let files = removed.files.len();
    let s = if files == 1 { "" } else { "s" };
    let mut told = format!(
        "Removed {}: {files} file{s}, {} freed.",
        model.id,
        shown::bytes(removed.bytes)
    );
    if let Some(path) = removed.left.first() {
        told.push_str(&format!(
            " Another copy is at {} and stays.",
            path.display()
        ));
    }
    told
}

impl From<models::Error> for Failure {
    fn from(error: models::Error) -> Self {
        match error {
            error if error.is_usage() => Self::Usage(error.to_string()),
            models::Error::Unreachable { .. } => Self::Unreachable(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}
