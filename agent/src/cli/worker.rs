//! `parlor worker`.

mod child;

use super::{Failure, Global, interrupted, listen, out};
use crate::cluster::announce::RegistryAnnouncer;
use crate::config::Config;
use crate::models::loading;
use crate::{server, telemetry};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use workers::{Announcer, Options, Rhythm, TlsFiles};

/// The environment's variable with the secret that workers and agents share.
const TOKEN_VARIABLE: &str = "PARLOR_WORKER_TOKEN";

/// Serves one engine to other programs over gRPC.
#[derive(Debug, Args)]
#[command(after_help = "\
The secret that clients must show is that of --token-file, else $PARLOR_WORKER_TOKEN, else cluster.token. On SIGTERM nobody
new is taken, and what is being said gets ten seconds to end.

Examples:
  parlor worker --kind tts --adapter flite
  parlor worker --kind tts --adapter piper --listen 0.0.0.0:7001 --redis redis://registry:6379 --name tts-piper@0 --gpu 0
  parlor worker --kind stt --adapter pocketsphinx --listen 0.0.0.0:7002 --metrics-listen 0.0.0.0:9102
  parlor worker --kind tts --adapter mock --tls-cert worker.pem --tls-key worker.key --tls-client-ca agents.pem")]
pub struct Worker {
    /// What it does.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Which engine: flite, espeak, piper, kokoro or mock for tts; pocketsphinx, whisper or scripted for stt.
    #[arg(long)]
    adapter: String,
    /// Where it answers.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7001")]
    listen: String,
    /// The registry in which agents find it (default: cluster.redis, else $REDIS_URL; without one they do not).
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// What it is called in the registry; unique (default: KIND-ADAPTER@HOST:PORT).
    #[arg(long)]
    name: Option<String>,
    /// Where agents reach it, if that is not where it listens (default: with this host's name if that is everywhere).
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    /// The GPU that its models run on, counted from 0; without it they run on the processor.
    #[arg(long, value_name = "N")]
    gpu: Option<u32>,
    /// A file with the secret that clients must show.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificate to answer with TLS, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Who signs the certificates that clients must show, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Where Prometheus may read metrics (default: telemetry.metrics_listen).
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<String>,
    /// The model of a session that asks for none (tts).
    #[arg(long, value_name = "MODEL")]
    default_model: Option<String>,
    /// Models loaded at the start (tts).
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',')]
    preload: Vec<String>,
    /// Sessions open at a time, or for stt utterances heard at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_sessions: Option<u32>,
    /// It was started by a `parlor serve` that tells it the settings through standard input and heeds what it says on standard
    /// output; it ends with it.
    #[arg(long, hide = true, conflicts_with_all = [
        "redis", "advertise", "token_file", "tls_cert", "tls_key", "tls_client_ca", "metrics_listen"
    ])]
    parent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Tts,
    Stt,
}

impl From<Kind> for workers::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tts => Self::Tts,
            Kind::Stt => Self::Stt,
        }
    }
}

impl Worker {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.parent {
            return self.run_as_child(global).await;
        }
        let mut config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        // Twice is fine: tests start many workers in one process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if self.kind == Kind::Stt && (self.default_model.is_some() || !self.preload.is_empty()) {
            return Err(Failure::Usage(
                "--default-model and --preload are for --kind tts: a recogniser has one model"
                    .into(),
            ));
        }
        if let Some(redis) = &self.redis {
            config.cluster.redis = Some(redis.clone().into());
        }
        match (self.kind, self.max_sessions) {
            (_, None) => {}
            (Kind::Tts, most) => config.tts.max_sessions = most,
            (Kind::Stt, Some(most)) => {
                config.stt.slots = usize::try_from(most).unwrap_or(usize::MAX);
            }
        }
        let listen = listen::resolve("--listen", &self.listen).await?;
        let metrics = match &self.metrics_listen {
            Some(listen) => Some(listen::resolve("--metrics-listen", listen).await?),
            None => config.telemetry.metrics_listen,
        };
        let options = self.options(&config).await?;
        loading::check(&config, [self.adapter.clone()]).await?;
        let serving = self.serve(global, &config, listen, options);
        match metrics {
            None => serving.await,
            // The metrics first, so that nothing happens uncounted.
            Some(listen) => tokio::select! {
                biased;
                failed = server::serve_metrics(listen) => Ok(failed?),
                served = serving => served,
            },
        }
    }

    async fn serve(
        &self,
        global: &Global,
        config: &Config,
        listen: SocketAddr,
        options: Options,
    ) -> Result<(), Failure> {
        let kind = self.kind.into();
        let (is_announced, has_tls) = (options.announcer.is_some(), options.tls.is_some());
        let asks_clients = options.token.is_some() || self.tls_client_ca.is_some();
        if !asks_clients && !listen.ip().is_loopback() {
            tracing::warn!(%listen, "Whoever reaches this worker may use it: it has no token.");
        }
        let worker = workers::Worker::bind(kind, &self.adapter, listen, config.workers(), options)
            .await
            .map_err(|error| failure(&self.adapter, error))?;
        if !global.quiet {
            let scheme = if has_tls { "grpcs" } else { "grpc" };
            out::note(&format!(
                "The {} worker answers at {scheme}://{}.",
                self.adapter,
                worker.address()
            ));
            if is_announced {
                let (name, addr) = (worker.name(), worker.advertised());
                out::note(&format!("  in the registry it is {name} at {addr}"));
            }
        }
        worker
            .run(interrupted())
            .await
            .with_context(|| format!("the {} worker failed", self.adapter))?;
        Ok(())
    }

    async fn options(&self, config: &Config) -> Result<Options, Failure> {
        let registry = config
            .cluster
            .registry()
            .map_err(|error| Failure::Usage(format!("{error:#}")))?;
        let announcer = registry
            .map(|registry| Arc::new(RegistryAnnouncer::new(registry)) as Arc<dyn Announcer>);
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: self.tls_client_ca.clone(),
            }),
            // The command line takes both or none.
            _ => None,
        };
        Ok(Options {
            name: self.name.clone(),
            advertise: self.advertise.clone(),
            gpu: self.gpu,
            default_model: self.default_model.clone(),
            preload: self.preload.clone(),
            tls,
            token: self.token(config).await?,
            announcer,
            rhythm: Rhythm {
                heartbeat: Duration::from_secs(config.cluster.heartbeat_seconds),
                ttl: config.cluster.ttl(),
                ..Rhythm::default()
            },
        })
    }

    /// The secret that clients must show.
    async fn token(&self, config: &Config) -> Result<Option<SecretString>, Failure> {
        let found = match &self.token_file {
            Some(path) => Some((
                read(path).await?,
                format!("--token-file {}", path.display()),
            )),
            None => std::env::var(TOKEN_VARIABLE)
                .ok()
                .map(|token| (token, TOKEN_VARIABLE.to_owned())),
        };
        let Some((token, place)) = found else {
            return Ok(config.cluster.token.clone());
        };
        match token.trim() {
            // Who sets one and misses wants no open door.
            "" => Err(Failure::Usage(format!("{place}: there is no token in it"))),
            token => Ok(Some(token.to_owned().into())),
        }
    }
}

async fn read(path: &Path) -> Result<String, Failure> {
    tokio::fs::read_to_string(path).await.map_err(|error| {
        Failure::Usage(format!(
            "--token-file {}: cannot read it: {error}",
            path.display()
        ))
    })
}

/// A name or a voice that there is not, and an engine that is not installed or cannot be what it is set to be, are mistakes of whoever
/// started it: the next try would fail alike.
fn failure(adapter: &str, error: workers::Error) -> Failure {
    use workers::{Error, stt, tts};
    let asked_for_what_is_not_there = matches!(
        error,
        Error::Name(_)
            | Error::Voice(_)
            | Error::BadName(_)
            | Error::Advertise { .. }
            | Error::Tls(_)
            | Error::Tts(tts::Error::Missing(_) | tts::Error::Start { .. })
            | Error::Stt(stt::Error::Missing(_) | stt::Error::Start { .. })
    );
    let error = anyhow::Error::new(error).context(format!("cannot start the {adapter} worker"));
    if asked_for_what_is_not_there {
        Failure::Usage(format!("{error:#}"))
    } else {
        Failure::Failed(error)
    }
}
