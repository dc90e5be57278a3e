//! Whether a file may be loaded: one that the catalogue knows must be the one that the catalogue means.
//!
//! A sum takes a second a gigabyte or so. So what was computed is remembered with the file's size, its times and its number
//! on the disk, and is computed again only when one of them is another.

use super::{Catalogue, Error, Sum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::debug;

/// A file that was changed longer ago than this has another time when it is changed again.
const SETTLED: Duration = Duration::from_secs(2);

/// What the catalogue says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is the user's own.
    Unlisted,
    /// It is the right one.
    Good,
    /// It is another one.
    Differs {
        /// The model that it should belong to.
        model: String,
        /// The sum that it should have.
        wanted: Sum,
        /// The sum that it has.
        found: Sum,
    },
}

/// Asks the catalogue about files, and remembers their sums.
#[derive(Debug)]
pub struct Guard<'a> {
    catalogue: &'a Catalogue,
    memory: Memory,
}

impl<'a> Guard<'a> {
    /// A guard that knows this catalogue and remembers this.
    pub fn new(catalogue: &'a Catalogue, memory: Memory) -> Self {
        Self { catalogue, memory }
    }

    /// Whether the file at this place of a store may be loaded. It may read the whole file and blocks meanwhile.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read.
    pub fn file(&mut self, store: &Path, relative: &str) -> Result<Verdict, Error> {
        self.file_as(&store.join(relative), relative)
    }

    /// The same for a file that lies somewhere else than in a store, and stands for the one at this place of it.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read.
    pub fn file_as(&mut self, path: &Path, relative: &str) -> Result<Verdict, Error> {
        let Some((model, entry)) = self.catalogue.at(relative) else {
            return Ok(Verdict::Unlisted);
        };
        let found = self.memory.sum(path).map_err(Error::file("read", path))?;
        if found == entry.sha256 {
            return Ok(Verdict::Good);
        }
        Ok(Verdict::Differs {
            model: model.id.clone(),
            wanted: entry.sha256,
            found,
        })
    }

    /// Writes down what was learnt.
    pub fn finish(self) {
        self.memory.save();
    }
}

/// Sums of files as they were when they were computed.
#[derive(Debug, Default)]
pub struct Memory {
    /// Where it is kept; nowhere if there is none.
    place: Option<PathBuf>,
    known: BTreeMap<PathBuf, Known>,
    is_new: bool,
}

/// A file at some time, and its sum then.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    size: u64,
    device: u64,
    inode: u64,
    /// When the content was changed last, and when anything about the file was: whoever sets the first back changes the second.
    modified: (i64, i64),
    changed: (i64, i64),
    sha256: String,
}

impl Memory {
    /// What a file of this name remembers; nothing if there is none or it cannot be understood.
    pub fn open(place: PathBuf) -> Self {
        let known = fs::read(&place).ok();
        let known = known.and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            place: Some(place),
            known: known.unwrap_or_default(),
            is_new: false,
        }
    }

    /// The sum of a file, remembered or computed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sum(&mut self, path: &Path) -> io::Result<Sum> {
        let before = Known::of(path)?;
        if let Some(known) = self.known.get(path)
            && known.is_like(&before)
            && let Ok(sum) = known.sha256.parse()
        {
            return Ok(sum);
        }
        let sum = Sum::of_file(path)?;
        self.learn(path, before, sum);
        Ok(sum)
    }

    fn learn(&mut self, path: &Path, before: Known, sum: Sum) {
        // A file that is written to while it is read has no sum. And clocks of file systems are coarse: what was written just
        // now may be written again without another time.
        let is_settled = before.age().is_some_and(|age| age > SETTLED);
        if is_settled && Known::of(path).is_ok_and(|after| after.is_like(&before)) {
            let sha256 = sum.to_string();
            self.known
                .insert(path.to_owned(), Known { sha256, ..before });
            self.is_new = true;
        }
    }

    /// Writes it down. That it cannot be is no failure: then sums are computed again next time.
    pub fn save(mut self) {
        let Some(place) = self.place.take().filter(|_| self.is_new) else {
            return;
        };
        // Files that are gone need not be remembered.
        self.known.retain(|path, _| path.is_file());
        let saved = || -> io::Result<()> {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            let new = place.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
            fs::write(&new, serde_json::to_vec_pretty(&self.known)?)?;
            fs::rename(&new, &place)
        };
        if let Err(error) = saved() {
            debug!(%error, "The sums of models are not remembered.");
        }
    }
}

impl Known {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self {
            size: about.len(),
            device: about.dev(),
            inode: about.ino(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
            sha256: String::new(),
        })
    }

    /// How long ago its content was changed; none if that is still to come.
    fn age(&self) -> Option<Duration> {
        let (seconds, nanoseconds) = self.modified;
        let modified = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        now.checked_sub(modified)
    }

    fn is_like(&self, other: &Self) -> bool {
        let facts = |known: &Self| {
            (
                known.size,
                known.device,
                known.inode,
                known.modified,
                known.changed,
            )
        };
        facts(self) == facts(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a file that is this old.
    fn write(path: &Path, text: &str, age: Duration) {
        fs::write(path, text).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_sum_is_remembered_until_the_file_is_another() {
        let hour = Duration::from_secs(3600);
        let folder = tempfile::tempdir().unwrap();
        let (path, place) = (folder.path().join("a"), folder.path().join("seen.json"));
        write(&path, "abc", hour);
        let mut memory = Memory::open(place.clone());
        let sum = memory.sum(&path).unwrap();
        memory.save();
        // A wrong sum in the memory would be believed: that shows that it is asked.
        let text = fs::read_to_string(&place).unwrap();
        let other = "0".repeat(64);
        fs::write(&place, text.replace(&sum.to_string(), &other)).unwrap();
        let mut memory = Memory::open(place.clone());
        assert_eq!(memory.sum(&path).unwrap().to_string(), other);
        write(&path, "abc", 2 * hour);
        assert_eq!(memory.sum(&path).unwrap(), sum);
        // What cannot be understood is as good as nothing.
        fs::write(&place, "{").unwrap();
        assert_eq!(Memory::open(place).sum(&path).unwrap(), sum);
    }

    #[test]
    fn a_file_that_was_just_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut memory = Memory::default();
        write(&path, "abc", Duration::ZERO);
        memory.sum(&path).unwrap();
        assert!(memory.known.is_empty());
    }
}
