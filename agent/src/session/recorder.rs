//! The flight recorder: what a call's dialog was told and what it decided, as a `.call` file that replays.

use crate::config;
use crate::telemetry::metrics as names;
use dialog::call::{Recorder as Script, Redaction};
use dialog::{Dialog, Input, Policy, SessionTime, Stamped};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

/// What is written waits this long for more, so that a program that dies costs a recording a second of its end.
const GATHER: Duration = Duration::from_secs(1);
/// Text of about this size is written at once.
const GATHER_BYTES: usize = 4096;
/// Pieces that wait for the disk. The dialog is told a few things a second: a disk that is a minute behind ends the
/// recording.
const PIECES: usize = 256;

/// Writes one call's file while the call goes on, without ever making it wait for the disk.
#[derive(Debug)]
pub struct Recorder {
    script: Script,
    call: String,
    pieces: mpsc::Sender<String>,
    written: TaskTracker,
    /// A hole in a recording would replay as another call: it is ended at the hole.
    broken: bool,
}

impl Recorder {
    /// A recorder for this call, if calls are recorded.
    pub fn for_call(settings: &config::Recorder, id: &str, policy: &Policy) -> Option<Self> {
        if settings.directory.as_os_str().is_empty() {
            return None;
        }
        let redaction = if settings.text {
            Redaction::KeepWords
        } else {
            Redaction::CountsOnly
        };
        let (pieces, waiting) = mpsc::channel(PIECES);
        let written = TaskTracker::new();
        let path = settings.directory.join(format!("{id}.call"));
        written.spawn(async move {
            if let Err(error) = write(&path, waiting).await {
                metrics::counter!(names::RECORDINGS_BROKEN_TOTAL).increment(1);
                error!(file = %path.display(), %error, "A recording could not be written.");
            }
        });
        written.close();
        Some(Self {
            script: Script::new(policy, redaction),
            call: id.to_owned(),
            pieces,
            written,
            broken: false,
        })
    }

    /// Gives `input` to the dialog and writes down both sides.
    pub fn handle(&mut self, dialog: &mut Dialog, now: SessionTime, input: Input) -> Vec<Stamped> {
        let outputs = self.script.handle(dialog, now, input);
        self.hand_over();
        outputs
    }

    /// Completes the file.
    pub async fn finish(self) {
        drop(self.pieces);
        self.written.wait().await;
    }

    fn hand_over(&mut self) {
        let piece = self.script.take();
        if self.broken || piece.is_empty() {
            return;
        }
        match self.pieces.try_send(piece) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.broken = true;
                metrics::counter!(names::RECORDINGS_BROKEN_TOTAL).increment(1);
                warn!(session = %self.call, "The disk is too slow: a recording ends before its call.");
            }
            // The writer said why it ended.
            Err(TrySendError::Closed(_)) => self.broken = true,
        }
    }
}

async fn write(path: &Path, mut pieces: mpsc::Receiver<String>) -> std::io::Result<()> {
    tokio::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).await?;
    let mut file = tokio::fs::File::create(path).await?;
    while let Some(mut text) = pieces.recv().await {
        let gather = async {
            while text.len() < GATHER_BYTES
                && let Some(piece) = pieces.recv().await
            {
                text.push_str(&piece);
            }
        };
        // Either way there is something to write.
        let _ = tokio::time::timeout(GATHER, gather).await;
        file.write_all(text.as_bytes()).await?;
        file.flush().await?;
    }
    file.sync_all().await
}

/// Makes the directory of recordings, and makes sure that files can be written in it.
///
/// # Errors
/// What keeps it from being made or written in.
pub fn prepare(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    probe(directory)
}

/// Makes sure that files can be written in a directory or, where it is not there yet, that it can be made.
///
/// # Errors
/// What keeps it from being made or written in.
pub fn probe(directory: &Path) -> std::io::Result<()> {
    let nearest = directory
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("."));
    let file: PathBuf = nearest.join(format!(".parlor-{}", std::process::id()));
    std::fs::File::create(&file)?;
    std::fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_finishes_is_in_the_file_a_second_later() {
        let directory = tempfile::tempdir().unwrap();
        let settings = config::Recorder {
            directory: directory.path().join("calls"),
            text: false,
        };
        let policy = Policy::default();
        let mut recorder = Recorder::for_call(&settings, "one", &policy).unwrap();
        let mut dialog = Dialog::new(policy);
        recorder.handle(&mut dialog, SessionTime::from_ms(0), Input::Connected);
        let file = settings.directory.join("one.call");
        // Virtual time: it goes on only when the disk has done what it was asked.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if std::fs::read_to_string(&file).is_ok_and(|text| text.contains("< connected")) {
                return;
            }
        }
        panic!("nothing is in the file after 2 s");
    }

    #[tokio::test]
    async fn a_finished_recording_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let settings = config::Recorder {
            directory: directory.path().to_owned(),
            text: false,
        };
        let policy = Policy::default();
        let mut recorder = Recorder::for_call(&settings, "two", &policy).unwrap();
        let mut dialog = Dialog::new(policy);
        recorder.handle(&mut dialog, SessionTime::from_ms(0), Input::Connected);
        let hangup = Input::Hangup("left".into());
        recorder.handle(&mut dialog, SessionTime::from_ms(20), hangup);
        recorder.finish().await;
        let text = std::fs::read_to_string(directory.path().join("two.call")).unwrap();
        let call = dialog::call::CallFile::parse(&text).unwrap();
        assert!(dialog::call::replay(&call).is_ok());
        assert!(
            text.contains("> end left") && text.ends_with("> state Terminated\n"),
            "{text}"
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_found_before_a_call() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let below = file.join("calls");
        assert!(probe(&below).is_err() && prepare(&below).is_err());
        let good = directory.path().join("deep/calls");
        probe(&good).unwrap();
        assert!(!good.exists());
        prepare(&good).unwrap();
        assert_eq!(std::fs::read_dir(&good).unwrap().count(), 0);
    }
}
