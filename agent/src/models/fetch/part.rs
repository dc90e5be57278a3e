//! A file that is not whole yet. It lies beside the place where the whole one belongs, is locked by whoever fetches it, and
//! takes that place in one step when it is whole and right.

use super::super::Error;
use super::super::store::{PART, TAG, beside};
use super::super::sum::{Sum, add};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// The beginning of a file, and the sum of it.
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    file: tokio::fs::File,
    hasher: Sha256,
    len: u64,
    size: u64,
    is_resumed: bool,
}

/// What became of opening a part.
pub(super) enum Opening {
    /// It is there, with what an earlier fetch left in it, and nobody else writes to it.
    Ours(Box<Part>),
    /// Somebody else is fetching the file.
    Busy,
    /// Somebody else has just finished, or given up.
    Gone,
}

impl Part {
    /// Opens the part of the file that belongs here and is to have this size, in bytes.
    pub(super) async fn open(target: &Path, size: u64) -> Result<Opening, Error> {
        let path = beside(target, PART);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Opening::Busy),
            Err(TryLockError::Error(reason)) => return Err(Error::file("lock", &path)(reason)),
        }
        // Between opening and locking, whoever had the lock may have put the file in its place or thrown it away.
        if !is_same(&file, &path) {
            return Ok(Opening::Gone);
        }
        let (file, hasher, len) = sum_up(file).await.map_err(Error::file("read", &path))?;
        let mut part = Self {
            target: target.to_owned(),
            path,
            file: tokio::fs::File::from_std(file),
            hasher,
            len,
            size,
            is_resumed: len > 0,
        };
        if len > size {
            part.clear().await?;
        }
        Ok(Opening::Ours(Box::new(part)))
    }

    /// Where the whole file belongs.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// How much there is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether some of it is from an earlier fetch.
    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The sum of what there is.
    pub(super) fn sum(&self) -> Sum {
        Sum::of(self.hasher.clone())
    }

    /// Adds what came.
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(piece).await;
        written.map_err(|reason| self.not_written(reason))?;
        self.hasher.update(piece);
        self.len = self.len.saturating_add(piece.len() as u64);
        Ok(())
    }

    /// Waits until what was written has been taken by the system.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let flushed = self.file.flush().await;
        flushed.map_err(|reason| self.not_written(reason))
    }

    /// Begins anew.
    pub(super) async fn clear(&mut self) -> Result<(), Error> {
        let cleared = async {
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await
        };
        let cleared = cleared.await;
        cleared.map_err(|reason| self.not_written(reason))?;
        self.hasher = Sha256::new();
        self.len = 0;
        self.is_resumed = false;
        self.forget();
        Ok(())
    }

    /// What the server called the file from this address when the part was begun, if it said.
    pub(super) fn validator(&self, address: &str) -> Option<String> {
        let tag = fs::read_to_string(beside(&self.target, TAG)).ok()?;
        let (of, validator) = tag.trim_end().split_once('\n')?;
        (of == address).then(|| validator.to_owned())
    }

    /// Remembers what the server calls the file.
    pub(super) fn remember(&self, address: &str, validator: Option<&str>) {
        match validator {
            // Without it the rest is fetched all the same, and the sum tells whether it fits.
            Some(validator) => {
                let tag = beside(&self.target, TAG);
                let _ = fs::write(tag, format!("{address}\n{validator}\n"));
            }
            None => self.forget(),
        }
    }

    /// Puts the file where it belongs, so that nobody ever sees half of it there.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.flush().await?;
        let synced = self.file.sync_all().await;
        synced.map_err(|reason| self.not_written(reason))?;
        fs::rename(&self.path, &self.target).map_err(Error::file("make", &self.target))?;
        self.forget();
        // The name must be on the disk too. A file system that cannot do that for folders has its own way.
        if let Some(folder) = self.target.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }

    /// Throws it away.
    pub(super) fn discard(self) {
        // Who may write here may remove.
        let _ = fs::remove_file(&self.path);
        self.forget();
    }

    fn forget(&self) {
        let _ = fs::remove_file(beside(&self.target, TAG));
    }

    fn not_written(&self, reason: io::Error) -> Error {
        let is_full = reason.kind() == io::ErrorKind::StorageFull
            || reason.raw_os_error() == Some(libc::EDQUOT);
        if is_full {
            Error::Full {
                path: self.path.clone(),
                has: self.len,
                size: self.size,
            }
        } else {
            Error::file("write", &self.path)(reason)
        }
    }
}

/// Reads all that is there, on a thread that may block.
async fn sum_up(file: File) -> io::Result<(File, Sha256, u64)> {
    let reading = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let mut hasher = Sha256::new();
        let len = add(&mut &file, &mut hasher)?;
        Ok((file, hasher, len))
    });
    reading.await.map_err(io::Error::other)?
}

/// Whether the open file is the one that has this name now.
fn is_same(file: &File, path: &Path) -> bool {
    let ours = file.metadata().map(|about| (about.dev(), about.ino()));
    let named = fs::metadata(path).map(|about| (about.dev(), about.ino()));
    matches!((ours, named), (Ok(ours), Ok(named)) if ours == named)
}
