//! A worker on its own, on a port of loopback.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;
use workers::{Error, Kind, Options, Settings, Worker};

pub const ANY_PORT: &str = "127.0.0.1:0";

/// A worker that serves until it is told to end.
pub struct Served {
    pub address: SocketAddr,
    pub name: String,
    pub advertised: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

impl Served {
    pub async fn start(kind: Kind, adapter: &str, settings: Settings, options: Options) -> Self {
        let listen = ANY_PORT.parse().unwrap();
        let worker = Worker::bind(kind, adapter, listen, settings, options)
            .await
            .unwrap();
        let (address, name) = (worker.address(), worker.name().to_owned());
        let advertised = worker.advertised().to_owned();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = worker.run(async { stopped.await.unwrap_or(()) });
        Self {
            address,
            name,
            advertised,
            stop,
            served: TaskTracker::new().spawn(run),
        }
    }

    pub async fn mock() -> Self {
        Self::start(Kind::Tts, "mock", Settings::default(), Options::default()).await
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = format!("http://{}", self.address);
        Channel::from_shared(endpoint)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// Tells it to end; what is returned is ready when it has.
    pub fn end(self) -> JoinHandle<Result<(), Error>> {
        self.stop.send(()).unwrap();
        self.served
    }

    /// Waits until it ends by itself, and returns how.
    pub async fn ended(self) -> Result<(), Error> {
        // Kept until then: without it the worker would be told to end.
        let Self { stop, served, .. } = self;
        let ended = served.await.unwrap();
        drop(stop);
        ended
    }

    /// Ends it, and waits for that.
    pub async fn stop(self) {
        self.end().await.unwrap().unwrap();
    }
}
