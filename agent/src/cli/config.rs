//! `parlor config`.

use super::{Failure, Global, out};
use clap::{Args, Subcommand};

/// Shows, checks and explains the settings.
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Names every problem of the settings; exit code 2 if there is one.
    Check,
    /// Prints every setting with its value and where it comes from, secrets masked.
    Print {
        /// One JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Prints a configuration file with every setting, its default and what it means.
    Example,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        match self.action {
            Action::Check => {
                let loaded = global.load_with_sources(Vec::new())?;
                if !global.quiet {
                    let file = loaded
                        .file
                        .as_ref()
                        .map_or("no file".into(), |file| file.display().to_string());
                    out::note(&format!("The settings are good ({file})."));
                }
            }
            Action::Print { json } => {
                let effective = global.load_with_sources(Vec::new())?.effective();
                if json {
                    let all: serde_json::Map<String, serde_json::Value> = effective
                        .into_iter()
                        .map(|(key, value, source)| {
                            let value: serde_json::Value =
                                serde_json::from_str(&value).unwrap_or(value.into());
                            (key, serde_json::json!({"value": value, "source": source}))
                        })
                        .collect();
                    out::json(&all)?;
                } else {
                    for (key, value, source) in effective {
                        out::line(&format!("{key} = {value}  # {source}"))?;
                    }
                }
            }
            Action::Example => out::line(crate::config::example_toml().trim_end())?,
        }
        Ok(())
    }
}
