//! What people type.

pub mod bench;
mod completions;
mod config;
mod doctor;
mod join;
mod listen;
mod models;
pub mod out;
mod replay;
mod say;
mod serve;
mod sessions;
pub mod talk;
mod token;
mod transcribe;
mod worker;
mod workers;

use crate::cluster::local::Launch;
use crate::config::{Config, Problems, Source};
use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Talk with a machine.
#[derive(Debug, Parser)]
#[command(name = "parlor", version, about, long_about = None, propagate_version = true, after_help = "\
Examples:
  parlor serve                                   open http://127.0.0.1:8080 and speak
  parlor talk --wav question.wav --out answer.wav --json
  parlor say \"Good evening\" --voice flite:slt -o evening.wav
  parlor doctor                                  what is there, what is missing, what to type

Exit codes: 0 done, 1 failed, 2 wrong command line or settings, 3 nobody answered or the server is full,
4 a check did not hold, 130 interrupted")]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file (default: $PARLOR_CONFIG, ./parlor.toml, /etc/parlor/config.toml).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one setting, as in --set turn.mode=mute; may be repeated and wins over file and environment.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// Logs more; twice for every frame's worth.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress and no remarks, only results and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Colours in help, logs and remarks: auto is a terminal's, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in turn.mode=mute".into()),
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes calls: the page, WebRTC, WebSocket.
    Serve(serve::Serve),
    /// Joins a LiveKit room and talks there.
    Join(join::Join),
    /// Serves one model to other programs over gRPC.
    Worker(worker::Worker),
    /// Shows the workers of a registry, takes them out of service and back, and loads and unloads their models.
    Workers(workers::Workers),
    /// Shows, fetches, checks and removes the files of models.
    Models(models::Models),
    /// Calls a server, with a recording, a keyboard or a microphone.
    Talk(talk::Talk),
    /// Makes a token with which a person joins a LiveKit room.
    Token(token::Token),
    /// Shows and ends the calls of a server.
    Sessions(sessions::Sessions),
    /// Speaks a text into a file.
    Say(say::Say),
    /// Writes down what a recording says.
    Transcribe(transcribe::Transcribe),
    /// Runs recorded calls again and compares.
    Replay(replay::Replay),
    /// Measures this machine.
    Bench(bench::Bench),
    /// Shows, checks and explains the settings.
    Config(config::ConfigCommand),
    /// Says what is there, what is missing, and what to type.
    Doctor(doctor::Doctor),
    /// Prints a shell's completion script.
    Completions(completions::Completions),
}

impl Cli {
    /// Reads the command line; help, version and mistakes end the program here, in the colours that were asked for.
    pub fn read() -> Self {
        let choice = out::choose_colours(std::env::args());
        let mut command = Self::command().color(choice);
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// A [`Failure`] with the exit code for it.
    pub async fn run(self) -> Result<(), Failure> {
        let global = self.global;
        match self.command {
            Command::Serve(serve) => serve.run(&global).await,
            Command::Join(join) => join.run(&global).await,
            Command::Worker(worker) => worker.run(&global).await,
            Command::Workers(workers) => workers.run(&global).await,
            Command::Models(models) => models.run(&global).await,
            Command::Talk(talk) => talk.run(&global).await,
            Command::Token(token) => token.run(&global),
            Command::Sessions(sessions) => sessions.run(&global).await,
            Command::Say(say) => say.run(&global).await,
            Command::Transcribe(transcribe) => transcribe.run(&global).await,
            Command::Replay(replay) => replay.run(),
            Command::Bench(bench) => bench.run(&global).await,
            Command::Config(config) => config.run(&global),
            Command::Doctor(doctor) => doctor.run(&global).await,
            Command::Completions(completions) => completions.run(),
        }
    }
}

impl Global {
    /// The settings, with flags that stand for one.
    fn load(&self, flags: Vec<(String, String)>) -> Result<Config, Failure> {
        Ok(self.load_with_sources(flags)?.config)
    }

    /// How processes of this program are started: they log as much as it does, in the same colours.
    fn launch(&self) -> Launch {
        let mut arguments = vec![format!("--color={}", self.color)];
        arguments.extend((0..self.verbose).map(|_| "-v".to_owned()));
        Launch {
            program: None,
            arguments,
        }
    }

    fn load_with_sources(
        &self,
        flags: Vec<(String, String)>,
    ) -> Result<crate::config::Loaded, Failure> {
        let flags = self.settings.iter().cloned().chain(flags).collect();
        Ok(crate::config::load(&Source {
            file: self.config.clone(),
            flags,
        })?)
    }
}

/// Why a command failed, which decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2: the command line or the configuration.
    Usage(String),
    /// Exit code 3: nobody answered, or no worker was there.
    Unreachable(anyhow::Error),
    /// Exit code 4: a check did not hold.
    CheckFailed(String),
    /// Exit code 130: Ctrl-C.
    Interrupted,
}

impl Failure {
    /// Prints the failure to standard error and returns its exit code.
    pub fn report(&self) -> ExitCode {
        let (code, message) = match self {
            Self::Failed(error) if is_broken_pipe(error) => return ExitCode::SUCCESS,
            Self::Failed(error) => (1, format!("{error:#}")),
            Self::Usage(message) => (2, message.clone()),
            Self::Unreachable(error) => (3, format!("{error:#}")),
            Self::CheckFailed(message) => (4, message.clone()),
            Self::Interrupted => return ExitCode::from(130),
        };
        out::note(&format!("parlor: {message}"));
        ExitCode::from(code)
    }
}

/// Whoever read our output has seen enough; that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

/// Done when the program is told to end: Ctrl-C or SIGTERM.
pub async fn interrupted() {
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => return std::future::pending().await,
        };
    tokio::select! {
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending::<()>().await },
        _ = terminate.recv() => {}
    }
}
