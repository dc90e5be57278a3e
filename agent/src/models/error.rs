//! What may go wrong with the files of models, in words for whoever typed the command.

use super::Sum;
use std::io;
use std::path::{Path, PathBuf};

/// Why a model's file could not be had, checked or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A catalogue cannot be used; each problem is one sentence.
    #[error("the catalogue {place} cannot be used:\n  - {}", .problems.join("\n  - "))]
    Catalogue {
        /// Its file, or that it is the built-in one.
        place: String,
        /// All that is wrong with it.
        problems: Vec<String>,
    },
    /// No model is called this.
    #[error("there is no model {0:?} in the catalogue; type parlor models list")]
    Unknown(String),
    /// The mirror's address is none.
    #[error("the mirror cannot be used: {0}")]
    Mirror(String),
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}: {reason}", .path.display())]
    File {
        /// What was being done to it.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// The disk is full.
    #[error(
        "the disk is full: {has} of {size} bytes are in {}; make room, then fetch again, and it goes on from there",
        .path.display()
    )]
    Full {
        /// The file that is being written.
        path: PathBuf,
        /// How much of it is there, in bytes.
        has: u64,
        /// How large it is to be, in bytes.
        size: u64,
    },
    /// No folder of the store can be written.
    #[error("no folder of the store can be written: {}; set PARLOR_MODELS to one that can", list(.0))]
    ReadOnly(Vec<PathBuf>),
    /// Nobody answers there.
    #[error(
        "cannot reach {host}: {reason}; fetch {url} on another machine and copy it to {}, or give --mirror URL",
        .path.display()
    )]
    Unreachable {
        /// The host's name.
        host: String,
        /// The system's reason.
        reason: String,
        /// The file's address.
        url: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// The server has no such file, or does not give it.
    #[error("{url}: the server answers {status}")]
    Status {
        /// The file's address.
        url: String,
        /// The answer's status, with its reason.
        status: String,
    },
    /// The server sends the request to a place where it is not to go.
    #[error("{url}: {reason}")]
    Redirect {
        /// The file's address.
        url: String,
        /// Why it was not followed.
        reason: String,
    },
    /// The server's file has another size than the catalogue's.
    #[error("{url}: {says}, and the catalogue says {size} bytes; nothing was kept")]
    Size {
        /// The file's address.
        url: String,
        /// How large the server's file is.
        says: String,
        /// How large it is to be, in bytes.
        size: u64,
    },
    /// The connection broke again and again.
    #[error(
        "{url}: {reason}; {has} of {size} bytes are there, and fetching again goes on from there"
    )]
    Broken {
        /// The file's address.
        url: String,
        /// Why the last try failed.
        reason: String,
        /// How much is there, in bytes.
        has: u64,
        /// How large it is to be, in bytes.
        size: u64,
    },
    /// What came is not the catalogue's file.
    #[error("{url}: the sha256 differs: {wanted} is wanted and {found} came; nothing was kept")]
    Sum {
        /// The file's address.
        url: String,
        /// The catalogue's sum.
        wanted: Sum,
        /// The sum of what came.
        found: Sum,
    },
    /// A damaged copy lies where nothing can be done about it and loaders look first.
    #[error(
        "{} is not whole, lies in a folder that cannot be written, and is looked at first; mend or remove it there",
        .0.display()
    )]
    Shadowed(PathBuf),
    /// A file is not this program's to remove.
    #[error("{} is not inside {}, the folder of the store that is written to; it stays", .path.display(), .folder.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// Where files may be removed.
        folder: PathBuf,
    },
    /// Nothing of the model is in the store.
    #[error("nothing of {0} is in the store")]
    NotThere(String),
    /// Somebody is fetching the file at this moment.
    #[error("{} is being fetched", .0.display())]
    Busy(PathBuf),
}

impl Error {
    /// Whether it is the command line's or the settings' mistake.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Catalogue { .. } | Self::Unknown(_) | Self::Mirror(_)
        )
    }

    pub(super) fn file(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |reason| Self::File {
            doing,
            path,
            reason,
        }
    }
}

fn list(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.join(", ")
}
