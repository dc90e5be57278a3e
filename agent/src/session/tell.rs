//! What a call's caller is told.

use super::protocol::{ErrorCode, Role, ServerMessage};
use super::{Events, Session};
use dialog::ReplyId;
use media::link::Outbound;

/// Events that wait for a transport that is busy. It takes each within a frame; a longer queue means that it is gone.
const OUTBOX: usize = 256;

/// Whether a transcript of the agent will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finality {
    /// More words will come.
    Partial,
    /// It was heard to its end.
    Whole,
    /// It was cut off.
    Interrupted,
}

impl Session {
    pub(super) fn tell_user_words(&mut self, utterance: u64, text: String, is_final: bool) {
        if text.is_empty() && !is_final {
            return;
        }
        let segment_id = format!("s{utterance}");
        self.tell(ServerMessage::Transcript {
            role: Role::User,
            text,
            is_final,
            segment_id,
            interrupted: false,
        });
    }

    pub(super) fn tell_agent_words(&mut self, reply: ReplyId, text: String, finality: Finality) {
        let segment_id = format!("a{reply}");
        let (is_final, interrupted) = match finality {
            Finality::Partial => (false, false),
            Finality::Whole => (true, false),
            Finality::Interrupted => (true, true),
        };
        self.tell(ServerMessage::Transcript {
            role: Role::Agent,
            text,
            is_final,
            segment_id,
            interrupted,
        });
    }

    pub(super) fn tell_error(&mut self, code: ErrorCode, message: String) {
        self.tell(ServerMessage::Error { message, code });
    }

    pub(super) fn tell(&mut self, message: ServerMessage) {
        if message.is_event() && self.events == Events::ContractOnly {
            return;
        }
        self.outbox.push_back(Outbound::Message(message.to_json()));
        while let Some(item) = self.outbox.pop_front() {
            if let Err(full) = self.link.outbound.try_send(item) {
                self.outbox.push_front(full.into_inner());
                break;
            }
        }
        if self.outbox.len() > OUTBOX {
            self.outbox.clear();
            self.ended.cancel();
            self.ending.get_or_insert("too-slow".into());
        }
    }
}
