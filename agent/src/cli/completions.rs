//! `parlor completions`.

use super::{Cli, Failure};
use clap::{Args, CommandFactory as _};
use std::io::Write as _;

/// Prints a shell's completion script.
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "parlor", &mut script);
        std::io::stdout().lock().write_all(&script)?;
        Ok(())
    }
}
