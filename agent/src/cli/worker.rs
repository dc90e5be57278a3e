//! `parlor worker`.

use super::{Failure, Global, interrupted, out};
use crate::telemetry;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;

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
    listen: SocketAddr,
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
        if !global.quiet {
            out::note(&format!(
                "The {} worker answers at grpc://{}.",
                self.adapter, self.listen
            ));
        }
        workers::serve(
            kind,
            &self.adapter,
            self.listen,
            config.workers(),
            interrupted(),
        )
        .await
        .with_context(|| format!("the {} worker failed", self.adapter))?;
        Ok(())
    }
}
