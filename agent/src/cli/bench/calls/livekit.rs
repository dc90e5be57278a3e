//! A caller in a room of its own. The words are Opus already and no packet is decoded: the callers share the machine with
//! the server, and with the LiveKit server between.

use super::line::{Heard, NoCall};
use super::observed::Packet;
use super::webrtc::Numbers;
use crate::cli::Failure;
use crate::config::LiveKit;
use anyhow::Context as _;
use bytes::Bytes;
use media::codec::EncoderSettings;
use media::jitter::JitterSettings;
use media::link::livekit::token::{self, Dispatch, Grant, Keys};
use media::link::livekit::{HeardPacket, JoinSettings, Joined, Role, Room};
use media::link::{Inbound, Link, Outbound};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// What the server under test is called: callers ask for it.
pub const AGENT_NAME: &str = "parlor-bench";
/// Tokens are used at once.
const TTL: Duration = Duration::from_secs(600);
/// A packet of silence is shorter.
const SILENCE_BYTES: usize = 12;

/// Where the rooms are.
#[derive(Debug)]
pub struct Rooms {
    url: String,
    keys: Keys,
    agent_name: String,
}

impl Rooms {
    /// The rooms of the LiveKit server that the settings name.
    ///
    /// # Errors
    /// When they name none. `agent_name` is whom the callers ask into their rooms.
    pub fn new(settings: &LiveKit, agent_name: &str) -> Result<Self, Failure> {
        match &settings.api_secret {
            Some(secret) if settings.is_configured() => Ok(Self {
                url: settings.url.clone(),
                keys: Keys {
                    api_key: settings.api_key.clone(),
                    api_secret: secret.clone(),
                },
                agent_name: agent_name.to_owned(),
            }),
            _ => Err(Failure::Usage(
                "set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; `just livekit` starts a server and prints them"
                    .into(),
            )),
        }
    }
}

/// A caller's connection.
#[derive(Debug)]
pub struct LiveKitLine {
    link: Link,
    room: Room,
    packets: mpsc::Receiver<HeardPacket>,
    numbers: Numbers,
    tick: u64,
    tasks: TaskTracker,
}

impl LiveKitLine {
    /// Joins a room of its own and asks the server under test into it.
    ///
    /// # Errors
    /// Why there is no call.
    pub async fn connect(rooms: &Rooms) -> Result<Self, NoCall> {
        let grant = Grant {
            room: format!("bench-{:016x}", rand::random::<u64>()),
            identity: "caller".into(),
            agents: vec![Dispatch {
                agent_name: rooms.agent_name.clone(),
                metadata: String::new(),
            }],
            ttl: TTL,
            ..Grant::default()
        };
        let settings = JoinSettings {
            url: rooms.url.clone(),
            token: token::caller(&rooms.keys, &grant).context("cannot make a token")?,
            role: Role::Probe,
            agent_name: String::new(),
            stay: Duration::ZERO,
            audio: EncoderSettings::default(),
            jitter: JitterSettings::default(),
        };
        let tasks = TaskTracker::new();
        // On the heap: the future holds two WebRTC stacks.
        let Joined {
            link,
            room,
            packets,
        } = Box::pin(Room::join(settings, &tasks))
            .await
            .context("cannot join a room")?;
        Ok(Self {
            link,
            room,
            packets,
            numbers: Numbers::default(),
            tick: 0,
            tasks,
        })
    }

    /// The next thing from the server. Cancel-safe.
    pub async fn recv(&mut self) -> Heard {
        loop {
            tokio::select! {
                biased;
                Some(packet) = self.packets.recv() => {
                    return Heard::Packet(Packet {
                        at: packet.arrived_ns,
                        number: self.numbers.extend(packet.sequence),
                        sounds: packet.payload.len() > SILENCE_BYTES,
                    });
                }
                item = self.link.inbox.recv() => match item {
                    Some(Inbound::Message(message)) => return Heard::Message(message),
                    Some(Inbound::Closed(why)) => return Heard::Closed(format!("{why:?}")),
                    None => return Heard::Closed("the room is over".to_owned()),
                    Some(_) => {}
                }
            }
        }
    }

    /// Sends 20 ms of Opus.
    pub async fn send(&mut self, packet: Bytes) {
        let tick = self.tick;
        self.tick += 1;
        // `recv` tells when the call is over.
        let _ = self
            .link
            .outbound
            .send(Outbound::Opus { tick, packet })
            .await;
    }

    /// Leaves the room.
    pub async fn hang_up(self) {
        let Self {
            link, room, tasks, ..
        } = self;
        room.hang_up();
        drop(link);
        room.ended().await;
        tasks.close();
    }
}
