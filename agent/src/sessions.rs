//! Which calls there are: admission, look-up, and the wait for their ends.

use crate::telemetry::metrics as names;
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
}

impl Transport {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebRtc => "webrtc",
            Self::WebSocket => "websocket",
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
    active: Mutex<Active>,
    tracker: TaskTracker,
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct Active {
    calls: HashMap<String, CancellationToken>,
    draining: bool,
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
        active.calls.insert(id.clone(), hangup.clone());
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
            Some(hangup) if !hangup.is_cancelled() => {
                hangup.cancel();
                true
            }
            Some(_) | None => false,
        }
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
