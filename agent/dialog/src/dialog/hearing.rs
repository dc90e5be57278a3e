//! What the ear and the recogniser hear, and what it means for the floor.

use super::{Dialog, Prompting};
use crate::event::Output;
use crate::policy::Mode;
use crate::state::{Hold, Phase, State};
use crate::time::SessionTime;
use crate::words::Words;
use std::time::Duration;

impl Dialog {
    pub(super) fn speech_started(&mut self, onset: SessionTime) {
        let onset = onset.min(self.now);
        self.turn.speech_started(onset);
        if self.prompting == Prompting::No {
            self.prompting = Prompting::Yes { said: 0 };
        }
        let interrupts = self.reply_may_be_interrupted();
        match &mut self.state {
            State::Idle | State::Terminated { .. } | State::Listening => {}
            State::WaitingForInput { .. } => self.enter(State::Listening),
            State::BargedIn { hold, .. } => match hold {
                Hold::Quiet { .. } => *hold = Hold::Overlap { since: onset },
                Hold::Overlap { .. } | Hold::Button => {}
            },
            State::Speaking { phase, .. } => match phase {
                _ if !interrupts => {}
                // The user went on after a pause we took for the end: take the turn back.
                Phase::Preparing { .. } => {
                    self.withdraw();
                    self.enter(State::Listening);
                }
                Phase::Playing { .. } => self.hold_back(onset),
            },
        }
    }

    /// Somebody is heard over the reply since `onset`: hold it until it is clear who gets the floor.
    fn hold_back(&mut self, onset: SessionTime) {
        if let State::Speaking {
            reply,
            phase: Phase::Playing { since },
        } = &self.state
        {
            // Before the reply sounded there was nothing to overlap with.
            let (reply, since) = (reply.clone(), onset.max(*since));
            self.emit(Output::Pause(reply.id));
            self.enter(State::BargedIn {
                reply,
                hold: Hold::Overlap { since },
            });
        }
    }

    /// The voice pauses while speech is open: from here on nothing overlaps.
    pub(super) fn lulled(&mut self, last: SessionTime) {
        let last = last.min(self.now);
        if !self.turn.is_speaking() {
            return;
        }
        if let State::BargedIn { hold, .. } = &mut self.state
            && let Hold::Overlap { since } = *hold
        {
            *hold = Hold::Quiet {
                since: last.max(since),
                sounded: last.saturating_duration_since(since),
            };
        }
    }

    /// The same speech goes on: what it sounded before the lull counts with what follows.
    pub(super) fn voice_returned(&mut self, onset: SessionTime) {
        let onset = onset.min(self.now);
        if !self.turn.is_speaking() {
            return;
        }
        let interrupts = self.reply_may_be_interrupted();
        match &mut self.state {
            State::BargedIn { hold, .. } => match *hold {
                Hold::Quiet { sounded, .. } => {
                    *hold = Hold::Overlap {
                        since: onset - sounded,
                    }
                }
                Hold::Overlap { .. } | Hold::Button => {}
            },
            // The lull was taken for a false alarm.
            State::Speaking { .. } if interrupts => self.hold_back(onset),
            State::Speaking { .. }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => {}
        }
    }

    pub(super) fn speech_ended(&mut self, last: SessionTime) {
        let Some(since) = self.turn.speech_ended(last.min(self.now)) else {
            return;
        };
        match &mut self.state {
            State::BargedIn {
                hold: hold @ Hold::Overlap { .. },
                ..
            } => {
                *hold = Hold::Quiet {
                    since,
                    sounded: Duration::ZERO,
                }
            }
            State::BargedIn {
                hold: Hold::Quiet { .. } | Hold::Button,
                ..
            }
            | State::Idle
            | State::Listening
            | State::Speaking { .. }
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => {}
        }
    }

    /// A word that claims the floor takes it at once; which words they are is for the final to say.
    pub(super) fn partial(&mut self, words: &Words) {
        let takes_the_floor = match &self.state {
            State::Speaking {
                reply,
                phase: Phase::Playing { .. },
            }
            | State::BargedIn { reply, .. } => words.claim_the_floor() && self.may_interrupt(reply),
            State::Speaking {
                phase: Phase::Preparing { .. },
                ..
            }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => false,
        };
        if takes_the_floor {
            self.turn.final_expected(self.now);
            self.interrupt();
        }
    }

    pub(super) fn recognised(&mut self, words: Words) {
        self.turn.final_came();
        match &self.state {
            State::Idle | State::Terminated { .. } => {}
            State::Listening => self.turn.add(words),
            State::WaitingForInput { .. } if words.is_empty() => {}
            // Words that nobody waited for any more.
            State::WaitingForInput { .. } => {
                self.turn.add(words);
                match self.policy.mode {
                    Mode::Manual if !self.turn.is_committed() => self.enter(State::Listening),
                    Mode::Manual | Mode::Duplex | Mode::Mute => self.answer_turn(),
                }
            }
            // While the agent has the floor, a sign of listening is no part of a turn.
            State::Speaking { .. } | State::BargedIn { .. } if !words.claim_the_floor() => {}
            State::Speaking { reply, phase } => {
                let (may_interrupt, phase) = (self.may_interrupt(reply), *phase);
                self.turn.add(words);
                match phase {
                    _ if !may_interrupt => {}
                    Phase::Preparing { .. } => {
                        self.withdraw();
                        // In manual mode only words that follow a committed turn may do without a commit.
                        let waits_for_commit =
                            self.policy.mode == Mode::Manual && !self.turn.is_counted();
                        if self.turn.is_speaking() || waits_for_commit {
                            self.enter(State::Listening);
                        } else {
                            self.answer_turn();
                        }
                    }
                    Phase::Playing { .. } => self.interrupt(),
                }
            }
            State::BargedIn { reply, .. } => {
                let may_interrupt = self.may_interrupt(reply);
                self.turn.add(words);
                if may_interrupt {
                    self.interrupt();
                }
            }
        }
    }

    /// The user says that the turn ends here.
    pub(super) fn committed(&mut self) {
        match &self.state {
            State::Idle | State::Terminated { .. } => {}
            // With nothing heard yet, the words that come late are the turn.
            State::WaitingForInput { .. } | State::Listening => self.turn.commit(self.now),
            // The words of the next turn are answered as soon as the reply is over.
            State::Speaking { .. }
            | State::BargedIn {
                hold: Hold::Button, ..
            } => {
                if self.turn.is_open(self.now, &self.policy) {
                    self.turn.commit(self.now);
                }
            }
            State::BargedIn {
                hold: Hold::Overlap { .. } | Hold::Quiet { .. },
                ..
            } => {
                self.interrupt();
                self.turn.commit(self.now);
            }
        }
    }
}
