//! Which crate may import which: the arrows of ARCHITECTURE.md, and the one crate that names each heavy library.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "dependencies/graph.rs"]
mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Our crates, and those of our crates that each may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("dialog", &[]),
    ("media", &[]),
    ("proto", &[]),
    ("workers", &["media", "proto"]),
    ("parlor", &["dialog", "media", "proto", "workers"]),
    ("e2e", &["dialog", "media", "parlor", "proto", "workers"]),
];

/// The parts of media that belong to a call and not to a worker.
const NOT_FOR_WORKERS: &[&str] = &["codec", "hear", "jitter", "link", "pacer"];

#[test]
fn each_crate_imports_only_the_crates_it_may() {
    let metadata = graph::metadata();
    let ours = our_packages(metadata);
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = ours.keys().copied().collect();
    assert_eq!(
        there, known,
        "ARROWS must list every crate of the workspace"
    );

    for (name, allowed) in ARROWS {
        for dependency in ours[name]["dependencies"].as_array().unwrap() {
            let imported = dependency["name"].as_str().unwrap();
            assert!(
                !known.contains(imported) || allowed.contains(&imported),
                "{name} must not import {imported}"
            );
        }
    }
}

#[test]
fn the_dialog_needs_nothing_but_std() {
    let metadata = graph::metadata();
    let named: Vec<&Value> = our_packages(metadata)["dialog"]["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| &dependency["name"])
        .collect();
    assert!(named.is_empty(), "dialog imports {named:?}");
}

#[test]
fn one_crate_names_each_heavy_library() {
    let metadata = graph::metadata();
    let rules = graph::rules();
    let names = names(metadata);
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (user, used) in graph::arrows(metadata) {
        users.entry(names[used]).or_default().insert(names[user]);
    }

    for rule in rules["bans"]["deny"].as_array().unwrap() {
        let library = rule["crate"].as_str().unwrap();
        let allowed = rule.get("wrappers").map_or_else(Vec::new, |wrappers| {
            graph::strings(wrappers.as_array().unwrap(), toml::Value::as_str)
        });
        for user in users.get(library).into_iter().flatten() {
            assert!(
                allowed.contains(user),
                "{user} must not name {library}; deny.toml allows {allowed:?}"
            );
        }
    }
}

#[test]
fn a_rule_on_a_library_that_everybody_has_would_be_noticed() {
    // Guards the test above against a `cargo metadata` that lists no arrows.
    let metadata = graph::metadata();
    let names = names(metadata);
    let arrows = graph::arrows(metadata);
    assert!(
        arrows
            .iter()
            .any(|(user, used)| names[user] == "media" && names[used] == "rubato")
    );
    assert!(
        !arrows
            .iter()
            .any(|(user, used)| names[user] == "dialog" && names[used] == "proptest")
    );
}

#[test]
fn workers_use_only_framing_resampling_and_levels_of_media() {
    let mut wrong = Vec::new();
    let mut files = 0;
    each_source(&graph::root().join("workers/src"), &mut |path, source| {
        files += 1;
        for part in parts_of_media(source) {
            if NOT_FOR_WORKERS.contains(&part.as_str()) {
                wrong.push(format!("{} uses media::{part}", path.display()));
            }
        }
    });
    assert!(files > 0, "workers has sources");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn parts_of_media_are_found_in_paths_and_in_groups() {
    let source =
        "use media::{link::Link, frame::AudioFrame,\n  level};\nlet x = media::hear::open_vad();";
    let parts = parts_of_media(source);
    assert_eq!(
        parts,
        ["link", "Link", "frame", "AudioFrame", "level", "hear"]
    );
}

/// The packages of this workspace, by name.
fn our_packages(metadata: &Value) -> BTreeMap<&str, &Value> {
    let members = graph::strings(
        metadata["workspace_members"].as_array().unwrap(),
        Value::as_str,
    );
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| members.contains(&package["id"].as_str().unwrap()))
        .map(|package| (package["name"].as_str().unwrap(), package))
        .collect()
}

/// The name of each package id.
fn names(metadata: &Value) -> BTreeMap<&str, &str> {
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Hands over every Rust file under a folder.
fn each_source(folder: &Path, found: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_source(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands right behind each `media::`, one identifier or all those of a group.
fn parts_of_media(source: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for behind in source.split("media::").skip(1) {
        let named = match behind.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => behind
                .split(|letter: char| !is_identifier(letter))
                .next()
                .unwrap_or_default(),
        };
        parts.extend(
            named
                .split(|letter: char| !is_identifier(letter))
                .filter(|identifier| !identifier.is_empty())
                .map(str::to_owned),
        );
    }
    parts
}

fn is_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
