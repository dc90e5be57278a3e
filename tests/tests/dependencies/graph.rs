//! What the tests on dependencies read: `cargo metadata` and `deny.toml`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The workspace's root. Asked for while running, since a shared target folder may hold a test built elsewhere.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.join("..")
}

/// Every package that a build on any platform with any feature could use, as cargo resolved it.
pub fn metadata() -> &'static Value {
    static METADATA: LazyLock<Value> = LazyLock::new(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1"])
            .args(["--offline", "--all-features"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "cargo metadata failed; if a package is missing, run `cargo fetch`:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
    });
    &METADATA
}

/// The rules, in the words of cargo-deny.
pub fn rules() -> toml::Table {
    let path = root().join("deny.toml");
    let text = std::fs::read_to_string(&path).expect("deny.toml is in the workspace's root");
    text.parse().expect("deny.toml is TOML")
}

/// An array of strings in JSON or TOML.
pub fn strings<'a, T: 'a>(
    array: impl IntoIterator<Item = &'a T>,
    string: fn(&T) -> Option<&str>,
) -> Vec<&'a str> {
    array
        .into_iter()
        .map(|item| string(item).expect("an array of strings"))
        .collect()
}

/// Pairs of (package id, id of a package it uses), without those that only its tests use.
pub fn arrows(metadata: &Value) -> Vec<(&str, &str)> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let mut arrows = Vec::new();
    for node in nodes {
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("dep_kinds");
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                arrows.push((
                    node["id"].as_str().expect("an id"),
                    dependency["pkg"].as_str().expect("an id"),
                ));
            }
        }
    }
    arrows
}
