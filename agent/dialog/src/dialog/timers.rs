//! What happens because nothing else did.

use super::{Dialog, Prompting};
use crate::event::EndReason;
use crate::state::{Hold, Phase, Purpose, State};
use crate::time::SessionTime;
use crate::turn::TurnEnd;

/// Why time matters next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The user's turn ends.
    Turn(TurnEnd),
    /// Speech over a reply has lasted.
    Overlap,
    /// It stayed quiet after speech without words.
    FalseAlarm,
    /// A reply takes too long to be heard.
    Preparing,
    /// A goodbye takes too long to end.
    Goodbye,
    /// Nobody says anything.
    Silence,
    /// Nothing happens.
    Idle,
    /// The call is long enough.
    Duration,
}

impl Dialog {
    /// Meets every deadline up to `now`, each at its own moment, or at the present one if it passed unseen.
    pub(super) fn meet_deadlines(&mut self, now: SessionTime) {
        while let Some((at, deadline)) = self.next_deadline().filter(|(at, _)| *at <= now) {
            self.now = self.now.max(at);
            self.meet(deadline);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<(SessionTime, Deadline)> {
        // Of two at the same moment the first wins: the limits of the call come before what happens in it.
        [
            self.duration_deadline(),
            self.idle_deadline(),
            self.floor_deadline(),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    fn floor_deadline(&self) -> Option<(SessionTime, Deadline)> {
        let policy = &self.policy;
        match &self.state {
            State::Idle | State::Terminated { .. } => None,
            State::Listening => self
                .turn
                .end(policy)
                .map(|(at, end)| (at, Deadline::Turn(end))),
            State::Speaking {
                phase: Phase::Preparing { since },
                ..
            } => Some((*since + policy.prepare_timeout, Deadline::Preparing)),
            State::Speaking {
                reply,
                phase: Phase::Playing { since },
            } => match reply.purpose {
                // Nothing comes after a goodbye that could notice that it is stuck.
                Purpose::Goodbye(_) => Some((*since + policy.goodbye_timeout, Deadline::Goodbye)),
                Purpose::Answer(_)
                | Purpose::Greeting
                | Purpose::Reprompt
                | Purpose::Apology
                | Purpose::Text(_) => None,
            },
            State::BargedIn { hold, .. } => match hold {
                Hold::Overlap { since } => Some((*since + policy.overlap, Deadline::Overlap)),
                Hold::Quiet { since, .. } => {
                    Some((*since + policy.resume_after, Deadline::FalseAlarm))
                }
                Hold::Button => None,
            },
            State::WaitingForInput { since } => match self.prompting {
                Prompting::No => None,
                Prompting::Yes { .. } => policy
                    .reprompt_after
                    .map(|after| (*since + after, Deadline::Silence)),
            },
        }
    }

    /// While the agent speaks, something happens: a long text is not a dead call.
    fn idle_deadline(&self) -> Option<(SessionTime, Deadline)> {
        match self.state {
            State::Idle
            | State::Listening
            | State::BargedIn { .. }
            | State::WaitingForInput { .. } => Some((
                self.last_input_at + self.policy.idle_timeout?,
                Deadline::Idle,
            )),
            State::Speaking { .. } | State::Terminated { .. } => None,
        }
    }

    fn duration_deadline(&self) -> Option<(SessionTime, Deadline)> {
        let at = self.connected_at? + self.policy.duration_limit?;
        let is_ending = match self.state.reply().map(|reply| &reply.purpose) {
            Some(Purpose::Goodbye(reason)) => *reason != EndReason::Silence,
            Some(
                Purpose::Answer(_)
                | Purpose::Greeting
                | Purpose::Reprompt
                | Purpose::Apology
                | Purpose::Text(_),
            )
            | None => {
                matches!(self.state, State::Terminated { .. })
            }
        };
        (!is_ending).then_some((at, Deadline::Duration))
    }

    fn meet(&mut self, deadline: Deadline) {
        match deadline {
            Deadline::Turn(end) => self.turn_ended(end),
            Deadline::Overlap => self.interrupt(),
            Deadline::FalseAlarm => self.resume(),
            Deadline::Preparing => self.give_up_reply(),
            Deadline::Goodbye => {
                if let Some(purpose) = self.cancel() {
                    self.after(purpose);
                }
            }
            Deadline::Silence => self.break_the_silence(),
            Deadline::Idle => self.hang_up(EndReason::IdleTimeout),
            Deadline::Duration => {
                self.cancel();
                self.say_goodbye(EndReason::DurationLimit);
            }
        }
    }

    fn turn_ended(&mut self, end: TurnEnd) {
        let (words, counted) = match end {
            TurnEnd::Complete => self.turn.take(),
            TurnEnd::GiveUp => self.turn.give_up(),
        };
        if words.is_empty() {
            self.release_floor()
        } else {
            self.answer(words, counted)
        }
    }

    fn break_the_silence(&mut self) {
        let Prompting::Yes { said } = self.prompting else {
            return;
        };
        if said < self.policy.reprompts {
            self.prompting = Prompting::Yes { said: said + 1 };
            self.begin(Purpose::Reprompt);
        } else {
            self.say_goodbye(EndReason::Silence);
        }
    }
}
