//! Which clause an engine says next: callers before batch work, and nobody waits for ever.
//!
//! ```text
//!   real-time ──► one clause a turn, in the order in which they came
//!   batch     ──► when no caller waits: clauses of one voice and speed, up to as many as the engine says together, at the
//!                 latest 75 ms after the first of them; one that has waited 2 s takes its place among the callers, in every
//!                 second turn at most
//! ```

use crate::tts::Class;
use std::collections::VecDeque;
use std::time::Duration;

/// Clauses that may wait. A caller has one clause in the engine at a time, so this is more than all sessions need.
pub(super) const PLACES: usize = 512;
/// Places that batch work may take; the others are kept for callers.
pub(super) const BATCH_PLACES: usize = PLACES / 2;
/// A batch clause that has waited so long goes before callers who came after it.
pub(super) const AGED: Duration = Duration::from_secs(2);
/// Clauses that are said together at most. More would hold up a caller who comes meanwhile for longer.
pub const TOGETHER: usize = 8;
/// The first clause of a batch waits so long for others.
pub(super) const WINDOW: Duration = Duration::from_millis(75);

/// How something is said; only what is said in the same manner is said together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manner {
    /// The voice's name.
    pub voice: String,
    /// 1.0 is the voice's own pace.
    pub speed: f32,
}

/// What an engine does next.
#[derive(Debug, PartialEq)]
pub(super) enum Next<T> {
    /// It says these, in this order.
    Turn(Vec<T>),
    /// It asks again when something comes, or at this time.
    At(Duration),
    /// It asks again when something comes.
    Nothing,
}

/// There is no place left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The clauses that wait for one engine. It is told the time.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Clauses that the engine says together; 1: it gains nothing by that.
    together: usize,
    callers: VecDeque<Waiting<T>>,
    batch: VecDeque<Waiting<T>>,
    /// The number of the next clause; none is used twice.
    next_number: u64,
    /// Whether the last turn was one of batch work.
    after_batch: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    since: Duration,
    manner: Manner,
    item: T,
}

impl<T> Queue<T> {
    /// Nothing waits yet, and clauses are said one by one.
    pub(super) fn new() -> Self {
        Self {
            together: 1,
            callers: VecDeque::new(),
            batch: VecDeque::new(),
            next_number: 0,
            after_batch: false,
        }
    }

    /// From now on so many clauses are said together, 8 at most.
    pub(super) fn say_together(&mut self, clauses: usize) {
        self.together = clauses.clamp(1, TOGETHER);
    }

    /// Takes something in, and gives it a number to be cancelled by.
    pub(super) fn push(
        &mut self,
        now: Duration,
        class: Class,
        manner: Manner,
        item: T,
    ) -> Result<u64, Full> {
        let is_full = match class {
            Class::RealTime => self.len() >= PLACES,
            Class::Batch => self.batch.len() >= BATCH_PLACES || self.len() >= PLACES,
        };
        if is_full {
            return Err(Full);
        }
        let number = self.next_number;
        self.next_number += 1;
        let waiting = Waiting {
            number,
            since: now,
            manner,
            item,
        };
        match class {
            Class::RealTime => self.callers.push_back(waiting),
            Class::Batch => self.batch.push_back(waiting),
        }
        Ok(number)
    }

    /// Takes something out again; none if it has had its turn.
    pub(super) fn cancel(&mut self, number: u64) -> Option<T> {
        [&mut self.callers, &mut self.batch]
            .into_iter()
            .find_map(|class| {
                // Both are in the order of their numbers.
                let at = class.binary_search_by_key(&number, |waiting| waiting.number);
                class.remove(at.ok()?)
            })
            .map(|waiting| waiting.item)
    }

    /// What is said next.
    pub(super) fn next(&mut self, now: Duration) -> Next<T> {
        if !self.batch_goes_first(now)
            && let Some(caller) = self.callers.pop_front()
        {
            self.after_batch = false;
            return Next::Turn(vec![caller.item]);
        }
        let Some(first) = self.batch.front() else {
            return Next::Nothing;
        };
        let manner = first.manner.clone();
        let due = first.since + WINDOW;
        if now < due {
            let alike = self.batch.iter().filter(|other| other.manner == manner);
            if alike.take(self.together).count() < self.together {
                return Next::At(due);
            }
        }
        let mut turn = Vec::new();
        let mut left = VecDeque::with_capacity(self.batch.len());
        for waiting in self.batch.drain(..) {
            if turn.len() < self.together && waiting.manner == manner {
                turn.push(waiting.item);
            } else {
                left.push_back(waiting);
            }
        }
        self.batch = left;
        self.after_batch = true;
        Next::Turn(turn)
    }

    /// Whether the oldest batch clause has waited long enough to go before a caller who came after it. Of two turns in a row
    /// one is a caller's: much batch work that has grown old must not make every caller wait for all of it.
    fn batch_goes_first(&self, now: Duration) -> bool {
        let (Some(batch), Some(caller)) = (self.batch.front(), self.callers.front()) else {
            return false;
        };
        let is_aged = now.saturating_sub(batch.since) >= AGED;
        is_aged && batch.number < caller.number && !self.after_batch
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.callers.len() + self.batch.len()
    }
}

#[cfg(test)]
mod tests;
