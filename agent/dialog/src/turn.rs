//! What was heard and is not answered yet: the user's turn so far.

use crate::event::Probability;
use crate::policy::{Mode, Policy};
use crate::time::SessionTime;
use crate::words::Words;

/// How many utterances and questions one turn may hold. Who waits longer than that for an answer, in manual mode or over
/// something that may not be interrupted, is not heard any more.
const PARTS: usize = 256;

/// The user's turn so far. The ear stays open whoever has the floor, so this lives beside the state.
#[derive(Debug)]
pub(crate) struct Turn {
    words: Words,
    parts: usize,
    speech: Speech,
    // Finals that are still to come, one for each utterance heard.
    finals_due: usize,
    complete: Option<Probability>,
    committed: Option<SessionTime>,
    // A reply to these words was begun and withdrawn: they are still the same message.
    counted: Counted,
}

/// What the ear hears.
#[derive(Debug, Clone, Copy)]
enum Speech {
    Open { onset: SessionTime },
    Quiet { since: SessionTime },
}

/// Whether a turn is among the messages of the call already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Yes,
    No,
}

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// Its words are there, and the silence has lasted.
    Complete,
    /// Its last words did not come in time.
    GiveUp,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::none(),
            parts: 0,
            speech: Speech::Quiet {
                since: SessionTime::ZERO,
            },
            finals_due: 0,
            complete: None,
            committed: None,
            counted: Counted::No,
        }
    }

    pub(crate) fn speech_started(&mut self, onset: SessionTime) {
        self.speech = Speech::Open { onset };
        self.finals_due = self.finals_due.saturating_add(1);
        self.complete = None;
        self.committed = None;
    }

    /// Closes open speech and returns when its last sound was; none if no speech was open.
    pub(crate) fn speech_ended(&mut self, last: SessionTime) -> Option<SessionTime> {
        let Speech::Open { onset } = self.speech else {
            return None;
        };
        let since = last.max(onset);
        self.speech = Speech::Quiet { since };
        Some(since)
    }

    /// A word came in the quiet that nobody expected any more: its final will follow.
    pub(crate) fn final_expected(&mut self, now: SessionTime) {
        if let Speech::Quiet { .. } = self.speech
            && !self.awaits_final()
        {
            self.speech = Speech::Quiet { since: now };
        }
        self.finals_due = self.finals_due.max(1);
    }

    pub(crate) fn final_came(&mut self) {
        self.finals_due = self.finals_due.saturating_sub(1);
    }

    fn awaits_final(&self) -> bool {
        self.finals_due > 0
    }

    /// How many finals are due if nobody waits any more for those of speech that is over.
    fn finals_of_open_speech(&self) -> usize {
        self.finals_due.min(usize::from(self.is_speaking()))
    }

    /// The speech was no turn: nobody waits for its words any more. If they come after all, they are heard.
    pub(crate) fn false_alarm(&mut self) {
        self.finals_due = self.finals_of_open_speech();
    }

    /// Nothing more will be heard of the speech that is open now.
    pub(crate) fn deafened(&mut self, now: SessionTime) {
        self.speech_ended(now);
        self.finals_due = 0;
    }

    pub(crate) fn add(&mut self, words: Words) {
        if words.is_empty() || self.parts == PARTS {
            return;
        }
        self.parts += 1;
        self.words = std::mem::replace(&mut self.words, Words::none()).joined(words);
    }

    /// Takes back the words of a withdrawn reply; what was heard since then follows them.
    pub(crate) fn put_back(&mut self, words: Words) {
        self.words = words.joined(std::mem::replace(&mut self.words, Words::none()));
        self.counted = Counted::Yes;
    }

    pub(crate) fn believe(&mut self, complete: Probability) {
        self.complete = Some(complete);
    }

    pub(crate) fn commit(&mut self, now: SessionTime) {
        self.committed = Some(now);
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed.is_some()
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.counted == Counted::Yes
    }

    pub(crate) fn is_speaking(&self) -> bool {
        matches!(self.speech, Speech::Open { .. })
    }

    /// Takes the words to be answered and forgets the turn, but not that speech is still open.
    pub(crate) fn take(&mut self) -> (Words, Counted) {
        let speech = self.speech;
        let finals_due = self.finals_of_open_speech();
        let taken = std::mem::replace(
            self,
            Self {
                speech,
                finals_due,
                ..Self::new()
            },
        );
        (taken.words, taken.counted)
    }

    /// As [`Turn::take`], but not forgetting that the turn was committed: words that come late are still to be answered.
    /// Speech that is still open is a turn of its own and needs its own commit.
    pub(crate) fn give_up(&mut self) -> (Words, Counted) {
        let committed = self.committed.filter(|_| !self.is_speaking());
        let taken = self.take();
        self.committed = committed;
        taken
    }

    /// Whether the user still has something to say or to be understood.
    pub(crate) fn is_open(&self, now: SessionTime, policy: &Policy) -> bool {
        !self.words.is_empty()
            || match self.speech {
                Speech::Open { .. } => true,
                Speech::Quiet { since } => {
                    self.awaits_final() && now < since + policy.final_timeout
                }
            }
    }

    /// When the turn ends if nothing more is heard, and how.
    pub(crate) fn end(&self, policy: &Policy) -> Option<(SessionTime, TurnEnd)> {
        let ends_by_itself = match policy.mode {
            Mode::Duplex | Mode::Mute => true,
            Mode::Manual => false,
        };
        let quiet_since = match self.speech {
            Speech::Open { .. } => None,
            Speech::Quiet { since } => Some(since),
        };
        if self.awaits_final() {
            let from = match (self.committed, quiet_since) {
                (Some(committed), Some(since)) => Some(since.max(committed)),
                (Some(committed), None) => Some(committed),
                (None, since) => since.filter(|_| ends_by_itself),
            };
            return from.map(|from| (from + policy.final_timeout, TurnEnd::GiveUp));
        }
        let by_silence = quiet_since
            .filter(|_| ends_by_itself)
            .map(|since| since + policy.silence(self.complete));
        self.committed
            .or(by_silence)
            .map(|at| (at, TurnEnd::Complete))
    }
}
