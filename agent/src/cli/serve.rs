//! `parlor serve`.

use super::{Failure, Global, interrupted, listen, out};
use crate::cluster::local;
use crate::config::{Config, Problems};
use crate::rooms;
use crate::server::{self, Server};
use crate::session::recorder;
use crate::telemetry;
use clap::Args;

/// Takes calls until it is told to end.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port of HTTP and WebSocket (default 127.0.0.1:8080).
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Answers with TLS and a self-signed certificate, so that a phone on the same network may use its microphone.
    #[arg(long)]
    dev_tls: bool,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut flags = Vec::new();
        if let Some(listen) = &self.listen {
            let listen = listen::resolve("--listen", listen).await?;
            flags.push(("server.listen".into(), format!("{:?}", listen.to_string())));
        }
        if self.dev_tls {
            flags.push(("server.dev_tls".into(), "true".into()));
        }
        let config = global.load(flags)?;
        telemetry::init(&config.telemetry, global.verbose);
        let metrics = config.telemetry.metrics_listen;
        check_recorder(&config)?;
        check_livekit(&config)?;
        let server = Server::start_with(config, global.launch())
            .await
            .map_err(failure)?;
        if !global.quiet {
            announce(&server);
        }
        match metrics {
            None => server.run(interrupted()).await?,
            Some(listen) => tokio::select! {
                served = server.run(interrupted()) => served?,
                failed = server::serve_metrics(listen) => failed?,
            },
        }
        Ok(())
    }
}

/// Calls that are to be recorded and cannot be are a mistake to hear of at the start, not at the first call.
fn check_recorder(config: &Config) -> Result<(), Failure> {
    let directory = &config.recorder.directory;
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    recorder::prepare(directory).map_err(|error| {
        Failure::from(Problems(vec![format!(
            "recorder.directory: cannot write in {}: {error}; make it writable, choose another, or leave it empty to record \
             nothing",
            directory.display()
        )]))
    })
}

/// An address that can be none is not worth trying for ever.
fn check_livekit(config: &Config) -> Result<(), Failure> {
    let livekit = &config.livekit;
    if livekit.url.is_empty() || rooms::is_address(&livekit.url) {
        return Ok(());
    }
    Err(Failure::from(Problems(vec![format!(
        "livekit.url: {:?} is no LiveKit address; write it like ws://localhost:7880",
        livekit.url
    )])))
}

/// A default voice or model that there is not is the configuration's mistake; only the engines know that. So is a worker process
/// that cannot start.
fn failure(error: anyhow::Error) -> Failure {
    if let Some(local::Error::Unable { .. }) = error.downcast_ref() {
        return Failure::Usage(format!("{error:#}"));
    }
    match error.downcast_ref::<workers::Error>() {
        Some(workers::Error::Voice(_)) => Failure::Usage(format!("{error:#}")),
        _ => Failure::Failed(error),
    }
}

fn announce(server: &Server) {
    let engines = &server.app.engines;
    let mut lines = vec![format!(
        "parlor {} is ready. Open {} and speak.",
        env!("CARGO_PKG_VERSION"),
        server.url()
    )];
    lines.extend(
        server
            .network_urls()
            .into_iter()
            .map(|url| format!("  on this network: {url}")),
    );
    lines.push(format!(
        "  hears with     {} (noise suppression: {})",
        engines.vad, engines.denoise
    ));
    lines.push(format!("  understands by {}", engines.stt));
    lines.push(format!("  thinks with    {}", engines.responder));
    lines.push(format!("  speaks with    {}", engines.tts));
    if let Some(endpoint) = &server.app.webrtc {
        lines.push(format!("  WebRTC media on UDP port {}", endpoint.port()));
    }
    let livekit = &server.app.config.livekit;
    if livekit.is_configured() && livekit.dispatch {
        let who = match livekit.agent_name.as_str() {
            "" => "every room".to_owned(),
            name => format!("rooms that ask for {name}"),
        };
        lines.push(format!("  joins {who} of {}", livekit.url));
    }
    out::note(&lines.join("\n"));
}
