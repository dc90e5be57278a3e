//! What an answered offer becomes: the session's link, and a handle on the call.

use super::CallStatistics;
use crate::link::Link;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Connected,
    Ended,
}

/// An offer's answer and the call that begins with it.
#[derive(Debug)]
pub struct Answered {
    /// The answer for the caller.
    pub sdp: String,
    /// The session's end of the call. Frames sent before the call is connected come back as unsent; messages wait.
    pub link: Link,
    /// What else can be asked and told of the call.
    pub call: Call,
}

/// A handle on a call beside its [`Link`].
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) hang_up: CancellationToken,
    pub(super) statistics: Arc<Mutex<CallStatistics>>,
}

impl Call {
    /// Ends the call as the caller's own hanging up would; the session gets `Closed::ByCaller`.
    pub fn hang_up(&self) {
        self.hang_up.cancel();
    }

    /// Waits until sound can flow; `false` when the call ended before.
    pub async fn connected(&self) -> bool {
        let mut phase = self.phase.clone();
        let reached = phase.wait_for(|phase| *phase != Phase::Connecting).await;
        reached.is_ok_and(|phase| *phase == Phase::Connected)
    }

    /// Waits until nothing of the call is left on the network's side.
    pub async fn ended(&self) {
        let mut phase = self.phase.clone();
        // The sender is dropped only after it has said so, or with a task that broke.
        let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
    }

    /// What has happened so far, at most 200 ms old.
    pub fn statistics(&self) -> CallStatistics {
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
