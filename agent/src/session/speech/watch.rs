//! Whether the worker does what it is there for, while nothing comes from it.

use super::{Flow, Source, Task};
use crate::cluster::Error;
use std::time::Duration;

/// How long a worker may send nothing before it is asked for a sign of life, which may take another second.
pub(super) const QUIET_FOR: Duration = Duration::from_secs(1);
/// How long it may send nothing although it is alive.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(5);
/// What waits for the session for less has not really waited: it is taken at once, as clauses are.
const AT_ONCE: Duration = Duration::from_millis(20);

impl Task {
    /// Notes since when the worker may be blamed for what does not come. With `idle` nothing waits for the session.
    pub(super) fn watch(&mut self, idle: bool) {
        let now = self.clock.now();
        if !self.is_watched() {
            self.quiet_since = now;
        }
        if !self.owes_sound() {
            self.silent_since = now;
        }
        if !idle {
            self.waits_since.get_or_insert(now);
        } else if let Some(since) = self.waits_since.take()
            && now.saturating_sub(since) >= AT_ONCE
        {
            // It was the session that took nothing.
            self.quiet_since = now;
            self.silent_since = now;
        }
    }

    /// Whether it is the worker that the reply waits for, and not the responder, the session or the caller.
    pub(super) fn owes_sound(&self) -> bool {
        let Some(worker) = self.worker() else {
            return false;
        };
        match self.flow {
            Flow::Beginning => self.handed > 0,
            Flow::Sounding => worker.text().is_none() || self.handed < self.open.len(),
            Flow::Held => false,
        }
    }

    /// Whether the worker is to show that it is there: it has something to say, or may have it any moment.
    pub(super) fn is_watched(&self) -> bool {
        match self.flow {
            Flow::Beginning => self.worker().is_some() && self.handed > 0,
            Flow::Sounding => self.worker().is_some(),
            Flow::Held => false,
        }
    }

    /// Nothing has come from the worker for a while.
    pub(super) fn on_quiet(&mut self) {
        if let Source::Open(worker) = &self.source {
            let session = worker.session().clone();
            self.pulse.ask(self.clock.now(), session);
        }
    }

    /// The worker has shown that it is there, or has not.
    pub(super) fn on_pulse(&mut self, asked: Duration, is_alive: bool) {
        if self.quiet_since > asked {
            // What came meanwhile says more.
            return;
        }
        if !is_alive {
            return self.on_break(Error::Failed("it gives no sign of life".into()));
        }
        let now = self.clock.now();
        self.quiet_since = now;
        // How long the first sound of a worker that is alive may take is the dialog's to decide.
        if self.flow == Flow::Sounding && now.saturating_sub(self.silent_since) >= STALLED_AFTER {
            let seconds = STALLED_AFTER.as_secs();
            self.on_break(Error::Failed(format!("no sound came for {seconds} s")));
        }
    }
}
