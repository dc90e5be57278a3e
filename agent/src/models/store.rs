//! Where the files of models lie on this machine: a list of folders, of which the first that has a file counts.

use super::{Entry, Error, Model};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// What a file is called that is not whole yet: its name with this behind it.
pub(super) const PART: &str = ".part";
/// What remembers which file of the server's a part is of.
pub(super) const TAG: &str = ".part.tag";

/// The folders, in the order in which they are looked through.
#[derive(Debug, Clone)]
pub struct Store {
    folders: Vec<PathBuf>,
}

/// What there is of a file, by its size. Whether it is the right one is known only by its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Nothing.
    Absent,
    /// Its beginning, from a fetch that did not come to its end.
    Partial {
        /// How much, in bytes.
        bytes: u64,
    },
    /// A file of the right size.
    Present,
    /// A file of another size.
    Damaged {
        /// Its size, in bytes.
        bytes: u64,
    },
}

/// What there is of a model, by the sizes of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// Not all.
    Partial,
    /// All files, each of the right size.
    Present,
    /// A file is of another size.
    Damaged,
}

impl State {
    /// The state in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Partial => "partial",
            Self::Present => "present",
            Self::Damaged => "damaged",
        }
    }
}

impl FileState {
    /// The state in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Partial { .. } => "partial",
            Self::Present => "present",
            Self::Damaged { .. } => "damaged",
        }
    }
}

impl Store {
    /// A store of these folders; they need not be there.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let folders = folders.into_iter();
        Self {
            // An empty name would be whatever folder the program was started in.
            folders: folders
                .filter(|folder| !folder.as_os_str().is_empty())
                .collect(),
        }
    }

    /// The folders, in the order in which they are looked through.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The first folder that has a file of the model, or else the first with the beginning of one.
    pub fn holder(&self, model: &Model) -> Option<&Path> {
        let first = |wanted: fn(FileState) -> bool| {
            let mut folders = self.folders.iter();
            folders.find(|folder| {
                let mut files = model.files.iter();
                files.any(|file| wanted(look(folder, file)))
            })
        };
        let is_file =
            |state: FileState| matches!(state, FileState::Present | FileState::Damaged { .. });
        let holder = first(is_file).or_else(|| first(|state| state != FileState::Absent));
        holder.map(PathBuf::as_path)
    }

    /// What there is of a model, in the folder that holds it.
    pub fn state(&self, model: &Model) -> State {
        let Some(folder) = self.holder(model) else {
            return State::Absent;
        };
        let states: Vec<_> = model.files.iter().map(|file| look(folder, file)).collect();
        let is_damaged = |state: &FileState| matches!(state, FileState::Damaged { .. });
        if states.iter().any(is_damaged) {
            State::Damaged
        } else if states.iter().all(|state| *state == FileState::Present) {
            State::Present
        } else {
            State::Partial
        }
    }

    /// The first folder that is there and can be written.
    pub fn writable(&self) -> Option<&Path> {
        let mut folders = self.folders.iter();
        let found = folders.find(|folder| folder.is_dir() && can_be_written(folder));
        found.map(PathBuf::as_path)
    }

    /// The first folder that can be written; it is made if need be.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when there is none.
    pub fn make_writable(&self) -> Result<&Path, Error> {
        let mut folders = self.folders.iter();
        let found =
            folders.find(|folder| fs::create_dir_all(folder).is_ok() && can_be_written(folder));
        found
            .map(PathBuf::as_path)
            .ok_or_else(|| Error::ReadOnly(self.folders.clone()))
    }
}

/// What one folder has of a file.
pub fn look(folder: &Path, file: &Entry) -> FileState {
    let path = folder.join(&file.path);
    match size(&path) {
        Some(bytes) if bytes == file.size => FileState::Present,
        Some(bytes) => FileState::Damaged { bytes },
        None => match size(&beside(&path, PART)) {
            None | Some(0) => FileState::Absent,
            Some(bytes) => FileState::Partial { bytes },
        },
    }
}

/// The path with this behind its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Takes away this folder and those above it that are empty, up to but without the root.
pub(super) fn prune(root: &Path, folder: &Path) {
    let mut folder = folder;
    // What is not empty stays, and so does all above it.
    while folder != root && folder.starts_with(root) && fs::remove_dir(folder).is_ok() {
        let Some(above) = folder.parent() else { return };
        folder = above;
    }
}

fn size(path: &Path) -> Option<u64> {
    let about = fs::metadata(path).ok()?;
    about.is_file().then_some(about.len())
}

/// Whether nobody is meant to write into the folder. Root could all the same, and is not to.
pub(super) fn is_protected(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|about| about.permissions().readonly())
}

// The permissions tell what is meant, but not that a file system is mounted read-only or that the folder is somebody else's.
fn can_be_written(folder: &Path) -> bool {
    if is_protected(folder) {
        return false;
    }
    let trial = folder.join(format!(".write-{}", uuid::Uuid::new_v4().simple()));
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&trial)
        .is_ok();
    made && fs::remove_file(&trial).is_ok()
}
