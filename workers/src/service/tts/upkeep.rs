//! What a worker looks after by itself: sessions that were forgotten, and the model that most callers get.

use super::Service;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

/// How often it looks for sessions that were forgotten: their models wait to be let go.
const SWEEP: Duration = Duration::from_secs(2);
/// From the first failure to load the default model to the next attempt; each further pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Service {
    /// Has forgotten sessions let go of their models, until `stop`.
    pub(crate) async fn sweep(&self, stop: CancellationToken) {
        while timeout(SWEEP, stop.cancelled()).await.is_err() {
            self.0.sessions.sweep(self.0.clock.now());
            self.0.tell_sessions();
        }
    }

    /// Tries again and again to load the default model whenever it could not be loaded, until `stop`.
    pub(crate) async fn keep_default(&self, stop: CancellationToken) {
        let trying = async {
            loop {
                self.0.condition.lacks_default().await;
                self.load_default().await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = trying => {}
        }
    }

    async fn load_default(&self) {
        let model = self.default_model();
        let mut pause = FIRST_PAUSE;
        loop {
            self.0.clock.until(self.0.clock.now() + pause).await;
            match self.load(model).await {
                Ok(_) => return info!(model, "The default model is loaded after all."),
                Err(error) => debug!(model, %error, "The default model still cannot be loaded."),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
