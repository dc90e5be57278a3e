//! Connections as they come in.

use crate::connection::Connection;
use futures_util::{Stream, stream};
use media::Clock;
use std::io;
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::{info, warn};

/// From the first failure to take a connection to the next attempt; each further pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What comes in at `listener`. It never ends and never fails: who cannot be taken now (the process may have no file descriptor
/// left) waits in the system's queue, and is taken when somebody else has gone.
pub(super) fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
    let state = (listener, Trouble::default(), Clock::start());
    stream::unfold(state, async |(listener, mut trouble, clock)| {
        loop {
            match listener.accept().await {
                Ok((connection, _)) => {
                    trouble.ends();
                    // Frames are small and late ones are worthless: none may wait for a fuller packet. A connection that is
                    // already gone says so when it is read.
                    let _ = connection.set_nodelay(true);
                    let state = (listener, trouble, clock);
                    return Some((Ok(Connection::new(connection)), state));
                }
                // The client gave up before its turn came.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => clock.until(clock.now() + trouble.pause(&error)).await,
            }
        }
    })
}

/// Failures to take a connection, one after the other.
#[derive(Debug, Default)]
struct Trouble {
    last_pause: Option<Duration>,
}

impl Trouble {
    /// It failed once more; how long to wait. The first time it is said.
    fn pause(&mut self, error: &io::Error) -> Duration {
        let pause = match self.last_pause {
            Some(last) => (last * 2).min(LONGEST_PAUSE),
            None => {
                warn!(%error, "No connection can be taken; those that come wait. Raise the limit of open files (ulimit -n).");
                FIRST_PAUSE
            }
        };
        *self.last_pause.insert(pause)
    }

    fn ends(&mut self) {
        if self.last_pause.take().is_some() {
            info!("Connections are taken again.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew_after_a_success() {
        let mut trouble = Trouble::default();
        let error = io::Error::other("too many open files");
        let pauses: Vec<u128> = (0..8).map(|_| trouble.pause(&error).as_millis()).collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        trouble.ends();
        assert_eq!(trouble.pause(&error), FIRST_PAUSE);
    }
}
