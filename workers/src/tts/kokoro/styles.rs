//! Kokoro's voices: for each a table of styles, one for every length of a sentence.
//!
//! They come as one archive (`voices-v1.0.bin`, an `.npz`) or as a file for each voice (`af_heart.bin`, plain floats), beside the
//! model or in the folder `voices`.

use super::super::pack::{Pack, sorted};
use super::name::is_voice;
use super::npz::{self, Archive};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Values of one style.
pub(super) const STYLE_VALUES: usize = 256;
/// A single voice is half a megabyte.
const VOICE_BYTES: u64 = 2 * 1024 * 1024;
/// More voices than any model has.
const MOST_VOICES: usize = 1_000;

/// Where each voice's styles lie, by the voice's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shelf(BTreeMap<String, PathBuf>);

/// The styles of one voice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Styles(Vec<f32>);

impl Shelf {
    /// Looks for the voices of a pack, and reads none.
    ///
    /// # Errors
    /// That there are none, or that an archive of them cannot be read.
    pub(super) fn of(pack: &Pack) -> Result<Self, String> {
        let is_voices = |path: &Path| {
            path.extension()
                .is_some_and(|ending| ending == "bin" || ending == "npz")
        };
        let mut shelf = BTreeMap::new();
        for folder in [pack.folder.clone(), pack.folder.join("voices")] {
            for path in sorted(&folder, is_voices) {
                if is_archive(&path) {
                    let archive = Archive::open(&path)
                        .map_err(|reason| format!("{}: {reason}", path.display()))?;
                    for name in archive.names() {
                        shelf.insert(name.to_owned(), path.clone());
                    }
                } else if let Some(name) = path.file_stem().and_then(|name| name.to_str())
                    && is_voice(name)
                {
                    shelf.insert(name.to_owned(), path.clone());
                }
            }
        }
        if shelf.is_empty() {
            return Err(format!(
                "there are no voices in {}: neither voices-v1.0.bin nor files such as voices/af_heart.bin",
                pack.folder.display()
            ));
        }
        if shelf.len() > MOST_VOICES {
            return Err(format!("{} holds too many voices", pack.folder.display()));
        }
        Ok(Self(shelf))
    }

    /// The voices' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads the styles of these voices.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub(super) fn read(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Styles>, String> {
        let mut styles = BTreeMap::new();
        let mut archive: Option<(&PathBuf, Archive)> = None;
        for (name, path) in self.0.iter().filter(|(name, _)| wanted(name)) {
            let wrong =
                |reason: String| format!("the voice {name} in {}: {reason}", path.display());
            let read = if is_archive(path) {
                if archive.as_ref().is_none_or(|(open, _)| *open != path) {
                    archive = Some((path, Archive::open(path).map_err(wrong)?));
                }
                let (_, archive) = archive.as_mut().ok_or_else(|| wrong("gone".to_owned()))?;
                let array = archive.array(name).map_err(wrong)?;
                if array.shape.last() != Some(&STYLE_VALUES) {
                    return Err(wrong(format!(
                        "its styles are of the shape {:?}",
                        array.shape
                    )));
                }
                array.values
            } else {
                plain(path).map_err(wrong)?
            };
            styles.insert(name.clone(), Styles::of(read).map_err(wrong)?);
        }
        Ok(styles)
    }
}

impl Styles {
    fn of(values: Vec<f32>) -> Result<Self, String> {
        if values.is_empty() || !values.len().is_multiple_of(STYLE_VALUES) {
            return Err(format!(
                "{} values are no whole number of styles of {STYLE_VALUES}",
                values.len()
            ));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err("its styles hold what is no number".to_owned());
        }
        Ok(Self(values))
    }

    /// The style for a sentence of so many phonemes: the row of that number, or the last.
    pub(super) fn for_length(&self, phonemes: usize) -> &[f32] {
        let (rows, _) = self.0.as_chunks::<STYLE_VALUES>();
        rows.get(phonemes)
            .or_else(|| rows.last())
            .map_or(&[], |row| row.as_slice())
    }
}

fn is_archive(path: &Path) -> bool {
    let mut head = [0; 2];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == *b"PK"
}

fn plain(path: &Path) -> Result<Vec<f32>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(VOICE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > VOICE_BYTES || !bytes.len().is_multiple_of(4) {
        return Err(format!("{} bytes are no table of styles", bytes.len()));
    }
    Ok(npz::floats(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_that_of_the_length_and_never_behind_the_last() {
        let rows = (0..3).flat_map(|row| [row as f32; STYLE_VALUES]);
        let styles = Styles::of(rows.collect()).unwrap();
        assert_eq!(styles.for_length(0), [0.0; STYLE_VALUES]);
        assert_eq!(styles.for_length(2), [2.0; STYLE_VALUES]);
        assert_eq!(styles.for_length(510), [2.0; STYLE_VALUES]);
    }

    #[test]
    fn what_is_no_table_of_styles_is_refused() {
        assert!(Styles::of(vec![]).is_err());
        assert!(Styles::of(vec![0.0; STYLE_VALUES + 1]).is_err());
        assert!(Styles::of(vec![f32::NAN; STYLE_VALUES]).is_err());
    }
}
