//! One of a participant's two peer connections: the publisher's, which we offer, or the subscriber's, which we answer.
//!
//! The server answers checks from wherever they come. So one socket on every interface is enough, and the stack is told one
//! nominal address of each family, whatever the system's route is. The server is told the address of that route too: a path
//! that it does not expect is one that it hesitates to take.

use super::socket::{Socket, route_to};
use crate::link::webrtc::{StackError, add_local, build, checking_settings, usable, voice_track};
use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::rtp::Packet;
use rtc::sansio::Protocol as _;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// No timer of the protocols is finer.
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// Candidates of the server that wait for its description; it has a handful.
const PENDING: usize = 64;
/// Datagrams read in one go, so that a flood cannot stop our voice.
const BURST: usize = 32;
/// No packet is longer.
const DATAGRAM_BYTES: usize = 2048;
/// The payload type of our voice in our offers.
pub(super) const PAYLOAD_TYPE: u8 = 111;
/// The labels of LiveKit's two data channels.
pub(super) const LOSSY: &str = "_lossy";
pub(super) const RELIABLE: &str = "_reliable";
/// After so long without an answer to a check the path counts as doubtful, and after as long again as lost.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(4);
const FAILED_AFTER: Duration = Duration::from_secs(4);
/// How often a path is checked until it works, and how often at most: six seconds.
const CHECKED_EVERY: Duration = Duration::from_millis(10);
const CHECKS: u16 = 600;
/// The priority of an address of an interface (RFC 8445, 5.1.2.2).
const HOST_PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;
/// How often an idle path is checked.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Why there is no connection at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// No socket.
    #[error("no UDP socket: {0}")]
    Socket(std::io::Error),
    /// The stack's reason.
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// A data channel of a connection.
pub(super) type ChannelId = RTCDataChannelId;

/// Something that happened on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// Media and messages flow.
    Connected,
    /// The path is lost.
    Failed,
    /// A data channel is open.
    Opened {
        /// The channel.
        channel: ChannelId,
        /// Its label.
        label: String,
    },
    /// A track of somebody's began: packets name it by `id`, LiveKit by its sid.
    Track {
        /// As packets name it.
        id: String,
        /// As LiveKit names it.
        sid: String,
    },
}

/// A message on a data channel.
#[derive(Debug)]
pub(super) struct Message {
    /// Its bytes.
    pub(super) data: BytesMut,
}

/// One connection with its socket.
pub(super) struct Transport {
    /// On the heap: it is 20 KB large, and futures hold connections.
    core: Box<RTCPeerConnection>,
    socket: Socket,
    locals: Vec<SocketAddr>,
    /// Further addresses of ours that the server was told.
    routes: BTreeSet<IpAddr>,
    pending: Vec<RTCIceCandidateInit>,
    has_remote: bool,
    is_connected: bool,
    has_failed: bool,
    told: Instant,
    is_due: bool,
    ssrc: u32,
}

impl Transport {
    /// The connection that carries our voice and messages.
    pub(super) fn publisher(now: Instant, track: &str) -> Result<Self, BuildError> {
        let mut transport = Self::new(now)?;
        transport
            .core
            .add_track(voice_track(transport.ssrc, "parlor", track))?;
        // In this order, as every client of LiveKit's does.
        let lossy = RTCDataChannelInit {
            ordered: false,
            max_retransmits: Some(0),
            ..RTCDataChannelInit::default()
        };
        transport.core.create_data_channel(LOSSY, Some(lossy))?;
        let reliable = RTCDataChannelInit::default();
        transport
            .core
            .create_data_channel(RELIABLE, Some(reliable))?;
        Ok(transport)
    }

    /// The connection that brings the others' voices and messages.
    pub(super) fn subscriber(now: Instant) -> Result<Self, BuildError> {
        Self::new(now)
    }

    fn new(now: Instant) -> Result<Self, BuildError> {
        // There is one path. A better one than the first that works need not be waited for, whoever found it.
        let engine = checking_settings(CHECKED_EVERY, CHECKS)
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_ice_timeouts(
                Some(DISCONNECTED_AFTER),
                Some(FAILED_AFTER),
                Some(KEEP_ALIVE),
            );
        let (mut core, ssrc) = build(now, engine, PAYLOAD_TYPE)?;
        let socket = Socket::bind().map_err(BuildError::Socket)?;
        let locals = nominal(socket.port());
        for local in &locals {
            add_local(&mut core, *local)?;
        }
        core.add_local_candidate(RTCIceCandidateInit::default())?;
        Ok(Self {
            core,
            socket,
            locals,
            routes: BTreeSet::new(),
            pending: Vec::new(),
            has_remote: false,
            is_connected: false,
            has_failed: false,
            told: now,
            is_due: false,
            ssrc,
        })
    }

    /// The random source number of our voice.
    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Whether media and messages flow.
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Our offer. With `restart` the path is found anew.
    pub(super) fn offer(&mut self, now: Instant, restart: bool) -> Result<String, StackError> {
        self.restore_locals();
        let options = restart.then_some(RTCOfferOptions { ice_restart: true });
        if restart {
            self.has_remote = false;
        }
        let offer = self.core.create_offer(options)?;
        self.core.set_local_description(now, offer)?;
        self.is_due = true;
        Ok(self.local_sdp())
    }

    /// A path that failed took the stack's knowledge of our addresses with it.
    fn restore_locals(&mut self) {
        if !std::mem::take(&mut self.has_failed) {
            return;
        }
        for local in &self.locals {
            if let Err(error) = add_local(&mut self.core, *local) {
                tracing::debug!(%error, "An address of ours is not usable any more.");
            }
        }
    }

    /// Takes the answer to our offer.
    pub(super) fn answered(&mut self, now: Instant, sdp: String) -> Result<(), StackError> {
        self.core
            .set_remote_description(now, RTCSessionDescription::answer(sdp)?)?;
        self.take_candidates();
        Ok(())
    }

    /// Answers an offer.
    pub(super) fn answer(&mut self, now: Instant, sdp: String) -> Result<String, StackError> {
        self.restore_locals();
        self.core
            .set_remote_description(now, RTCSessionDescription::offer(sdp)?)?;
        let answer = self.core.create_answer(None)?;
        self.core.set_local_description(now, answer)?;
        self.take_candidates();
        Ok(self.local_sdp())
    }

    /// Our last description.
    pub(super) fn local_sdp(&self) -> String {
        let description = self.core.local_description();
        description.map(|it| it.sdp).unwrap_or_default()
    }

    /// The server's last description, if there is one.
    pub(super) fn remote_sdp(&self) -> Option<String> {
        self.core.remote_description().map(|it| it.sdp.clone())
    }

    /// A candidate of the server's.
    pub(super) fn add_remote(&mut self, candidate: String) {
        let candidate = RTCIceCandidateInit {
            candidate,
            ..RTCIceCandidateInit::default()
        };
        if !self.has_remote {
            if self.pending.len() < PENDING {
                self.pending.push(candidate);
            }
            return;
        }
        self.add(candidate);
    }

    /// Our address on the way to a candidate of the server's, as a candidate for the server, where it is another than the
    /// nominal one and has not been told yet: what comes from an address that was never told is waited with.
    pub(super) fn route_candidate(&mut self, candidate: &str) -> Option<String> {
        let mut fields = candidate.split_ascii_whitespace().skip(4);
        let ip: IpAddr = fields.next()?.parse().ok()?;
        let port: u16 = fields.next()?.parse().ok()?;
        let ours = route_to(SocketAddr::new(ip, port))?;
        let is_told = self.locals.iter().any(|local| local.ip() == ours);
        if is_told || !self.routes.insert(ours) {
            return None;
        }
        let port = self.socket.port();
        Some(format!(
            "candidate:1 1 udp {HOST_PRIORITY} {ours} {port} typ host"
        ))
    }

    fn take_candidates(&mut self) {
        self.has_remote = true;
        self.is_due = true;
        for candidate in std::mem::take(&mut self.pending) {
            self.add(candidate);
        }
    }

    fn add(&mut self, candidate: RTCIceCandidateInit) {
        // TCP and names of another kind are not ours to use; the server offers UDP as well.
        if let Err(error) = self.core.add_remote_candidate(candidate) {
            tracing::debug!(%error, "A candidate of the LiveKit server is not usable.");
        }
        self.is_due = true;
    }

    /// Where packets come. Waiting must not hold the connection itself: it cannot be shared between threads.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Takes what has come. `true` if there may be more.
    pub(super) fn receive(&mut self, now: Instant) -> bool {
        let mut buffer = [0; DATAGRAM_BYTES];
        for _ in 0..BURST {
            let Some((datagram, remote)) = self.socket.try_recv(&mut buffer) else {
                return false;
            };
            let Some(local) = self.local_for(remote.ip()) else {
                continue;
            };
            let transport = TransportContext {
                local_addr: local,
                peer_addr: remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            };
            // It reports what it could not use to the log by itself; a bad packet is not the call's failure.
            let _ = self.core.handle_read(TaggedBytesMut {
                now,
                transport,
                message: BytesMut::from(datagram),
            });
        }
        true
    }

    fn local_for(&self, remote: IpAddr) -> Option<SocketAddr> {
        let same = |local: &&SocketAddr| local.is_ipv4() == remote.is_ipv4();
        self.locals.iter().find(same).copied()
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), StackError> {
        self.is_due = false;
        self.told = now;
        self.core.handle_timeout(now)
    }

    /// When [`Transport::handle_timeout`] wants to be called.
    pub(super) fn next_timeout(&mut self) -> Option<Instant> {
        if self.is_due {
            return Some(self.told);
        }
        // A time-out that has passed and does not go away by being handled must not keep a processor busy.
        self.core
            .poll_timeout()
            .map(|at| at.max(self.told + LEAST_WAIT))
    }

    /// Sends what is to be sent.
    pub(super) fn transmit(&mut self) {
        while let Some(packet) = self.core.poll_write() {
            self.socket
                .send(&packet.message, packet.transport.peer_addr);
        }
    }

    /// The next thing that happened.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = match self.core.poll_event()? {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                    RTCPeerConnectionState::Connected => {
                        self.is_connected = true;
                        Event::Connected
                    }
                    RTCPeerConnectionState::Failed => {
                        self.is_connected = false;
                        self.has_failed = true;
                        Event::Failed
                    }
                    // The steps between, and `closed`, which is our own doing.
                    _ => continue,
                },
                RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(_) => {
                    // With a path the handshake begins, but its first packet waits for the next time-out.
                    self.is_due = true;
                    continue;
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(channel)) => {
                    let Some(open) = self.core.data_channel(channel) else {
                        continue;
                    };
                    Event::Opened {
                        channel,
                        label: open.label().to_owned(),
                    }
                }
                RTCPeerConnectionEvent::OnTrack(RTCTrackEvent::OnOpen(track)) => {
                    let sid = track
                        .stream_ids
                        .iter()
                        .find_map(|stream| stream.split_once('|'))
                        .map(|(_, sid)| sid);
                    Event::Track {
                        sid: sid.unwrap_or(&track.track_id).to_owned(),
                        id: track.track_id,
                    }
                }
                _ => continue,
            };
            return Some(event);
        }
    }

    /// The next packet of somebody's sound, and the track that it belongs to.
    pub(super) fn poll_sound(&mut self) -> Option<(String, Packet)> {
        loop {
            if let RTCMessage::RtpPacket(track, packet) = self.core.poll_media_read()?.message {
                return Some((track, packet));
            }
        }
    }

    /// The next message. Leaving them in the stack makes the sender wait.
    pub(super) fn poll_message(&mut self) -> Option<Message> {
        loop {
            if let RTCMessage::DataChannelMessage(_, message) = self.core.poll_data_read()?.message
            {
                return Some(Message { data: message.data });
            }
        }
    }

    /// Sends a packet of our voice.
    pub(super) fn send_voice(&mut self, now: Instant, packet: Packet) -> Result<(), StackError> {
        // Straight into the pipeline: the sender's own method looks the codec up again for every packet.
        let message = RTCMessage::RtpPacket(String::new(), packet);
        self.core.handle_write(TaggedRTCMessage { now, message })
    }

    /// Sends bytes on a channel.
    pub(super) fn send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        bytes: &[u8],
    ) -> Result<(), StackError> {
        let mut channel = self
            .core
            .data_channel(channel)
            .ok_or(StackError::ErrDataChannelClosed)?;
        channel.send(now, BytesMut::from(bytes))
    }

    /// Bytes given to a channel that the server has not confirmed.
    pub(super) fn unconfirmed_bytes(&mut self, channel: ChannelId) -> usize {
        self.core
            .data_channel(channel)
            .map_or(0, |channel| channel.outstanding_bytes())
    }

    /// Says goodbye.
    pub(super) fn close(&mut self) {
        // The connection is dropped next; what cannot be closed any more is closed then.
        let _ = self.core.close();
        self.transmit();
    }
}

/// One address of this machine of each family, with `port`: IPv4 first.
fn nominal(port: u16) -> Vec<SocketAddr> {
    // Any address will do where the system does not tell: it is never sent to.
    let addresses = usable().unwrap_or_else(|_| vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let first = |is_wanted: fn(&IpAddr) -> bool| addresses.iter().find(|ip| is_wanted(ip));
    let (v4, v6) = (first(IpAddr::is_ipv4), first(IpAddr::is_ipv6));
    let found = v4.into_iter().chain(v6);
    found.map(|ip| SocketAddr::new(*ip, port)).collect()
}
