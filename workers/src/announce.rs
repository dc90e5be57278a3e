//! Keeps a worker's record in the registry, so that agents find it.
//!
//! ```text
//!                    ┌── every 2 s: is it there? has something changed? ──┐
//!   announce ──ok──► known ──every 10 s, lost, changed────────────────► announce
//!       └──failed──► again after 1 s
//! ```
//!
//! A name is one worker's (`rival.rs`): one that finds it with another who is alive does not start, and one that finds that later
//! keeps quiet as long as the other is there, since agents would otherwise see one worker jump to and fro.

mod place;
mod rival;

use media::Clock;
pub(crate) use place::is_only_here;
use proto::registry::{WorkerRecord, metric as name};
use rival::{Name, Rivals};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
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

    /// What is there under the name of this record.
    async fn found(&self, own: &WorkerRecord) -> Result<Found, AnnounceError>;

    /// Removes this record, unless somebody else's is there by now.
    async fn withdraw(&self, record: &WorkerRecord) -> Result<(), AnnounceError>;

    /// Whether the registry is on this host, so that perhaps no other host's agents read it.
    fn is_on_this_host(&self) -> bool {
        true
    }
}

/// What a registry has under a worker's name.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing, or nothing that is a record.
    Nothing,
    /// What this worker wrote there.
    Own,
    /// What another worker of the same name wrote, one with another address.
    Another(Box<WorkerRecord>),
}

impl Found {
    /// What it is to a worker with the record `own` that `record` is found under its name.
    pub fn of(record: Option<WorkerRecord>, own: &WorkerRecord) -> Self {
        match record {
            None => Self::Nothing,
            Some(record) if record.addr == own.addr => Self::Own,
            Some(record) => Self::Another(Box::new(record)),
        }
    }
}

/// Another worker has the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The name.
    pub name: String,
    /// Where the other answers.
    pub addr: String,
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
    /// Told when there is something new to tell, which does not wait for the next look.
    changed: Arc<Notify>,
    clock: Clock,
    /// What was told last, and when.
    told: Option<(WorkerRecord, Duration)>,
    rivals: Rivals,
    /// Where another worker is that has the name.
    yields_to: Option<String>,
    is_failing: bool,
}

impl Presence {
    pub(crate) fn new(
        announcer: Arc<dyn Announcer>,
        rhythm: Rhythm,
        record: impl Fn() -> WorkerRecord + Send + Sync + 'static,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            announcer,
            rhythm,
            record: Box::new(record),
            changed,
            clock: Clock::start(),
            told: None,
            rivals: Rivals::new(rhythm.ttl),
            yields_to: None,
            is_failing: false,
        }
    }

    /// Waits until it is known whether the name is free. That takes no time unless another worker's record is there, and then as
    /// long as that may stay without being written again.
    ///
    /// # Errors
    /// [`Taken`] by a worker that is alive.
    pub(crate) async fn claim(&mut self) -> Result<(), Taken> {
        // Who drains ends in time, or it is in no hurry and keeps its name.
        let until = self.clock.now() + self.rhythm.ttl + self.rhythm.look;
        loop {
            let own = (self.record)();
            let Ok((name, _)) = self.look(&own).await else {
                // Where there is no registry there is no other name. Should one be there later, it is seen then.
                return Ok(());
            };
            let now = self.clock.now();
            match name {
                Name::Taken(other) if !other.is_draining() || now >= until => {
                    return Err(Taken {
                        name: own.name,
                        addr: other.addr,
                    });
                }
                Name::Free => return Ok(()),
                Name::Unclear if now >= until => return Ok(()),
                Name::Taken(_) | Name::Unclear => {}
            }
            self.clock.until(now + self.rhythm.look).await;
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
                () = self.changed.notified() => {}
                () = self.clock.until(next) => {}
            }
        }
        let record = (self.record)();
        let withdrawn = answer(self.announcer.withdraw(&record)).await;
        metrics::gauge!(crate::metric::WORKER_REGISTERED).set(0.0);
        if let Err(error) = withdrawn {
            // It is forgotten in time.
            info!(%error, "The registry could not be told that the worker ends.");
        }
    }

    /// Writes the record if that is due and the name is free.
    async fn step(&mut self) {
        let record = (self.record)();
        let done = match self.look(&record).await {
            Err(error) => Err(error),
            Ok((Name::Taken(other), _)) => return self.yield_to(other.addr),
            Ok((Name::Unclear, _)) => return,
            Ok((Name::Free, is_there)) => match is_there && !self.is_due(&record) {
                true => Ok(()),
                false => self.write(record).await,
            },
        };
        self.note(done);
    }

    /// Whose the name is, and whether the record is there.
    async fn look(&mut self, own: &WorkerRecord) -> Result<(Name, bool), AnnounceError> {
        let found = answer(self.announcer.found(own)).await?;
        let is_there = found == Found::Own;
        let name = self.rivals.judge(found, self.clock.now()).await;
        Ok((name, is_there))
    }

    /// Whether the record is to be written although it is there.
    fn is_due(&self, record: &WorkerRecord) -> bool {
        let Some((told, at)) = &self.told else {
            return true;
        };
        let is_old = self.clock.now().saturating_sub(*at) >= self.rhythm.heartbeat;
        self.is_failing || is_old || differs(told, record)
    }

    /// Another worker has the name and is alive: agents find that one.
    fn yield_to(&mut self, addr: String) {
        metrics::gauge!(crate::metric::WORKER_REGISTERED).set(0.0);
        // What was told is no longer there.
        self.told = None;
        if self.yields_to.as_ref() != Some(&addr) {
            warn!(
                other = addr,
                "Another worker has the same name, and agents find that one instead of this; give one of them another with --name."
            );
            self.yields_to = Some(addr);
        }
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
                let yielded = self.yields_to.take().is_some();
                if std::mem::take(&mut self.is_failing) || yielded {
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
