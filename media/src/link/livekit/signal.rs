//! The signalling connection: `livekit-signaling`, with a queue before it so that a slow socket never holds sound back.

use super::JoinError;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{JoinResponse, ReconnectReason, ReconnectResponse};
use livekit_signaling::{SignalClient, SignalError, SignalEvents, SignalOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Requests that wait for the socket. A server that takes none for so long is lost, and its time-out says so.
const REQUESTS: usize = 128;
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The newest protocol that two peer connections with channels of the usual kind speak: 18 numbers the channels beforehand.
const PROTOCOL: u32 = 16;

/// The signalling connection of one room.
pub(super) struct Signal {
    client: Arc<SignalClient>,
    requests: mpsc::Sender<Request>,
    /// What the server says.
    pub(super) events: SignalEvents,
}

impl Signal {
    /// Connects. What sends runs on `tasks` until this is dropped.
    pub(super) async fn connect(
        url: &str,
        token: &str,
        tasks: &TaskTracker,
    ) -> Result<(Self, JoinResponse), JoinError> {
        // Each participant's sound is asked for by itself: a room may hold video, and people who are not to be heard.
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.single_peer_connection = false;
        options.connect_timeout = CONNECT_TIMEOUT;
        options.protocol_version = PROTOCOL;
        options.client_capabilities = Vec::new();
        options.client_protocol = livekit_signaling::CLIENT_PROTOCOL_DEFAULT;
        let connect = Box::pin(SignalClient::connect(url, token, options, None));
        let (client, join, events) = connect.await.map_err(|error| refusal(&error))?;
        let client = Arc::new(client);
        let (requests, mut waiting) = mpsc::channel(REQUESTS);
        let sender = client.clone();
        tasks.spawn(async move {
            while let Some(request) = waiting.recv().await {
                sender.send(request).await;
            }
            sender.close().await;
        });
        let signal = Self {
            client,
            requests,
            events,
        };
        Ok((signal, join))
    }

    /// Sends a request, in order. It is lost only with the connection.
    pub(super) fn send(&self, request: Request) {
        if self.requests.try_send(request).is_err() {
            tracing::debug!("The LiveKit server takes no more requests.");
        }
    }

    /// The newest token: the server renews it now and then.
    pub(super) fn token(&self) -> String {
        self.client.token()
    }

    /// What is needed to take the connection up again, apart from the events.
    pub(super) fn client(&self) -> Arc<SignalClient> {
        self.client.clone()
    }
}

/// Takes a lost connection up again; the session goes on where it was.
pub(super) async fn resume(client: Arc<SignalClient>) -> Result<ReconnectResponse, JoinError> {
    let restart = client.restart(ReconnectReason::RrSignalDisconnected);
    restart.await.map_err(|error| refusal(&error))
}

/// What a failed connection means. No token is in it: the crate's errors name addresses and statuses.
fn refusal(error: &SignalError) -> JoinError {
    match error {
        SignalError::UrlParse(why) => JoinError::Address(why.clone()),
        SignalError::TokenFormat => JoinError::Unauthorized("it is no token".into()),
        SignalError::Client(status, why) if matches!(status.as_u16(), 401 | 403) => {
            JoinError::Unauthorized(why.clone())
        }
        SignalError::Handshake { status } if matches!(status.as_u16(), 401 | 403) => {
            JoinError::Unauthorized(status.to_string())
        }
        SignalError::Client(status, why) | SignalError::Server(status, why) => {
            JoinError::Refused(format!("{status} {why}"))
        }
        SignalError::Handshake { status } => JoinError::Refused(status.to_string()),
        SignalError::LeaveRequest { reason, .. } => JoinError::Refused(format!("{reason:?}")),
        other => JoinError::Unreachable(other.to_string()),
    }
}
