//! Voice packs: folders `<engine>/<model>/` with a model, its configuration and `metadata.yaml`.

use crate::library::Missing;
use crate::places::Places;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tracing::warn;

/// A configuration is smaller than this; the largest known ones list 900 speakers.
const CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// A voice pack that was found, whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pack {
    /// Its name, which is its folder's.
    pub id: String,
    pub folder: PathBuf,
    /// What `metadata.yaml` says: `lang`, `cpu_ok`, `sample_rate`, `expressive`, `lora`, `domain` and whatever else.
    pub metadata: BTreeMap<String, String>,
}

/// The packs of an engine in these folders, by name; of two of one name the first counts.
pub(super) fn find(engine: &str, folders: &[PathBuf]) -> Vec<Pack> {
    let mut found = BTreeMap::new();
    for folder in folders {
        for folder in sorted(&folder.join(engine), Path::is_dir) {
            let Some(id) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !id.starts_with('.') {
                found.entry(id.to_owned()).or_insert(folder);
            }
        }
    }
    found
        .into_iter()
        .map(|(id, folder)| {
            let metadata = metadata(&id, &folder);
            Pack {
                id,
                folder,
                metadata,
            }
        })
        .collect()
}

/// There is no pack for an engine; `files` is what one holds.
pub(super) fn missing(engine: &'static str, files: &str, places: &Places) -> Missing {
    let folder = places.voicepacks.last();
    let folder = folder.map_or_else(|| PathBuf::from("voicepacks"), PathBuf::clone);
    Missing {
        engine,
        what: "a voice pack".to_owned(),
        remedy: format!(
            "put {files} into {}",
            folder.join(engine).join("MODEL").display()
        ),
    }
}

/// A voice's name that nobody has: the wanted one, or with a number from 2 up behind it. Names that differ only in their case are
/// the same, for sessions ask for them in any.
pub(super) fn free_name(wanted: String, taken: &mut HashSet<String>) -> String {
    let mut name = wanted.clone();
    let mut number = 2_usize;
    while !taken.insert(name.to_lowercase()) {
        name = format!("{wanted}-{number}");
        number += 1;
    }
    name
}

impl Pack {
    /// The model's file: the one named like the pack, or `model.onnx`, or else the only one; in the folder or in `onnx/` under it.
    ///
    /// # Errors
    /// That there is none, or more than one to choose from.
    pub(super) fn model(&self) -> Result<PathBuf, String> {
        let is_model = |path: &Path| path.extension().is_some_and(|ending| ending == "onnx");
        for folder in [self.folder.clone(), self.folder.join("onnx")] {
            let models = sorted(&folder, is_model);
            let named = |name: &str| models.iter().find(|path| path.ends_with(name));
            let found = named(&format!("{}.onnx", self.id)).or_else(|| named("model.onnx"));
            match (found, models.as_slice()) {
                (Some(found), _) => return Ok(found.clone()),
                (None, [only]) => return Ok(only.clone()),
                (None, []) => {}
                (None, _) => {
                    return Err(format!(
                        "{} holds several models and none is named {}.onnx",
                        folder.display(),
                        self.id
                    ));
                }
            }
        }
        Err(format!(
            "there is no .onnx file in {}",
            self.folder.display()
        ))
    }

    /// Something that `metadata.yaml` says, if it does.
    pub(super) fn about(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The languages that `metadata.yaml` names.
    pub(super) fn languages(&self) -> Vec<String> {
        let lang = self.about("lang").unwrap_or_default();
        let languages: BTreeSet<String> = lang
            .split([',', ' '])
            .filter(|tag| !tag.is_empty())
            .map(language_tag)
            .collect();
        languages.into_iter().collect()
    }
}

/// A small text file.
///
/// # Errors
/// That it cannot be read or is too large, for people.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > CONFIG_BYTES {
        return Err(format!(
            "{} is too large for a configuration",
            path.display()
        ));
    }
    Ok(text)
}

/// What a folder holds, by name; nothing if it cannot be read.
pub(super) fn sorted(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| wanted(path))
        .collect();
    paths.sort();
    paths
}

/// A language as a BCP 47 tag: `en_us` and `en-US` are both `en-US`.
pub(super) fn language_tag(language: &str) -> String {
    let mut parts = language.split(['-', '_']);
    let mut tag = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        tag.push('-');
        if part.len() == 2 {
            tag.push_str(&part.to_ascii_uppercase());
        } else {
            tag.push_str(part);
        }
    }
    tag
}

fn metadata(id: &str, folder: &Path) -> BTreeMap<String, String> {
    let path = folder.join("metadata.yaml");
    match read(&path) {
        Ok(text) => tags(&text),
        Err(reason) => {
            warn!(model = id, %reason, "A voice pack is without metadata; it is used as its configuration says.");
            BTreeMap::new()
        }
    }
}

/// The tags of a `metadata.yaml`: its lines `key: value`, however deep they stand, and lists as words with commas between. That is
/// the part of YAML which such files are written in; other lines are passed over.
fn tags(text: &str) -> BTreeMap<String, String> {
    let plain = |value: &str| {
        let value = value.split(" #").next().unwrap_or(value);
        let value = value.trim().trim_matches(['[', ']']);
        let words: Vec<&str> = value
            .split(',')
            .map(|word| word.trim().trim_matches(['"', '\'']))
            .filter(|word| !word.is_empty())
            .collect();
        words.join(", ")
    };
    let mut tags = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if let Some(item) = line.strip_prefix("- ") {
            if let Some(value) = last.as_ref().and_then(|key| tags.get_mut(key)) {
                let value: &mut String = value;
                if !value.is_empty() {
                    value.push_str(", ");
                }
                value.push_str(&plain(item));
            }
        } else if let Some((key, value)) = line.split_once(':')
            && !line.starts_with('#')
        {
            let key = key.trim_matches(['"', '\'']).to_owned();
            tags.insert(key.clone(), plain(value));
            last = Some(key);
        }
    }
    // What only had others under it says nothing itself.
    tags.retain(|_, value| !value.is_empty());
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_however_it_is_laid_out() {
        let text = "# about\ntags:\n  lang: [en, \"pt_br\"]\n  cpu_ok: true  # yes\n  domain:\n    - calls\n    - news\nodd line\n";
        let tags = tags(text);
        let tag = |key: &str| tags.get(key).map(String::as_str);
        assert_eq!(tag("lang"), Some("en, pt_br"));
        assert_eq!(tag("cpu_ok"), Some("true"));
        assert_eq!(tag("domain"), Some("calls, news"));
        assert_eq!(tag("tags"), None);
        let pack = Pack {
            id: "x".into(),
            folder: PathBuf::new(),
            metadata: tags,
        };
        assert_eq!(pack.languages(), ["en", "pt-BR"]);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut taken = HashSet::new();
        let names = ["en-a", "en-a", "EN-A", "en-a-2", "b"];
        let names = names.map(|name| free_name(name.to_owned(), &mut taken));
        assert_eq!(names, ["en-a", "en-a-2", "EN-A-3", "en-a-2-2", "b"]);
    }

    #[test]
    fn of_two_packs_of_one_name_the_first_counts_and_strays_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["one", "two"].map(|name| root.path().join(name));
        for folder in &folders {
            fs::create_dir_all(folder.join("piper/amy")).unwrap();
            fs::write(folder.join("piper/stray.txt"), "x").unwrap();
        }
        fs::create_dir_all(folders[1].join("piper/bob")).unwrap();
        let found = find("piper", &folders);
        let ids: Vec<_> = found.iter().map(|pack| pack.id.as_str()).collect();
        assert_eq!(ids, ["amy", "bob"]);
        assert!(found[0].folder.starts_with(&folders[0]));
        assert!(found[0].model().unwrap_err().contains("no .onnx file"));
        for name in ["a.onnx", "b.onnx"] {
            fs::write(found[0].folder.join(name), "x").unwrap();
        }
        assert!(found[0].model().unwrap_err().contains("several models"));
        fs::write(found[0].folder.join("amy.onnx"), "x").unwrap();
        assert!(found[0].model().unwrap().ends_with("amy.onnx"));
        assert!(find("kokoro", &folders).is_empty());
    }
}
