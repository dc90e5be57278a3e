//! The connection to the LiveKit server as it comes and goes.

use super::dial::{Dial, DialError, Incoming, Socket};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use media::Clock;
use media::link::livekit::worker::Worker;
use std::time::Duration;

/// A server that does not read for this long is gone.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// What happened to the connection.
pub(super) enum Change {
    /// It is there.
    Up,
    /// It could not be made.
    Refused(DialError),
    /// Something came.
    Came(Incoming),
    /// It is gone.
    Lost(String),
}

/// Where the connection stands.
pub(super) enum Line {
    /// Nothing until somebody says when to try.
    Idle,
    /// Nothing until then.
    Waiting(Duration),
    /// A try is under way.
    Dialing(BoxFuture<'static, Result<Socket, DialError>>),
    /// It is there.
    Open(Socket),
}

impl Line {
    /// Waits for the next change, dialing when it is time. Cancel-safe: a try that is under way stays so.
    pub(super) async fn next(&mut self, clock: Clock, dial: &dyn Dial) -> Change {
        loop {
            match self {
                Self::Idle => return std::future::pending().await,
                Self::Waiting(until) => {
                    clock.until(*until).await;
                    *self = Self::Dialing(dial.dial());
                }
                Self::Dialing(attempt) => {
                    return match attempt.await {
                        Ok(socket) => {
                            *self = Self::Open(socket);
                            Change::Up
                        }
                        Err(error) => {
                            *self = Self::Idle;
                            Change::Refused(error)
                        }
                    };
                }
                Self::Open(socket) => {
                    let why = match socket.incoming.next().await {
                        Some(Ok(came)) => return Change::Came(came),
                        Some(Err(why)) => why,
                        None => "the connection ended".into(),
                    };
                    *self = Self::Idle;
                    return Change::Lost(why);
                }
            }
        }
    }

    /// Sends what the worker has to say.
    pub(super) async fn send(&mut self, worker: &mut Worker) -> Result<(), String> {
        let Self::Open(socket) = self else {
            return Ok(());
        };
        let Some(first) = worker.poll_transmit() else {
            return Ok(());
        };
        let write = async {
            let mut next = Some(first);
            while let Some(message) = next {
                socket.outgoing.feed(message).await?;
                next = worker.poll_transmit();
            }
            socket.outgoing.flush().await
        };
        tokio::time::timeout(WRITTEN_WITHIN, write)
            .await
            .unwrap_or_else(|_| Err("the server does not read".into()))
    }

    /// Gives up what there is and tries again at `at`.
    pub(super) fn retry(&mut self, at: Duration) {
        *self = Self::Waiting(at);
    }

    /// Says goodbye to the socket.
    pub(super) async fn close(&mut self) {
        if let Self::Open(socket) = self {
            // Whether the server hears it or not, the program ends.
            let _ = tokio::time::timeout(Duration::from_secs(1), socket.outgoing.close()).await;
        }
    }
}
