//! `parlor serve`.

use super::{Failure, Global, interrupted, out};
use crate::server::{self, Server};
use crate::telemetry;
use clap::Args;
use std::net::SocketAddr;

/// Takes calls until it is told to end.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port of HTTP and WebSocket (default 127.0.0.1:8080).
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Answers with TLS and a self-signed certificate, so that a phone on the same network may use its microphone.
    #[arg(long)]
    dev_tls: bool,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut flags = Vec::new();
        if let Some(listen) = self.listen {
            flags.push(("server.listen".into(), format!("{:?}", listen.to_string())));
        }
        if self.dev_tls {
            flags.push(("server.dev_tls".into(), "true".into()));
        }
        let config = global.load(flags)?;
        telemetry::init(&config.telemetry, global.verbose);
        let metrics = config.telemetry.metrics_listen;
        let server = Server::start(config).await?;
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
    out::note(&lines.join("\n"));
}
