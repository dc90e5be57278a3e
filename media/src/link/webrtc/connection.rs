//! One WebRTC connection of the `rtc` crate, sans-IO, with what a voice call needs of it and no more.
//!
//! `rtc` is the core of the `webrtc` crate. The crate's own driver binds a socket for every connection, passes each
//! packet through several tasks and locks, and keeps to the address that ICE chose first. A call here is driven by its
//! own task from the shared port instead, and a caller may move.

use super::guard::Guard;
use super::sdp::{self, Offer, Setup};
use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{RTCDtlsRole, RTCDtlsTransportState, RTCIceCandidateInit};
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::sansio::Protocol as _;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod build;

pub(in crate::link) use build::{add_local, build, voice_track};
use build::{settings, voice};

/// No timer of the protocols is finer.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// An error of the stack, as text for the log: nothing in it can be acted on.
pub(in crate::link) type StackError = rtc::shared::error::Error;

/// A data channel of a connection.
pub(super) type ChannelId = RTCDataChannelId;

/// Something the caller's side did.
#[derive(Debug)]
pub(super) enum Event {
    /// The handshake is done: media and messages flow.
    Connected,
    /// The handshake failed, or the stack gave up.
    Failed,
    /// A data channel is open.
    Opened {
        /// The channel.
        channel: ChannelId,
        /// What it is for.
        label: String,
    },
    /// A data channel is gone.
    Closed(ChannelId),
}

/// A message of the caller's.
#[derive(Debug)]
pub(super) struct Message {
    /// The channel that it came on.
    pub(super) channel: ChannelId,
    /// Whether it is text.
    pub(super) is_text: bool,
    /// Its bytes.
    pub(super) data: BytesMut,
}

/// The settings of a side that does the checking: the first check goes out at once and the next ones soon. The stack's own
/// pace is five a second.
pub(in crate::link) fn checking_settings(every: Duration, checks: u16) -> SettingEngineBuilder {
    settings().with_ice_connection_attempts(Some(every), Some(checks))
}

/// One connection.
pub(super) struct Connection {
    /// On the heap: it is 20 KB large, and futures hold connections.
    core: Box<RTCPeerConnection>,
    guard: Guard,
    sender: RTCRtpSenderId,
    /// When the stack was last told the time.
    told: Instant,
    /// Whether the stack has something to do at once and does not say so.
    is_due: bool,
    /// The random source number of our voice.
    pub(super) ssrc: u32,
}

impl Connection {
    /// The answering side of `offer`, an ICE-lite agent at `locals`, and the fingerprint of its certificate, which the
    /// answer has to name.
    pub(super) fn answering(
        now: Instant,
        offer: &Offer,
        ufrag: &str,
        password: &str,
        locals: impl Iterator<Item = SocketAddr>,
    ) -> Result<(Self, String), StackError> {
        let role = match offer.setup {
            Setup::ActPass | Setup::Passive => RTCDtlsRole::Client,
            Setup::Active => RTCDtlsRole::Server,
        };
        // Time-outs of 0 are none: the call's task knows better whether its caller still lives, since a caller who
        // moved is silent at the address that the stack watches.
        let engine = settings()
            .with_lite(true)
            .with_ice_credentials(ufrag.to_owned(), password.to_owned())
            .with_answering_dtls_role(role)
            .with_ice_timeouts(Some(Duration::ZERO), Some(Duration::ZERO), None);
        let (mut core, ssrc) = build(now, engine, offer.payload_type)?;
        for local in locals {
            add_local(&mut core, local)?;
        }
        core.set_remote_description(now, RTCSessionDescription::offer(offer.canonical())?)?;
        let sender = core.add_track(voice(ssrc))?;
        let answer = core.create_answer(None)?;
        let fingerprint = sdp::find_attribute(&answer.sdp, "fingerprint")
            .unwrap_or_default()
            .to_owned();
        core.set_local_description(now, answer)?;
        Ok((
            Self::new(now, core, sender, ssrc, &offer.sources),
            fingerprint,
        ))
    }

    /// The offering side, a full ICE agent at `local`, and its offer: one Opus track and a data channel.
    pub(super) fn offering(
        now: Instant,
        local: SocketAddr,
        channel: &str,
    ) -> Result<(Self, String), StackError> {
        let engine = checking_settings(Duration::from_millis(50), 40);
        let (mut core, ssrc) = build(now, engine, 111)?;
        let sender = core.add_track(voice(ssrc))?;
        core.create_data_channel(channel, Some(RTCDataChannelInit::default()))?;
        add_local(&mut core, local)?;
        core.add_local_candidate(RTCIceCandidateInit::default())?;
        let offer = core.create_offer(None)?;
        core.set_local_description(now, offer)?;
        let offer = core
            .local_description()
            .map(|offer| offer.sdp)
            .unwrap_or_default();
        Ok((Self::new(now, core, sender, ssrc, &[]), offer))
    }

    fn new(
        now: Instant,
        core: Box<RTCPeerConnection>,
        sender: RTCRtpSenderId,
        ssrc: u32,
        announced: &[u32],
    ) -> Self {
        let guard = Guard::new(announced);
        Self {
            core,
            guard,
            sender,
            told: now,
            is_due: false,
            ssrc,
        }
    }

    /// Takes the answer to our offer.
    pub(super) fn answered(&mut self, now: Instant, answer: String) -> Result<(), StackError> {
        self.core
            .set_remote_description(now, RTCSessionDescription::answer(answer)?)
    }

    /// A packet came. `false` if it is forged for all to see, and was not taken.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: BytesMut,
    ) -> bool {
        if !self.guard.admits(&datagram) {
            return false;
        }
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
            message: datagram,
        });
        true
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), StackError> {
        self.is_due = false;
        self.told = now;
        self.core.handle_timeout(now)
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    pub(super) fn next_timeout(&mut self) -> Option<Instant> {
        if self.is_due {
            return Some(self.told);
        }
        // A time-out that has passed and does not go away by being handled must not keep a processor busy.
        self.core
            .poll_timeout()
            .map(|at| at.max(self.told + LEAST_WAIT))
    }

    /// The next packet to send.
    pub(super) fn poll_transmit(&mut self) -> Option<TaggedBytesMut> {
        self.core.poll_write()
    }

    /// The next thing that the caller's side did.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = match self.core.poll_event()? {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                    RTCPeerConnectionState::Connected => Event::Connected,
                    RTCPeerConnectionState::Failed => Event::Failed,
                    // The steps between, and `closed`, which is our own doing.
                    _ => continue,
                },
                RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(_) => {
                    // With a path the handshake begins, but its first packet waits for the next time-out, up to 200 ms.
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
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(channel)) => {
                    Event::Closed(channel)
                }
                // Candidates, signalling states and tracks: one of each, known beforehand.
                _ => continue,
            };
            return Some(event);
        }
    }

    /// The next packet of the caller's voice.
    pub(super) fn poll_voice(&mut self) -> Option<rtc::rtp::Packet> {
        loop {
            if let RTCMessage::RtpPacket(_, packet) = self.core.poll_media_read()?.message {
                return Some(packet);
            }
        }
    }

    /// The next message of the caller's. Leaving them in the stack makes the caller wait.
    pub(super) fn poll_message(&mut self) -> Option<Message> {
        loop {
            if let RTCMessage::DataChannelMessage(channel, message) =
                self.core.poll_data_read()?.message
            {
                return Some(Message {
                    channel,
                    is_text: message.is_string,
                    data: message.data,
                });
            }
        }
    }

    /// Whether the other side said that it closes.
    pub(super) fn is_closed_by_them(&mut self) -> bool {
        self.core
            .rtp_sender(self.sender)
            .and_then(|sender| sender.transport().map(|transport| transport.state()))
            .is_some_and(|state| state == RTCDtlsTransportState::Closed)
    }

    /// Sends a packet of our voice.
    pub(super) fn send_voice(
        &mut self,
        now: Instant,
        packet: rtc::rtp::Packet,
    ) -> Result<(), StackError> {
        // Straight into the pipeline: the sender's own method looks the codec up again for every packet.
        let message = RTCMessage::RtpPacket(String::new(), packet);
        self.core.handle_write(TaggedRTCMessage { now, message })
    }

    /// Sends text on a channel.
    pub(super) fn send_text(
        &mut self,
        now: Instant,
        channel: ChannelId,
        text: String,
    ) -> Result<(), StackError> {
        let mut channel = self
            .core
            .data_channel(channel)
            .ok_or(StackError::ErrDataChannelClosed)?;
        channel.send_text(now, text)
    }

    /// Sends bytes that are no text on a channel, if it is open.
    pub(super) fn send_binary(&mut self, now: Instant, channel: ChannelId, bytes: &[u8]) {
        if let Some(mut channel) = self.core.data_channel(channel)
            && let Err(error) = channel.send(now, BytesMut::from(bytes))
        {
            tracing::debug!(%error, "A binary message was not taken by the data channel.");
        }
    }

    /// Bytes given to a channel that the other side has not confirmed.
    pub(super) fn unconfirmed_bytes(&mut self, channel: ChannelId) -> usize {
        self.core
            .data_channel(channel)
            .map_or(0, |channel| channel.outstanding_bytes())
    }

    /// Closes a channel.
    pub(super) fn close_channel(&mut self, channel: ChannelId) {
        if let Some(mut channel) = self.core.data_channel(channel) {
            // It may be closed already, which is what we want.
            let _ = channel.close();
        }
    }

    /// Says goodbye; what has to be said waits in [`Connection::poll_transmit`].
    pub(super) fn close(&mut self) {
        // The connection is dropped next; what cannot be closed any more is closed then.
        let _ = self.core.close();
    }
}

#[cfg(test)]
mod tests;
