//! Who gets the floor: how a reply begins, is withdrawn, interrupted, and what comes after it.

use super::{Dialog, Microphone, Prompting};
use crate::event::{EndReason, Output, ReplyId, Saying};
use crate::policy::Kind;
use crate::state::{Phase, Purpose, Reply, State};
use crate::turn::{Counted, Turn};
use crate::words::Words;

impl Dialog {
    pub(super) fn connected(&mut self) {
        match self.state {
            State::Idle => {}
            State::Listening
            | State::Speaking { .. }
            | State::BargedIn { .. }
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => return,
        }
        self.connected_at = Some(self.now);
        if self.policy.greeting {
            self.begin(Purpose::Greeting)
        } else {
            self.release_floor()
        }
    }

    /// Nobody holds the floor any more: whoever waits for it longest gets it.
    pub(super) fn release_floor(&mut self) {
        if self.turn.is_open(self.now, &self.policy) {
            self.enter(State::Listening);
        } else if let Some(words) = self.queue.pop_front() {
            self.begin(Purpose::Text(words));
        } else if self.messages_are_used_up() {
            self.say_goodbye(EndReason::MessageLimit);
        } else {
            self.enter(State::WaitingForInput { since: self.now });
        }
    }

    /// Asks for a reply, which from now on is the current one.
    pub(super) fn begin(&mut self, purpose: Purpose) {
        self.set_microphone(Microphone::Open);
        self.last_reply = ReplyId(self.last_reply.0 + 1);
        let id = self.last_reply;
        self.emit(match &purpose {
            Purpose::Answer(words) => Output::Reply {
                id,
                words: words.clone(),
            },
            Purpose::Greeting => Output::Say {
                id,
                saying: Saying::Greeting,
            },
            Purpose::Reprompt => Output::Say {
                id,
                saying: Saying::Reprompt,
            },
            Purpose::Apology => Output::Say {
                id,
                saying: Saying::Apology,
            },
            Purpose::Goodbye(_) => Output::Say {
                id,
                saying: Saying::Goodbye,
            },
            Purpose::Text(words) => Output::Say {
                id,
                saying: Saying::Text(words.clone()),
            },
        });
        let reply = Reply { id, purpose };
        self.enter(State::Speaking {
            reply,
            phase: Phase::Preparing { since: self.now },
        });
    }

    /// Answers the user's turn as far as it was heard.
    pub(super) fn answer_turn(&mut self) {
        let (words, counted) = self.turn.take();
        self.answer(words, counted);
    }

    pub(super) fn answer(&mut self, words: Words, counted: Counted) {
        if counted == Counted::No {
            if self.messages_are_used_up() {
                return self.say_goodbye(EndReason::MessageLimit);
            }
            self.messages = self.messages.saturating_add(1);
        }
        self.prompting = Prompting::Yes { said: 0 };
        self.begin(Purpose::Answer(words));
    }

    /// The user goes on before a sample of the reply was heard: it is not said, and nothing is lost. The words that it
    /// was to answer are part of the turn again, a client's text waits for its next chance.
    pub(super) fn withdraw(&mut self) {
        match self.cancel() {
            Some(Purpose::Answer(words)) => self.turn.put_back(words),
            Some(Purpose::Text(words)) => self.queue.push_front(words),
            Some(
                Purpose::Greeting | Purpose::Reprompt | Purpose::Apology | Purpose::Goodbye(_),
            )
            | None => {}
        }
        self.queue.truncate(super::QUEUED_TEXTS);
    }

    /// The user takes the floor from a reply that was partly heard; what was queued behind it is not said either.
    pub(super) fn interrupt(&mut self) {
        self.cancel();
        self.queue.clear();
        self.enter(State::Listening);
    }

    /// Gives up a reply of which nothing was heard in time. Whoever waited for an answer is owed a word instead.
    pub(super) fn give_up_reply(&mut self) {
        let Some(id) = self.state.reply().map(|reply| reply.id) else {
            return;
        };
        self.emit(Output::Late(id));
        match self.cancel() {
            Some(Purpose::Answer(_)) => self.begin(Purpose::Apology),
            Some(purpose) => self.after(purpose),
            None => {}
        }
    }

    /// Ends the current reply, if there is one, and returns what it was for. Whoever calls this enters a state next.
    pub(super) fn cancel(&mut self) -> Option<Purpose> {
        let Reply { id, purpose } = self.state.reply()?.clone();
        self.emit(Output::Cancel(id));
        Some(purpose)
    }

    /// After the end of a reply that was not taken away by the user.
    pub(super) fn after(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Goodbye(reason) => return self.end(reason),
            // Whoever was greeted is expected to say something.
            Purpose::Greeting if self.prompting == Prompting::No => {
                self.prompting = Prompting::Yes { said: 0 }
            }
            Purpose::Greeting
            | Purpose::Answer(_)
            | Purpose::Reprompt
            | Purpose::Apology
            | Purpose::Text(_) => {}
        }
        self.release_floor();
    }

    /// Ends the call with a word, if the policy has one. The current reply must have ended.
    pub(super) fn say_goodbye(&mut self, reason: EndReason) {
        self.queue.clear();
        if self.policy.goodbye {
            self.begin(Purpose::Goodbye(reason))
        } else {
            self.end(reason)
        }
    }

    /// Ends the call now, in the middle of a reply if need be.
    pub(super) fn hang_up(&mut self, reason: EndReason) {
        self.cancel();
        self.end(reason);
    }

    fn end(&mut self, reason: EndReason) {
        self.queue.clear();
        self.turn = Turn::new();
        self.enter(State::Terminated { reason });
    }

    pub(super) fn reply_may_be_interrupted(&self) -> bool {
        self.state
            .reply()
            .is_some_and(|reply| self.may_interrupt(reply))
    }

    pub(super) fn may_interrupt(&self, reply: &Reply) -> bool {
        match &reply.purpose {
            // Whoever breaks the silence is welcome back; a limit is a limit.
            Purpose::Goodbye(EndReason::Silence) => {
                !self.policy.uninterruptible.contains(Kind::Goodbye)
            }
            Purpose::Goodbye(_) => false,
            Purpose::Answer(_)
            | Purpose::Greeting
            | Purpose::Reprompt
            | Purpose::Apology
            | Purpose::Text(_) => !self.policy.uninterruptible.contains(reply.purpose.kind()),
        }
    }

    fn messages_are_used_up(&self) -> bool {
        self.policy
            .message_limit
            .is_some_and(|limit| self.messages >= limit.get())
    }
}
