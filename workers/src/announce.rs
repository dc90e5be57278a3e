//! Keeps a worker's record in the registry, so that agents find it.
//!
//! ```text
//!                    ┌── every 2 s: is it there? has something changed? ──┐
//!   announce ──ok──► known ──every 10 s, lost, changed────────────────► announce
//!       └──failed──► again after 1 s
//! ```

use media::Clock;
use proto::registry::{WorkerRecord, metric as name};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long the registry may take to answer. One that is cut off answers nothing at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AnnounceError(pub String);

/// A registry, as workers see it.
#[tonic::async_trait]
pub trait Announcer: Send + Sync + 'static {
    /// Writes the record, which is forgotten after `ttl` unless it is written again.
    async fn announce(&self, record: &WorkerRecord, ttl: Duration) -> Result<(), AnnounceError>;

    /// Whether the record of this worker is there.
    async fn is_known(&self, name: &str) -> Result<bool, AnnounceError>;

    /// Removes the record of this worker.
    async fn withdraw(&self, name: &str) -> Result<(), AnnounceError>;
}

/// How often a worker tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From one writing of the record to the next.
    pub heartbeat: Duration,
    /// How long the record stays without that.
    pub ttl: Duration,
    /// How often the worker looks whether the record is there, and whether it is still true.
    pub look: Duration,
    /// From a failure to the next attempt.
    pub retry: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            ttl: Duration::from_secs(30),
            look: Duration::from_secs(2),
            retry: Duration::from_secs(1),
        }
    }
}

/// A worker's presence in the registry.
pub(crate) struct Presence {
    announcer: Arc<dyn Announcer>,
    rhythm: Rhythm,
    /// What there is to tell now.
    record: Box<dyn Fn() -> WorkerRecord + Send + Sync>,
    clock: Clock,
    /// What was told last, and when.
    told: Option<(WorkerRecord, Duration)>,
    is_failing: bool,
}

impl Presence {
    pub(crate) fn new(
        announcer: Arc<dyn Announcer>,
        rhythm: Rhythm,
        record: impl Fn() -> WorkerRecord + Send + Sync + 'static,
    ) -> Self {
        Self {
            announcer,
            rhythm,
            record: Box::new(record),
            clock: Clock::start(),
            told: None,
            is_failing: false,
        }
    }

    /// Keeps the record there until `ended`, and then removes it. When `draining` is cancelled the record is written at once.
    pub(crate) async fn run(mut self, draining: CancellationToken, ended: CancellationToken) {
        let mut knows_of_drain = false;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                () = self.step() => {}
            }
            let pause = match self.is_failing {
                true => self.rhythm.retry,
                false => self.rhythm.look,
            };
            let next = self.clock.now() + pause;
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                () = draining.cancelled(), if !knows_of_drain => {
                    knows_of_drain = true;
                    self.told = None;
                }
                () = self.clock.until(next) => {}
            }
        }
        let name = (self.record)().name;
        let withdrawn = answer(self.announcer.withdraw(&name)).await;
        metrics::gauge!(crate::metric::WORKER_REGISTERED).set(0.0);
        if let Err(error) = withdrawn {
            // It is forgotten in time.
            info!(%error, "The registry could not be told that the worker ends.");
        }
    }

    /// Writes the record if that is due.
    async fn step(&mut self) {
        let record = (self.record)();
        let due = match &self.told {
            _ if self.is_failing => Ok(true),
            None => Ok(true),
            Some((told, at)) => {
                let is_old = self.clock.now().saturating_sub(*at) >= self.rhythm.heartbeat;
                if is_old || differs(told, &record) {
                    Ok(true)
                } else {
                    let known = answer(self.announcer.is_known(&record.name)).await;
                    known.map(|is_known| !is_known)
                }
            }
        };
        let done = match due {
            Ok(false) => Ok(()),
            Ok(true) => self.write(record).await,
            Err(error) => Err(error),
        };
        self.note(done);
    }

    async fn write(&mut self, record: WorkerRecord) -> Result<(), AnnounceError> {
        answer(self.announcer.announce(&record, self.rhythm.ttl)).await?;
        self.told = Some((record, self.clock.now()));
        Ok(())
    }

    /// Each change for the worse or the better is said once.
    fn note(&mut self, done: Result<(), AnnounceError>) {
        let registered = metrics::gauge!(crate::metric::WORKER_REGISTERED);
        match done {
            Ok(()) => {
                registered.set(1.0);
                if std::mem::take(&mut self.is_failing) {
                    info!("The registry knows this worker again.");
                }
            }
            Err(error) => {
                registered.set(0.0);
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%error, "The registry cannot be told of this worker; it tries again every second.");
                }
            }
        }
    }
}

/// Whether agents would choose otherwise if they knew.
fn differs(told: &WorkerRecord, now: &WorkerRecord) -> bool {
    let metric = |name| told.metric(name) != now.metric(name);
    told.resident_models != now.resident_models
        || metric(name::SLOTS_IN_USE)
        || metric(name::DRAINING)
}

async fn answer<T>(
    asked: impl Future<Output = Result<T, AnnounceError>>,
) -> Result<T, AnnounceError> {
    let silent = |_| AnnounceError("the registry does not answer".to_owned());
    timeout(PATIENCE, asked).await.map_err(silent)?
}

#[cfg(test)]
mod tests;
