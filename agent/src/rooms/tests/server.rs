//! A LiveKit server in memory. It writes the worker protocol's fields by itself, so that a slip in ours is not its own.

use super::super::dial::{Dial, DialError, Incoming, Socket};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, sink, stream};
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// In virtual time: reached only when nothing else is left to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the worker says.
#[derive(Clone, PartialEq, Message)]
pub struct FromWorker {
    #[prost(message, optional, tag = "1")]
    pub register: Option<Register>,
    #[prost(message, optional, tag = "2")]
    pub availability: Option<Availability>,
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
    #[prost(message, optional, tag = "4")]
    pub job: Option<JobStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Register {
    #[prost(string, tag = "8")]
    pub agent_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Availability {
    #[prost(string, tag = "1")]
    pub job: String,
    #[prost(bool, tag = "2")]
    pub available: bool,
    #[prost(string, tag = "5")]
    pub identity: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// 0 available, 1 full.
    #[prost(int32, optional, tag = "1")]
    pub status: Option<i32>,
    #[prost(float, tag = "3")]
    pub load: f32,
    #[prost(uint32, tag = "4")]
    pub jobs: u32,
    #[prost(bool, tag = "5")]
    pub draining: bool,
}

pub const RUNNING: i32 = 1;
pub const SUCCESS: i32 = 2;
pub const FAILED: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub struct JobStatus {
    #[prost(string, tag = "1")]
    pub job: String,
    #[prost(int32, tag = "2")]
    pub status: i32,
    #[prost(string, tag = "3")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
struct ToWorker {
    #[prost(message, optional, tag = "1")]
    registered: Option<Registered>,
    #[prost(message, optional, tag = "2")]
    offer: Option<Offer>,
    #[prost(message, optional, tag = "3")]
    assignment: Option<Assignment>,
    #[prost(message, optional, tag = "5")]
    termination: Option<Termination>,
    #[prost(message, optional, tag = "4")]
    pong: Option<Pong>,
}

#[derive(Clone, PartialEq, Message)]
struct Registered {
    #[prost(string, tag = "1")]
    worker: String,
}

#[derive(Clone, PartialEq, Message)]
struct Job {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "3")]
    room: Option<Room>,
}

#[derive(Clone, PartialEq, Message)]
struct Room {
    #[prost(string, tag = "1")]
    sid: String,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Offer {
    #[prost(message, optional, tag = "1")]
    job: Option<Job>,
    #[prost(bool, tag = "2")]
    resuming: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Assignment {
    #[prost(message, optional, tag = "1")]
    job: Option<Job>,
    #[prost(string, tag = "3")]
    token: String,
}

#[derive(Clone, PartialEq, Message)]
struct Termination {
    #[prost(string, tag = "1")]
    job: String,
}

#[derive(Clone, PartialEq, Message)]
struct Pong {
    #[prost(int64, tag = "2")]
    at: i64,
}

fn job(id: &str) -> Option<Job> {
    Some(Job {
        id: id.into(),
        room: Some(Room {
            sid: format!("RM_{id}"),
            name: format!("room of {}", id.split('/').next().unwrap_or(id)),
        }),
    })
}

/// A server that can be dialed; each try goes as planned, and those beyond the plan succeed.
#[derive(Clone)]
pub struct Server {
    plan: Arc<Mutex<VecDeque<DialError>>>,
    tries: Arc<Mutex<u32>>,
    connections: mpsc::Sender<Connection>,
}

impl Server {
    /// One that refuses the first tries like this.
    pub fn new(plan: impl IntoIterator<Item = DialError>) -> (Self, mpsc::Receiver<Connection>) {
        let (connections, accepted) = mpsc::channel(8);
        let server = Self {
            plan: Arc::new(Mutex::new(plan.into_iter().collect())),
            tries: Arc::default(),
            connections,
        };
        (server, accepted)
    }

    /// How often it was dialed.
    pub fn tries(&self) -> u32 {
        *self.tries.lock().unwrap()
    }
}

impl Dial for Server {
    fn dial(&self) -> BoxFuture<'static, Result<Socket, DialError>> {
        *self.tries.lock().unwrap() += 1;
        if let Some(refused) = self.plan.lock().unwrap().pop_front() {
            return Box::pin(std::future::ready(Err(refused)));
        }
        let (to_worker, incoming) = mpsc::channel(256);
        let (to_server, from_worker) = mpsc::channel(256);
        let connection = Connection {
            to_worker,
            from_worker,
        };
        let connections = self.connections.clone();
        Box::pin(async move {
            connections
                .send(connection)
                .await
                .map_err(|_| DialError::Unreachable("the test is over".into()))?;
            let incoming = stream::unfold(incoming, async |mut incoming| {
                let bytes: Bytes = incoming.recv().await?;
                Some((Ok(Incoming::Message(bytes)), incoming))
            });
            let outgoing = sink::unfold(to_server, async |to_server, bytes: Bytes| {
                let sent = to_server.send(bytes).await;
                sent.map(|()| to_server).map_err(|_| "it is gone".into())
            });
            Ok(Socket {
                incoming: incoming.boxed(),
                outgoing: Box::pin(outgoing),
            })
        })
    }
}

/// A worker's connection; lost when it is dropped.
pub struct Connection {
    to_worker: mpsc::Sender<Bytes>,
    from_worker: mpsc::Receiver<Bytes>,
}

impl Connection {
    /// Waits for a connection and for the registration on it, and confirms it.
    pub async fn registered(accepted: &mut mpsc::Receiver<Self>) -> Self {
        let accepted = tokio::time::timeout(PATIENCE, accepted.recv());
        let mut connection = accepted.await.expect("a connection").unwrap();
        let first = connection.next().await;
        assert!(first.register.is_some(), "{first:?}");
        connection.confirm().await;
        connection
    }

    async fn say(&self, message: ToWorker) {
        let bytes = message.encode_to_vec().into();
        self.to_worker
            .send(bytes)
            .await
            .expect("the worker listens");
    }

    async fn confirm(&self) {
        let registered = Some(Registered {
            worker: "AW_1".into(),
        });
        self.say(ToWorker {
            registered,
            ..Default::default()
        })
        .await;
    }

    pub async fn offer(&self, id: &str, resuming: bool) {
        let offer = Some(Offer {
            job: job(id),
            resuming,
        });
        self.say(ToWorker {
            offer,
            ..Default::default()
        })
        .await;
    }

    pub async fn assign(&self, id: &str) {
        let assignment = Some(Assignment {
            job: job(id),
            token: "token".into(),
        });
        self.say(ToWorker {
            assignment,
            ..Default::default()
        })
        .await;
    }

    pub async fn terminate(&self, id: &str) {
        let termination = Some(Termination { job: id.into() });
        self.say(ToWorker {
            termination,
            ..Default::default()
        })
        .await;
    }

    /// A sign of life.
    pub async fn pong(&self) {
        self.say(ToWorker {
            pong: Some(Pong { at: 1 }),
            ..Default::default()
        })
        .await;
    }

    /// The next message.
    pub async fn next(&mut self) -> FromWorker {
        self.maybe_next().await.expect("the worker is connected")
    }

    /// The next message; `None` once the worker has closed the connection.
    pub async fn maybe_next(&mut self) -> Option<FromWorker> {
        let bytes = tokio::time::timeout(PATIENCE, self.from_worker.recv());
        let bytes = bytes.await.expect("something comes")?;
        Some(FromWorker::decode(bytes).expect("the worker protocol"))
    }

    /// The next answer to an offer.
    pub async fn answer(&mut self) -> Availability {
        loop {
            if let Some(answer) = self.next().await.availability {
                return answer;
            }
        }
    }

    /// The next word on a job.
    pub async fn job_status(&mut self) -> JobStatus {
        loop {
            if let Some(status) = self.next().await.job {
                return status;
            }
        }
    }

    /// The first word on the worker for which something holds.
    pub async fn status(&mut self, holds: impl Fn(&Status) -> bool) -> Status {
        loop {
            if let Some(status) = self.next().await.status
                && holds(&status)
            {
                return status;
            }
        }
    }
}
