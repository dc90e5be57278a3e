//! Data packets: reliable ones are numbered, kept for a repeat after a break, and taken once. Lossy ones go at once or not
//! at all. No IO.

use livekit_protocol::data_packet::Value;
use livekit_protocol::{DataChannelReceiveState, DataPacket};
use prost::Message as _;
use std::collections::{HashMap, VecDeque};

/// Reliable packets kept for a repeat, and bytes of them.
const KEPT: usize = 128;
const KEPT_BYTES: usize = 512 * 1024;
/// Packets that wait because the server takes none. Then the oldest are lost.
const WAITING: usize = 512;
/// Senders whose numbers are remembered.
const SENDERS: usize = 512;
/// Bytes given to the stack that the server has not confirmed, before more wait here.
const UNCONFIRMED_BYTES: usize = 64 * 1024;

/// A packet for one person that may be lost: the next of its kind says more.
pub(super) fn lossy(to: &str, from: &str, sid: &str, value: Value) -> Vec<u8> {
    let packet = DataPacket {
        participant_identity: from.to_owned(),
        participant_sid: sid.to_owned(),
        destination_identities: vec![to.to_owned()],
        value: Some(value),
        ..DataPacket::default()
    };
    packet.encode_to_vec()
}

/// Numbers what leaves and checks the numbers of what comes.
#[derive(Debug, Default)]
pub(super) struct Packets {
    last: u32,
    kept: VecDeque<(u32, Vec<u8>)>,
    kept_bytes: usize,
    waiting: VecDeque<Vec<u8>>,
    dropped: u64,
    seen: HashMap<String, u32>,
}

impl Packets {
    /// Takes a packet for everyone in the room. `from` is the identity that it speaks for; `sid` is our own.
    pub(super) fn push(&mut self, from: &str, sid: &str, value: Value) {
        self.last += 1;
        let packet = DataPacket {
            participant_identity: from.to_owned(),
            participant_sid: sid.to_owned(),
            sequence: self.last,
            value: Some(value),
            ..DataPacket::default()
        };
        self.enqueue(packet);
    }

    /// Takes a packet for one person.
    pub(super) fn push_to(&mut self, to: &str, from: &str, sid: &str, value: Value) {
        self.last += 1;
        let packet = DataPacket {
            participant_identity: from.to_owned(),
            participant_sid: sid.to_owned(),
            destination_identities: vec![to.to_owned()],
            sequence: self.last,
            value: Some(value),
            ..DataPacket::default()
        };
        self.enqueue(packet);
    }

    fn enqueue(&mut self, packet: DataPacket) {
        let bytes = packet.encode_to_vec();
        self.kept_bytes += bytes.len();
        self.kept.push_back((packet.sequence, bytes.clone()));
        while self.kept.len() > KEPT || self.kept_bytes > KEPT_BYTES {
            let Some((_, oldest)) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes -= oldest.len();
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(bytes);
    }

    /// The next packet to send, while the server has confirmed enough of those before.
    pub(super) fn next(&mut self, unconfirmed_bytes: usize) -> Option<Vec<u8>> {
        if unconfirmed_bytes >= UNCONFIRMED_BYTES {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Packets lost because the server took none.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// After a resume: the server has everything up to number `last`, so what follows is sent again.
    pub(super) fn repeat_after(&mut self, last: u32) {
        self.waiting = self
            .kept
            .iter()
            .filter(|(sequence, _)| *sequence > last)
            .map(|(_, bytes)| bytes.clone())
            .collect();
    }

    /// After a rejoin: the server counts from the beginning, and what was under way is lost.
    pub(super) fn begin_anew(&mut self) {
        let dropped = self.dropped + self.waiting.len() as u64;
        *self = Self {
            dropped,
            ..Self::default()
        };
    }

    /// Whether a packet from the network is to be taken: the first of its number.
    pub(super) fn admit(&mut self, packet: &DataPacket) -> bool {
        // Lossy packets have no number.
        if packet.sequence == 0 || packet.participant_sid.is_empty() {
            return true;
        }
        match self.seen.get_mut(&packet.participant_sid) {
            Some(last) if packet.sequence <= *last => return false,
            Some(last) => *last = packet.sequence,
            None => {
                if self.seen.len() >= SENDERS {
                    self.seen.clear();
                }
                self.seen
                    .insert(packet.participant_sid.clone(), packet.sequence);
            }
        }
        true
    }

    /// What was taken of each sender, for the server to go on from.
    pub(super) fn receive_states(&self) -> Vec<DataChannelReceiveState> {
        let states = self.seen.iter().map(|(sid, last)| DataChannelReceiveState {
            publisher_sid: sid.clone(),
            last_seq: *last,
        });
        states.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::UserPacket;

    fn user(payload: &[u8]) -> Value {
        Value::User(UserPacket {
            payload: payload.into(),
            ..UserPacket::default()
        })
    }

    fn sequences(packets: &mut Packets) -> Vec<u32> {
        std::iter::from_fn(|| packets.next(0))
            .map(|bytes| DataPacket::decode(&bytes[..]).unwrap().sequence)
            .collect()
    }

    #[test]
    fn after_a_resume_exactly_what_the_server_lacks_is_sent_again() {
        let mut packets = Packets::default();
        for _ in 0..5 {
            packets.push("agent", "PA", user(b"x"));
        }
        assert_eq!(sequences(&mut packets), [1, 2, 3, 4, 5]);
        packets.push("agent", "PA", user(b"x"));
        packets.repeat_after(3);
        assert_eq!(sequences(&mut packets), [4, 5, 6]);
    }

    #[test]
    fn a_server_that_confirms_nothing_gets_nothing_more_and_the_oldest_is_lost() {
        let mut packets = Packets::default();
        for _ in 0..WAITING + 3 {
            packets.push("agent", "PA", user(&[0; 2000]));
        }
        assert_eq!(packets.next(UNCONFIRMED_BYTES), None);
        assert_eq!(packets.dropped(), 3);
        assert!(packets.kept_bytes <= KEPT_BYTES && packets.kept.len() <= KEPT);
    }

    #[test]
    fn a_packet_that_comes_twice_is_taken_once() {
        let mut packets = Packets::default();
        let packet = |sid: &str, sequence| DataPacket {
            participant_sid: sid.into(),
            sequence,
            ..DataPacket::default()
        };
        assert!(packets.admit(&packet("PA_1", 1)));
        assert!(!packets.admit(&packet("PA_1", 1)));
        assert!(packets.admit(&packet("PA_2", 1)));
        assert!(packets.admit(&packet("PA_1", 3)));
        assert!(!packets.admit(&packet("PA_1", 2)));
        assert!(packets.admit(&packet("PA_1", 0)) && packets.admit(&packet("PA_1", 0)));
        for n in 0..10_000 {
            packets.admit(&packet(&n.to_string(), 1));
        }
        assert!(packets.receive_states().len() <= SENDERS);
    }
}
