//! The services with their engines and background work, wherever they are reached from.

use crate::guard::Guard;
use crate::service::{stt, tts};
use crate::settings::{Settings, UnknownName};
use crate::tts::TtsAdapter;
use crate::{stt as listening, tts as speaking};
use proto::MAX_MESSAGE_BYTES;
use proto::stt::stt_service_server::SttServiceServer;
use proto::tts::tts_service_server::TtsServiceServer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tracing::{info, warn};

/// What a client may have in flight on one stream: a bit more than a second of speech.
pub const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Streams on one connection. All calls of a process share one.
const STREAMS: u32 = 4_096;
/// A drain waits this long for what is being said or heard.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// An engine that speaks is not there.
    #[error(transparent)]
    Tts(#[from] speaking::Error),
    /// An engine that listens is not there.
    #[error(transparent)]
    Stt(#[from] listening::Error),
    /// The default voice or model is none of those there are.
    #[error("the settings of synthesis are wrong: {0}")]
    Voice(#[from] tts::Refusal),
    /// The address cannot be used.
    #[error("cannot listen at {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A name that no registry should hold.
    #[error(
        "{0:?} is no name for a worker; write up to 200 characters without blanks, as in tts-piper@0"
    )]
    BadName(String),
    /// Another worker has the name.
    #[error(
        "the registry has another worker {name:?}, which is alive at {addr}; give this one another name with --name, or end that one"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other answers.
        addr: String,
    },
    /// An address that nobody could reach.
    #[error(
        "{given:?} is no address to tell others; write {scheme}://host:port, host:port or host"
    )]
    Advertise {
        /// What was given.
        given: String,
        /// What this worker's addresses begin with.
        scheme: &'static str,
    },
    /// The certificates cannot be used.
    #[error("the worker's certificates cannot be used: {0}")]
    Tls(String),
    /// The contracts cannot be told.
    #[error("the worker cannot tell its services: {0}")]
    Reflection(String),
    /// The connection failed.
    #[error("the worker's connection failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// The engines of synthesis that are there, and why others are not.
pub(crate) struct Engines {
    pub adapters: Vec<Arc<dyn TtsAdapter>>,
    pub left_out: Vec<String>,
}

impl Engines {
    /// Opens those that the settings name; those that are not installed are left out.
    pub(crate) fn open(settings: &Settings) -> Self {
        let mut engines = Self {
            adapters: Vec::new(),
            left_out: Vec::new(),
        };
        let places = settings.places();
        for engine in &settings.tts.adapters {
            match speaking::open(*engine, &places) {
                Ok(adapter) => engines.adapters.push(adapter),
                Err(error) => engines.left_out.push(error.to_string()),
            }
        }
        engines
    }
}

/// Background work that belongs to a worker, and its end.
#[derive(Clone)]
pub(crate) struct Host {
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Synthesis with these engines.
    pub(crate) fn tts(
        &self,
        settings: &Settings,
        adapters: Vec<Arc<dyn TtsAdapter>>,
    ) -> Result<tts::Service, Error> {
        let service = tts::Service::new(
            adapters,
            &settings.tts,
            settings.model_manager.clone(),
            settings.places.gpu,
            self.tasks.clone(),
        )?;
        self.preload(&service, settings);
        self.evict(&service);
        self.look_after(&service);
        Ok(service)
    }

    /// Recognition with the engine of the settings; without it the service stands and says what is missing.
    pub(crate) fn stt(&self, settings: &Settings) -> stt::Service {
        let service = stt::Service::new(
            listening::open(&settings.stt, &settings.places),
            &settings.stt,
            settings.places.gpu,
            self.tasks.clone(),
        );
        service.warm();
        service
    }

    /// Loads what a first caller would otherwise have to wait for.
    fn preload(&self, service: &tts::Service, settings: &Settings) {
        let service = service.clone();
        let mut wanted = settings.model_manager.preload_model_ids.clone();
        wanted.insert(0, service.default_model().to_owned());
        self.tasks.spawn(async move {
            for id in wanted {
                match service.load(&id).await {
                    Ok(took) => info!(
                        model = id,
                        took_ms = took.as_millis() as u64,
                        "Model loaded."
                    ),
                    Err(error) => warn!(model = id, %error, "A model could not be loaded."),
                }
            }
        });
    }

    /// Lets idle models go, until the worker stops.
    fn evict(&self, service: &tts::Service) {
        let models = service.models().clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            while timeout(models.evict_interval(), stop.cancelled())
                .await
                .is_err()
            {
                for (id, freed) in models.evict().await {
                    info!(
                        model = id,
                        freed_bytes = freed.bytes,
                        "Model let go: nobody has used it for a while."
                    );
                }
            }
        });
    }

    /// Frees what was forgotten, and tries again what failed, until the worker stops.
    fn look_after(&self, service: &tts::Service) {
        let (swept, kept) = (service.clone(), service.clone());
        let (stop, also) = (self.stop.clone(), self.stop.clone());
        self.tasks.spawn(async move { swept.sweep(stop).await });
        self.tasks
            .spawn(async move { kept.keep_default(also).await });
    }

    /// Ends the background work and waits a while for what is under way.
    pub(crate) async fn drain(&self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(DRAIN, self.tasks.wait()).await.is_err() {
            warn!(
                tasks = self.tasks.len(),
                "The worker stops before everything is said."
            );
        }
    }
}

/// A server with windows for so many streams at full speed.
pub(crate) fn server(streams: usize) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(connection_window(streams))
        .max_concurrent_streams(STREAMS)
        // Every interrupt of a caller may reset a stream.
        .http2_max_pending_accept_reset_streams(Some(STREAMS as usize))
        .tcp_nodelay(true)
}

/// A connection's window, in which one stream that is on hold never takes the room of another.
pub(crate) fn connection_window(streams: usize) -> u32 {
    // The largest that HTTP/2 knows.
    const LARGEST: u32 = (1 << 31) - 1;
    let streams = u32::try_from(streams).unwrap_or(u32::MAX).max(4);
    STREAM_WINDOW_BYTES.saturating_mul(streams).min(LARGEST)
}

/// The routes of synthesis.
pub(crate) fn tts_routes(service: tts::Service, guard: Guard) -> Routes {
    let server = TtsServiceServer::new(service);
    Routes::new(InterceptedService::new(server, guard))
}

/// The routes of recognition.
pub(crate) fn stt_routes(service: stt::Service, guard: Guard) -> Routes {
    let server = SttServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(InterceptedService::new(server, guard))
}
