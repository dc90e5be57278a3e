//! How long a load may take, by the clock on the wall.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// An alarm. Dropping it ends its thread.
///
/// It is a thread and no timer of the runtime, because it watches threads: where a test lets the runtime's time leap, theirs does
/// not.
pub(super) struct Limit {
    over: oneshot::Receiver<()>,
    _wanted: SyncSender<()>,
}

impl Limit {
    /// Goes off after `limit`.
    pub(super) fn start(limit: Duration) -> Self {
        let (wanted, unwanted) = sync_channel::<()>(0);
        let (tell, over) = oneshot::channel();
        let watch = move || {
            if unwanted.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Whoever waited may have gone.
                let _ = tell.send(());
            }
        };
        // Without a thread there is no limit, which is no reason not to load.
        let _ = thread::Builder::new()
            .name("parlor-limit".to_owned())
            .spawn(watch);
        Self {
            over,
            _wanted: wanted,
        }
    }

    /// Waits for it to go off. Cancel-safe.
    pub(super) async fn over(&mut self) {
        if (&mut self.over).await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_goes_off_when_its_time_is_over_and_not_before() {
        let mut long = Limit::start(Duration::from_secs(3_600));
        let mut short = Limit::start(Duration::from_millis(1));
        tokio::select! {
            biased;
            () = long.over() => panic!("an hour is longer than a millisecond"),
            () = short.over() => {}
        }
    }
}
