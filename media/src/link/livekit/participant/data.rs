//! What people send besides sound.

use super::super::streams::{CHAT_TOPIC, Received};
use super::super::{CONTROL_TOPIC, Role, preconnect};
use super::{HELD, Participant};
use crate::link::{Inbound, Speaker};
use livekit_protocol::data_packet::Value;
use livekit_protocol::rpc_response::Value as RpcValue;
use livekit_protocol::{DataPacket, RpcAck, RpcError, RpcResponse, UserPacket};
use prost::Message as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Messages read in one go, so that a flood cannot stop our voice.
const BURST: usize = 64;
/// Messages of one person that are taken in a second; a person presses a few buttons, a flood is no conversation.
const PER_SECOND: u32 = 50;
/// Mistakes of one person that are answered in a second.
const ANSWERS_A_SECOND: u32 = 5;
/// The longest message of parlor's own.
const MAX_CONTROL_BYTES: usize = 64 * 1024;
/// The topic of typed messages before there were text streams.
const OLD_CHAT_TOPIC: &str = "lk-chat-topic";
/// LiveKit's number for a method that is not there.
const UNSUPPORTED_METHOD: u32 = 1400;
/// The topic on which somebody is told what was wrong with what they sent.
const ERROR_TOPIC: &str = "parlor.error";

/// A message from somebody of whom the server has not told yet: it tells of people who only write seconds after they have
/// come.
#[derive(Debug)]
pub(super) struct Early {
    from: String,
    came: Duration,
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Chat,
    Control,
}

/// Such messages that wait, and how long they do.
const EARLY: usize = 32;
const EARLY_FOR: Duration = Duration::from_secs(10);

/// How many messages each person has sent in this second.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    second: u64,
    sent: BTreeMap<Speaker, u32>,
}

/// Whether one more message is taken.
#[derive(Debug, PartialEq, Eq)]
enum Quota {
    Within,
    /// The first that is too many: its sender is told.
    Exceeded,
    Beyond,
}

impl Quotas {
    /// Whether one more is among the first `most` of this second.
    fn take_one_of(&mut self, now: Duration, speaker: Speaker, most: u32) -> bool {
        self.count(now, speaker) <= most
    }

    fn take(&mut self, now: Duration, speaker: Speaker) -> Quota {
        match self.count(now, speaker) {
            ..=PER_SECOND => Quota::Within,
            n if n == PER_SECOND + 1 => Quota::Exceeded,
            _ => Quota::Beyond,
        }
    }

    fn count(&mut self, now: Duration, speaker: Speaker) -> u32 {
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.sent.clear();
        }
        let sent = self.sent.entry(speaker).or_default();
        *sent += 1;
        *sent
    }
}

/// A typed message of the older kind.
#[derive(Deserialize)]
struct OldChat {
    message: String,
    /// Its sender sends it as a text stream too.
    #[serde(default, rename = "ignoreLegacy")]
    ignore: bool,
}

impl Participant {
    /// Takes messages while the session keeps up.
    pub(super) fn take_messages(&mut self) {
        for _ in 0..BURST {
            if self.held.len() >= HELD {
                return;
            }
            let message = self.subscriber.poll_message();
            let Some(message) = message.or_else(|| self.publisher.poll_message()) else {
                return;
            };
            match DataPacket::decode(&message.data[..]) {
                Ok(packet) if self.packets.admit(&packet) => self.on_packet(packet),
                Ok(_) => {}
                Err(_) => self.counted.strange_packets += 1,
            }
        }
        self.is_busy = true;
    }

    fn on_packet(&mut self, packet: DataPacket) {
        let from = packet.participant_identity;
        let received = match packet.value {
            Some(Value::StreamHeader(header)) => self.streams.header(from, header),
            Some(Value::StreamChunk(chunk)) => self.streams.chunk(&from, chunk),
            Some(Value::StreamTrailer(trailer)) => self.streams.trailer(&from, &trailer),
            Some(Value::User(user)) => return self.on_user_packet(&from, user),
            Some(Value::ChatMessage(chat)) if !chat.generated && !chat.deleted => {
                return self.on_chat(&from, chat.message);
            }
            Some(Value::RpcRequest(request)) => return self.refuse_rpc(&from, &request.id),
            _ => None,
        };
        match received {
            Some(Received::Chat { from, text }) => self.on_chat(&from, text),
            Some(Received::Recording {
                from,
                track,
                mime,
                attributes,
                bytes,
            }) => {
                // Nobody says things with somebody else's voice.
                let owner = self.hearing.awaits_recording(&track);
                if owner.is_none() || owner != self.crowd.speaker(&from) {
                    return self.refuse(&from, "no track of yours waits for a recording");
                }
                let Ok(permit) = self.recordings_in.clone().try_reserve_owned() else {
                    return;
                };
                self.tasks.spawn_blocking(move || {
                    match preconnect::decode(&mime, &attributes, bytes) {
                        Ok(frames) => {
                            permit.send((track, frames));
                        }
                        // Whose sound waits for it is heard without it.
                        Err(error) => tracing::debug!(%error, "What was said before is lost."),
                    }
                });
            }
            Some(Received::Refused { from, why }) => self.refuse(&from, &why),
            None => {}
        }
    }

    fn on_user_packet(&mut self, from: &str, user: UserPacket) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        match user.topic.as_deref() {
            Some(CONTROL_TOPIC) => {
                if user.payload.len() > MAX_CONTROL_BYTES {
                    return self.refuse(from, "the message is longer than 65536 bytes");
                }
                let Some(json) = text(user.payload) else {
                    return self.refuse(from, "a message must be UTF-8");
                };
                self.take(from, Kind::Control, json);
            }
            Some(OLD_CHAT_TOPIC) => {
                let chat = serde_json::from_slice::<OldChat>(&user.payload);
                if let Ok(OldChat {
                    message,
                    ignore: false,
                }) = chat
                {
                    self.on_chat(from, message);
                }
            }
            Some(CHAT_TOPIC) => {
                if let Some(words) = text(user.payload) {
                    self.on_chat(from, words);
                }
            }
            Some(topic) if topic.starts_with("parlor.") && self.settings.role != Role::Agent => {
                if let Some(json) = text(user.payload) {
                    self.held.push_back(Inbound::Message(json));
                }
            }
            // Other people's business.
            _ => {}
        }
    }

    fn on_chat(&mut self, from: &str, text: String) {
        self.take(from, Kind::Chat, text);
    }

    fn take(&mut self, from: &str, kind: Kind, text: String) {
        if !self.crowd.knows(from) {
            // Beyond the bound the newest are lost: a crowd of strangers that writes at once is no conversation.
            if self.early.len() < EARLY && !from.is_empty() && text.len() <= MAX_CONTROL_BYTES {
                self.early.push(Early {
                    from: from.to_owned(),
                    came: self.clock.now(),
                    kind,
                    text,
                });
            }
            return;
        }
        let Some(speaker) = self.is_welcome(from) else {
            return;
        };
        self.held.push_back(match kind {
            Kind::Chat => Inbound::Chat { speaker, text },
            Kind::Control => Inbound::Control {
                speaker,
                message: text,
            },
        });
    }

    /// Takes what came from people of whom the server has told since.
    pub(super) fn take_early(&mut self) {
        let now = self.clock.now();
        for early in std::mem::take(&mut self.early) {
            if self.crowd.knows(&early.from) {
                self.take(&early.from, early.kind, early.text);
            } else if now.saturating_sub(early.came) < EARLY_FOR {
                self.early.push(early);
            }
        }
    }

    /// Who sends, if they may be heard and do not send too much.
    fn is_welcome(&mut self, from: &str) -> Option<Speaker> {
        let speaker = self.crowd.speaker(from)?;
        match self.quotas.take(self.clock.now(), speaker) {
            Quota::Within => Some(speaker),
            Quota::Exceeded => {
                self.counted.messages_refused += 1;
                self.refuse(from, "too many messages: at most 50 a second are taken");
                None
            }
            Quota::Beyond => {
                self.counted.messages_refused += 1;
                None
            }
        }
    }

    /// Whether somebody is answered what was wrong: a flood of mistakes must not push aside what others are told.
    fn is_answered(&mut self, to: &str) -> bool {
        let now = self.clock.now();
        self.crowd
            .speaker(to)
            .is_some_and(|speaker| self.refusals.take_one_of(now, speaker, ANSWERS_A_SECOND))
    }

    /// Tells one person, and nobody else, what was wrong.
    fn refuse(&mut self, to: &str, why: &str) {
        if !self.is_answered(to) {
            return;
        }
        let error = serde_json::json!({
            "type": "error",
            "message": why,
            "code": "INVALID_MESSAGE",
        });
        self.tell_one(to, ERROR_TOPIC, error.to_string());
    }

    pub(super) fn tell_one(&mut self, to: &str, topic: &str, payload: String) {
        let value = Value::User(UserPacket {
            payload: payload.into_bytes(),
            topic: Some(topic.to_owned()),
            ..UserPacket::default()
        });
        self.packets.push_to(to, &self.identity, &self.sid, value);
    }

    /// No procedures are offered; who calls one is told so instead of waiting.
    fn refuse_rpc(&mut self, from: &str, id: &str) {
        if !self.is_answered(from) {
            return;
        }
        let ack = Value::RpcAck(RpcAck {
            request_id: id.to_owned(),
        });
        let response = Value::RpcResponse(RpcResponse {
            request_id: id.to_owned(),
            value: Some(RpcValue::Error(RpcError {
                code: UNSUPPORTED_METHOD,
                message: "Method not supported at destination".to_owned(),
                data: String::new(),
            })),
        });
        for value in [ack, response] {
            self.packets.push_to(from, &self.identity, &self.sid, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_refused_once_and_the_next_second_is_free() {
        let mut quotas = Quotas::default();
        let at = Duration::from_millis;
        let taken = |quotas: &mut Quotas, ms, speaker| quotas.take(at(ms), Speaker(speaker));
        for _ in 0..PER_SECOND {
            assert_eq!(taken(&mut quotas, 100, 1), Quota::Within);
        }
        assert_eq!(taken(&mut quotas, 200, 1), Quota::Exceeded);
        assert_eq!(taken(&mut quotas, 300, 1), Quota::Beyond);
        assert_eq!(taken(&mut quotas, 300, 2), Quota::Within);
        assert_eq!(taken(&mut quotas, 1000, 1), Quota::Within);
    }
}
