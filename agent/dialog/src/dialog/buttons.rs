//! What a client asks for by message instead of by voice.

use super::{Dialog, Prompting};
use crate::event::Output;
use crate::policy::Mode;
use crate::state::{Hold, Phase, Purpose, State};
use crate::turn::Counted;
use crate::words::Words;

impl Dialog {
    /// A typed question: answered at once, or after what may not be interrupted.
    pub(super) fn asked(&mut self, words: Words) {
        if words.is_empty() {
            return;
        }
        match &self.state {
            State::Terminated { .. } => {}
            // Whatever was said of this turn leads the question.
            State::Listening | State::WaitingForInput { .. } => {
                let (said, counted) = self.turn.take();
                self.answer(said.joined(words), counted);
            }
            State::Speaking { reply, .. } | State::BargedIn { reply, .. }
                if self.may_interrupt(reply) =>
            {
                self.cancel();
                self.queue.clear();
                self.turn.take();
                self.answer(words, Counted::No);
            }
            State::Idle | State::Speaking { .. } | State::BargedIn { .. } => {
                self.turn.add(words);
                self.turn.commit(self.now);
            }
        }
    }

    /// A client's text: spoken in its order, when neither the agent nor the user is speaking.
    pub(super) fn told_to_speak(&mut self, words: Words) {
        if words.is_empty() || !self.has_room() {
            return;
        }
        // A client that speaks for itself decides for itself when to speak again.
        self.prompting = Prompting::No;
        self.queue.push_back(words);
        let floor_is_free = match self.state {
            State::WaitingForInput { .. } => true,
            // Without a timer the wait could be for ever.
            State::Listening => {
                self.policy.mode == Mode::Manual
                    && !self.turn.is_speaking()
                    && !self.turn.is_committed()
            }
            State::Idle
            | State::Speaking { .. }
            | State::BargedIn { .. }
            | State::Terminated { .. } => false,
        };
        if floor_is_free && let Some(words) = self.queue.pop_front() {
            self.begin(Purpose::Text(words));
        }
    }

    /// Holds what sounds, for as long as the client likes.
    pub(super) fn pause_button(&mut self) {
        match &self.state {
            State::Speaking {
                reply,
                phase: Phase::Playing { .. },
            } => {
                let reply = reply.clone();
                self.emit(Output::Pause(reply.id));
                self.enter(State::BargedIn {
                    reply,
                    hold: Hold::Button,
                });
            }
            State::BargedIn {
                reply,
                hold: Hold::Overlap { .. } | Hold::Quiet { .. },
            } => {
                let reply = reply.clone();
                self.enter(State::BargedIn {
                    reply,
                    hold: Hold::Button,
                });
            }
            // With nothing being heard there is nothing to hold; a pause is not remembered for later.
            State::Speaking {
                phase: Phase::Preparing { .. },
                ..
            }
            | State::BargedIn {
                hold: Hold::Button, ..
            }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => {}
        }
    }

    /// Goes on with what is on hold, whoever holds it.
    pub(super) fn resume_button(&mut self) {
        self.resume();
    }

    /// Ends what is being said and forgets what was to be said after it.
    pub(super) fn stop_button(&mut self) {
        self.queue.clear();
        if let Some(purpose) = self.cancel() {
            self.after(purpose);
        }
    }
}
