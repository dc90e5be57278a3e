//! The flight recorder: what a call's dialog was told and what it decided, as a `.call` file that replays.

use crate::config;
use dialog::call::{Recorder as Script, Redaction};
use dialog::{Dialog, Input, Policy, SessionTime, Stamped};
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::error;

/// Text is handed to the disk in pieces of about this size.
const PIECE_BYTES: usize = 4096;
/// Pieces that wait for the disk: a call writes one in a minute or so. A disk this far behind costs the recording's middle.
const PIECES: usize = 64;

/// Writes one call's file while the call goes on, without ever making it wait for the disk.
#[derive(Debug)]
pub struct Recorder {
    script: Script,
    pending: String,
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
                error!(file = %path.display(), %error, "A recording could not be written.");
            }
        });
        written.close();
        Some(Self {
            script: Script::new(policy, redaction),
            pending: String::new(),
            pieces,
            written,
            broken: false,
        })
    }

    /// Gives `input` to the dialog and writes down both sides.
    pub fn handle(&mut self, dialog: &mut Dialog, now: SessionTime, input: Input) -> Vec<Stamped> {
        let outputs = self.script.handle(dialog, now, input);
        self.pending.push_str(&self.script.take());
        if self.pending.len() >= PIECE_BYTES {
            self.hand_over();
        }
        outputs
    }

    /// Completes the file.
    pub async fn finish(mut self) {
        self.hand_over();
        drop(self.pieces);
        self.written.wait().await;
    }

    fn hand_over(&mut self) {
        let piece = std::mem::take(&mut self.pending);
        if !self.broken && self.pieces.try_send(piece).is_err() {
            self.broken = true;
        }
    }
}

async fn write(path: &PathBuf, mut pieces: mpsc::Receiver<String>) -> std::io::Result<()> {
    tokio::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).await?;
    let mut file = tokio::fs::File::create(path).await?;
    while let Some(piece) = pieces.recv().await {
        file.write_all(piece.as_bytes()).await?;
        file.flush().await?;
    }
    file.sync_all().await
}
