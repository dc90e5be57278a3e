//! The workers inside the program, reached as if they were far away.
//!
//! ```text
//!   Channel ──► HTTP/2 ──► a pipe in memory ──► HTTP/2 ──► service
//! ```
//!
//! Synthesis and recognition have a connection each, so that a long recording on its way in delays no speech on its way out.

use crate::guard::Guard;
use crate::host::{self, Engines, Error, Host, STREAM_WINDOW_BYTES, connection_window};
use crate::service::{stt, tts};
use crate::settings::Settings;
use hyper_util::rt::TokioIo;
use proto::registry::WorkerRecord;
use std::io;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use tracing::error;

/// What is in the pipe at a time: as much as one stream may have in flight.
const PIPE_BYTES: usize = STREAM_WINDOW_BYTES as usize;
/// Connections that wait to be accepted; there is one, and a new one only if that breaks.
const CONNECTIONS: usize = 4;
/// Calls that the connections are sized for.
const CALLS: usize = 512;

/// Both services in this process. Dropping it stops them.
pub struct Embedded {
    tts: Channel,
    stt: Channel,
    services: (tts::Service, stt::Service),
    host: Host,
    tts_names: Vec<&'static str>,
    stt_name: &'static str,
    notes: Vec<String>,
}

impl Embedded {
    /// Starts both services with the engines that are on this machine.
    ///
    /// Engines of synthesis that are not installed are left out, and a missing recogniser is told to whoever asks for it;
    /// [`notes`](Self::notes) says so.
    ///
    /// # Errors
    /// [`Error`] when there is no engine to speak with, or when the settings name a voice or model that there is not.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let host = Host::new();
        let Engines {
            adapters,
            left_out: mut notes,
        } = Engines::open(&settings);
        let tts_names = adapters.iter().map(|adapter| adapter.family()).collect();
        let stt_name = match crate::stt::open(&settings.stt, &settings.places) {
            Ok(adapter) => adapter.engine(),
            Err(error) => {
                notes.push(error.to_string());
                "none"
            }
        };
        let services = (host.tts(&settings, adapters)?, host.stt(&settings));
        // Nobody else reaches a pipe in memory.
        let tts = host::tts_routes(services.0.clone(), Guard::default());
        let stt = host::stt_routes(services.1.clone(), Guard::default());
        Ok(Self {
            tts: connect(&host, tts).await?,
            stt: connect(&host, stt).await?,
            services,
            host,
            tts_names,
            stt_name,
            notes,
        })
    }

    /// A connection to synthesis, for [`TtsServiceClient`](proto::tts::tts_service_client::TtsServiceClient); cheap to clone.
    pub fn tts(&self) -> Channel {
        self.tts.clone()
    }

    /// A connection to recognition, for [`SttServiceClient`](proto::stt::stt_service_client::SttServiceClient); cheap to
    /// clone.
    pub fn stt(&self) -> Channel {
        self.stt.clone()
    }

    /// What both services say about themselves, as workers elsewhere tell the registry.
    pub fn records(&self) -> Vec<WorkerRecord> {
        let (tts, stt) = &self.services;
        vec![
            tts.record("embedded-tts", "memory:tts"),
            stt.record("embedded-stt", "memory:stt"),
        ]
    }

    /// The engines that speak, the preferred one first.
    pub fn tts_names(&self) -> &[&'static str] {
        &self.tts_names
    }

    /// The engine that listens, or `none`.
    pub fn stt_name(&self) -> &'static str {
        self.stt_name
    }

    /// What is not there and what to type, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Stops both services, and waits a while for what is being said or heard.
    pub async fn stop(self) {
        self.host.drain().await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.host.stop.cancel();
    }
}

/// Serves the routes over pipes in memory, and connects to them.
async fn connect(host: &Host, routes: Routes) -> Result<Channel, Error> {
    let (pipes, incoming) = mpsc::channel::<DuplexStream>(CONNECTIONS);
    let stop = host.stop.clone();
    let server = host::server(CALLS).add_routes(routes);
    host.tasks.spawn(async move {
        let incoming = ReceiverStream::new(incoming).map(Ok::<_, io::Error>);
        if let Err(error) = server
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await
        {
            error!(%error, "The embedded worker failed.");
        }
    });
    // Called again should the connection ever break.
    let connector = service_fn(move |_: Uri| {
        let pipes = pipes.clone();
        async move {
            let (ours, theirs) = duplex(PIPE_BYTES);
            let stopped = |_| {
                io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "the embedded worker has stopped",
                )
            };
            pipes.send(theirs).await.map_err(stopped)?;
            Ok::<_, io::Error>(TokioIo::new(ours))
        }
    });
    // The name is never looked up: the connector knows the way.
    let endpoint = Endpoint::from_static("http://worker.in.memory")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(connection_window(CALLS));
    Ok(endpoint.connect_with_connector(connector).await?)
}
