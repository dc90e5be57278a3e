//! LiveKit rooms, in pure Rust: the agent is a participant like any other, and a worker that the server gives jobs to.
//!
//! The signalling is `livekit-signaling`, the messages are `livekit-protocol`, the media is the same sans-IO stack as the
//! direct WebRTC link. One task carries a room.

mod attempts;
mod captions;
mod crowd;
mod error;
mod hearing;
mod packets;
mod participant;
mod preconnect;
mod room;
mod signal;
mod socket;
mod streams;
pub mod token;
mod transport;
pub mod worker;

pub use crate::link::webrtc::caller::HeardPacket;
pub use error::JoinError;
pub use room::{Joined, Room, RoomStatistics};

use crate::codec::EncoderSettings;
use crate::jitter::JitterSettings;
use std::time::Duration;

/// The attribute of a participant who only listens: with the value `true` nothing of theirs is heard or answered.
pub const LISTEN_ONLY: &str = "parlor.listen_only";
/// The attribute of a participant who wants to be told how loud they arrive: with the value `true` it is, five times a second.
pub const LEVELS: &str = "parlor.levels";
/// The data topic on which anybody in the room may send parlor's own messages (docs/protocol.md), reliably.
pub const CONTROL_TOPIC: &str = "parlor.control";

/// As what one takes part in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Hears people, not other agents, and says about itself that it is an agent.
    #[default]
    Agent,
    /// Hears everyone, and the agent's messages on `parlor.` topics too: the other end of a call, for tests.
    Caller,
    /// As a caller, but packets are handed over as they come ([`Joined::packets`]) and none is decoded: for measurements.
    Probe,
}

/// How to take part in a room.
#[derive(Debug, Clone)]
pub struct JoinSettings {
    /// The LiveKit server: `ws://`, `wss://`, `http://` or `https://`.
    pub url: String,
    /// An access token for one room and one identity. It is a secret.
    pub token: secrecy::SecretString,
    /// As what.
    pub role: Role,
    /// What the agent is called in its attributes; may be empty.
    pub agent_name: String,
    /// How long an agent stays in a room that everybody has left: whoever reloads the page finds it there.
    pub stay: Duration,
    /// How our voice is encoded.
    pub audio: EncoderSettings,
    /// How long people's packets wait.
    pub jitter: JitterSettings,
}
