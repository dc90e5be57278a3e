//! A client's text that comes in pieces: what is complete is spoken while the rest is still to come.

use super::Session;
use super::clauses::Clauses;
use super::protocol::{ErrorCode, MAX_TEXT_CHARS};
use dialog::{Input, Words};

/// An utterance of the client's whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// What has come and waits to be spoken.
    waiting: Clauses,
    begun: bool,
    /// Whether more has come since it was last looked for clauses.
    grown: bool,
}

impl Unfinished {
    /// All clauses that are complete, as one text.
    fn clauses(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.grown) {
            return None;
        }
        let mut text = self.waiting.pop()?;
        while let Some(clause) = self.waiting.pop() {
            text.push_str(&clause);
        }
        Some(text)
    }
}

impl Session {
    pub(super) fn on_text(&mut self, text: &str, is_final: bool) {
        // Blanks may stand between two pieces, but nobody can speak them.
        if text.trim().is_empty() && !self.unfinished.begun {
            return self.refuse_text("text: \"text\" must be more than blanks");
        }
        if self.unfinished.waiting.len() + text.len() > 4 * MAX_TEXT_CHARS {
            self.unfinished = Unfinished::default();
            return self.refuse_text("text: the utterance is too long");
        }
        self.unfinished.begun = true;
        self.unfinished.grown = true;
        self.unfinished.waiting.push(text);
        if !is_final {
            return self.speak_clauses();
        }
        let Some(rest) = std::mem::take(&mut self.unfinished).waiting.rest() else {
            return;
        };
        if self.dialog.has_room() {
            self.feed(Input::Speak(Words::with_breaks(&rest)));
        } else {
            let why = format!(
                "text: {} utterances wait already; wait for some to be spoken",
                dialog::QUEUED_TEXTS
            );
            self.refuse_text(&why);
        }
    }

    /// Queues what is complete of an unfinished utterance, once all that was queued before it is being spoken: so a piece of
    /// it waits behind the one that sounds, and the more has come by then the less often it is cut.
    pub(super) fn speak_clauses(&mut self) {
        if self.dialog.queued_texts() == 0
            && let Some(text) = self.unfinished.clauses()
        {
            self.feed(Input::Speak(Words::with_breaks(&text)));
        }
    }

    fn refuse_text(&mut self, why: &str) {
        self.tell_error(ErrorCode::InvalidMessage, why.to_owned());
    }
}
