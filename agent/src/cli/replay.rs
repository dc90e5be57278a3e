//! `parlor replay`.

use super::{Failure, out};
use anyhow::Context as _;
use clap::Args;
use dialog::call::{CallFile, replay};
use serde_json::json;
use std::path::PathBuf;

/// Runs recorded calls again and compares; exit code 4 at the first difference.
#[derive(Debug, Args)]
pub struct Replay {
    /// `.call` files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Prints one JSON object a file.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
        for file in &self.files {
            let name = file.display();
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
            let call = CallFile::parse(&text).map_err(|error| {
                Failure::Failed(anyhow::anyhow!("{name} is no recorded call: {error}"))
            })?;
            let result = replay(&call);
            if self.json {
                let difference = result.as_ref().err().map(|difference| {
                    json!({"line": difference.line, "expected": difference.expected, "got": difference.got})
                });
                out::json(
                    &json!({"file": file, "lines": call.lines.len(), "same": result.is_ok(), "difference": difference}),
                )?;
            }
            match result {
                Ok(()) if self.json => {}
                Ok(()) => out::line(&format!("{name}: {} lines, the same", call.lines.len()))?,
                Err(difference) => {
                    return Err(Failure::CheckFailed(format!(
                        "{name} went differently at {difference}"
                    )));
                }
            }
        }
        Ok(())
    }
}
