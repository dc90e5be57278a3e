//! Worker processes that this program starts itself: an engine that brings its process down takes no call with it.
//!
//! ```text
//!   settings ──► plans ──► a keeper each ──spawn, kill──► parlor worker --parent
//!                              │ ▲                             │
//!                            fleet └── a record a line ◄───────┘
//! ```
//!
//! A keeper asks its process every two seconds how it is, and starts it again when it has ended or hangs. What is in the fleet
//! is there and reachable: a process that has gone is taken out at once, and not after the time that a registry leaves it.

mod handover;
mod keeper;
mod life;
mod lines;
mod parent;
mod plan;
mod process;

pub use handover::Handover;
pub use parent::Parent;
pub use plan::Launch;

use super::Cluster;
use super::credentials::{Access, Certificates};
use crate::config::Config;
use keeper::{Keeper, Shared};
use media::Clock;
use plan::Plan;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// How long the program waits at its start for its processes: then it takes calls without those that are not there yet.
const AWAITED_FOR: Duration = Duration::from_secs(3);
/// How long they may take to end: what a process may take, and a moment for it to be killed.
const END_WITHIN: Duration = Duration::from_secs(14);

/// Why the processes are not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Some were asked for what is not there.
    #[error(
        "the worker process {} cannot start, and says why above; mend that, or change cluster.local (or stt.adapter, for a \
         recogniser that runs apart)",
        .names.join(" and ")
    )]
    Unable {
        /// Their names.
        names: Vec<String>,
    },
    /// What they are told cannot be written down.
    #[error("the settings cannot be handed to worker processes: {0}")]
    Handover(#[from] serde_json::Error),
    /// What they are shown cannot be made.
    #[error("cannot set up the way to worker processes: {0}")]
    Access(#[from] super::credentials::Error),
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first one has not said yet where it answers.
    Starting,
    /// It is in the fleet.
    Up,
    /// It is not there, and will be tried again.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    phase: Phase,
    pid: Option<u32>,
    /// The first process said that it was asked for what is not there.
    was_unable: bool,
}

/// A process for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The worker's name.
    pub name: String,
    /// The number that the system knows it by, while there is one.
    pub pid: Option<u32>,
    /// It takes work.
    pub is_up: bool,
}

/// The worker processes of this program. They end with it, and when this is dropped.
pub struct Local {
    processes: Vec<(String, watch::Receiver<Status>)>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Local {
    /// Starts the processes that the settings want, and waits a moment for them.
    ///
    /// # Errors
    /// [`Error::Unable`] when one of them says that it cannot start as it is asked to.
    pub async fn start(config: &Config, launch: Launch, cluster: &Cluster) -> Result<Self, Error> {
        let mut local = Self {
            processes: Vec::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let plans = Plan::of(&config.local_workers());
        if plans.is_empty() {
            return Ok(local);
        }
        let token = SecretString::from(format!(
            "{:032x}{:032x}",
            rand::random::<u128>(),
            rand::random::<u128>()
        ));
        let shared = Arc::new(Shared {
            launch,
            handover: Handover::new(config, &token).to_line()?,
            access: Access::new(Some(&token), Certificates::default())?,
            cluster: cluster.clone(),
            has_new_voices: Notify::new(),
            clock: Clock::start(),
            stop: local.stop.clone(),
        });
        for plan in plans {
            let begin = Status {
                phase: Phase::Starting,
                pid: None,
                was_unable: false,
            };
            let (tell, status) = watch::channel(begin);
            local.processes.push((plan.name.clone(), status));
            let keeper = Keeper::new(plan, shared.clone(), tell);
            local.tasks.spawn(keeper.run());
        }
        local.tasks.spawn(ask_voices(shared));
        local.await_start().await?;
        Ok(local)
    }

    async fn await_start(&self) -> Result<(), Error> {
        let told = async {
            for (_, status) in &self.processes {
                let mut status = status.clone();
                // A keeper that has ended has nothing more to tell.
                let _ = status
                    .wait_for(|status| status.phase != Phase::Starting)
                    .await;
            }
        };
        if timeout(AWAITED_FOR, told).await.is_err() {
            warn!(
                workers = self.down().join(" "),
                "Worker processes are not up yet; calls go on without them."
            );
        }
        let unable = self.processes.iter();
        let names: Vec<String> = unable
            .filter(|(_, status)| status.borrow().was_unable)
            .map(|(name, _)| name.clone())
            .collect();
        match names.is_empty() {
            true => Ok(()),
            false => Err(Error::Unable { names }),
        }
    }

    /// All of them.
    pub fn seen(&self) -> Vec<Process> {
        let seen = self.processes.iter().map(|(name, status)| {
            let Status { phase, pid, .. } = *status.borrow();
            Process {
                name: name.clone(),
                pid,
                is_up: phase == Phase::Up,
            }
        });
        seen.collect()
    }

    /// The names of those that are not there now.
    pub fn down(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.filter(|process| !process.is_up)
            .map(|process| process.name)
            .collect()
    }

    /// Tells the processes to end, and waits until they have. Each may let what is being said end for ten seconds.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(END_WITHIN, self.tasks.wait()).await.is_err() {
            warn!("A worker process does not end; it is left behind.");
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Asks processes that have come for their voices, so that callers can choose them at once.
async fn ask_voices(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.has_new_voices.notified() => shared.cluster.ask_voices().await,
        }
    }
}
