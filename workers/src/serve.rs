//! A worker on its own, reached over TCP.
//!
//! ```text
//!   serving ──told to end──► draining: nobody new, health NOT_SERVING, the record says so ──nothing is said, or 10 s──► gone
//!      ▲ └─────asked to drain──► draining, and stays ──told to end──┘
//!      └───────asked to resume──────┘
//! ```

mod admin;
mod health;
mod incoming;
mod service;

use crate::announce::{Presence, Taken, is_only_here};
use crate::guard::Guard;
use crate::host::{self, Error, Host};
use crate::options::Options;
use crate::settings::{Kind, Settings};
use admin::Admin;
use media::Clock;
use proto::worker::admin_server::AdminServer;
use service::Service;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tracing::{info, warn};

/// Calls that a connection is sized for.
const CALLS: usize = 512;
/// What was stopped gets this long to send its final frame, and connections this long to be left.
const LAST_FRAMES: Duration = Duration::from_secs(1);
/// How often a connection is checked, and how long the answer may take: a client whose host is gone says no goodbye.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// How often a drain looks whether all is said.
const LOOK: Duration = Duration::from_millis(50);

/// A worker that has its address and its engine, and does not serve yet.
pub struct Worker {
    listener: TcpListener,
    address: SocketAddr,
    name: String,
    addr: String,
    server: Server,
    routes: Routes,
    service: Service,
    admin: Admin,
    reporter: HealthReporter,
    host: Host,
    options: Options,
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
        settings: Settings,
        options: Options,
    ) -> Result<Self, Error> {
        let mut server = host::server(CALLS)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_WITHIN));
        if let Some(files) = &options.tls {
            let config = files.read().await?;
            server = server
                .tls_config(config)
                .map_err(|error| Error::Tls(because(&error)))?;
        }
        let host = Host::new();
        let service = Service::open(kind, adapter, settings, &options, &host)?;
        let failed = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let name = options.name(kind, adapter, address)?;
        let addr = options.addr(address)?;
        let guard = Guard::new(options.token.clone());
        let admin = Admin::new(service.clone());
        let reporter = HealthReporter::new();
        health::tell(&service, &reporter).await;
        let probes = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        let routes = service
            .routes(guard.clone())
            // Open to all: a probe has no secrets.
            .add_service(probes)
            .add_service(InterceptedService::new(
                AdminServer::new(admin.clone()),
                guard.clone(),
            ))
            .add_service(InterceptedService::new(reflection(&service)?, guard));
        Ok(Self {
            listener,
            address,
            name,
            addr,
            server,
            routes,
            service,
            admin,
            reporter,
            host,
            options,
        })
    }

    /// Where it will be reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where others are told that it is, as in `grpc://host:7001`.
    pub fn advertised(&self) -> &str {
        &self.addr
    }

    /// Serves until `shutdown`; then nobody new is let in, and what is under way gets ten seconds to end.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when the registry has another worker of this name that is alive, [`Error::Transport`] when serving
    /// fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            listener,
            address,
            name,
            addr,
            mut server,
            routes,
            service,
            admin,
            reporter,
            host,
            options,
        } = self;
        // Whatever ends this future ends what belongs to it.
        let _stop = host.stop.clone().drop_guard();
        let (draining, ended) = (admin.ending(), CancellationToken::new());
        let _ended = ended.clone().drop_guard();
        info!(%address, worker = name, "Worker listening.");
        host.tasks
            .spawn(health::keep(service.clone(), reporter, host.stop.clone()));
        let presence = options.announcer.map(|announcer| {
            if is_only_here(&addr) && !announcer.is_on_this_host() {
                warn!(
                    addr,
                    "Agents on other hosts cannot reach this worker where the registry says it is; give --advertise HOST, and --listen 0.0.0.0:PORT if it listens on loopback."
                );
            }
            let told = service.clone();
            let record = move || told.record(&name, &addr);
            Presence::new(announcer, options.rhythm, record, admin.changed())
        });
        let presence = async {
            let Some(mut presence) = presence else {
                return Ok::<_, Taken>(None);
            };
            presence.claim().await?;
            let kept = presence.run(draining.clone(), ended.clone());
            Ok(Some(host.tasks.spawn(kept)))
        };
        let closing = host.stop.clone().cancelled_owned();
        let mut serving = pin!(
            server
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming::incoming(listener), closing)
        );
        let mut shutdown = pin!(shutdown);
        // It answers already, but nobody is told of it before it is known whether the name is its own.
        let presence = tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = &mut shutdown => None,
            presence = presence => {
                let presence = presence.map_err(|Taken { name, addr }| Error::NameTaken { name, addr })?;
                tokio::select! {
                    ended = &mut serving => return Ok(ended?),
                    () = &mut shutdown => presence,
                }
            }
        };
        info!("Worker draining.");
        admin.end();
        // Still reached meanwhile: by those who are speaking, and by those who ask how it is.
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            drained = timeout(host::DRAIN, idle(&service)) => if drained.is_err() {
                // Nobody may hold the worker up for longer: what is left ends now.
                service.stop_all();
            }
        }
        host.stop.cancel();
        // A probe that watches holds its connection open; it has been told.
        let _ = timeout(LAST_FRAMES, &mut serving).await;
        ended.cancel();
        if let Some(presence) = presence {
            // It only fails to end if it panicked; then there is nothing to wait for.
            let _ = presence.await;
        }
        Ok(())
    }
}

/// Waits until nothing is said or heard any more.
async fn idle(service: &Service) {
    let clock = Clock::start();
    while !service.is_idle() {
        clock.until(clock.now() + LOOK).await;
    }
}

/// Tells whoever asks which services there are and what their messages look like.
fn reflection(
    service: &Service,
) -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
    Error,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(service.name())
        .with_service_name(<AdminServer<Admin> as NamedService>::NAME)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection")
        .build_v1()
        .map_err(|error| Error::Reflection(error.to_string()))
}

/// An error with all its causes: the outermost one says little.
fn because(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
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
    Worker::bind(kind, adapter, listen, settings, Options::default())
        .await?
        .run(shutdown)
        .await
}
