//! A worker on its own, reached over TCP.

use crate::host::{self, Error, Host};
use crate::settings::{Kind, Settings};
use crate::{stt, tts};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tracing::info;

/// Calls that a connection is sized for.
const CALLS: usize = 512;
/// What was stopped gets this long to send its final frame.
const LAST_FRAMES: Duration = Duration::from_secs(1);

/// A worker that has its address and its engine, and does not serve yet.
pub struct Worker {
    listener: TcpListener,
    address: SocketAddr,
    routes: Routes,
    host: Host,
    stop_all: Box<dyn Fn() + Send + Sync>,
}

impl Worker {
    /// Opens one engine, of the name that the settings' engines have, and takes the address.
    ///
    /// # Errors
    /// [`Error`]; unlike an embedded worker it does not start without its engine.
    pub async fn bind(
        kind: Kind,
        adapter: &str,
        listen: SocketAddr,
        mut settings: Settings,
    ) -> Result<Self, Error> {
        let host = Host::new();
        let (routes, stop_all): (Routes, Box<dyn Fn() + Send + Sync>) = match kind {
            Kind::Tts => {
                settings.tts.adapters = vec![adapter.parse()?];
                // A default meant for another engine is none here.
                if !settings
                    .tts
                    .default_voice
                    .starts_with(&format!("{adapter}:"))
                {
                    settings.tts.default_voice.clear();
                }
                let engine = tts::open(adapter.parse()?)?;
                let own = |id: &String| engine.models().iter().any(|model| model.id == *id);
                if !own(&settings.model_manager.default_model_id) {
                    settings.model_manager.default_model_id.clear();
                }
                settings.model_manager.preload_model_ids.retain(own);
                let service = host.tts(&settings, vec![engine])?;
                let stopping = service.clone();
                (
                    host::tts_routes(service),
                    Box::new(move || stopping.stop_all()),
                )
            }
            Kind::Stt => {
                settings.stt.adapter = adapter.parse()?;
                stt::open(&settings.stt)?;
                let service = host.stt(&settings);
                let stopping = service.clone();
                (
                    host::stt_routes(service),
                    Box::new(move || stopping.stop_all()),
                )
            }
        };
        let failed = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            routes,
            host,
            stop_all,
        })
    }

    /// Where it will be reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then nobody new is let in, and what is under way gets ten seconds to end.
    ///
    /// # Errors
    /// [`Error::Transport`] when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            listener,
            address,
            routes,
            host,
            stop_all,
        } = self;
        info!(%address, "Worker listening.");
        // Frames are small and late ones are worthless: none may wait for a fuller packet.
        let incoming = TcpListenerStream::new(listener).map(|connection| {
            if let Ok(connection) = &connection {
                connection.set_nodelay(true)?;
            }
            connection
        });
        let closing = host.stop.clone().cancelled_owned();
        let mut serving = pin!(
            host::server(CALLS)
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, closing)
        );
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown => {}
        }
        info!("Worker draining.");
        host.stop.cancel();
        if timeout(host::DRAIN, &mut serving).await.is_err() {
            // Nobody may hold the worker up for longer: what is left ends now.
            stop_all();
            let _ = timeout(LAST_FRAMES, &mut serving).await;
        }
        Ok(())
    }
}

/// Serves one engine at an address until `shutdown`.
///
/// # Errors
/// See [`Worker::bind`] and [`Worker::run`].
pub async fn serve(
    kind: Kind,
    adapter: &str,
    listen: SocketAddr,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    Worker::bind(kind, adapter, listen, settings)
        .await?
        .run(shutdown)
        .await
}
