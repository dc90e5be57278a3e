//! One call's task: packets of the caller's in, frames and messages for the session out, and the other way round.

use super::CallStatistics;
use super::call::Phase;
use super::channel::Channel;
use super::connection::Connection;
use super::mux::{Arrived, Port};
use super::playout::Playout;
use super::route::Route;
use super::table::Kind;
use super::voice::Voice;
use crate::clock::Clock;
use crate::jitter::Packet;
use crate::link::{Closed, Fence, Inbound, InboxSender, Outbound, Wire};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

mod outbound;
mod settle;

/// Packets read before the stack is asked what follows from them.
const BURST: usize = 16;
/// Packets sent for one cause. A caller that asks for thousands of repeats gets no more.
const MAX_TRANSMITS: usize = 256;
/// Data channels that one call may open; a page needs one.
const MAX_CHANNELS: usize = 8;
/// Messages of the caller's that wait for the session here before the stack tells the caller to wait.
const HELD: usize = 16;
/// How long the last messages of a call may take to be confirmed.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What one call consists of.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) connection: Connection,
    pub(super) port: Port,
    pub(super) wire: Wire,
    pub(super) voice: Voice,
    pub(super) playout: Playout,
    /// The payload type of the caller's voice.
    pub(super) payload_type: u8,
    /// Whether the caller wants to hear us.
    pub(super) is_heard: bool,
    pub(super) connect_timeout: Duration,
    pub(super) silence_timeout: Duration,
    /// Ended by whoever hangs the call up.
    pub(super) hang_up: CancellationToken,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) statistics: Arc<Mutex<CallStatistics>>,
}

/// One call.
pub(super) struct Peer {
    clock: Clock,
    connection: Connection,
    port: Port,
    route: Route,
    inbox: InboxSender,
    outbound: mpsc::Receiver<Outbound>,
    fence: Fence,
    voice: Voice,
    playout: Playout,
    channel: Channel,
    held: VecDeque<Inbound>,
    payload_type: u8,
    is_heard: bool,
    is_connected: bool,
    channels: usize,
    silence_timeout: Duration,
    /// When the call ends unless something is heard of the caller.
    deadline: Duration,
    /// When the call ends after the session closed it.
    last_words: Option<Duration>,
    closed: Option<Closed>,
    hang_up: CancellationToken,
    phase: watch::Sender<Phase>,
    statistics: Arc<Mutex<CallStatistics>>,
    counted: CallStatistics,
}

enum Woken {
    HungUp,
    Outbound(Option<Outbound>),
    Arrived(Option<Arrived>),
    Timeout,
}

impl Peer {
    /// A call whose offer has been answered.
    pub(super) fn new(parts: Parts) -> Self {
        let Wire {
            inbox,
            outbound,
            fence,
        } = parts.wire;
        Self {
            deadline: parts.clock.now() + parts.connect_timeout,
            clock: parts.clock,
            connection: parts.connection,
            port: parts.port,
            route: Route::default(),
            inbox,
            outbound,
            fence,
            voice: parts.voice,
            playout: parts.playout,
            channel: Channel::default(),
            held: VecDeque::new(),
            payload_type: parts.payload_type,
            is_heard: parts.is_heard,
            is_connected: false,
            channels: 0,
            silence_timeout: parts.silence_timeout,
            last_words: None,
            closed: None,
            hang_up: parts.hang_up,
            phase: parts.phase,
            statistics: parts.statistics,
            counted: CallStatistics::default(),
        }
    }

    /// Carries the call until it ends; then everything of it leaves, and the session is told last.
    pub(super) async fn run(mut self) {
        let closed = loop {
            self.settle();
            if let Some(closed) = self.closed.take() {
                break closed;
            }
            self.step().await;
        };
        self.connection.close();
        self.transmit();
        self.publish();
        let Self {
            port,
            connection,
            inbox,
            held,
            phase,
            ..
        } = self;
        drop((port, connection));
        phase.send_replace(Phase::Ended);
        for item in held {
            inbox.send(item).await;
        }
        inbox.send(Inbound::Closed(closed)).await;
    }

    async fn step(&mut self) {
        let wake = self.next_timeout();
        let may_say_more = self.last_words.is_none();
        // The order matters: our voice is due now, a packet can wait a moment.
        let woken = tokio::select! {
            biased;
            () = self.hang_up.cancelled() => Woken::HungUp,
            outbound = self.outbound.recv(), if may_say_more => Woken::Outbound(outbound),
            arrived = self.port.recv() => Woken::Arrived(arrived),
            () = self.clock.until(wake) => Woken::Timeout,
        };
        match woken {
            Woken::HungUp => self.end(Closed::ByCaller),
            Woken::Outbound(outbound) => self.send(outbound),
            Woken::Arrived(arrived) => self.receive_burst(arrived),
            Woken::Timeout => {}
        }
        // Not only when nothing else was to be done: a flood of packets must not stop the clock.
        let now = self.clock.now();
        if now >= wake {
            self.handle_timeout(now);
        }
    }

    fn next_timeout(&mut self) -> Duration {
        let stack = self.connection.next_timeout().map(|at| self.clock.at(at));
        let due = [stack, self.playout.next_timeout(), self.last_words];
        due.into_iter().flatten().fold(self.deadline, Duration::min)
    }

    fn handle_timeout(&mut self, now: Duration) {
        let inbox = &self.inbox;
        self.playout.handle_timeout(now, |frame| inbox.audio(frame));
        if self
            .connection
            .next_timeout()
            .is_some_and(|at| self.clock.at(at) <= now)
            && let Err(error) = self.connection.handle_timeout(self.clock.instant(now))
        {
            self.end(Closed::Failed(error.to_string()));
        }
        if self.last_words.is_some_and(|at| at <= now) {
            self.end(Closed::ByCaller);
        } else if self.deadline <= now {
            let what = if self.is_connected {
                "nothing was heard of"
            } else {
                "no connection to"
            };
            self.end(Closed::Failed(format!("{what} the caller in time")));
        }
        self.publish();
    }

    fn end(&mut self, closed: Closed) {
        self.closed.get_or_insert(closed);
    }

    fn receive_burst(&mut self, arrived: Option<Arrived>) {
        let mut next = arrived;
        for _ in 0..BURST {
            let Some(arrived) = next else {
                return;
            };
            self.receive(arrived);
            next = self.port.try_recv();
        }
        if let Some(arrived) = next {
            self.receive(arrived);
        }
    }

    fn receive(&mut self, arrived: Arrived) {
        let Arrived {
            at,
            path,
            kind,
            datagram,
        } = arrived;
        let is_handshake = kind == Kind::Media && datagram.first().is_some_and(|byte| *byte < 64);
        let now = self.clock.instant(at);
        if !self
            .connection
            .handle_datagram(now, path.local, path.remote, datagram)
        {
            self.counted.strange_packets += 1;
            return;
        }
        if self.is_connected {
            self.deadline = at + self.silence_timeout;
        }
        self.route.heard(at, path);
        match kind {
            Kind::Check { nominates: true } => self.route.nominated(at, path),
            Kind::Proof => self.route.proven(at, path),
            Kind::Check { nominates: false } | Kind::Media => {}
        }
        while let Some(packet) = self.connection.poll_voice() {
            self.hear(at, packet);
        }
        if is_handshake && self.connection.is_closed_by_them() {
            self.end(Closed::ByCaller);
        }
    }

    fn hear(&mut self, at: Duration, packet: rtc::rtp::Packet) {
        let rtc::rtp::Packet { header, payload } = packet;
        if header.payload_type != self.payload_type || payload.is_empty() {
            self.counted.strange_packets += 1;
            return;
        }
        let packet = Packet {
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
        };
        self.playout.insert(at, packet);
    }

    fn publish(&mut self) {
        self.counted.jitter = self.playout.statistics();
        self.counted.undecodable_packets = self.playout.undecodable();
        self.counted.overflowed_packets = self.port.overflowed();
        self.counted.messages_dropped = self.channel.dropped();
        self.counted.moves = self.route.moves();
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.counted;
    }
}
