//! What others' code the program may hold: its licences and where it comes from, as `deny.toml` allows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "dependencies/graph.rs"]
mod graph;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

#[test]
fn every_dependency_has_a_licence_that_we_allow() {
    let metadata = graph::metadata();
    let rules = graph::rules();
    let allowed = graph::strings(
        rules["licenses"]["allow"].as_array().unwrap(),
        toml::Value::as_str,
    );
    let packages = shipped(metadata);
    assert!(
        packages.len() > 100,
        "only {} packages were found",
        packages.len()
    );

    let mut wrong = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        if !allows(licence, &allowed).unwrap_or(false) {
            wrong.push(format!(
                "{} {}: {licence:?}",
                package["name"], package["version"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "deny.toml allows none of these licences: {wrong:#?}"
    );
}

#[test]
fn every_dependency_comes_from_the_registry() {
    let metadata = graph::metadata();
    for package in shipped(metadata) {
        let from = package["source"].as_str();
        assert!(
            // Our own crates have no source.
            from.is_none_or(|source| source.starts_with("registry+")),
            "{} comes from {from:?}",
            package["name"]
        );
    }
}

#[test]
fn a_licence_expression_is_read_as_spdx_reads_it() {
    let allowed = [
        "MIT",
        "BSD-3-Clause",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ];
    for fine in [
        "MIT",
        "GPL-3.0-only OR MIT",
        "MIT/Unlicense",
        "Apache-2.0 / MIT",
        "MIT AND BSD-3-Clause",
        "(MIT OR GPL-2.0) AND (Apache-2.0 OR LGPL-2.1-or-later)",
        "GPL-2.0 AND ISC OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert_eq!(allows(fine, &allowed), Some(true), "{fine}");
    }
    for refused in [
        "GPL-3.0-or-later",
        "MIT AND GPL-2.0",
        "MIT AND (GPL-2.0 OR ISC)",
        "Apache-2.0 WITH Classpath-exception-2.0",
        "MIT+",
    ] {
        assert_eq!(allows(refused, &allowed), Some(false), "{refused}");
    }
    for broken in [
        "",
        "MIT OR",
        "(MIT",
        "MIT)",
        "MIT Apache-2.0",
        "AND MIT",
        "MIT WITH",
    ] {
        assert_eq!(allows(broken, &allowed), None, "{broken}");
    }
}

/// The packages that building the program uses: all that our crates reach without their tests.
fn shipped(metadata: &Value) -> Vec<&Value> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package))
        .collect();
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (user, used) in graph::arrows(metadata) {
        uses.entry(user).or_default().push(used);
    }
    let mut reached = BTreeSet::new();
    let mut next = graph::strings(
        metadata["workspace_members"].as_array().unwrap(),
        Value::as_str,
    );
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(uses.get(id).into_iter().flatten());
        }
    }
    reached.into_iter().map(|id| packages[id]).collect()
}

/// Whether the allowed licences satisfy an SPDX expression; none if it is no expression. `/` is the old `OR`.
fn allows(expression: &str, allowed: &[&str]) -> Option<bool> {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        allowed,
    };
    let answer = reader.alternatives()?;
    reader.words.is_empty().then_some(answer)
}

/// Reads an expression from its first word on. AND binds closer than OR.
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Option<bool> {
        let mut answer = self.conjunction()?;
        while self.take("OR") {
            answer |= self.conjunction()?;
        }
        Some(answer)
    }

    fn conjunction(&mut self) -> Option<bool> {
        let mut answer = self.licence()?;
        while self.take("AND") {
            answer &= self.licence()?;
        }
        Some(answer)
    }

    fn licence(&mut self) -> Option<bool> {
        if self.take("(") {
            let answer = self.alternatives()?;
            return self.take(")").then_some(answer);
        }
        let mut name = self.word()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.word()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }

    /// The next word, if it is a name.
    fn word(&mut self) -> Option<&str> {
        let (first, rest) = self.words.split_first()?;
        if matches!(*first, "OR" | "AND" | "WITH" | "(" | ")") {
            return None;
        }
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}
