//! The task that carries a room: two connections, the signalling, the people's sound, our voice.
//!
//! ```text
//!            ┌──────────────────────── lost ────────────────────────┐
//!            ▼                                                      │
//!   Joining ─► In the room ─► Away: resume, then rejoin, ten attempts ─► In the room
//!                  │                        │
//!                  └──────────► Closed ◄────┘   one reason each: left, removed, room closed, replaced, token expired, failed
//! ```

mod data;
mod media;
mod mend;
mod people;
mod said;
mod signals;

use super::attempts::Steadiness;
use super::captions::Captions;
use super::crowd::Crowd;
use super::hearing::Hearing;
use super::packets::Packets;
use super::room::{Phase, RoomStatistics};
use super::signal::Signal;
use super::streams::Streams;
use super::transport::{ChannelId, Event, LOSSY, PAYLOAD_TYPE, RELIABLE, Transport};
use super::{HeardPacket, JoinError, JoinSettings, Role};
use crate::clock::Clock;
use crate::frame::AudioFrame;
use crate::link::webrtc::Voice;
use crate::link::{Closed, Inbound, Outbound, Wire};
use data::{Early, Quotas};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    AddTrackRequest, JoinResponse, ParticipantInfo, SessionDescription, SignalTarget, TrackSource,
    TrackType, TrickleRequest,
};
use livekit_signaling::SignalEvent;
use media::Preroll;
use mend::{Mended, Mending};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The attribute by which people see what the agent does, and what it says at first.
const STATE: &str = "lk.agent.state";
const INITIALIZING: &str = "initializing";
const LISTENING: &str = "listening";
/// The name of our track in SDP.
const TRACK: &str = "voice";
/// Things for the session that wait here before messages stay in the stack, where they make their senders wait.
const HELD: usize = 16;
/// The same for what must not be lost, such as who came and left: a session that far behind has stopped.
const MAX_HELD: usize = 1024;
/// When to look again whether the session takes what waits.
const HELD_RETRY: Duration = Duration::from_millis(20);
/// Recordings that are being decoded for one room; more are refused.
const RECORDINGS: usize = 8;
/// How long the last messages of a call may take to be confirmed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long an agent waits for the first person.
const FIRST_WITHIN: Duration = Duration::from_secs(60);
/// How long the way from the people to us may take to be found.
const DEAF_FOR: Duration = Duration::from_secs(8);
/// Somebody who has been there for so long hears us, even if the server does not say so.
const HEARD_AFTER: Duration = Duration::from_secs(3);

/// How long somebody's page may take to look at us after it has joined. Until then it sees neither that we listen, if that never
/// changes, nor the captions that have begun.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// When our words are shown to it once more, for a page on a slow machine.
const SLOW_AFTER: Duration = Duration::from_secs(6);

/// A recording that was decoded: the track and what was said.
type Recording = (String, Vec<AudioFrame>);

/// What one room consists of.
pub(super) struct Parts {
    pub(super) settings: JoinSettings,
    pub(super) clock: Clock,
    pub(super) signal: Signal,
    pub(super) join: JoinResponse,
    pub(super) wire: Wire,
    pub(super) hang_up: CancellationToken,
    /// Where a probe's packets go.
    pub(super) packets: mpsc::Sender<HeardPacket>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) statistics: Arc<Mutex<RoomStatistics>>,
    pub(super) tasks: TaskTracker,
}

/// One room.
pub(super) struct Participant {
    settings: JoinSettings,
    clock: Clock,
    signal: Signal,
    tasks: TaskTracker,
    wire: Wire,
    hang_up: CancellationToken,
    probed: mpsc::Sender<HeardPacket>,
    phase: watch::Sender<Phase>,
    statistics: Arc<Mutex<RoomStatistics>>,
    counted: RoomStatistics,

    /// Our identity and what the server calls this stay of ours.
    identity: String,
    sid: String,
    /// Our track, once the server knows it.
    track_sid: Option<String>,
    publisher: Transport,
    subscriber: Transport,
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    voice: Voice,
    preroll: Preroll,
    /// The server has muted our track.
    is_muted: bool,

    crowd: Crowd,
    hearing: Hearing,
    streams: Streams,
    packets: Packets,
    captions: Captions,
    quotas: Quotas,
    refusals: Quotas,
    early: Vec<Early>,
    attributes: BTreeMap<&'static str, String>,
    recordings: mpsc::Receiver<Recording>,
    recordings_in: mpsc::Sender<Recording>,

    held: VecDeque<Inbound>,
    mending: Option<Mending>,
    steadiness: Steadiness,
    /// After a resume, until the server has said who is there.
    expects_everybody: bool,
    /// When the room is left because nobody is in it.
    alone_until: Option<Duration>,
    /// Everybody who was there has left.
    is_deserted: bool,
    /// The session believes that nobody hears it.
    is_away: bool,
    /// When the people must be connected to us at the latest.
    deaf_until: Option<Duration>,
    /// When somebody who is there is taken to hear us.
    heard_at: Option<Duration>,
    last_words: Option<Duration>,
    /// Since when somebody can hear us.
    heard_since: Option<Duration>,
    /// That we listen is told then, and not before.
    settled: Option<(Duration, BTreeMap<&'static str, String>)>,
    /// When our words are shown again, for who came last.
    again_at: Option<Duration>,
    /// When somebody came last.
    joined_at: Duration,
    /// There is more to do at once.
    is_busy: bool,
    closed: Option<Closed>,
}

enum Woken {
    HungUp,
    Outbound(Option<Outbound>),
    Publisher,
    Subscriber,
    Signal(Option<SignalEvent>),
    Recording(Recording),
    Mended(Mended),
    Timeout,
}

impl Participant {
    /// A participant whose signalling is connected; media follows.
    pub(super) fn new(parts: Parts) -> Result<Self, JoinError> {
        let Parts {
            settings,
            clock,
            signal,
            join,
            wire,
            hang_up,
            packets: probed,
            phase,
            statistics,
            tasks,
        } = parts;
        let now = clock.instant(clock.now());
        let publisher = Transport::publisher(now, TRACK).map_err(no_media)?;
        let subscriber = Transport::subscriber(now).map_err(no_media)?;
        let voice =
            Voice::new(settings.audio.clone(), PAYLOAD_TYPE, publisher.ssrc()).map_err(no_media)?;
        let preroll = Preroll::new(clock.now()).map_err(no_media)?;
        let (recordings_in, recordings) = mpsc::channel(RECORDINGS);
        let role = settings.role;
        let mut attributes = BTreeMap::new();
        if role == Role::Agent {
            attributes.insert(STATE, INITIALIZING.to_owned());
            if !settings.agent_name.is_empty() {
                attributes.insert("lk.agent.name", settings.agent_name.clone());
            }
        }
        let mut participant = Self {
            alone_until: (settings.role == Role::Agent).then(|| clock.now() + FIRST_WITHIN),
            is_deserted: false,
            is_away: false,
            hearing: Hearing::new(settings.jitter),
            settings,
            clock,
            signal,
            tasks,
            wire,
            hang_up,
            probed,
            phase,
            statistics,
            counted: RoomStatistics::default(),
            identity: String::new(),
            sid: String::new(),
            track_sid: None,
            publisher,
            subscriber,
            reliable: None,
            lossy: None,
            voice,
            preroll,
            is_muted: false,
            crowd: Crowd::new(role),
            streams: Streams::default(),
            packets: Packets::default(),
            captions: Captions::default(),
            quotas: Quotas::default(),
            refusals: Quotas::default(),
            early: Vec::new(),
            attributes,
            recordings,
            recordings_in,
            held: VecDeque::new(),
            mending: None,
            steadiness: Steadiness::default(),
            expects_everybody: false,
            deaf_until: None,
            heard_at: None,
            last_words: None,
            heard_since: None,
            settled: None,
            again_at: None,
            joined_at: Duration::ZERO,
            is_busy: false,
            closed: None,
        };
        participant.introduce(&join)?;
        let changes = join.other_participants.iter();
        let changes: Vec<_> = changes
            .flat_map(|info| participant.crowd.update(info))
            .collect();
        participant.follow(changes, false);
        Ok(participant)
    }

    /// Says who we are and offers our voice.
    fn introduce(&mut self, join: &JoinResponse) -> Result<(), JoinError> {
        let me = join.participant.clone().unwrap_or_default();
        self.identity = me.identity;
        self.sid = me.sid;
        // The server handles requests in order, so the offer need not wait until the track is confirmed.
        self.signal.send(Request::AddTrack(AddTrackRequest {
            cid: TRACK.to_owned(),
            name: TRACK.to_owned(),
            r#type: TrackType::Audio.into(),
            source: TrackSource::Microphone.into(),
            disable_red: true,
            ..AddTrackRequest::default()
        }));
        self.offer(false).map_err(no_media)?;
        if !self.attributes.is_empty() {
            self.tell_attributes(self.attributes.clone());
        }
        Ok(())
    }

    fn offer(&mut self, restart: bool) -> Result<(), crate::link::webrtc::StackError> {
        let now = self.clock.instant(self.clock.now());
        let sdp = self.publisher.offer(now, restart)?;
        self.signal.send(Request::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp,
            ..SessionDescription::default()
        }));
        // Our candidates are in the offer.
        self.signal.send(Request::Trickle(TrickleRequest {
            candidate_init: "{\"candidate\":\"\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0}".to_owned(),
            target: SignalTarget::Publisher.into(),
            r#final: true,
        }));
        Ok(())
    }

    /// Whether our voice can leave.
    pub(super) fn is_ready(&self) -> bool {
        self.publisher.is_connected()
    }

    /// Whether the room is over already.
    pub(super) fn closed(&mut self) -> Option<Closed> {
        self.closed.take()
    }

    /// Carries the room until it ends; the session is told last.
    pub(super) async fn run(mut self) {
        let closed = loop {
            self.settle();
            if let Some(closed) = self.closed.take() {
                break closed;
            }
            self.step(None).await;
        };
        self.leave();
        self.publish();
        let Self {
            signal,
            publisher,
            subscriber,
            wire,
            held,
            phase,
            ..
        } = self;
        drop((signal, publisher, subscriber));
        phase.send_replace(Phase::Ended(closed.clone()));
        for item in held {
            wire.inbox.send(item).await;
        }
        wire.inbox.send(Inbound::Closed(closed)).await;
    }

    /// Says goodbye to the server.
    pub(super) fn leave(&mut self) {
        self.signal
            .send(Request::Leave(livekit_protocol::LeaveRequest {
                reason: livekit_protocol::DisconnectReason::ClientInitiated.into(),
                ..Default::default()
            }));
        self.publisher.close();
        self.subscriber.close();
    }

    /// Does what is to be done next, or waits for it until `deadline`.
    pub(super) async fn step(&mut self, deadline: Option<Duration>) {
        let wake = self.next_timeout();
        let until = deadline.map_or(wake, |deadline| wake.min(deadline));
        let may_say_more = self.last_words.is_none();
        // The order matters: our voice is due now, a packet can wait a moment.
        let woken = tokio::select! {
            biased;
            () = self.hang_up.cancelled() => Woken::HungUp,
            outbound = self.wire.outbound.recv(), if may_say_more => Woken::Outbound(outbound),
            () = self.subscriber.socket().readable() => Woken::Subscriber,
            () = self.publisher.socket().readable() => Woken::Publisher,
            event = self.signal.events.recv(), if self.hears_signal() => Woken::Signal(event),
            mended = mend::finish(&mut self.mending) => Woken::Mended(mended),
            Some(recording) = self.recordings.recv() => Woken::Recording(recording),
            () = self.clock.until(until) => Woken::Timeout,
        };
        let at = self.clock.instant(self.clock.now());
        self.is_busy = false;
        match woken {
            Woken::HungUp => self.end(Closed::ByCaller),
            Woken::Outbound(outbound) => self.send(outbound),
            Woken::Publisher => self.is_busy = self.publisher.receive(at),
            Woken::Subscriber => self.is_busy = self.subscriber.receive(at),
            Woken::Signal(event) => self.on_signal(event),
            Woken::Recording((track, frames)) => self.on_recording(&track, frames),
            Woken::Mended(mended) => self.on_mended(mended),
            Woken::Timeout => {}
        }
        // Not only when nothing else was to be done: a flood of packets must not stop the clock.
        let now = self.clock.now();
        if now >= wake {
            self.handle_timeout(now);
        }
    }

    fn next_timeout(&mut self) -> Duration {
        if self.is_busy {
            return Duration::ZERO;
        }
        let clock = self.clock;
        let due = [
            self.publisher.next_timeout().map(|at| clock.at(at)),
            self.subscriber.next_timeout().map(|at| clock.at(at)),
            self.hearing.next_timeout(),
            self.preroll.next_timeout(),
            self.mending.as_ref().and_then(Mending::next_timeout),
            self.alone_until,
            self.deaf_until,
            self.heard_at,
            self.last_words,
            self.settled.as_ref().map(|(at, _)| *at),
            self.again_at,
            (!self.held.is_empty()).then(|| clock.now() + HELD_RETRY),
        ];
        // A day is longer than any call.
        due.into_iter()
            .flatten()
            .min()
            .unwrap_or(clock.now() + Duration::from_secs(86_400))
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.hear_what_is_due(now);
        self.say_silence(now);
        let at = self.clock.instant(now);
        let clock = self.clock;
        let due = |next: Option<std::time::Instant>| next.is_some_and(|next| clock.at(next) <= now);
        let mut failed = false;
        for transport in [&mut self.publisher, &mut self.subscriber] {
            if due(transport.next_timeout())
                && let Err(error) = transport.handle_timeout(at)
            {
                tracing::debug!(%error, "A connection to the room has failed.");
                failed = true;
            }
        }
        if failed && self.mending.is_none() {
            self.away(Mending::rejoin());
        }
        if self.deaf_until.is_some_and(|at| at <= now) {
            self.deaf_until = None;
            if !self.subscriber.is_connected() {
                self.rejoin();
            }
        }
        if self.heard_at.is_some_and(|at| at <= now) {
            self.is_heard();
        }
        if let Some((_, attributes)) = self.settled.take_if(|(at, _)| *at <= now) {
            self.tell_attributes(attributes);
        }
        if let Some(at) = self.again_at.take_if(|at| *at <= now) {
            let slow_at = self.joined_at + SLOW_AFTER;
            self.again_at = (at < slow_at).then_some(slow_at);
            self.show_again();
        }
        if self.last_words.is_some_and(|at| at <= now)
            || self.alone_until.is_some_and(|at| at <= now)
        {
            self.end(Closed::ByCaller);
        }
        self.mend(now);
        self.publish();
    }

    /// Does everything that follows from what was taken in.
    pub(super) fn settle(&mut self) {
        while let Some(event) = self.publisher.poll_event() {
            match event {
                Event::Opened { channel, label } => match label.as_str() {
                    RELIABLE => self.reliable = Some(channel),
                    LOSSY => self.lossy = Some(channel),
                    _ => {}
                },
                Event::Failed => self.lost("the way to the room is lost"),
                Event::Connected | Event::Track { .. } => {}
            }
        }
        while let Some(event) = self.subscriber.poll_event() {
            match event {
                Event::Track { id, sid } => self.hearing.name(id, sid),
                Event::Failed => self.lost("the way from the room is lost"),
                Event::Connected => self.deaf_until = None,
                Event::Opened { .. } => {}
            }
        }
        self.mend(self.clock.now());
        self.take_sound();
        self.take_messages();
        self.flush_packets();
        self.publisher.transmit();
        self.subscriber.transmit();
        while let Some(item) = self.held.pop_front() {
            if let Err(back) = self.wire.inbox.try_send(item) {
                self.held.push_front(back);
                break;
            }
        }
        if self.wire.inbox.is_closed() {
            // The session has gone; its last words are still on their way to the room.
            self.held.clear();
        }
        if self.held.len() > MAX_HELD {
            self.end(Closed::TooSlow);
        }
        if self.last_words.is_some() && self.is_all_said() {
            self.end(Closed::ByCaller);
        }
    }

    fn end(&mut self, closed: Closed) {
        self.closed.get_or_insert(closed);
    }

    fn publish(&mut self) {
        self.counted.jitter = self.hearing.statistics();
        self.counted.undecodable_packets = self.hearing.undecodable();
        self.counted.messages_dropped = self.packets.dropped();
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.counted;
    }

    fn is_me(&self, info: &ParticipantInfo) -> bool {
        info.identity == self.identity
    }
}

fn no_media(error: impl std::fmt::Display) -> JoinError {
    JoinError::NoMedia(error.to_string())
}
