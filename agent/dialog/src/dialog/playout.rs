//! What becomes of a reply on its way to the caller's ear. News of any but the current reply is old news.

use super::Dialog;
use crate::event::{Output, ReplyId};
use crate::state::{Phase, State};

impl Dialog {
    pub(super) fn playout_started(&mut self, id: ReplyId) {
        match &self.state {
            State::Speaking {
                reply,
                phase: Phase::Preparing { .. },
            } if reply.id == id => {
                let reply = reply.clone();
                self.enter(State::Speaking {
                    reply,
                    phase: Phase::Playing { since: self.now },
                });
            }
            State::Speaking { .. }
            | State::BargedIn { .. }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => {}
        }
    }

    /// The reply was heard to its end, or there is no more of it to be heard.
    pub(super) fn reply_ended(&mut self, id: ReplyId) {
        if let Some(reply) = self.state.reply()
            && reply.id == id
        {
            let purpose = reply.purpose.clone();
            self.after(purpose);
        }
    }

    /// A false alarm: the reply goes on where it was held.
    pub(super) fn resume(&mut self) {
        if let State::BargedIn { reply, .. } = &self.state {
            let reply = reply.clone();
            self.emit(Output::Resume(reply.id));
            // Over a reply that may not be interrupted somebody may well have said the next turn.
            if self.may_interrupt(&reply) {
                self.turn.false_alarm();
            }
            self.enter(State::Speaking {
                reply,
                phase: Phase::Playing { since: self.now },
            });
        }
    }
}
