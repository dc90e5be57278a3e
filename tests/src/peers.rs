//! The official LiveKit packages for Python as peers: `scripts/setup-peers` provides them, `tests/peers` uses them.

use crate::set_up;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longer than any peer's call; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(180);

/// The peers.
#[derive(Debug, Clone)]
pub struct Peers {
    python: PathBuf,
}

impl Peers {
    /// None where they were not set up, which is said on standard error.
    ///
    /// # Panics
    /// With `CI=true` when they are not there.
    pub fn find() -> Option<Self> {
        let python = set_up::cache().join("peers/bin/python");
        let python = set_up::found(
            python,
            "tests with LiveKit's Python packages",
            "scripts/setup-peers",
        )?;
        Some(Self { python })
    }

    /// Runs a script of `tests/peers` to its end; what it printed. Several may run at once.
    ///
    /// # Panics
    /// When it fails or takes too long.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("peers")
            .join(script);
        let running = Command::new(&self.python)
            .arg("-B")
            .arg(file)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, running)
            .await
            .unwrap_or_else(|_| panic!("{script} takes too long"))
            .unwrap_or_else(|error| panic!("{script} does not run: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{script} ended with {}; it said:\n{said}",
            output.status
        );
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{script} printed no JSON ({error}); it said:\n{said}"))
    }
}
