//! The open sessions, and how what is being said in each is steered.
//!
//! A session has its place and its model until it is ended. One that was forgotten (its client has gone, or has said nothing for
//! long) lets its model go and gives its place to whoever wants it; until somebody does, its client may come back.

mod live;

use super::catalogue::Choice;
use crate::connection::Peer;
use crate::models::Lease;
pub(super) use live::{Flow, Live};
use media::Clock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tonic::Status;

/// Syntheses of one session at a time; a client that opens more has lost count of them.
const LIVE_A_SESSION: usize = 8;
/// A session is forgotten when it was unused for so long.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// The same when its client seems to have gone: time enough for one that only lost its connection to come back.
const LEFT: Duration = Duration::from_secs(15);
/// Who has said nothing for so long is not between two clauses.
const BETWEEN: Duration = Duration::from_secs(1);

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker is full: {0} of {0} sessions are open; end one or try again later")]
pub(super) struct Full(usize);

/// Why nothing can be said in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBegin {
    Unknown,
    TooMany,
}

impl NoBegin {
    pub(super) fn into_status(self, session_id: &str) -> Status {
        match self {
            Self::Unknown => Status::not_found(unknown(session_id)),
            Self::TooMany => Status::resource_exhausted(format!(
                "the session is full: it says {LIVE_A_SESSION} of {LIVE_A_SESSION} things already; finish or stop one first"
            )),
        }
    }
}

pub(super) fn unknown(session_id: &str) -> String {
    format!("there is no session {session_id:?}; start it first")
}

/// The open sessions of one worker.
pub(super) struct Sessions {
    most: usize,
    open: Mutex<Open>,
    /// Tells when the last frame of something left.
    clock: Clock,
    /// The number of the next synthesis; none is used twice.
    next: AtomicU64,
}

#[derive(Default)]
struct Open {
    sessions: HashMap<String, Session>,
    /// Sessions that are being opened: their models are still on the way.
    opening: Vec<String>,
}

struct Session {
    choice: Choice,
    /// Keeps its model in memory; none once it was forgotten.
    lease: Option<Lease>,
    /// By which connection it was used last; none: by one that lives as long as the worker.
    peer: Option<Peer>,
    last_used: Duration,
    /// Since when its client seems to be gone: the connection is, or something was broken off.
    left: Option<Duration>,
    live: HashMap<u64, watch::Sender<Flow>>,
}

/// What is needed to say something in a session.
pub(super) struct Begun {
    pub choice: Choice,
    /// The session's model; none if it let it go.
    pub lease: Option<Lease>,
    pub live: Live,
}

impl Sessions {
    pub(super) fn new(most: usize, clock: Clock) -> Self {
        Self {
            most,
            open: Mutex::default(),
            clock,
            next: AtomicU64::new(0),
        }
    }

    /// Places there are.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Places that nobody else can have.
    pub(super) fn taken(&self, now: Duration) -> usize {
        let mut open = self.lock();
        let mut forgotten = 0;
        for session in open.sessions.values_mut() {
            forgotten += usize::from(session.is_forgotten(now));
        }
        open.occupied().saturating_sub(forgotten)
    }

    /// Whether nothing is being said, and nothing was until a moment ago.
    pub(super) fn are_idle(&self, now: Duration) -> bool {
        let open = self.lock();
        let mut sessions = open.sessions.values();
        open.opening.is_empty()
            && sessions.all(|session| {
                session.live.is_empty() && now.saturating_sub(session.last_used) >= BETWEEN
            })
    }

    /// Keeps a place for a session that is to be opened, or opened anew.
    pub(super) fn keep_place(self: &Arc<Self>, id: &str, now: Duration) -> Result<Place, Full> {
        let mut open = self.lock();
        if open.occupied() >= self.most && !open.sessions.contains_key(id) {
            let forgotten = open
                .sessions
                .iter_mut()
                .filter_map(|(id, session)| {
                    session
                        .is_forgotten(now)
                        .then(|| (session.last_used, id.clone()))
                })
                .min();
            let Some((_, forgotten)) = forgotten else {
                return Err(Full(self.most));
            };
            open.sessions.remove(&forgotten);
        }
        open.opening.push(id.to_owned());
        Ok(Place {
            sessions: self.clone(),
            id: id.to_owned(),
        })
    }

    /// Closes a session, also one that is being opened; `false` if there is none.
    pub(super) fn end(&self, id: &str) -> bool {
        let mut open = self.lock();
        match open.sessions.remove(id) {
            // One that is being opened anew keeps its place.
            Some(mut session) => {
                session.steer(Flow::Stopped);
                true
            }
            None => {
                let before = open.opening.len();
                open.opening.retain(|opening| opening != id);
                open.opening.len() < before
            }
        }
    }

    /// Something is to be said in a session.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: &str,
        peer: Option<Peer>,
        now: Duration,
    ) -> Result<Begun, NoBegin> {
        let mut open = self.lock();
        let session = open.sessions.get_mut(id).ok_or(NoBegin::Unknown)?;
        if session.live.len() >= LIVE_A_SESSION {
            return Err(NoBegin::TooMany);
        }
        session.used(now);
        session.peer = peer;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (steer, flow) = watch::channel(Flow::Speaking);
        session.live.insert(number, steer);
        Ok(Begun {
            choice: session.choice.clone(),
            lease: session.lease.as_ref().map(Lease::another),
            live: Live::new(id.to_owned(), number, flow, self.clone()),
        })
    }

    /// A session has its model again, which it had let go.
    pub(super) fn hold(&self, id: &str, lease: Lease) {
        if let Some(session) = self.lock().sessions.get_mut(id) {
            session.lease.get_or_insert(lease);
        }
    }

    /// Steers all that is being said in a session now, and nothing that will be said later; `false` if there is no such session.
    pub(super) fn steer(&self, id: &str, flow: Flow) -> bool {
        let mut open = self.lock();
        let Some(session) = open.sessions.get_mut(id) else {
            return false;
        };
        session.used(self.clock.now());
        session.steer(flow);
        true
    }

    /// What a session speaks with; none if there is no such session.
    pub(super) fn choice(&self, id: &str) -> Option<Choice> {
        Some(self.lock().sessions.get(id)?.choice.clone())
    }

    /// Has those sessions let go of their models that were forgotten; to be called every few seconds.
    pub(super) fn sweep(&self, now: Duration) {
        let mut leases = Vec::new();
        for session in self.lock().sessions.values_mut() {
            if session.is_forgotten(now) {
                leases.extend(session.lease.take());
            }
        }
    }

    pub(super) fn stop_all(&self) {
        for session in self.lock().sessions.values_mut() {
            session.steer(Flow::Abandoned);
        }
    }

    /// Something is no longer said in a session. If its client was not told of that, it seems to have gone.
    fn ended(&self, id: &str, number: u64, is_told: bool) {
        let now = self.clock.now();
        let mut open = self.lock();
        // In a session opened anew under the same name there is nothing of this number.
        if let Some(session) = open.sessions.get_mut(id)
            && session.live.remove(&number).is_some()
        {
            session.last_used = session.last_used.max(now);
            session.left = (!is_told).then_some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Every change is one step, so a panic elsewhere leaves the sessions whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Places that are taken, or kept for somebody.
    fn occupied(&self) -> usize {
        let new = self.opening.iter();
        let new = new.filter(|id| !self.sessions.contains_key(*id));
        self.sessions.len() + new.count()
    }
}

impl Session {
    /// Its client is there and needs it.
    fn used(&mut self, now: Duration) {
        self.last_used = self.last_used.max(now);
        self.left = None;
    }

    fn is_forgotten(&mut self, now: Duration) -> bool {
        if self.left.is_none() && self.peer.as_ref().is_some_and(Peer::is_gone) {
            self.left = Some(now);
        }
        let is_over = |since: Duration, most: Duration| now.saturating_sub(since) >= most;
        let has_left = self.left.is_some_and(|left| is_over(left, LEFT));
        self.live.is_empty() && (has_left || is_over(self.last_used, FORGOTTEN))
    }

    fn steer(&mut self, flow: Flow) {
        for live in self.live.values() {
            live.send_if_modified(|now| {
                let changes = *now != flow;
                *now = flow;
                changes
            });
        }
        if flow.is_end() {
            // What was stopped stays stopped, and takes no place, whether or not the client takes notice.
            self.live.clear();
        }
    }
}

/// A place for a session that is being opened. Dropping it gives the place back.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    id: String,
}

impl Place {
    /// Opens the session. One of the same name is opened anew: what it was saying ends. `false` if it was ended meanwhile.
    pub(super) fn open(
        self,
        choice: Choice,
        lease: Option<Lease>,
        peer: Option<Peer>,
        now: Duration,
    ) -> bool {
        let session = Session {
            choice,
            lease,
            peer,
            last_used: now,
            left: None,
            live: HashMap::new(),
        };
        let mut open = self.sessions.lock();
        if !open.opening.contains(&self.id) {
            return false;
        }
        if let Some(mut old) = open.sessions.insert(self.id.clone(), session) {
            old.steer(Flow::Stopped);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        if let Some(at) = open.opening.iter().position(|id| *id == self.id) {
            open.opening.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
