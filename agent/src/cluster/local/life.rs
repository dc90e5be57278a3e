//! When a process is started, asked how it is, given up and started again. No IO: it is told the time.
//!
//! ```text
//!                    ┌──────────────── ended ◄───────────────┬──────────────┐
//!                    ▼                                       │              │
//!   ──► Resting(until) ──due──► Starting(deadline) ──told──► Up ◄──► Unwell ──3 times silent, 30 s ill──► Killed ──┐
//!                    ▲                   └──deadline──────────────────────────────────────────────────────► │      │
//!                    └───────────────────────────────── ended ◄────────────────────────────────────────────────────┘
//!   any ──stop──► Draining(deadline) ──ended──► Gone
//! ```
//!
//! It rests for half a second, and twice as long each time that it ends again, up to 30 s; a minute of health makes it half a
//! second again.

use std::time::Duration;

/// How long a process may take until it says where it answers. Models are loaded after that.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// From an answer to the next question, and from a silence.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So many questions in a row without an answer, and it hangs. One alone may be a machine that is short of breath.
const SILENCES: u32 = 3;
/// How long it may answer that it cannot work.
const ILL_FOR: Duration = Duration::from_secs(30);
/// The first rest and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// So long without a fault, and earlier ones are forgotten.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How long it may take to end when it is told to: its own drain of ten seconds, and the last frames.
pub(super) const DRAINS_WITHIN: Duration = Duration::from_secs(12);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// It is time.
    Tick,
    /// The process said where it answers.
    Told,
    /// It was asked how it is.
    Answered(Answer),
    /// The process has ended, or could not be started.
    Ended,
    /// It is wanted no longer.
    Stop,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It works.
    Well,
    /// It answers that it cannot work.
    Ill,
    /// It does not answer.
    Silent,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Start the process.
    Spawn,
    /// Ask it how it is, and tell the answer.
    Ask,
    /// Kill it.
    Kill(Why),
    /// Tell it to end.
    Drain,
    /// It rests for so long.
    Rest {
        /// How long.
        pause: Duration,
        /// The last rest was another one, so that people want to hear of this.
        is_news: bool,
    },
    /// It has been well for so long that its faults are forgotten.
    Forgive,
}

/// Why a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It did not say where it answers.
    NeverTold,
    /// It hangs.
    Silent,
    /// It cannot work.
    Ill,
    /// It was told to end, and did not.
    Slow,
}

impl Why {
    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NeverTold => "it does not get to work",
            Self::Silent => "it gives no sign of life",
            Self::Ill => "its engine does not work",
            Self::Slow => "it does not end",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no process until then.
    Resting { until: Duration },
    /// There is one, and it has not said yet where it answers.
    Starting { deadline: Duration },
    /// It works. `ask` is when it is asked next; none while it is being asked.
    Up {
        since: Duration,
        ask: Option<Duration>,
    },
    /// It does not.
    Unwell {
        since: Duration,
        silences: u32,
        ask: Option<Duration>,
    },
    /// It was killed, and its end is on the way.
    Killed,
    /// It was told to end.
    Draining { deadline: Duration },
    /// It was killed because it did not end.
    Leaving,
    /// It has ended for good.
    Gone,
}

/// The life of one process after the other.
#[derive(Debug, Clone)]
pub(super) struct Life {
    state: State,
    /// The next rest.
    pause: Duration,
    /// The last one; none where its faults are forgotten.
    rested: Option<Duration>,
}

impl Life {
    /// The first process is due at once.
    pub(super) fn new() -> Self {
        Self {
            state: State::Resting {
                until: Duration::ZERO,
            },
            pause: FIRST,
            rested: None,
        }
    }

    /// When [`Input::Tick`] is due; none where there is nothing to wait for but the process.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Starting { deadline } | State::Draining { deadline } => Some(deadline),
            State::Up { ask, .. } | State::Unwell { ask, .. } => ask,
            State::Killed | State::Leaving | State::Gone => None,
        }
    }

    /// Whether it has ended for good.
    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Whether it was told to end.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(
            self.state,
            State::Draining { .. } | State::Leaving | State::Gone
        )
    }

    /// Whether there is a process that is of use, or will be.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(
            self.state,
            State::Starting { .. } | State::Up { .. } | State::Unwell { .. }
        )
    }

    /// Whether what happens now has not just happened in the same way: people are told of each step once.
    pub(super) fn is_news(&self) -> bool {
        self.rested != Some(self.pause)
    }

    /// What is to be done at `now`, after what happened.
    pub(super) fn handle(&mut self, now: Duration, input: Input) -> Option<Order> {
        match (self.state, input) {
            (State::Resting { .. } | State::Gone, Input::Stop) => self.enter(State::Gone, None),
            (State::Starting { .. } | State::Up { .. } | State::Unwell { .. }, Input::Stop) => {
                let deadline = now + DRAINS_WITHIN;
                self.enter(State::Draining { deadline }, Some(Order::Drain))
            }
            (State::Killed, Input::Stop) => self.enter(State::Leaving, None),
            (State::Draining { .. } | State::Leaving, Input::Ended) => {
                self.enter(State::Gone, None)
            }
            (
                State::Starting { .. } | State::Up { .. } | State::Unwell { .. } | State::Killed,
                Input::Ended,
            ) => self.rest(now),
            (State::Resting { until }, Input::Tick) if now >= until => {
                let deadline = now + STARTS_WITHIN;
                self.enter(State::Starting { deadline }, Some(Order::Spawn))
            }
            (State::Starting { deadline }, Input::Tick) if now >= deadline => {
                self.enter(State::Killed, Some(Order::Kill(Why::NeverTold)))
            }
            (State::Draining { deadline }, Input::Tick) if now >= deadline => {
                self.enter(State::Leaving, Some(Order::Kill(Why::Slow)))
            }
            (State::Starting { .. }, Input::Told) => {
                let ask = Some(now + ASK_EVERY);
                self.enter(State::Up { since: now, ask }, None)
            }
            (
                State::Up {
                    since,
                    ask: Some(at),
                },
                Input::Tick,
            ) if now >= at => self.enter(State::Up { since, ask: None }, Some(Order::Ask)),
            (
                State::Unwell {
                    since,
                    silences,
                    ask: Some(at),
                },
                Input::Tick,
            ) if now >= at => {
                let asked = State::Unwell {
                    since,
                    silences,
                    ask: None,
                };
                self.enter(asked, Some(Order::Ask))
            }
            (State::Up { since, .. }, Input::Answered(Answer::Well)) => {
                let ask = Some(now + ASK_EVERY);
                self.enter(State::Up { since, ask }, None);
                let is_well = now.saturating_sub(since) >= WELL_AFTER && self.rested.is_some();
                is_well.then(|| self.forgive())
            }
            (State::Unwell { .. }, Input::Answered(Answer::Well)) => {
                let ask = Some(now + ASK_EVERY);
                self.enter(State::Up { since: now, ask }, None)
            }
            (State::Up { .. }, Input::Answered(answer)) => self.worsen(now, now, 0, answer),
            (
                State::Unwell {
                    since, silences, ..
                },
                Input::Answered(answer),
            ) => self.worsen(now, since, silences, answer),
            // Too early, too late, or nothing new.
            (_, Input::Tick | Input::Told | Input::Answered(_) | Input::Ended | Input::Stop) => {
                None
            }
        }
    }

    /// It is not well, and has not been since then.
    fn worsen(
        &mut self,
        now: Duration,
        since: Duration,
        silences: u32,
        answer: Answer,
    ) -> Option<Order> {
        // Whoever answers at all does not hang.
        let silences = match answer {
            Answer::Silent => silences + 1,
            Answer::Ill | Answer::Well => 0,
        };
        if silences >= SILENCES {
            return self.enter(State::Killed, Some(Order::Kill(Why::Silent)));
        }
        if now.saturating_sub(since) >= ILL_FOR {
            return self.enter(State::Killed, Some(Order::Kill(Why::Ill)));
        }
        let pause = match silences {
            0 => ASK_EVERY,
            _ => ASK_AGAIN,
        };
        let unwell = State::Unwell {
            since,
            silences,
            ask: Some(now + pause),
        };
        self.enter(unwell, None)
    }

    fn rest(&mut self, now: Duration) -> Option<Order> {
        let is_news = self.is_news();
        let pause = self.pause;
        self.rested = Some(pause);
        self.pause = pause.saturating_mul(2).min(LONGEST);
        let until = now + pause;
        self.enter(
            State::Resting { until },
            Some(Order::Rest { pause, is_news }),
        )
    }

    fn forgive(&mut self) -> Order {
        self.pause = FIRST;
        self.rested = None;
        Order::Forgive
    }

    fn enter(&mut self, state: State, order: Option<Order>) -> Option<Order> {
        self.state = state;
        order
    }
}

#[cfg(test)]
mod tests;
