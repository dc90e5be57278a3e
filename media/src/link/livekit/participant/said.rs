//! What the session wants said, shown and known.

use super::super::captions::{Ending, Source};
use super::super::packets::lossy;
use super::{INITIALIZING, LAST_WORDS, LISTENING, Participant, SETTLED_AFTER, STATE};
use crate::link::{Caption, Outbound, Speaker};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{UpdateParticipantMetadata, UserPacket, data_packet::Value};
use std::collections::BTreeMap;

/// The topic on which people are told how loud they are where the agent hears them.
const LEVEL_TOPIC: &str = "parlor.level";
/// Bytes on the lossy channel that the server has not confirmed, before what comes next is dropped: about a second of it.
const UNCONFIRMED_LOSSY_BYTES: usize = 4 * 1024;

impl Participant {
    /// Takes one thing from the session.
    pub(super) fn send(&mut self, outbound: Option<Outbound>) {
        match outbound {
            Some(Outbound::Audio {
                generation,
                tick,
                frame,
            }) => self.say(generation, tick, &frame),
            Some(Outbound::Opus { tick, packet }) => self.say_opus(tick, packet),
            Some(Outbound::Caption(caption)) => self.show(&caption),
            Some(Outbound::Attributes(changes)) => {
                self.describe(changes.into_iter().collect());
            }
            Some(Outbound::Data { to, topic, payload }) => match to {
                None => self.tell(topic, payload),
                Some(speaker) => {
                    // Whoever has left does not need it any more.
                    if let Some((identity, _)) = self.crowd.source(speaker) {
                        let identity = identity.to_owned();
                        self.tell_one(&identity, topic, payload);
                    }
                }
            },
            // A room has topics for what other transports have messages for.
            Some(Outbound::Message(_)) => {}
            Some(Outbound::Close { .. }) | None => {
                self.last_words = Some(self.clock.now() + LAST_WORDS);
            }
        }
    }

    /// Changes what we say about ourselves.
    fn describe(&mut self, changes: BTreeMap<&'static str, String>) {
        let before = self.attributes.get(STATE).map(String::as_str);
        let begins_to_listen = before == Some(INITIALIZING)
            && changes.get(STATE).is_some_and(|state| state == LISTENING);
        self.attributes.extend(changes.clone());
        let settled_at = self.heard_since.map(|since| since + SETTLED_AFTER);
        match settled_at.filter(|at| begins_to_listen && self.clock.now() < *at) {
            Some(at) => self.settled = Some((at, changes)),
            None => {
                self.settled = None;
                self.tell_attributes(changes);
            }
        }
    }

    /// Shows our words again.
    pub(super) fn show_again(&mut self) {
        let source = Source {
            identity: &self.identity,
            track: self.track_sid.as_deref().unwrap_or_default(),
        };
        for value in self.captions.again(source) {
            self.packets.push(&self.identity, &self.sid, value);
        }
    }

    fn show(&mut self, caption: &Caption) {
        let Caption {
            speaker,
            segment,
            text,
            is_final,
            is_interrupted,
        } = caption;
        let own_track = self.track_sid.as_deref().unwrap_or_default();
        let (from, values) = match speaker {
            None => {
                let source = Source {
                    identity: &self.identity,
                    track: own_track,
                };
                let values = match (is_final, is_interrupted) {
                    (false, _) => self.captions.agent(source, segment, text, Ending::None),
                    (true, false) => self.captions.agent(source, segment, text, Ending::Whole),
                    (true, true) => self
                        .captions
                        .agent(source, segment, text, Ending::Interrupted),
                };
                (self.identity.clone(), values)
            }
            Some(speaker) => {
                // Whoever has left may be forgotten; their last words are shown as nobody's.
                let (identity, track) = self.crowd.source(*speaker).unwrap_or_default();
                let source = Source {
                    identity,
                    track: track.unwrap_or_default(),
                };
                let values = self.captions.person(source, segment, text, *is_final);
                (identity.to_owned(), values)
            }
        };
        for value in values {
            self.packets.push(&from, &self.sid, value);
        }
    }

    fn tell(&mut self, topic: &str, payload: String) {
        let value = Value::User(UserPacket {
            payload: payload.into_bytes(),
            topic: Some(topic.to_owned()),
            ..UserPacket::default()
        });
        self.packets.push(&self.identity, &self.sid, value);
    }

    /// Tells a person who wants to know, and nobody else, how loud they arrive here. The next one is due in 200 ms, so a lost one is not missed.
    pub(super) fn tell_level(&mut self, speaker: Speaker, dbfs: f32) {
        let Some(channel) = self.lossy.filter(|_| self.mending.is_none()) else {
            return;
        };
        let Some(identity) = self.crowd.wants_levels(speaker) else {
            return;
        };
        if self.publisher.unconfirmed_bytes(channel) >= UNCONFIRMED_LOSSY_BYTES {
            return;
        }
        let level = serde_json::json!({
            "type": "level",
            "dbfs": (f64::from(dbfs) * 10.0).round() / 10.0,
        });
        let value = Value::User(UserPacket {
            payload: level.to_string().into_bytes(),
            topic: Some(LEVEL_TOPIC.to_owned()),
            ..UserPacket::default()
        });
        let packet = lossy(identity, &self.identity, &self.sid, value);
        let now = self.clock.instant(self.clock.now());
        if let Err(error) = self.publisher.send(now, channel, &packet) {
            tracing::debug!(%error, "A level was not taken by the data channel.");
        }
    }

    pub(super) fn tell_attributes(&self, attributes: BTreeMap<&'static str, String>) {
        let attributes = attributes.into_iter();
        self.signal
            .send(Request::UpdateMetadata(UpdateParticipantMetadata {
                attributes: attributes
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                ..UpdateParticipantMetadata::default()
            }));
    }

    /// Gives the stack the data packets that may go now.
    pub(super) fn flush_packets(&mut self) {
        let Some(channel) = self.reliable else { return };
        if self.mending.is_some() {
            return;
        }
        let now = self.clock.instant(self.clock.now());
        while !self.packets.is_empty() {
            let unconfirmed = self.publisher.unconfirmed_bytes(channel);
            let Some(packet) = self.packets.next(unconfirmed) else {
                return;
            };
            if let Err(error) = self.publisher.send(now, channel, &packet) {
                tracing::debug!(%error, "A message was not taken by the data channel.");
            }
        }
    }

    /// Whether everything was sent and confirmed, or cannot be.
    pub(super) fn is_all_said(&mut self) -> bool {
        self.reliable.is_none_or(|channel| {
            self.packets.is_empty() && self.publisher.unconfirmed_bytes(channel) == 0
        })
    }
}
