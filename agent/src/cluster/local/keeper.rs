//! Keeps one worker process running: one task, one process at a time.

use super::life::{Input, Life, Order, Why};
use super::lines::Line;
use super::plan::{Launch, Plan};
use super::process::{Happened, Process};
use super::{Phase, Status};
use crate::cluster::Cluster;
use crate::cluster::credentials::Access;
use crate::telemetry::metrics as names;
use media::Clock;
use secrecy::SecretString;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// The exit code of those who were asked for what is not there.
const ASKED_WRONGLY: i32 = 2;

/// What all processes have in common.
pub(super) struct Shared {
    pub launch: Launch,
    /// What each is told on its standard input.
    pub handover: SecretString,
    /// What each wants to be shown.
    pub access: Access,
    pub cluster: Cluster,
    /// There are voices to be asked for.
    pub has_new_voices: Notify,
    pub clock: Clock,
    pub stop: CancellationToken,
}

/// Keeps one process running.
pub(super) struct Keeper {
    plan: Plan,
    shared: Arc<Shared>,
    status: watch::Sender<Status>,
    life: Life,
    running: Option<Process>,
    /// Processes started so far.
    started: u64,
    /// The process has said something that was no record, and people were told.
    is_odd: bool,
}

impl Keeper {
    pub(super) fn new(plan: Plan, shared: Arc<Shared>, status: watch::Sender<Status>) -> Self {
        Self {
            plan,
            shared,
            status,
            life: Life::new(),
            running: None,
            started: 0,
            is_odd: false,
        }
    }

    /// Keeps the process running until it is wanted no longer, and then until it has ended.
    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        while !self.life.is_gone() {
            let due = self.life.next_timeout();
            tokio::select! {
                biased;
                () = shared.stop.cancelled(), if !self.life.is_stopping() => self.take(Input::Stop).await,
                happened = Process::next(&mut self.running) => self.heed(happened).await,
                () = shared.clock.until_some(due) => self.take(Input::Tick).await,
            }
        }
    }

    async fn heed(&mut self, happened: Happened) {
        match happened {
            Happened::Said(line) => {
                if self.hear(line) {
                    self.take(Input::Told).await;
                }
            }
            // It may not have ended; it is of no use any more.
            Happened::Quiet => self.give_up(),
            Happened::Answered(answer) => self.take(Input::Answered(answer)).await,
            Happened::Ended(ended) => {
                let how = match &ended {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                let code = ended.ok().and_then(|status| status.code());
                self.ended(&how, code);
            }
        }
    }

    /// Does what there is to do after an input.
    async fn take(&mut self, input: Input) {
        let now = self.shared.clock.now();
        match self.life.handle(now, input) {
            None | Some(Order::Rest { .. }) => {}
            Some(Order::Spawn) => self.spawn().await,
            Some(Order::Ask) => {
                if let Some(running) = &mut self.running {
                    running.ask();
                }
            }
            Some(Order::Kill(why)) => self.kill(why),
            Some(Order::Drain) => {
                self.leave();
                if let Some(running) = &mut self.running {
                    running.drain().await;
                }
            }
            Some(Order::Forgive) => {
                info!(worker = self.plan.name, "A worker process is well again.");
            }
        }
    }

    async fn spawn(&mut self) {
        if self.started > 0 {
            let workers = &self.plan.workers;
            metrics::counter!(
                names::LOCAL_WORKER_RESTARTS_TOTAL,
                "kind" => workers.kind.to_string(),
                "adapter" => workers.adapter.clone()
            )
            .increment(1);
        }
        self.started += 1;
        self.is_odd = false;
        let Shared {
            launch, handover, ..
        } = &*self.shared;
        match Process::spawn(&self.plan, launch, handover).await {
            Ok(process) => {
                let pid = process.pid();
                debug!(worker = self.plan.name, pid, "A process was started.");
                self.status.send_modify(|status| {
                    // Whoever waits for the start waits for the first process alone.
                    if self.started <= 1 {
                        status.phase = Phase::Starting;
                    }
                    status.pid = pid;
                });
                self.running = Some(process);
            }
            Err(error) => self.ended(&format!("cannot start it: {error}"), None),
        }
    }

    /// A process has ended, with this exit code, if it had one.
    fn ended(&mut self, how: &str, code: Option<i32>) {
        self.leave();
        let is_first = self.status.borrow().phase == Phase::Starting && self.started <= 1;
        self.running = None;
        self.status.send_modify(|status| {
            status.phase = Phase::Down;
            status.pid = None;
            status.was_unable |= is_first && code == Some(ASKED_WRONGLY);
        });
        let worker = &self.plan.name;
        let now = self.shared.clock.now();
        match self.life.handle(now, Input::Ended) {
            Some(Order::Rest { pause, is_news }) => {
                let again_in_ms = pause.as_millis() as u64;
                match (is_news, code) {
                    (false, _) => debug!(worker, how, again_in_ms, "A worker process ended."),
                    (true, Some(ASKED_WRONGLY)) => error!(
                        worker,
                        how, again_in_ms, "A worker process cannot start, and says why above."
                    ),
                    (true, _) => warn!(
                        worker,
                        how, again_in_ms, "A worker process ended and is started again."
                    ),
                }
            }
            // It was told to.
            _ => debug!(worker, how, "A worker process has ended."),
        }
    }

    /// Takes what the process says about itself. `true` if it can be reached.
    fn hear(&mut self, line: Line) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        if !self.life.is_wanted() {
            // What it said before it was given up.
            return false;
        }
        let (record, way) = match running.hear(line, &self.plan, &self.shared.access) {
            Ok(known) => known,
            Err(wrong) => {
                if !std::mem::replace(&mut self.is_odd, true) {
                    let worker = &self.plan.name;
                    warn!(worker, wrong, "A worker process says what is no record.");
                }
                return false;
            }
        };
        if self.status.borrow().phase != Phase::Up {
            let (worker, addr) = (&record.name, &record.addr);
            match self.life.is_news() {
                true => info!(worker, addr, "A worker process is up."),
                false => debug!(worker, addr, "A worker process is up."),
            }
        }
        if self.shared.cluster.fleet().settle(record, &way) {
            self.shared.has_new_voices.notify_one();
        }
        // Told last, for those who wait for it look at the fleet then.
        self.status.send_modify(|status| status.phase = Phase::Up);
        true
    }

    fn kill(&mut self, why: Why) {
        let (worker, why) = (&self.plan.name, why.name());
        match self.life.is_news() {
            true => warn!(worker, why, "A worker process is killed."),
            false => debug!(worker, why, "A worker process is killed."),
        }
        self.give_up();
    }

    fn give_up(&mut self) {
        self.leave();
        if let Some(running) = &mut self.running {
            running.kill();
        }
    }

    /// Nobody is to be sent there any more.
    fn leave(&self) {
        self.shared.cluster.fleet().remove(&self.plan.name);
        self.status.send_if_modified(|status| {
            let was_up = status.phase == Phase::Up;
            if was_up {
                status.phase = Phase::Down;
            }
            was_up
        });
    }
}
