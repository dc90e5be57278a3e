//! A link is one call's connection: two bounded queues and a fence, whatever the transport underneath.
//!
//! ```text
//!   caller ──► transport ──► Inbox (drop oldest audio) ──► session
//!   caller ◄── transport ◄── Outbound (16 frames or messages) ◄── session
//!                  │ fence checked again just before a frame is encoded
//!                  └── Inbound::Unsent reports what the fence or a full socket kept back
//! ```

#[cfg(feature = "livekit")]
pub mod livekit;
#[cfg(feature = "webrtc")]
pub mod webrtc;
pub mod websocket;

use crate::frame::AudioFrame;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Frames of one speaker's sound that wait for the session: one second. More is a stalled session, and old sound is worthless.
pub const INBOX_FRAMES: usize = 50;
/// Messages from a caller that wait for the session; a caller that sends faster is held back by its own socket.
pub const INBOX_MESSAGES: usize = 64;
/// What waits between session and transport: room for a burst of events beside a frame or two. A transport takes each at
/// once, into a backlog of its own if it must; one that takes nothing fills this with 320 ms of frames, and loses the next.
pub const OUTBOUND_BOUND: usize = 16;

/// Which reply a frame of speech belongs to. A generation is never used twice in a call and only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

/// The lowest generation that may still leave. The session raises it; the transport asks just before it encodes.
#[derive(Debug, Clone, Default)]
pub struct Fence(Arc<AtomicU32>);

impl Fence {
    /// From now on only frames of `generation` or a later one may leave.
    pub fn raise(&self, generation: Generation) {
        self.0.fetch_max(generation.0, Ordering::Release);
    }

    /// Whether a frame of `generation` may leave.
    pub fn admits(&self, generation: Generation) -> bool {
        generation.0 >= self.0.load(Ordering::Acquire)
    }
}

/// One of the people whom a link brings: a number that the link gives, and gives once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Speaker(pub u32);

impl Speaker {
    /// The only person of a link that brings one.
    pub const CALLER: Self = Self(0);
}

/// Who somebody in a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the room knows them by; unique in it.
    pub identity: String,
    /// What they want to be called; may be empty.
    pub name: String,
}

impl Person {
    /// What to call them: the name, or the identity where there is none.
    pub fn called(&self) -> &str {
        if self.name.trim().is_empty() {
            &self.identity
        } else {
            self.name.trim()
        }
    }
}

/// Words on their way to the people of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Whose words; none are the agent's own.
    pub speaker: Option<Speaker>,
    /// Which segment they belong to: unique in the call.
    pub segment: String,
    /// All words of the segment so far.
    pub text: String,
    /// Whether the segment is complete.
    pub is_final: bool,
    /// Whether it is complete because somebody broke in.
    pub is_interrupted: bool,
}

/// What a caller's transport hands to the session.
#[derive(Debug)]
pub enum Inbound {
    /// 20 ms of what somebody said.
    Audio {
        /// Who.
        speaker: Speaker,
        /// What.
        frame: AudioFrame,
    },
    /// What somebody said before the agent was there, at most [`RECORDED_FRAMES`] of it; their sound goes on after it.
    Recorded {
        /// Who.
        speaker: Speaker,
        /// What, without a gap.
        frames: Vec<AudioFrame>,
    },
    /// Somebody is in the room, or is called otherwise than before. Comes before anything else of theirs.
    Joined {
        /// The number that they have from now on.
        speaker: Speaker,
        /// Who they are.
        person: Person,
    },
    /// Somebody is no longer in the room, or is no longer to be heard. Nothing of theirs follows.
    Left {
        /// Who.
        speaker: Speaker,
    },
    /// Somebody typed a message: it interrupts and is to be answered.
    Chat {
        /// Who.
        speaker: Speaker,
        /// The words.
        text: String,
    },
    /// The connection is lost for now and is being mended: nothing that is said now is heard.
    Away,
    /// The connection is there again.
    Back,
    /// A message in the transport's dialect, as it came (JSON text).
    Message(String),
    /// The same from somebody in a room.
    Control {
        /// Who.
        speaker: Speaker,
        /// The message: JSON text.
        message: String,
    },
    /// Frames of speech that were handed over but did not leave: the fence stopped them, or the caller stopped reading.
    Unsent {
        /// The generation that they belonged to.
        generation: Generation,
        /// How many frames.
        frames: u32,
    },
    /// The caller broke the transport's own rules; the session tells the caller.
    Invalid(String),
    /// The connection is gone. Nothing follows.
    Closed(Closed),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The caller closed it.
    ByCaller,
    /// The caller stopped reading, and the bounded buffer stayed full for too long.
    TooSlow,
    /// Somebody with authority over the room took the agent out of it.
    Removed,
    /// The room was closed.
    RoomClosed,
    /// Another participant joined under the agent's identity.
    Replaced,
    /// The access token is no longer good for the room.
    TokenExpired,
    /// The network or the transport failed; for the log.
    Failed(String),
}

impl Closed {
    /// The reason in one word, for logs, metrics and clients.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ByCaller => "left",
            Self::TooSlow => "too-slow",
            Self::Removed => "removed",
            Self::RoomClosed => "room-closed",
            Self::Replaced => "replaced",
            Self::TokenExpired => "token-expired",
            Self::Failed(_) => "connection-lost",
        }
    }
}

/// What [`Inbound::Recorded`] may hold: thirty seconds.
pub const RECORDED_FRAMES: usize = 1500;

/// What the session hands to a caller's transport.
#[derive(Debug)]
pub enum Outbound {
    /// 20 ms of speech, to be sent at once.
    Audio {
        /// The reply that it belongs to; checked against the fence just before encoding.
        generation: Generation,
        /// The number of this 20 ms slot since the call began. It runs on through silence: an RTP timestamp is 960 x tick.
        tick: u64,
        /// The sound.
        frame: AudioFrame,
    },
    /// 20 ms that are Opus already, to be sent at once: for callers who say what was prepared. Transports without Opus
    /// ignore it.
    Opus {
        /// As in [`Outbound::Audio`].
        tick: u64,
        /// One packet.
        packet: Bytes,
    },
    /// A message in the transport's dialect (JSON text). Never dropped, never overtakes.
    Message(String),
    /// Words for the people of a room. Transports without a room ignore it.
    Caption(Caption),
    /// What the agent says about itself in a room: keys and values, replacing those of the same keys. Transports without
    /// a room ignore it.
    Attributes(Vec<(&'static str, String)>),
    /// A message on a topic for the people in a room. Transports without a room ignore it.
    Data {
        /// For whom; none means for everyone.
        to: Option<Speaker>,
        /// What it is about.
        topic: &'static str,
        /// The message: JSON text.
        payload: String,
    },
    /// Send what waits, then close.
    Close {
        /// The WebSocket close code; transports without codes ignore it.
        code: u16,
        /// A short reason, shown to the caller.
        reason: String,
    },
}

/// The session's end of a connection.
#[derive(Debug)]
pub struct Link {
    /// What the caller sends.
    pub inbox: Inbox,
    /// What the caller gets. `send` waits only while [`OUTBOUND_BOUND`] things wait already.
    pub outbound: mpsc::Sender<Outbound>,
    /// Raised on every interrupt.
    pub fence: Fence,
}

/// The transport's end of a connection.
#[derive(Debug)]
pub struct Wire {
    /// Where the caller's sound and messages go.
    pub inbox: InboxSender,
    /// What to send to the caller.
    pub outbound: mpsc::Receiver<Outbound>,
    /// To be asked just before a frame is encoded.
    pub fence: Fence,
}

/// A connected pair: the session's end and the transport's.
pub fn pair() -> (Link, Wire) {
    let shared = Arc::new(Shared::default());
    let (outbound, from_session) = mpsc::channel(OUTBOUND_BOUND);
    let fence = Fence::default();
    (
        Link {
            inbox: Inbox {
                shared: shared.clone(),
            },
            outbound,
            fence: fence.clone(),
        },
        Wire {
            inbox: InboxSender { shared },
            outbound: from_session,
            fence,
        },
    )
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    taken: Notify,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Inbound>,
    /// Frames that wait, by speaker; who has none waiting is not in it.
    audio: BTreeMap<Speaker, usize>,
    messages: usize,
    sender_gone: bool,
    receiver_gone: bool,
}

impl Queue {
    fn waiting(&self, speaker: Speaker) -> usize {
        self.audio.get(&speaker).copied().unwrap_or(0)
    }

    fn count(&mut self, speaker: Speaker, change: isize) {
        let frames = self.waiting(speaker).saturating_add_signed(change);
        if frames == 0 {
            self.audio.remove(&speaker);
        } else {
            self.audio.insert(speaker, frames);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic elsewhere cannot leave the queue half-changed: every change below is one step.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving end of a caller's sound and messages.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
}

impl Inbox {
    /// Waits for the next thing; `None` once the transport is gone and all was taken. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Inbound> {
        loop {
            let arrived = self.shared.arrived.notified();
            {
                let mut queue = self.shared.lock();
                if let Some(item) = queue.items.pop_front() {
                    match &item {
                        Inbound::Audio { speaker, .. } => queue.count(*speaker, -1),
                        _ => queue.messages -= 1,
                    }
                    drop(queue);
                    self.shared.taken.notify_one();
                    return Some(item);
                }
                if queue.sender_gone {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Frames of the caller's sound that were dropped so far because the session did not take them in time.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.receiver_gone = true;
        queue.items.clear();
        drop(queue);
        self.shared.taken.notify_waiters();
        self.shared.taken.notify_one();
    }
}

/// The sending end of a caller's sound and messages.
#[derive(Debug)]
pub struct InboxSender {
    shared: Arc<Shared>,
}

impl InboxSender {
    /// Hands over 20 ms of the only caller's sound, as [`InboxSender::audio_of`] does.
    pub fn audio(&self, frame: AudioFrame) {
        self.audio_of(Speaker::CALLER, frame);
    }

    /// Hands over 20 ms of somebody's sound. When a second of theirs waits already, the oldest frame is dropped and counted.
    pub fn audio_of(&self, speaker: Speaker, frame: AudioFrame) {
        let mut queue = self.shared.lock();
        if queue.receiver_gone {
            return;
        }
        if queue.waiting(speaker) >= INBOX_FRAMES
            && let Some(oldest) = queue.items.iter().position(
                |item| matches!(item, Inbound::Audio { speaker: of, .. } if *of == speaker),
            )
        {
            queue.items.remove(oldest);
            queue.count(speaker, -1);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        queue.items.push_back(Inbound::Audio { speaker, frame });
        queue.count(speaker, 1);
        drop(queue);
        self.shared.arrived.notify_one();
    }

    /// Hands over anything but sound; waits while too many such things wait already. `false` once the session is gone.
    pub async fn send(&self, item: Inbound) -> bool {
        let mut item = item;
        loop {
            let taken = self.shared.taken.notified();
            match self.try_send(item) {
                Ok(()) => return true,
                Err(_) if self.is_closed() => return false,
                Err(back) => item = back,
            }
            taken.await;
        }
    }

    /// Hands over anything but sound if there is room for it now.
    ///
    /// # Errors
    /// Gives the item back while too many such things wait already, and once the session is gone.
    pub fn try_send(&self, item: Inbound) -> Result<(), Inbound> {
        let mut queue = self.shared.lock();
        if queue.receiver_gone || queue.messages >= INBOX_MESSAGES {
            return Err(item);
        }
        match &item {
            Inbound::Audio { speaker, .. } => queue.count(*speaker, 1),
            _ => queue.messages += 1,
        }
        queue.items.push_back(item);
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Whether the session has gone.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().receiver_gone
    }
}

impl Drop for InboxSender {
    fn drop(&mut self) {
        self.shared.lock().sender_gone = true;
        self.shared.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stalled_session_loses_the_oldest_sound_and_no_message() {
        let (mut link, wire) = pair();
        assert!(wire.inbox.send(Inbound::Message("first".into())).await);
        for n in 0..60i16 {
            let mut frame = AudioFrame::silence();
            frame.samples_mut()[0] = n;
            wire.inbox.audio(frame);
        }
        assert_eq!(link.inbox.dropped(), 10);
        assert!(matches!(link.inbox.recv().await, Some(Inbound::Message(text)) if text == "first"));
        assert!(
            matches!(link.inbox.recv().await, Some(Inbound::Audio { frame, .. }) if frame.samples()[0] == 10)
        );
        drop(wire);
        for _ in 0..49 {
            assert!(link.inbox.recv().await.is_some());
        }
        assert!(link.inbox.recv().await.is_none());
    }

    #[tokio::test]
    async fn one_speaker_who_is_not_taken_costs_another_nothing() {
        let (mut link, wire) = pair();
        let (loud, quiet) = (Speaker(1), Speaker(2));
        wire.inbox.audio_of(quiet, AudioFrame::silence());
        for _ in 0..200 {
            wire.inbox.audio_of(loud, AudioFrame::silence());
        }
        assert_eq!(link.inbox.dropped(), 150);
        let first = link.inbox.recv().await;
        assert!(matches!(first, Some(Inbound::Audio { speaker, .. }) if speaker == quiet));
    }

    #[test]
    fn the_fence_only_rises() {
        let fence = Fence::default();
        fence.raise(Generation(3));
        fence.raise(Generation(2));
        assert!(!fence.admits(Generation(2)));
        assert!(fence.admits(Generation(3)));
    }
}
