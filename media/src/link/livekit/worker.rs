//! The agent worker: what a LiveKit server gives jobs to. A job is a room to join.
//!
//! Sans-IO, one value a connection: WebSocket messages go in and out as bytes, and events come out.
//!
//! ```text
//!   register ──► Registered ──► Offered ──► accept ──► Assigned ──► Running … Succeeded | Failed
//!                                  └──────► decline       └───────► Ended, when the server takes the job back
//! ```

mod job;
mod messages;

pub use job::{Assignment, Job, JobKind, Outcome, Participant};

use bytes::Bytes;
use livekit_protocol::{ServerMessage, server_message::Message};
use prost::Message as _;
use std::collections::VecDeque;
use std::time::Duration;

/// How long the server may take to answer the registration; it waits as long for ours.
pub const REGISTERED_WITHIN: Duration = Duration::from_secs(10);
/// How long the server waits for the answer to an offer. The assignment follows at once, or never.
pub const ASSIGNED_WITHIN: Duration = Duration::from_secs(10);
/// The load from which on a server offers nothing, unless its own settings say otherwise.
pub const TARGET_LOAD: f32 = 0.7;
/// How often the server is told how busy the worker is, even when nothing has changed.
const STATUS_EVERY: Duration = Duration::from_millis(2500);
/// Changes that come faster than this are told together.
const STATUS_AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// How often the server is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A server that has been silent for three pings is gone, whatever the socket says.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Loads that differ by less are the same: a change is worth a message of its own only if the server may choose otherwise.
const LOAD_STEP: f32 = 0.05;

/// A message that is not of the worker protocol.
#[derive(Debug, thiserror::Error)]
#[error("the server sent what is not of LiveKit's worker protocol")]
pub struct Error(#[from] prost::DecodeError);

/// What the server did.
#[derive(Debug, Clone)]
pub enum Event {
    /// It counts on the worker from now on.
    Registered {
        /// What it calls the worker.
        worker_id: String,
    },
    /// It asks whether the worker would take a job; to be answered at once.
    Offered(Job),
    /// It gives a job that was accepted.
    Assigned(Assignment),
    /// It takes a job back, by its id: the room was closed, or the dispatch was deleted.
    Ended(String),
    /// It answered a ping.
    Pong,
    /// It wants the worker to connect anew: it is about to end.
    GoAway,
    /// It did not answer in time. The connection is of no use any more.
    Silent,
}

/// Whether the server may offer jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Taking {
    /// It may.
    #[default]
    Jobs,
    /// There is no place now.
    Nothing,
    /// The program is about to end: never again.
    NoMore,
}

/// How busy the worker is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Status {
    /// Whether jobs are taken.
    pub taking: Taking,
    /// From 0, idle, to 1. The server prefers workers with little, and offers nothing from [`TARGET_LOAD`] on.
    pub load: f32,
    /// How many jobs are going on.
    pub jobs: u32,
}

impl Status {
    /// Whether the server would choose otherwise if it knew this one instead of `told`.
    fn differs(&self, told: &Self) -> bool {
        self.taking != told.taking
            || self.jobs != told.jobs
            || (self.load - told.load).abs() >= LOAD_STEP
    }
}

#[derive(Debug)]
struct Told {
    at: Duration,
    status: Status,
}

/// The worker's end of one connection to the server.
#[derive(Debug)]
pub struct Worker {
    registration: Option<Bytes>,
    is_registered: bool,
    connected_at: Duration,
    heard_at: Duration,
    pinged_at: Duration,
    is_silent: bool,
    status: Status,
    told: Option<Told>,
    status_sequence: u64,
    events: VecDeque<Event>,
    outgoing: VecDeque<Bytes>,
}

impl Worker {
    /// A connection that was made at `now`, for the agent of that name; without a name the worker is for every room.
    pub fn new(now: Duration, agent_name: &str, version: &str) -> Self {
        Self {
            registration: Some(messages::register(agent_name, version, PING_EVERY)),
            is_registered: false,
            connected_at: now,
            heard_at: now,
            pinged_at: now,
            is_silent: false,
            status: Status::default(),
            told: None,
            status_sequence: 0,
            events: VecDeque::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Whether the server counts on the worker.
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// Takes a binary message.
    ///
    /// # Errors
    /// When it is not of the protocol; the connection can go on.
    pub fn handle_message(&mut self, now: Duration, message: &[u8]) -> Result<(), Error> {
        self.heard_at = now;
        let event = match ServerMessage::decode(message)?.message {
            Some(Message::Register(registered)) => {
                self.is_registered = true;
                Some(Event::Registered {
                    worker_id: registered.worker_id,
                })
            }
            Some(Message::Availability(offer)) => offer
                .job
                .and_then(|job| Job::read(job, offer.resuming))
                .map(Event::Offered),
            Some(Message::Assignment(assignment)) => {
                Assignment::read(assignment).map(Event::Assigned)
            }
            Some(Message::Termination(ended)) => Some(Event::Ended(ended.job_id)),
            Some(Message::Pong(_)) => Some(Event::Pong),
            Some(Message::GoAway(_)) => Some(Event::GoAway),
            // A newer server's message that means nothing to us.
            None => None,
        };
        self.events.extend(event);
        self.handle_timeout(now);
        Ok(())
    }

    /// Takes any sign of life that is no message of the protocol, such as the socket's own ping.
    pub fn handle_sign_of_life(&mut self, now: Duration) {
        self.heard_at = now;
    }

    /// Would take a job, as this participant.
    pub fn accept(&mut self, job: &str, participant: &Participant) {
        self.outgoing.push_back(messages::accept(job, participant));
    }

    /// Would not take a job; the server asks another worker at once.
    pub fn decline(&mut self, job: &str) {
        self.outgoing.push_back(messages::decline(job));
    }

    /// Tells how a job goes.
    pub fn update_job(&mut self, job: &str, outcome: &Outcome) {
        self.outgoing.push_back(messages::update_job(job, outcome));
    }

    /// How busy the worker is from now on; the server is told soon.
    pub fn set_status(&mut self, now: Duration, status: Status) {
        self.status = status;
        self.tell_status(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if now >= self.silent_at() && !self.is_silent {
            self.is_silent = true;
            self.events.push_back(Event::Silent);
        }
        if !self.is_registered {
            return;
        }
        if now >= self.pinged_at + PING_EVERY {
            self.pinged_at = now;
            self.outgoing.push_back(messages::ping(now));
        }
        self.tell_status(now);
    }

    /// When [`Worker::handle_timeout`] has something to do; none once nothing more can come of the connection.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.is_silent {
            return None;
        }
        let mut next = self.silent_at();
        if self.is_registered {
            next = next
                .min(self.pinged_at + PING_EVERY)
                .min(self.status_due_at());
        }
        Some(next)
    }

    /// What happened and was not yet asked for.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next message to send. Until the server knows the worker it gets the registration and nothing else: anything
    /// else would make it hang up.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.registration.is_some() {
            return self.registration.take();
        }
        match self.is_registered {
            true => self.outgoing.pop_front(),
            false => None,
        }
    }

    fn silent_at(&self) -> Duration {
        match self.is_registered {
            true => self.heard_at + SILENT_FOR,
            false => self.connected_at + REGISTERED_WITHIN,
        }
    }

    fn status_due_at(&self) -> Duration {
        match &self.told {
            None => Duration::ZERO,
            Some(told) if self.status.differs(&told.status) => told.at + STATUS_AT_MOST_EVERY,
            Some(told) => told.at + STATUS_EVERY,
        }
    }

    fn tell_status(&mut self, now: Duration) {
        if !self.is_registered || now < self.status_due_at() {
            return;
        }
        self.status_sequence += 1;
        self.told = Some(Told {
            at: now,
            status: self.status,
        });
        self.outgoing
            .push_back(messages::status(&self.status, self.status_sequence));
    }
}

/// Where the server takes workers: `ws://host:7880` for `http://host:7880`, with the path behind it.
pub fn address(url: &str) -> Option<String> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['?', '#', ' ']) {
        return None;
    }
    Some(format!("{scheme}://{rest}/agent"))
}
