//! The other end of a call: offers, speaks and listens, as a browser does. For tests and for the bench's callers.

use super::channel::{Channel, LABEL};
use super::connection::Connection;
use super::mux::bind_one;
use super::voice::Voice;
use crate::clock::Clock;
use crate::codec::EncoderSettings;
use crate::frame::AudioFrame;
use bytes::Bytes;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

mod line;

use line::Line;

/// What waits for the caller's owner: 20 s of packets. What does not fit is dropped and counted.
const HEARD: usize = 1024;
/// What waits to be said; the sender waits then.
const SAID: usize = 16;

/// How a caller calls.
#[derive(Debug, Clone)]
pub struct CallerSettings {
    /// The address to call from.
    pub bind: IpAddr,
    /// How the caller's voice is encoded.
    pub audio: EncoderSettings,
    /// How long to wait for the answer to work.
    pub connect_timeout: Duration,
}

impl Default for CallerSettings {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            audio: EncoderSettings::default(),
            connect_timeout: Duration::from_secs(15),
        }
    }
}

/// Why a call did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No socket.
    #[error("cannot call from {address}: {source}")]
    Socket {
        /// The address to call from.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The stack could not make an offer or use the answer.
    #[error("cannot negotiate the call: {0}")]
    Negotiation(String),
    /// The offer was not answered.
    #[error("the offer was not answered: {0}")]
    Refused(String),
    /// There is an answer, but no connection.
    #[error("no connection after {0:?}")]
    NoConnection(Duration),
}

/// A packet of speech as it came off the wire.
#[derive(Debug, Clone)]
pub struct HeardPacket {
    /// When it was read, on the system's monotonic clock, which all processes of one machine share.
    pub arrived_ns: u64,
    /// The RTP sequence number.
    pub sequence: u16,
    /// The RTP timestamp: samples at 48 kHz.
    pub timestamp: u32,
    /// The RTP marker: the first packet after a silence.
    pub marker: bool,
    /// The Opus packet.
    pub payload: Bytes,
}

/// What comes from the other side.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Speech.
    Packet(HeardPacket),
    /// A message on the data channel.
    Message(String),
    /// The other side is gone. Nothing follows.
    Closed,
}

#[derive(Debug)]
enum Say {
    Frame(AudioFrame),
    Opus(Bytes),
    Silence(u64),
    Message(String),
    Binary,
    Move,
}

/// A caller in a call. Dropping it hangs up.
#[derive(Debug)]
pub struct Caller {
    /// What comes from the other side, in order.
    pub heard: mpsc::Receiver<Heard>,
    say: mpsc::Sender<Say>,
    tasks: TaskTracker,
}

/// Speaks for a [`Caller`]; may be used beside it. The call ends when the caller and all of these are dropped.
#[derive(Debug, Clone)]
pub struct Mouth {
    say: mpsc::Sender<Say>,
}

impl Mouth {
    /// Sends 20 ms of sound now. `false` once the call is over; the same for all that follow.
    pub async fn frame(&self, frame: AudioFrame) -> bool {
        self.say.send(Say::Frame(frame)).await.is_ok()
    }

    /// Sends 20 ms of what is Opus already, or claims to be.
    pub async fn opus(&self, packet: Bytes) -> bool {
        self.say.send(Say::Opus(packet)).await.is_ok()
    }

    /// Leaves out `frames` times 20 ms: the next frame's timestamp is that much later.
    pub async fn silence(&self, frames: u64) -> bool {
        self.say.send(Say::Silence(frames)).await.is_ok()
    }

    /// Sends a message on the data channel.
    pub async fn message(&self, text: impl Into<String>) -> bool {
        self.say.send(Say::Message(text.into())).await.is_ok()
    }

    /// Sends a binary message, which nobody expects.
    pub async fn binary(&self) -> bool {
        self.say.send(Say::Binary).await.is_ok()
    }

    /// Goes on from another UDP port, as behind a router that was restarted.
    pub async fn change_port(&self) -> bool {
        self.say.send(Say::Move).await.is_ok()
    }
}

impl Caller {
    /// What the caller speaks with.
    pub fn mouth(&self) -> Mouth {
        Mouth {
            say: self.say.clone(),
        }
    }

    /// Hangs up and waits until the goodbye is sent. Its [`Mouth`]s must be gone, or it waits for them.
    pub async fn hang_up(self) {
        let Self { heard, say, tasks } = self;
        drop((heard, say));
        tasks.close();
        tasks.wait().await;
    }
}

/// Calls: makes an offer with one Opus track and the data channel `parlor`, has it answered, and waits until both work.
///
/// # Errors
/// How far it came.
pub async fn dial<F, A, E>(settings: CallerSettings, post_offer: F) -> Result<Caller, DialError>
where
    F: FnOnce(String) -> A,
    A: Future<Output = Result<String, E>>,
    E: Display,
{
    let negotiation = |error: &dyn Display| DialError::Negotiation(error.to_string());
    let address = SocketAddr::new(settings.bind, 0);
    let (local, socket) =
        bind_one(address).map_err(|source| DialError::Socket { address, source })?;
    let clock = Clock::start();
    let (mut connection, offer) = Connection::offering(clock.instant(clock.now()), local, LABEL)
        .map_err(|error| negotiation(&error))?;
    let voice =
        Voice::new(settings.audio, 111, connection.ssrc).map_err(|error| negotiation(&error))?;
    let answer = post_offer(offer)
        .await
        .map_err(|error| DialError::Refused(error.to_string()))?;
    connection
        .answered(clock.instant(clock.now()), answer)
        .map_err(|error| negotiation(&error))?;

    let (heard_sender, heard) = mpsc::channel(HEARD);
    let (say, said) = mpsc::channel(SAID);
    let mut line = Line {
        clock,
        connection,
        socket,
        local,
        voice,
        tick: 0,
        channel: Channel::default(),
        heard: heard_sender,
        said,
        is_connected: false,
        is_over: false,
    };
    let deadline = clock.now() + settings.connect_timeout;
    while !line.is_ready() {
        line.step(Some(deadline)).await;
        if line.is_over || clock.now() >= deadline {
            return Err(DialError::NoConnection(settings.connect_timeout));
        }
    }
    let tasks = TaskTracker::new();
    tasks.spawn(line.run());
    Ok(Caller { heard, say, tasks })
}
