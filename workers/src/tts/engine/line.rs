//! The clauses that wait for an engine's thread, and the thread that waits for them.

use super::Job;
use super::queue::{Full, Manner, Next, Queue};
use crate::tts::Error;
use media::clock::monotonic_ns;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between those who want something said and the thread that says it.
pub(super) struct Line {
    name: &'static str,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: Queue<Job>,
    /// Whether anything more may come.
    is_open: bool,
    /// Whether the thread lives.
    runs: bool,
    has_failed: bool,
}

impl Line {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                queue: Queue::new(),
                is_open: true,
                runs: true,
                has_failed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Takes a clause in; dropping the place that is returned takes it out again.
    pub(super) fn join(self: &Arc<Self>, job: Job) -> Result<Place, Error> {
        let class = job.clause.class;
        let manner = Manner {
            voice: job.clause.voice.clone(),
            speed: job.clause.speed,
        };
        let mut state = self.lock();
        if !state.is_open || !state.runs {
            return Err(Error::Stopped(self.name));
        }
        let number = state
            .queue
            .push(now(), class, manner, job)
            .map_err(|Full| Error::Busy(self.name))?;
        drop(state);
        self.changed.notify_all();
        Ok(Place {
            line: self.clone(),
            number,
        })
    }

    /// What the thread says next; waits for it. None when nothing more will come.
    pub(super) fn next_turn(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            state = match state.queue.next(now()) {
                Next::Turn(turn) => return Some(turn),
                Next::At(at) => {
                    let rest = at.saturating_sub(now());
                    let waited = self.changed.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                Next::Nothing if !state.is_open => return None,
                Next::Nothing => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// From now on so many clauses are said together.
    pub(super) fn say_together(&self, clauses: usize) {
        self.lock().queue.say_together(clauses);
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    pub(super) fn note_failed(&self, has_failed: bool) {
        self.lock().has_failed = has_failed;
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().is_open = false;
        self.changed.notify_all();
    }

    /// The thread ends; what still waits is given up.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.runs = false;
        let left = std::mem::replace(&mut state.queue, Queue::new());
        drop(state);
        self.changed.notify_all();
        // Outside the lock: whoever waits for one of these is told.
        drop(left);
    }

    /// Waits at most so long until the thread has ended.
    pub(super) fn wait_for_end(&self, most: Duration) {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, most, |state| state.runs);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clause's place in a queue; dropping it gives it up, if the clause has not had its turn.
pub(in crate::tts) struct Place {
    line: Arc<Line>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        // A guard in one expression with it would still be held when the clause is dropped.
        let job = self.line.lock().queue.cancel(self.number);
        drop(job);
    }
}

fn now() -> Duration {
    // The thread is outside the runtime, whose clock a test may hold.
    Duration::from_nanos(monotonic_ns())
}
