//! A catalogue as people write it, and what they may get wrong.

use super::{Entry, Kind, METADATA, Model};
use crate::models::mirror;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// An id, a licence, a sentence: none is longer, in characters.
const LONGEST: usize = 300;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCatalogue {
    #[serde(default)]
    model: Vec<WrittenModel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenModel {
    id: String,
    kind: Kind,
    #[serde(default)]
    languages: Vec<String>,
    licence: String,
    licence_url: Option<String>,
    source: String,
    description: String,
    #[serde(default)]
    file: Vec<WrittenFile>,
    #[serde(default)]
    metadata: BTreeMap<String, Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    path: String,
    url: String,
    sha256: String,
    size: u64,
}

/// A value in `metadata.yaml`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tag {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

/// Reads models; each problem is one sentence.
pub(super) fn read(text: &str) -> Result<Vec<Model>, Vec<String>> {
    let written: WrittenCatalogue =
        toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
    let mut problems = Vec::new();
    let mut ids = HashSet::new();
    let mut models = Vec::new();
    for model in written.model {
        if !ids.insert(model.id.clone()) {
            problems.push(format!("{}: the id is there twice", model.id));
        }
        let mut mistakes = Vec::new();
        models.extend(checked(&model, &mut mistakes));
        let id = model.id.escape_debug();
        problems.extend(mistakes.iter().map(|mistake| format!("{id}: {mistake}")));
    }
    if problems.is_empty() {
        Ok(models)
    } else {
        Err(problems)
    }
}

fn checked(written: &WrittenModel, mistakes: &mut Vec<String>) -> Option<Model> {
    if !is_name(&written.id) {
        mistakes.push("an id is letters, digits, dots, dashes and underscores".to_owned());
    }
    let texts = [
        ("licence", &written.licence),
        ("description", &written.description),
    ];
    for (key, text) in texts {
        if !is_line(text) {
            mistakes.push(format!("{key} must be one line of text"));
        }
    }
    if !written.languages.iter().all(|language| is_name(language)) {
        mistakes.push("languages must be tags like en or pt-BR".to_owned());
    }
    if written.file.is_empty() {
        mistakes.push("it has no file; write one as [[model.file]]".to_owned());
    }
    let mut page = |key: &str, text: &str| match mirror::address(text) {
        Ok(url) => Some(url),
        Err(mistake) => {
            mistakes.push(format!("{key}: {mistake}"));
            None
        }
    };
    let source = page("source", &written.source);
    let licence_url = written.licence_url.as_deref();
    let licence_url = licence_url.and_then(|text| page("licence_url", text));
    let files = written.file.iter();
    let files: Vec<Entry> = files.filter_map(|file| entry(file, mistakes)).collect();
    let metadata = metadata(written, mistakes);
    Some(Model {
        id: written.id.clone(),
        kind: written.kind,
        languages: written.languages.clone(),
        licence: written.licence.clone(),
        licence_url,
        source: source?,
        description: written.description.clone(),
        files,
        metadata,
    })
}

fn entry(file: &WrittenFile, mistakes: &mut Vec<String>) -> Option<Entry> {
    let WrittenFile {
        path,
        url,
        sha256,
        size,
    } = file;
    if let Err(mistake) = check_path(path) {
        mistakes.push(format!("path {path:?}: {mistake}"));
    }
    if *size == 0 {
        mistakes.push(format!("path {path:?}: size must be at least 1 byte"));
    }
    let url = mirror::address(url).map_err(|mistake| format!("url {mistake}"));
    let sha256 = sha256
        .parse()
        .map_err(|mistake| format!("path {path:?}: {mistake}"));
    match (url, sha256) {
        (Ok(url), Ok(sha256)) => Some(Entry {
            path: path.clone(),
            url,
            sha256,
            size: *size,
        }),
        (url, sha256) => {
            mistakes.extend(url.err());
            mistakes.extend(sha256.err());
            None
        }
    }
}

/// A path stays inside the store, and takes no name that the store has a use for.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') {
        return Err("it must be relative to the store");
    }
    if path.len() > LONGEST || path.chars().any(|char| char.is_control() || char == '\\') {
        return Err("it must be one short line with / between folders");
    }
    for part in path.split('/') {
        match part {
            "" => return Err("a folder or the file has no name"),
            "." | ".." => return Err("it must stay inside the store, without . and .."),
            part if part.starts_with('.') => return Err("no name may begin with a dot"),
            METADATA => return Err("parlor writes this file itself; use [model.metadata]"),
            _ => {}
        }
    }
    if path.ends_with(".part") || path.ends_with(".part.tag") {
        return Err("names that end so are those of files that are not whole");
    }
    Ok(())
}

/// The lines of `metadata.yaml`, if anything is to be in it.
fn metadata(written: &WrittenModel, mistakes: &mut Vec<String>) -> Option<String> {
    if written.metadata.is_empty() {
        return None;
    }
    let mut text = "# Written by parlor models fetch.\n".to_owned();
    for (key, tag) in &written.metadata {
        let value = match tag {
            Tag::Flag(yes) => yes.to_string(),
            Tag::Number(number) => number.to_string(),
            Tag::Text(text) => quoted(text),
            Tag::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
        };
        let lines = match tag {
            Tag::Text(text) => is_line(text),
            Tag::List(texts) => texts.iter().all(|text| is_line(text)),
            Tag::Flag(_) | Tag::Number(_) => true,
        };
        if !is_name(key) || !lines {
            mistakes.push(format!(
                "metadata {key:?} must be a word with one line of text"
            ));
        }
        // A text takes what is written to it.
        let _ = writeln!(text, "{key}: {value}");
    }
    let more = [("licence", &written.licence), ("source", &written.source)];
    for (key, value) in more {
        if !written.metadata.contains_key(key) {
            let _ = writeln!(text, "{key}: {}", quoted(value));
        }
    }
    Some(text)
}

/// A word stands as it is; anything else is quoted, as YAML wants it.
fn quoted(text: &str) -> String {
    if is_name(text) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn is_name(text: &str) -> bool {
    let is_good = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(is_good) && !text.starts_with('.')
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}
