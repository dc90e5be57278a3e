//! The open sessions, and how what is being said in each is steered.

use super::catalogue::Choice;
use media::Clock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tonic::Status;

/// Syntheses of one session at a time; a client that opens more has lost count of them.
const LIVE_A_SESSION: usize = 8;
/// A session unused for so long gives its place to a new one when all places are taken.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Who has said nothing for so long is not between two clauses.
const BETWEEN: Duration = Duration::from_secs(1);

/// Whether frames leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// As fast as the client takes them.
    Speaking,
    /// Not until further notice.
    Held,
    /// Never again, but for the final one.
    Stopped,
    /// Never again: the worker ends, and whoever can lets another say the rest.
    Abandoned,
}

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
    open: Mutex<HashMap<String, Session>>,
    /// Tells when the last frame of something left.
    clock: Clock,
    /// The number of the next synthesis; none is used twice.
    next: AtomicU64,
}

struct Session {
    choice: Choice,
    last_used: Duration,
    live: HashMap<u64, watch::Sender<Flow>>,
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

    /// Places taken.
    pub(super) fn open(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is being said, and nothing was until a moment ago.
    pub(super) fn are_idle(&self, now: Duration) -> bool {
        self.lock().values().all(|session| {
            session.live.is_empty() && now.saturating_sub(session.last_used) >= BETWEEN
        })
    }

    /// Whether a session of this name could be opened now.
    pub(super) fn check(&self, id: &str, now: Duration) -> Result<(), Full> {
        let open = self.lock();
        let has_room = open.len() < self.most || open.contains_key(id);
        match has_room || open.values().any(|session| session.is_forgotten(now)) {
            true => Ok(()),
            false => Err(Full(self.most)),
        }
    }

    /// Opens a session. One of the same name is opened anew: what it was saying ends.
    pub(super) fn start(&self, id: String, choice: Choice, now: Duration) -> Result<(), Full> {
        let mut open = self.lock();
        if open.len() >= self.most && !open.contains_key(&id) {
            let forgotten = open
                .iter()
                .filter(|(_, session)| session.is_forgotten(now))
                .min_by_key(|(_, session)| session.last_used)
                .map(|(id, _)| id.clone());
            match forgotten {
                Some(forgotten) => drop(open.remove(&forgotten)),
                None => return Err(Full(self.most)),
            }
        }
        if let Some(old) = open.remove(&id) {
            old.steer(Flow::Stopped);
        }
        open.insert(
            id,
            Session {
                choice,
                last_used: now,
                live: HashMap::new(),
            },
        );
        Ok(())
    }

    /// Closes a session; `false` if it was not open.
    pub(super) fn end(&self, id: &str) -> bool {
        match self.lock().remove(id) {
            Some(session) => {
                session.steer(Flow::Stopped);
                true
            }
            None => false,
        }
    }

    /// Something is to be said in a session.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: &str,
        now: Duration,
    ) -> Result<(Choice, Live), NoBegin> {
        let mut open = self.lock();
        let session = open.get_mut(id).ok_or(NoBegin::Unknown)?;
        if session.live.len() >= LIVE_A_SESSION {
            return Err(NoBegin::TooMany);
        }
        session.last_used = now;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (steer, flow) = watch::channel(Flow::Speaking);
        session.live.insert(number, steer);
        let live = Live {
            session_id: id.to_owned(),
            number,
            flow,
            sessions: self.clone(),
        };
        Ok((session.choice.clone(), live))
    }

    /// Steers all that is being said in a session now, and nothing that will be said later; what it speaks with, or `None` if
    /// there is no such session.
    pub(super) fn steer(&self, id: &str, flow: Flow) -> Option<Choice> {
        let open = self.lock();
        let session = open.get(id)?;
        session.steer(flow);
        Some(session.choice.clone())
    }

    pub(super) fn stop_all(&self) {
        for session in self.lock().values() {
            session.steer(Flow::Abandoned);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        // Every change is one step, so a panic elsewhere leaves the sessions whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_forgotten(&self, now: Duration) -> bool {
        self.live.is_empty() && now.saturating_sub(self.last_used) >= FORGOTTEN
    }

    fn steer(&self, flow: Flow) {
        for live in self.live.values() {
            // What was stopped stays stopped.
            live.send_if_modified(|now| {
                let changes = *now != flow && *now != Flow::Stopped;
                if changes {
                    *now = flow;
                }
                changes
            });
        }
    }
}

/// Something that is being said. Dropping it ends its place in the session.
pub(super) struct Live {
    pub session_id: String,
    pub flow: watch::Receiver<Flow>,
    number: u64,
    sessions: Arc<Sessions>,
}

impl Drop for Live {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        let mut open = self.sessions.lock();
        // In a session opened anew under the same name there is nothing of this number.
        if let Some(session) = open.get_mut(&self.session_id) {
            session.live.remove(&self.number);
            session.last_used = session.last_used.max(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::{Gender, Voice};

    fn choice() -> Choice {
        let voice = Voice {
            name: "v".into(),
            title: "V".into(),
            language: "en".into(),
            gender: Gender::Unknown,
            model: "m".into(),
            level_dbfs: None,
        };
        Choice {
            id: "a:v".into(),
            voice,
            speed: 1.0,
        }
    }

    #[test]
    fn a_full_worker_gives_away_only_what_was_forgotten() {
        let sessions = Arc::new(Sessions::new(1, Clock::start()));
        sessions
            .start("one".into(), choice(), Duration::ZERO)
            .unwrap();
        let later = FORGOTTEN - Duration::from_secs(1);
        assert_eq!(sessions.start("two".into(), choice(), later), Err(Full(1)));
        let (_, live) = sessions.begin("one", Duration::ZERO).unwrap();
        assert_eq!(
            sessions.start("two".into(), choice(), FORGOTTEN),
            Err(Full(1))
        );
        drop(live);
        // It was used until now, by the clock that the test does not hold.
        let later = FORGOTTEN * 2;
        assert_eq!(sessions.check("two", FORGOTTEN), Err(Full(1)));
        assert_eq!(sessions.check("two", later), Ok(()));
        assert_eq!(sessions.start("two".into(), choice(), later), Ok(()));
        assert_eq!(sessions.open(), 1);
    }

    #[test]
    fn a_session_between_two_things_to_say_is_not_idle_and_a_forgotten_one_is() {
        let sessions = Arc::new(Sessions::new(2, Clock::start()));
        assert!(sessions.are_idle(Duration::ZERO));
        sessions
            .start("one".into(), choice(), Duration::ZERO)
            .unwrap();
        assert!(!sessions.are_idle(Duration::ZERO));
        assert!(sessions.are_idle(BETWEEN));
        let (_, live) = sessions.begin("one", BETWEEN).unwrap();
        assert!(!sessions.are_idle(BETWEEN * 100));
        drop(live);
        assert!(sessions.are_idle(BETWEEN * 100));
        // Who is there already may open its session anew.
        sessions
            .start("two".into(), choice(), Duration::ZERO)
            .unwrap();
        assert_eq!(sessions.check("one", Duration::ZERO), Ok(()));
        assert_eq!(
            sessions
                .check("three", Duration::ZERO)
                .unwrap_err()
                .to_string(),
            "the worker is full: 2 of 2 sessions are open; end one or try again later"
        );
    }

    #[test]
    fn a_pause_is_not_remembered_and_a_stop_cannot_be_undone() {
        let sessions = Arc::new(Sessions::new(1, Clock::start()));
        sessions
            .start("one".into(), choice(), Duration::ZERO)
            .unwrap();
        assert!(sessions.steer("one", Flow::Held).is_some());
        let (_, live) = sessions.begin("one", Duration::ZERO).unwrap();
        assert_eq!(*live.flow.borrow(), Flow::Speaking);
        sessions.steer("one", Flow::Stopped);
        sessions.steer("one", Flow::Speaking);
        assert_eq!(*live.flow.borrow(), Flow::Stopped);
        assert!(sessions.steer("two", Flow::Held).is_none());
    }

    #[test]
    fn ending_a_session_ends_what_it_says() {
        let sessions = Arc::new(Sessions::new(1, Clock::start()));
        sessions
            .start("one".into(), choice(), Duration::ZERO)
            .unwrap();
        let (_, live) = sessions.begin("one", Duration::ZERO).unwrap();
        assert!(sessions.end("one"));
        assert!(!sessions.end("one"));
        assert_eq!(*live.flow.borrow(), Flow::Stopped);
        assert_eq!(
            sessions.begin("one", Duration::ZERO).err(),
            Some(NoBegin::Unknown)
        );
    }
}
