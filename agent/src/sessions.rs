//! Which calls there are: admission, look-up, and the wait for their ends.

use crate::telemetry::metrics as names;
use media::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How a caller is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RTP in a peer connection of our own.
    WebRtc,
    /// PCM in a WebSocket.
    WebSocket,
    /// A LiveKit room.
    LiveKit,
}

impl Transport {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebRtc => "webrtc",
            Self::WebSocket => "websocket",
            Self::LiveKit => "livekit",
        }
    }
}

/// The server takes no more calls now. An outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many calls as are allowed are going on.
    #[error("the server is full: {0} calls are going on; try again in a moment")]
    Full(usize),
    /// The program is about to end.
    #[error("the server is shutting down")]
    Draining,
}

/// The calls of this program. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    clock: Clock,
    active: Mutex<Active>,
    tracker: TaskTracker,
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct Active {
    calls: HashMap<String, Call>,
    draining: bool,
}

#[derive(Debug)]
struct Call {
    transport: Transport,
    room: Option<String>,
    /// By the clock of the calls.
    began: Duration,
    hangup: CancellationToken,
}

/// What is known of a call from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ongoing {
    /// Names the call.
    pub id: String,
    /// How the caller is connected.
    pub transport: Transport,
    /// The room that it is in, where the transport has rooms.
    pub room: Option<String>,
    /// How long it has been going on.
    pub age: Duration,
    /// Whether it was told to end.
    pub ending: bool,
}

/// A call's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Admission {
    sessions: Sessions,
    /// Names the call.
    pub id: String,
    transport: Transport,
    hangup: CancellationToken,
    /// A drain waits for it, whatever task holds it.
    _counted: TaskTrackerToken,
}

impl Sessions {
    /// Room for `max` calls.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            clock: Clock::start(),
            active: Mutex::default(),
            tracker: TaskTracker::new(),
            ending: CancellationToken::new(),
        }))
    }

    /// Takes a place for a call, with a fresh id.
    ///
    /// # Errors
    /// [`Refused`] when there is none.
    pub fn admit(&self, transport: Transport) -> Result<Admission, Refused> {
        let mut active = self.active();
        let refused = if active.draining {
            Some(Refused::Draining)
        } else if active.calls.len() >= self.0.max {
            Some(Refused::Full(active.calls.len()))
        } else {
            None
        };
        if let Some(refused) = refused {
            metrics::counter!(names::SESSIONS_REFUSED_TOTAL).increment(1);
            return Err(refused);
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let hangup = self.0.ending.child_token();
        let call = Call {
            transport,
            room: None,
            began: self.0.clock.now(),
            hangup: hangup.clone(),
        };
        active.calls.insert(id.clone(), call);
        // Taken under the lock: a drain that begins now finds it.
        let counted = self.0.tracker.token();
        drop(active);
        metrics::gauge!(names::SESSIONS_ACTIVE, "transport" => transport.name()).increment(1.0);
        Ok(Admission {
            sessions: self.clone(),
            id,
            transport,
            hangup,
            _counted: counted,
        })
    }

    /// Ends a call; `false` if there is none of that id, or none that is not ending already.
    pub fn hang_up(&self, id: &str) -> bool {
        match self.active().calls.get(id) {
            Some(call) if !call.hangup.is_cancelled() => {
                call.hangup.cancel();
                true
            }
            Some(_) | None => false,
        }
    }

    /// The calls that are going on, the oldest first.
    pub fn list(&self) -> Vec<Ongoing> {
        let now = self.0.clock.now();
        let mut calls: Vec<Ongoing> = self
            .active()
            .calls
            .iter()
            .map(|(id, call)| Ongoing {
                id: id.clone(),
                transport: call.transport,
                room: call.room.clone(),
                age: now.saturating_sub(call.began),
                ending: call.hangup.is_cancelled(),
            })
            .collect();
        // Calls that began at once keep one order from list to list.
        calls.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.id.cmp(&b.id)));
        calls
    }

    /// How full the program is: 0 without a call, 1 when it takes no more.
    pub fn load(&self) -> f32 {
        let active = self.active();
        if active.draining || self.0.max == 0 {
            return 1.0;
        }
        (active.calls.len() as f32 / self.0.max as f32).min(1.0)
    }

    /// How many calls may go on at the same time.
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// How many calls are going on.
    pub fn len(&self) -> usize {
        self.active().calls.len()
    }

    /// Whether no call is going on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether new calls are taken.
    pub fn is_draining(&self) -> bool {
        self.active().draining
    }

    /// Where calls' tasks run.
    pub fn tracker(&self) -> &TaskTracker {
        &self.0.tracker
    }

    /// Takes no more calls, gives those that go on `patience` to end by themselves, then hangs up.
    pub async fn drain(&self, patience: Duration) {
        self.active().draining = true;
        self.0.tracker.close();
        if tokio::time::timeout(patience, self.0.tracker.wait())
            .await
            .is_err()
        {
            self.0.ending.cancel();
            // Every call's task obeys within a frame; the limit is for one that hangs in a foreign library.
            let _ = tokio::time::timeout(Duration::from_secs(5), self.0.tracker.wait()).await;
        }
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        // Every change below is one step: a panic elsewhere cannot leave it half done.
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Says which room the call is in, for those who list the calls.
    #[must_use]
    pub fn with_room(self, room: impl Into<String>) -> Self {
        if let Some(call) = self.sessions.active().calls.get_mut(&self.id) {
            call.room = Some(room.into());
        }
        self
    }

    /// Cancelled when the call is to end at once.
    pub fn hangup(&self) -> CancellationToken {
        self.hangup.clone()
    }

    /// How the caller is connected.
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.sessions.active().calls.remove(&self.id);
        self.hangup.cancel();
        metrics::gauge!(names::SESSIONS_ACTIVE, "transport" => self.transport.name())
            .decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_the_call_is_over() {
        let sessions = Sessions::new(1);
        let first = sessions.admit(Transport::WebSocket).unwrap();
        assert_eq!(
            sessions.admit(Transport::WebRtc).unwrap_err(),
            Refused::Full(1)
        );
        assert!(sessions.hang_up(&first.id));
        assert!(first.hangup().is_cancelled());
        assert!(!sessions.hang_up(&first.id), "it is ending already");
        drop(first);
        assert!(sessions.admit(Transport::WebRtc).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_listed_with_room_and_age_the_oldest_first() {
        let sessions = Sessions::new(4);
        let first = sessions.admit(Transport::LiveKit).unwrap();
        let first = first.with_room("kitchen");
        tokio::time::advance(Duration::from_secs(90)).await;
        let second = sessions.admit(Transport::WebRtc).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.hang_up(&second.id));
        let of = |call: &Admission, room: Option<&str>, seconds, ending| Ongoing {
            id: call.id.clone(),
            transport: call.transport(),
            room: room.map(str::to_owned),
            age: Duration::from_secs(seconds),
            ending,
        };
        assert_eq!(
            sessions.list(),
            [
                of(&first, Some("kitchen"), 91, false),
                of(&second, None, 1, true)
            ]
        );
        drop((first, second));
        assert_eq!(sessions.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_load_grows_with_the_calls_and_is_full_while_draining() {
        let sessions = Sessions::new(4);
        assert_eq!((sessions.load(), sessions.max()), (0.0, 4));
        let calls = [(); 3].map(|()| sessions.admit(Transport::LiveKit).unwrap());
        assert_eq!(sessions.load(), 0.75);
        drop(calls);
        sessions.drain(Duration::ZERO).await;
        assert_eq!(sessions.load(), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_hangs_up_when_patience_ends() {
        let sessions = Sessions::new(3);
        let call = sessions.admit(Transport::WebSocket).unwrap();
        let hangup = call.hangup();
        sessions.tracker().spawn(async move {
            let _call = call;
            hangup.cancelled().await;
        });
        sessions.drain(Duration::from_secs(10)).await;
        assert!(sessions.is_empty());
        assert_eq!(
            sessions.admit(Transport::WebSocket).unwrap_err(),
            Refused::Draining
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_a_call_in_a_task_of_somebody_elses() {
        let sessions = Sessions::new(1);
        let call = sessions.admit(Transport::WebSocket).unwrap();
        let hangup = call.hangup();
        let transport = async move {
            hangup.cancelled().await;
            drop(call);
        };
        let drain = async {
            sessions.drain(Duration::from_secs(10)).await;
            assert!(sessions.is_empty());
        };
        tokio::join!(drain, transport);
    }
}
