//! The caller's task: its socket, its connection, and what it is told to say.

use super::{Heard, HeardPacket, Say};
use crate::clock::{Clock, monotonic_ns};
use crate::link::webrtc::channel::Channel;
use crate::link::webrtc::connection::{Connection, Event};
use crate::link::webrtc::mux::bind_one;
use crate::link::webrtc::voice::Voice;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// No packet is longer.
const DATAGRAM_BYTES: usize = 2048;

/// The caller's task.
pub(super) struct Line {
    pub(super) clock: Clock,
    pub(super) connection: Connection,
    pub(super) socket: UdpSocket,
    /// The address of the offer; the stack keeps to it when the port changes.
    pub(super) local: SocketAddr,
    pub(super) voice: Voice,
    pub(super) tick: u64,
    pub(super) channel: Channel,
    pub(super) heard: mpsc::Sender<Heard>,
    pub(super) said: mpsc::Receiver<Say>,
    pub(super) is_connected: bool,
    pub(super) is_over: bool,
}

impl Line {
    /// Whether speech and messages can flow.
    pub(super) fn is_ready(&self) -> bool {
        self.is_connected && self.channel.open().is_some()
    }

    /// Carries the call until either side ends it.
    pub(super) async fn run(mut self) {
        while !self.is_over {
            self.step(None).await;
        }
        self.connection.close();
        self.transmit();
        // The owner may be gone, or may have stopped listening; it learns from the end of the channel then.
        let _ = self.heard.try_send(Heard::Closed);
    }

    /// Does what is to be done next, or waits for it until `deadline`.
    pub(super) async fn step(&mut self, deadline: Option<Duration>) {
        self.settle();
        let stack = self.connection.next_timeout().map(|at| self.clock.at(at));
        let wake = stack.into_iter().chain(deadline).min();
        let may_speak = self.is_ready();
        let mut buffer = [0; DATAGRAM_BYTES];
        tokio::select! {
            biased;
            received = self.socket.recv_from(&mut buffer) => if let Ok((length, remote)) = received {
                self.receive(remote, buffer.get(..length).unwrap_or_default());
            },
            say = self.said.recv(), if may_speak => self.say(say),
            () = self.clock.until_some(wake) => {}
        }
        let now = self.clock.now();
        if stack.is_some_and(|at| at <= now) {
            self.is_over |= self
                .connection
                .handle_timeout(self.clock.instant(now))
                .is_err();
        }
        self.settle();
    }

    fn receive(&mut self, remote: SocketAddr, datagram: &[u8]) {
        let arrived_ns = monotonic_ns();
        let now = self.clock.instant(self.clock.now());
        let is_handshake = datagram.first().is_some_and(|byte| (20..64).contains(byte));
        self.connection
            .handle_datagram(now, self.local, remote, BytesMut::from(datagram));
        while let Some(packet) = self.connection.poll_voice() {
            self.hear(Heard::Packet(HeardPacket {
                arrived_ns,
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                payload: packet.payload,
            }));
        }
        self.is_over |= is_handshake && self.connection.is_closed_by_them();
    }

    fn hear(&self, heard: Heard) {
        if self.heard.try_send(heard).is_err() {
            tracing::trace!("A caller's owner does not listen.");
        }
    }

    fn say(&mut self, say: Option<Say>) {
        let now = self.clock.instant(self.clock.now());
        let packet = match say {
            None => {
                self.is_over = true;
                return;
            }
            Some(Say::Frame(frame)) => self.voice.packet(self.tick, &frame).ok().flatten(),
            Some(Say::Opus(packet)) => Some(self.voice.encoded(self.tick, packet)),
            Some(Say::Silence(frames)) => {
                self.tick += frames;
                None
            }
            Some(Say::Message(text)) => {
                self.channel.push(text);
                None
            }
            Some(Say::Binary) => {
                if let Some(open) = self.channel.open() {
                    self.connection.send_binary(now, open, &[0; 4]);
                }
                None
            }
            Some(Say::Move) => {
                match bind_one(SocketAddr::new(self.local.ip(), 0)) {
                    Ok((_, socket)) => self.socket = socket,
                    Err(error) => tracing::debug!(%error, "A caller could not change its port."),
                }
                None
            }
        };
        if let Some(packet) = packet {
            self.tick += 1;
            if let Err(error) = self.connection.send_voice(now, packet) {
                tracing::debug!(%error, "A caller's packet was not taken.");
            }
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Connected => self.is_connected = true,
                Event::Failed => self.is_over = true,
                Event::Opened { channel, .. } => self.channel.opened(channel),
                Event::Closed(channel) => self.channel.closed(channel),
            }
        }
        while let Some(message) = self.connection.poll_message() {
            if let Ok(text) = String::from_utf8(message.data.into()) {
                self.hear(Heard::Message(text));
            }
        }
        let now = self.clock.instant(self.clock.now());
        self.channel.flush(now, &mut self.connection);
        self.transmit();
    }

    fn transmit(&mut self) {
        while let Some(packet) = self.connection.poll_transmit() {
            // A network loses packets too.
            let _ = self
                .socket
                .try_send_to(&packet.message, packet.transport.peer_addr);
        }
    }
}
