//! Taking a model out of the store: its files and what is left empty by that, nothing else.

use super::store::{PART, TAG, beside, is_protected, prune};
use super::{Error, Model, Store};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What was taken away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The files.
    pub files: Vec<PathBuf>,
    /// How large they were together, in bytes.
    pub bytes: u64,
    /// Files of the model in other folders of the store. They were left alone, and may now be the ones that count.
    pub left: Vec<PathBuf>,
}

/// Removes a model's files from the folder of the store that is written to.
///
/// # Errors
/// [`Error::NotThere`] when there is nothing, [`Error::Outside`] when its files lie elsewhere, [`Error::Busy`] while somebody
/// fetches it; nothing is removed then.
pub fn remove(store: &Store, model: &Model) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    let folder = store.writable();
    for other in store
        .folders()
        .iter()
        .filter(|other| Some(other.as_path()) != folder)
    {
        let files = model.files.iter().map(|file| other.join(&file.path));
        removed.left.extend(files.filter(|path| is_there(path)));
    }
    let folder = match (folder, removed.left.first()) {
        (Some(folder), _) => folder,
        (None, Some(_)) => return Err(Error::ReadOnly(store.folders().to_vec())),
        (None, None) => return Err(Error::NotThere(model.id.clone())),
    };
    let mut found = Vec::new();
    for file in &model.files {
        let path = folder.join(&file.path);
        let part = beside(&path, PART);
        refuse_busy(&part)?;
        found.extend(
            [beside(&path, TAG), part, path]
                .into_iter()
                .filter(|path| is_there(path)),
        );
    }
    if found.is_empty() {
        return Err(match removed.left.first() {
            None => Error::NotThere(model.id.clone()),
            Some(path) => Error::Outside {
                path: path.clone(),
                folder: folder.to_owned(),
            },
        });
    }
    found.extend(own_metadata(folder, model));
    for path in &found {
        refuse_outside(folder, path)?;
        refuse_protected(path)?;
    }
    for path in found {
        let bytes = fs::symlink_metadata(&path).map_or(0, |about| about.len());
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        removed.bytes = removed.bytes.saturating_add(bytes);
        if let Some(inside) = path.parent() {
            prune(folder, inside);
        }
        removed.files.push(path);
    }
    Ok(removed)
}

/// The pack's description, if it still says what was written into it: whoever changed it wants it kept.
fn own_metadata(folder: &Path, model: &Model) -> Option<PathBuf> {
    let path = folder.join(model.metadata_path()?);
    let text = fs::read_to_string(&path).ok()?;
    (Some(text) == model.metadata).then_some(path)
}

/// A link is there even if it leads nowhere.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| !about.is_dir())
}

fn refuse_busy(part: &Path) -> Result<(), Error> {
    let Ok(file) = File::open(part) else {
        return Ok(());
    };
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Busy(part.to_owned())),
        Err(TryLockError::Error(reason)) => Err(Error::file("lock", part)(reason)),
    }
}

/// A folder that nobody is to write into keeps its files, whoever runs the program.
fn refuse_protected(path: &Path) -> Result<(), Error> {
    match path.parent().is_some_and(is_protected) {
        false => Ok(()),
        true => Err(Error::file("remove", path)(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its folder is marked read-only",
        ))),
    }
}

/// A folder of the store may be a link to somewhere else: what is there is not the store's.
fn refuse_outside(folder: &Path, path: &Path) -> Result<(), Error> {
    let inside = || -> io::Result<bool> {
        let above = path.parent().unwrap_or(path);
        Ok(above.canonicalize()?.starts_with(folder.canonicalize()?))
    };
    match inside() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Outside {
            path: path.to_owned(),
            folder: folder.to_owned(),
        }),
        Err(reason) => Err(Error::file("look into", path)(reason)),
    }
}
