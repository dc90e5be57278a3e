//! Every `.call` file in `tests/calls` replays as it stands, with its words and without them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use dialog::call::{CallFile, replay};
use dialog::{Dialog, Input, Policy, QUEUED_TEXTS, SessionTime};
use std::path::{Path, PathBuf};

fn call_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calls");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "call")
    });
    files.sort();
    files
}

fn every_call(check: impl Fn(&str) -> Result<(), String>) {
    let files = call_files();
    assert!(files.len() >= 24, "only {} calls were found", files.len());
    let failures: Vec<_> = files
        .iter()
        .filter_map(|path| {
            let trouble = check(&std::fs::read_to_string(path).unwrap()).err()?;
            Some(format!(
                "{}: {trouble}",
                path.file_name().unwrap().to_string_lossy()
            ))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_full_queue_takes_no_more_texts() {
    let mut dialog = Dialog::new(Policy::default());
    for n in 0..=QUEUED_TEXTS {
        assert_eq!(dialog.has_room(), n < QUEUED_TEXTS);
        dialog.handle(
            SessionTime::ZERO,
            Input::Speak(format!("number {n}").into()),
        );
    }
    dialog.handle(SessionTime::ZERO, Input::Connected);
    let mut spoken = 0;
    while let Some(id) = dialog.state().reply().map(|reply| reply.id) {
        spoken += 1;
        dialog.handle(SessionTime::ZERO, Input::PlayoutEnd(id));
    }
    assert_eq!(spoken, QUEUED_TEXTS);
}

#[test]
fn every_call_goes_as_written() {
    every_call(|text| {
        let call = CallFile::parse(text).map_err(|error| error.to_string())?;
        replay(&call).map_err(|difference| difference.to_string())
    });
}

#[test]
fn every_call_goes_the_same_without_its_words() {
    every_call(|text| {
        let call = CallFile::parse(text)
            .map_err(|error| error.to_string())?
            .redacted();
        let written = call.to_string();
        let read = CallFile::parse(&written).map_err(|error| error.to_string())?;
        if read.to_string() != written {
            return Err("it does not print as it reads".into());
        }
        replay(&read).map_err(|difference| difference.to_string())
    });
}
