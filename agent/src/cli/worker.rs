//! `parlor worker`.

use super::{Failure, Global, interrupted, listen, out};
use crate::telemetry;
use anyhow::Context as _;
use clap::{Args, ValueEnum};

/// Serves one model to other programs over gRPC.
#[derive(Debug, Args)]
pub struct Worker {
    /// What it does.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Which engine: mock, flite or espeak for tts; pocketsphinx or scripted for stt.
    #[arg(long)]
    adapter: String,
    /// Where it answers.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7001")]
    listen: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Tts,
    Stt,
}

impl Worker {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        let kind = match self.kind {
            Kind::Tts => workers::Kind::Tts,
            Kind::Stt => workers::Kind::Stt,
        };
        let listen = listen::resolve(&self.listen).await?;
        let worker = workers::Worker::bind(kind, &self.adapter, listen, config.workers())
            .await
            .map_err(|error| failure(&self.adapter, error))?;
        if !global.quiet {
            out::note(&format!(
                "The {} worker answers at grpc://{}.",
                self.adapter,
                worker.address()
            ));
        }
        worker
            .run(interrupted())
            .await
            .with_context(|| format!("the {} worker failed", self.adapter))?;
        Ok(())
    }
}

/// A name or a voice that there is not, and an engine that is not installed, are the command line's mistakes.
fn failure(adapter: &str, error: workers::Error) -> Failure {
    use workers::{Error, stt, tts};
    let asked_for_what_is_not_there = matches!(
        error,
        Error::Name(_)
            | Error::Voice(_)
            | Error::Tts(tts::Error::Missing(_))
            | Error::Stt(stt::Error::Missing(_))
    );
    let error = anyhow::Error::new(error).context(format!("cannot start the {adapter} worker"));
    if asked_for_what_is_not_there {
        Failure::Usage(format!("{error:#}"))
    } else {
        Failure::Failed(error)
    }
}
