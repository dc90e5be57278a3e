//! Brings the files of a model into the store.

mod answer;
mod download;
mod part;
mod watch;

pub use watch::{Event, Fetched, Patience, Watch};

use super::mirror::Mirror;
use super::store::{FileState, Store, look, prune};
use super::sum::Sum;
use super::{Entry, Error, Model};
use download::Download;
use part::{Opening, Part};
use reqwest::Url;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fetches models.
#[derive(Debug, Clone, Default)]
pub struct Fetcher {
    patience: Patience,
    mirror: Option<Mirror>,
}

impl Fetcher {
    /// A fetcher that asks the hosts of the catalogue, or this mirror instead of them all.
    pub fn new(patience: Patience, mirror: Option<Mirror>) -> Self {
        Self { patience, mirror }
    }

    /// Where a file of the catalogue is fetched from.
    pub fn address(&self, entry: &Entry) -> Url {
        match &self.mirror {
            Some(mirror) => mirror.address(&entry.url),
            None => entry.url.clone(),
        }
    }

    /// Fetches the files of a model that are missing or wrong, and writes the description of a voice pack beside them.
    ///
    /// # Errors
    /// Any [`Error`]; what came by then is kept for the next time unless it is wrong.
    pub async fn fetch(
        &self,
        model: &Model,
        store: &Store,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Fetched>, Error> {
        if let Some(kept) = self.whole(model, store).await? {
            for file in &kept {
                watch.tell(&Event::Kept { path: &file.path });
            }
            // They may have been copied here by hand.
            if let (Some(folder), Ok(writable)) = (store.holder(model), store.make_writable())
                && folder == writable
            {
                describe(model, folder)?;
            }
            return Ok(kept);
        }
        let folder = store.make_writable()?;
        let mut files = Vec::new();
        for entry in &model.files {
            files.push(self.fetch_file(entry, folder, watch).await?);
        }
        describe(model, folder)?;
        Ok(files)
    }

    /// The files of the model where a loader finds them, if they are all there and right.
    async fn whole(&self, model: &Model, store: &Store) -> Result<Option<Vec<Fetched>>, Error> {
        for folder in store.folders() {
            let mut states = model.files.iter().map(|entry| look(folder, entry));
            let is_file = |state| matches!(state, FileState::Present | FileState::Damaged { .. });
            if !states.any(is_file) {
                continue;
            }
            let mut kept = Vec::new();
            let mut wrong = None;
            for entry in &model.files {
                let path = folder.join(&entry.path);
                if is_right(&path, entry).await? {
                    kept.push(entry.kept(path));
                } else {
                    wrong = wrong.or(Some(path));
                }
            }
            // A loader looks here and no further. So what is wrong here is mended here, or cannot be mended.
            let Some(wrong) = wrong else {
                return Ok(Some(kept));
            };
            let writable = store.make_writable()?;
            let mut before = store.folders().iter().take_while(|other| *other != folder);
            if writable != folder && !before.any(|other| other == writable) {
                return Err(Error::Shadowed(wrong));
            }
            return Ok(None);
        }
        Ok(None)
    }

    async fn fetch_file(
        &self,
        entry: &Entry,
        folder: &Path,
        watch: &mut dyn Watch,
    ) -> Result<Fetched, Error> {
        let path = folder.join(&entry.path);
        let inside = path.parent().unwrap_or(folder);
        let mut has_waited = false;
        let part = loop {
            if is_right(&path, entry).await? {
                watch.tell(&Event::Kept { path: &path });
                return Ok(entry.kept(path));
            }
            let part = self
                .lock(entry, &path, inside, watch, &mut has_waited)
                .await?;
            match part {
                // Meanwhile the other may have fetched it.
                Some(part) if has_waited && is_right(&path, entry).await? => {
                    part.discard();
                    watch.tell(&Event::Kept { path: &path });
                    return Ok(entry.kept(path));
                }
                Some(part) => break part,
                None => {}
            }
        };
        watch.tell(&Event::Begins {
            path: &path,
            size: entry.size,
            has: part.len(),
        });
        let got = self.get(entry, *part, watch).await;
        if got.is_err() {
            prune(folder, inside);
        }
        got?;
        watch.tell(&Event::Done { path: &path });
        Ok(Fetched {
            path,
            sha256: entry.sha256,
            size: entry.size,
            is_new: true,
        })
    }

    /// Waits until nobody else fetches the file; none when somebody has just finished.
    async fn lock(
        &self,
        entry: &Entry,
        path: &Path,
        inside: &Path,
        watch: &mut dyn Watch,
        has_waited: &mut bool,
    ) -> Result<Option<Box<Part>>, Error> {
        loop {
            fs::create_dir_all(inside).map_err(Error::file("make", inside))?;
            match Part::open(path, entry.size).await? {
                Opening::Ours(part) => return Ok(Some(part)),
                Opening::Gone => return Ok(None),
                Opening::Busy => {
                    if !*has_waited {
                        watch.tell(&Event::Waits { path });
                    }
                    *has_waited = true;
                    tokio::time::sleep(self.patience.look).await;
                }
            }
        }
    }

    /// Fetches what is missing and puts the file in its place if it is right.
    async fn get(&self, entry: &Entry, mut part: Part, watch: &mut dyn Watch) -> Result<(), Error> {
        let address = self.address(entry);
        let target = part.target().to_owned();
        let download = Download::new(&self.patience, &address, entry, &target)?;
        loop {
            if let Err(error) = download.run(&mut part, watch).await {
                // What is too large or too small is not the beginning of the right file, and of nothing nothing is kept.
                if part.len() == 0 || matches!(error, Error::Size { .. }) {
                    part.discard();
                }
                return Err(error);
            }
            let found = part.sum();
            if found == entry.sha256 {
                return part.finish().await;
            }
            if !part.is_resumed() {
                part.discard();
                return Err(Error::Sum {
                    url: address.to_string(),
                    wanted: entry.sha256,
                    found,
                });
            }
            // What an earlier fetch left was of another file. Only the whole one shows whether the server's is right.
            let reason = "what was there before does not belong to it";
            let pause = Duration::ZERO;
            watch.tell(&Event::Again { reason, pause });
            part.clear().await?;
        }
    }
}

impl Entry {
    fn kept(&self, path: PathBuf) -> Fetched {
        Fetched {
            path,
            sha256: self.sha256,
            size: self.size,
            is_new: false,
        }
    }
}

/// Whether a file is there and is the right one; computed on a thread that may block.
async fn is_right(path: &Path, entry: &Entry) -> Result<bool, Error> {
    let is_present =
        fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() == entry.size);
    if !is_present {
        return Ok(false);
    }
    let sum = sum_of(path.to_owned()).await?;
    Ok(sum == entry.sha256)
}

/// The sum of a file, computed on a thread that may block.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub async fn sum_of(path: PathBuf) -> Result<Sum, Error> {
    let summing = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || Sum::of_file(&path))
    };
    let sum = summing.await.map_err(std::io::Error::other);
    sum.and_then(|sum| sum).map_err(Error::file("read", path))
}

/// Writes what a voice pack says of itself, unless it says something already.
fn describe(model: &Model, folder: &Path) -> Result<(), Error> {
    let (Some(path), Some(text)) = (model.metadata_path(), &model.metadata) else {
        return Ok(());
    };
    let path = folder.join(path);
    if path.exists() {
        return Ok(());
    }
    fs::write(&path, text).map_err(Error::file("write", &path))
}
