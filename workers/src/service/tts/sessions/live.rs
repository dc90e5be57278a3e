//! Something that is being said in a session, and how it is steered.

use super::Sessions;
use std::sync::Arc;
use tokio::sync::watch;

/// Whether frames leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service::tts) enum Flow {
    /// As fast as the client takes them.
    Speaking,
    /// Not until further notice.
    Held,
    /// Never again, but for the final one.
    Stopped,
    /// Never again: the worker ends, and whoever can lets another say the rest.
    Abandoned,
}

impl Flow {
    /// Whether there is no way back.
    pub(super) fn is_end(self) -> bool {
        match self {
            Self::Stopped | Self::Abandoned => true,
            Self::Speaking | Self::Held => false,
        }
    }
}

/// Something that is being said. Dropping it ends its place in the session.
pub(in crate::service::tts) struct Live {
    pub session_id: String,
    pub flow: watch::Receiver<Flow>,
    number: u64,
    sessions: Arc<Sessions>,
    is_told: bool,
}

impl Live {
    pub(super) fn new(
        session_id: String,
        number: u64,
        flow: watch::Receiver<Flow>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self {
            session_id,
            flow,
            number,
            sessions,
            is_told: false,
        }
    }

    /// The client is told how it ends. Whatever is dropped without that, it has turned away from.
    pub(in crate::service::tts) fn told(&mut self) {
        self.is_told = true;
    }

    /// Waits until it was stopped, which the client need not take notice of. Cancel-safe.
    pub(in crate::service::tts) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut flow = self.flow.clone();
        async move {
            // Without a sender the session is gone, and with it all that is said there.
            let _ = flow.wait_for(|flow| flow.is_end()).await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.sessions
            .ended(&self.session_id, self.number, self.is_told);
    }
}
