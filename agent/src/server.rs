//! Puts the program together and serves it until it is told to end.

pub mod engines;
mod tls;

pub use engines::Engines;

use crate::cluster::local::{Launch, Local};
use crate::cluster::registry::{Registry, memory::Memory};
use crate::cluster::{self, Cluster, Fleet, Voice};
use crate::config::{Config, Mode, ResponderKind};
use crate::http::{self, connections::Connections};
use crate::models::loading;
use crate::rooms::Rooms;
use crate::session::outputs::Sayings;
use crate::session::people::EarFactory;
use crate::session::recorder::Recorder;
use crate::session::responder::{Responder, builtin::Builtin, openai};
use crate::session::{CallOptions, Parts, Session};
use crate::sessions::{Admission, Sessions};
use crate::telemetry::metrics as names;
use anyhow::Context as _;
use dialog::{Kind, Kinds, Policy};
use media::hear::{Ear, Opened};
use media::link::Link;
use media::link::webrtc::{Endpoint, EndpointSettings};
use proto::registry::RecordKind;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use workers::Embedded;

/// How much the kernel may hold for a caller that does not read: about a second of speech.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Calls that the endpoint still says goodbye to while others have taken their places already.
const LEAVING_PEERS: usize = 32;
/// How long the endpoint may take to leave its port: no call is on it any more.
const ENDPOINT_STOPS_WITHIN: Duration = Duration::from_secs(2);

/// What every request handler knows. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The calls.
    pub sessions: Sessions,
    /// Which engines were found.
    pub engines: Arc<Engines>,
    /// The direct WebRTC endpoint, if it is on.
    pub webrtc: Option<Arc<Endpoint>>,
    cluster: Cluster,
    responder: Arc<Responder>,
    vad: Arc<Opened>,
    /// The workers run as long as this lives.
    _embedded: Arc<Embedded>,
    /// The registry is read as long as this lives.
    _watching: Arc<DropGuard>,
    local: Arc<Local>,
}

impl App {
    /// Finds the engines and starts the workers, those inside and those in processes of their own; nobody can reach it yet.
    ///
    /// # Errors
    /// An engine that was asked for and is missing, a bad setting.
    pub async fn open(config: Config, launch: Launch) -> anyhow::Result<Self> {
        // Twice is fine: tests start many servers in one process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        loading::check(&config, loading::inside(&config)).await?;
        let embedded = Embedded::start(config.embedded_workers())
            .await
            .context("cannot start the speech workers")?;
        let embedded = Arc::new(embedded);
        let fleet = Fleet::new(workers::options::host_name(), config.cluster.access()?);
        let cluster = Cluster::new(fleet);
        let embed = embed(&config, &cluster, &embedded);
        embed();
        let watching = watch_registry(&config, &cluster, embed).await?;
        let local = Local::start(&config, launch, &cluster).await?;
        cluster.ask_voices().await;
        let vad = Arc::new(engines::open_vad(&config));
        for note in embedded.notes() {
            warn!(note, "An engine is missing.");
        }
        if let Some(note) = &vad.note {
            warn!(note, "The voice detector is not the best one.");
        }
        let responder = Arc::new(responder(&config)?);
        let engines = Engines::describe(&config, &vad, &embedded, &responder);
        let engines = Arc::new(engines.with_processes(&config));
        let app = Self {
            sessions: Sessions::new(config.server.max_sessions),
            config: Arc::new(config),
            engines,
            webrtc: None,
            cluster,
            responder,
            vad,
            _embedded: embedded,
            _watching: Arc::new(watching),
            local: Arc::new(local),
        };
        let voice = &app.config.tts.default_voice;
        if !voice.is_empty() && !app.has_voice(voice) {
            let why = format!("tts.default_voice: {}", app.voices_sentence());
            // A worker that has it may come later.
            let may_come =
                app.config.cluster.redis.is_some() || !app.config.local_workers().is_empty();
            anyhow::ensure!(may_come, why);
            warn!(voice, "No worker has the default voice yet.");
        }
        Ok(app)
    }

    /// Starts a call's session; the future is the call, and says why it ended.
    pub async fn start_session(
        &self,
        admission: Admission,
        link: Link,
        options: CallOptions,
    ) -> String {
        let CallOptions {
            mode,
            voice,
            events,
        } = options;
        let policy = self.policy(mode);
        let recorder = Recorder::for_call(&self.config.recorder, &admission.id, &policy);
        let parts = Parts {
            policy,
            sayings: Sayings {
                greeting: self.config.turn.greeting.clone(),
                reprompt: self.config.turn.reprompt.clone(),
                goodbye: self.config.turn.goodbye.clone(),
            },
            voice: Voice {
                id: voice.unwrap_or_else(|| self.config.tts.default_voice.clone()),
                speed: None,
                is_must: false,
            },
            ears: self.ears(),
            cluster: self.cluster.clone(),
            responder: self.responder.clone(),
            recorder,
            tracker: self.sessions.tracker().clone(),
        };
        // A call's future is 30 kB; on the heap it is not copied whenever a task that holds it moves.
        Box::pin(Session::new(admission, link, events, parts).run()).await
    }

    /// The workers that speak and listen.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The worker processes that belong to it.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Whether a voice can be asked for. A bare adapter name means its first voice.
    pub fn has_voice(&self, id: &str) -> bool {
        self.cluster.voices().iter().any(|voice| {
            voice.voice_id == id
                || voice
                    .voice_id
                    .split_once(':')
                    .is_some_and(|(adapter, _)| adapter == id)
        })
    }

    /// Says which voices there are.
    pub fn voices_sentence(&self) -> String {
        let voices = self.cluster.voices();
        let some: Vec<&str> = voices
            .iter()
            .take(12)
            .map(|voice| voice.voice_id.as_str())
            .collect();
        format!(
            "there is no such voice; there are {} and {} more",
            some.join(", "),
            voices.len().saturating_sub(12)
        )
    }

    fn ears(&self) -> EarFactory {
        let (settings, vad) = (self.config.ear(), self.vad.factory.clone());
        Arc::new(move || Ear::new(settings.clone(), vad()))
    }

    fn policy(&self, mode: Mode) -> Policy {
        let turn = &self.config.turn;
        let session = &self.config.session;
        let mut uninterruptible = Vec::new();
        if !turn.greeting_interruptible {
            uninterruptible.push(Kind::Greeting);
        }
        if !turn.replies_interruptible {
            uninterruptible.push(Kind::Reply);
        }
        Policy {
            mode: match mode {
                Mode::Duplex => dialog::Mode::Duplex,
                Mode::Mute => dialog::Mode::Mute,
                Mode::Manual => dialog::Mode::Manual,
            },
            greeting: !turn.greeting.is_empty(),
            goodbye: !turn.goodbye.is_empty(),
            uninterruptible: Kinds::of(&uninterruptible),
            end_of_turn: Duration::from_millis(turn.end_of_turn_ms),
            end_of_turn_min: Duration::from_millis(turn.end_of_turn_min_ms),
            end_of_turn_max: Duration::from_millis(turn.end_of_turn_max_ms),
            final_timeout: Duration::from_millis(turn.final_timeout_ms),
            overlap: Duration::from_millis(turn.cancel_after_overlap_ms),
            resume_after: Duration::from_millis(turn.resume_after_ms),
            prepare_timeout: turn.prepare_timeout(&self.config.responder),
            goodbye_timeout: Duration::from_millis(turn.goodbye_timeout_ms),
            reprompt_after: match turn.reprompt_after_ms {
                0 => None,
                ms => Some(Duration::from_millis(ms)),
            },
            reprompts: turn.reprompts,
            idle_timeout: Some(Duration::from_secs(session.idle_timeout_seconds)),
            duration_limit: Some(Duration::from_secs(session.max_session_duration_seconds)),
            message_limit: NonZeroU32::new(session.max_messages_per_session),
        }
    }
}

/// Adds the workers inside to the fleet, and renews what they say.
fn embed(
    config: &Config,
    cluster: &Cluster,
    embedded: &Arc<Embedded>,
) -> impl Fn() + Send + 'static + use<> {
    let hears_inside = config.hears_inside();
    // Weak, so that the workers inside end with the program and not with this.
    let (fleet, weak) = (cluster.fleet().clone(), Arc::downgrade(embedded));
    move || {
        if let Some(embedded) = weak.upgrade() {
            cluster::embed(&fleet, &embedded, |kind| {
                kind == RecordKind::Tts || hears_inside
            });
        }
    }
}

/// Reads the registry, if one is set, until the token is cancelled. The first reading is awaited, so that the first call finds
/// the workers.
async fn watch_registry(
    config: &Config,
    cluster: &Cluster,
    renew: impl Fn() + Send + 'static,
) -> anyhow::Result<DropGuard> {
    let stop = CancellationToken::new();
    let registry = match config.cluster.registry()? {
        Some(registry) => registry,
        // The records of the workers inside are renewed all the same.
        None => Registry::Memory(Memory::default()),
    };
    match registry.list().await {
        Ok(records) => cluster.fleet().merge(records),
        Err(error) => warn!(%error, "The registry is not there yet."),
    }
    TaskTracker::new().spawn(cluster::watch(
        cluster.clone(),
        registry,
        renew,
        stop.clone(),
    ));
    Ok(stop.drop_guard())
}

/// A server that is bound and ready.
pub struct Server {
    /// Where it answers.
    pub address: SocketAddr,
    /// Its parts.
    pub app: App,
    listener: TcpListener,
    tls: Option<tls::SelfSigned>,
    rooms: Option<Rooms>,
}

impl Server {
    /// Finds the engines, starts the workers and binds the ports.
    ///
    /// # Errors
    /// A port in use, an engine that was asked for and is missing, a bad setting.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(config, Launch::default()).await
    }

    /// The same, where worker processes are started in this way.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub async fn start_with(config: Config, launch: Launch) -> anyhow::Result<Self> {
        // The ports come first: whoever has them already makes everything else vain.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = bind(config.server.listen)?;
        let address = listener
            .local_addr()
            .context("cannot read the listening address")?;
        let webrtc = match config.webrtc.enabled {
            true => Some(Arc::new(webrtc_endpoint(&config, address)?)),
            false => None,
        };
        let tls = config
            .server
            .dev_tls
            .then(|| tls::SelfSigned::new(address))
            .transpose()?;
        let mut app = App::open(config, launch).await?;
        app.webrtc = webrtc;
        let rooms = Rooms::open(&app)?;
        Ok(Self {
            address,
            app,
            listener,
            tls,
            rooms,
        })
    }

    /// The address to open in a browser.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = match self.address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Other addresses under which a phone on the same network may reach it.
    pub fn network_urls(&self) -> Vec<String> {
        if !self.address.ip().is_unspecified() {
            return Vec::new();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        engines::own_addresses()
            .into_iter()
            .map(|ip| format!("{scheme}://{ip}:{}", self.address.port()))
            .collect()
    }

    /// Serves until `shutdown` is done, then lets calls end.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let Self {
            app,
            listener,
            tls,
            rooms,
            ..
        } = self;
        let patience = Duration::from_secs(app.config.server.drain_seconds);
        let sessions = app.sessions.clone();
        let webrtc = app.webrtc.clone();
        let local = app.local.clone();
        let connections = Connections::new(app.config.server.max_sessions);
        let router = http::router(app);
        let handle = axum_server::Handle::new();
        let stop = handle.clone();
        let (draining, drained) = (CancellationToken::new(), CancellationToken::new());
        let take_rooms = {
            let (draining, drained) = (draining.clone(), drained.clone());
            async move {
                if let Some(rooms) = rooms {
                    rooms.run(draining, drained).await;
                }
            }
        };
        let drain = async move {
            shutdown.await;
            info!(calls = sessions.len(), "Shutting down: no new calls.");
            draining.cancel();
            sessions.drain(patience).await;
            drained.cancel();
            // Not before: calls that are ending still speak.
            local.stop().await;
            if let Some(webrtc) = webrtc {
                let stopped = tokio::time::timeout(ENDPOINT_STOPS_WITHIN, webrtc.shutdown());
                if stopped.await.is_err() {
                    warn!("A WebRTC call did not end in time.");
                }
            }
            stop.graceful_shutdown(Some(Duration::from_secs(1)));
        };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let serve = async {
            match tls {
                Some(tls) => {
                    connections
                        .guard(axum_server::from_tcp_rustls(listener, tls.config().await?)?)
                        .handle(handle)
                        .serve(service)
                        .await
                }
                None => {
                    connections
                        .guard(axum_server::from_tcp(listener)?)
                        .handle(handle)
                        .serve(service)
                        .await
                }
            }
            .context("the HTTP server failed")
        };
        let (served, (), ()) = tokio::join!(serve, drain, take_rooms);
        served
    }
}

/// Serves metrics on a port of their own until the future is dropped.
///
/// # Errors
/// When the port is in use.
pub async fn serve_metrics(listen: SocketAddr) -> anyhow::Result<()> {
    let metrics = names::install()?;
    let router = axum::Router::new().route(
        "/metrics",
        axum::routing::get(move || std::future::ready(metrics.render())),
    );
    let listener = bind(listen)?;
    axum_server::from_tcp(listener)?
        .serve(router.into_make_service())
        .await
        .context("the metrics server failed")
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )
    .context("cannot make a socket")?;
    socket
        .set_reuse_address(true)
        .context("cannot configure the listening socket")?;
    // Accepted connections inherit both.
    socket
        .set_send_buffer_size(SEND_BUFFER_BYTES)
        .context("cannot configure the listening socket")?;
    socket
        .set_tcp_nodelay(true)
        .context("cannot configure the listening socket")?;
    socket
        .set_nonblocking(true)
        .context("cannot configure the listening socket")?;
    socket.bind(&address.into()).with_context(|| {
        format!("cannot listen on {address}: is another program using it? choose one with --listen HOST:PORT")
    })?;
    socket
        .listen(1024)
        .with_context(|| format!("cannot listen on {address}"))?;
    Ok(socket.into())
}

fn webrtc_endpoint(config: &Config, http: SocketAddr) -> anyhow::Result<Endpoint> {
    let udp_port = match config.webrtc.udp_port {
        0 => http.port(),
        port => port,
    };
    let settings = EndpointSettings {
        udp_port,
        advertised_addresses: config.webrtc.advertised_addresses.clone(),
        max_peers: config.server.max_sessions.saturating_add(LEAVING_PEERS),
        audio: config.encoder(),
        ..EndpointSettings::default()
    };
    Endpoint::bind(settings).with_context(|| {
        format!("cannot use UDP port {udp_port} for WebRTC; choose one with webrtc.udp_port")
    })
}

fn responder(config: &Config) -> anyhow::Result<Responder> {
    let settings = &config.responder;
    Ok(match settings.kind {
        ResponderKind::Builtin => Responder::Builtin(Builtin),
        ResponderKind::OpenAi => {
            let options = openai::Options {
                base_url: settings.base_url.clone(),
                api_key: settings.api_key.clone(),
                model: settings.model.clone(),
                prompt: settings.prompt.clone(),
                timeout: Duration::from_millis(settings.timeout_ms),
                retries: settings.retries,
            };
            Responder::OpenAi(
                openai::Client::new(options).context("cannot set up the chat client")?,
            )
        }
    })
}
