//! What a call's caller is told.

use super::protocol::{ErrorCode, Role, ServerMessage};
use super::{Events, Session};
use dialog::ReplyId;
use media::link::{Caption, Outbound, Speaker};

/// Events that wait for a transport that is busy. It takes each within a frame; a longer queue means that it is gone.
const OUTBOX: usize = 256;

/// The attribute by which a room's clients know what the agent does.
const AGENT_STATE: &str = "lk.agent.state";

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
    pub(super) fn tell_user_words(
        &mut self,
        speaker: Speaker,
        utterance: u64,
        text: String,
        is_final: bool,
    ) {
        if text.is_empty() && !is_final {
            return;
        }
        let segment_id = format!("s{utterance}");
        self.tell(ServerMessage::Transcript {
            role: Role::User,
            text,
            is_final,
            segment_id,
            speaker: Some(speaker),
            interrupted: false,
        });
    }

    /// A question that was typed; by whom, if that is known.
    pub(super) fn tell_typed(&mut self, speaker: Option<Speaker>, text: String) {
        self.segment += 1;
        let segment_id = format!("u{}", self.segment);
        self.tell(ServerMessage::Transcript {
            role: Role::User,
            text,
            is_final: true,
            segment_id,
            speaker,
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
            speaker: None,
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
        match self.events {
            Events::ContractOnly | Events::All => {
                self.outbox.push_back(Outbound::Message(message.to_json()));
            }
            Events::Room => self.tell_the_room(message),
        }
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

    /// The same in the forms that a room has for it.
    fn tell_the_room(&mut self, message: ServerMessage) {
        let topic = match &message {
            ServerMessage::SessionStart { .. } | ServerMessage::SessionEnd { .. } => {
                "parlor.session"
            }
            ServerMessage::State { agent_state, .. } => {
                if self.agent_state.replace(agent_state) != Some(agent_state) {
                    let attributes = vec![(AGENT_STATE, (*agent_state).to_owned())];
                    self.outbox.push_back(Outbound::Attributes(attributes));
                }
                "parlor.state"
            }
            ServerMessage::Timings(_) => "parlor.timings",
            ServerMessage::Error { .. } => "parlor.error",
            ServerMessage::Transcript { .. } => return self.tell_caption(message),
        };
        let payload = message.to_json();
        // What was wrong with somebody's message is nobody else's business.
        let to = match message {
            ServerMessage::Error { .. } => self.addressee,
            _ => None,
        };
        self.outbox.push_back(Outbound::Data { to, topic, payload });
    }

    fn tell_caption(&mut self, message: ServerMessage) {
        if let ServerMessage::Transcript {
            role,
            text,
            is_final,
            segment_id: segment,
            speaker,
            interrupted: is_interrupted,
        } = message
            // A question from nobody in particular is nobody's caption.
            && (role == Role::Agent || speaker.is_some())
        {
            self.outbox.push_back(Outbound::Caption(Caption {
                speaker,
                segment,
                text,
                is_final,
                is_interrupted,
            }));
        }
    }
}
