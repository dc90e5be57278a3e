//! What follows from packets, time and words taken in: events, messages, and packets to send.

use super::super::MAX_MESSAGE_BYTES;
use super::super::call::Phase;
use super::super::channel::LABEL;
use super::super::connection::{Event, Message};
use super::super::route::Path;
use super::{HELD, MAX_CHANNELS, MAX_TRANSMITS, Peer};
use crate::link::{Closed, Inbound};

impl Peer {
    /// Does everything that follows from what was taken in.
    pub(super) fn settle(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.happened(event);
        }
        while self.held.len() < HELD
            && let Some(message) = self.connection.poll_message()
        {
            self.understand(message);
        }
        self.channel
            .flush(self.clock.instant(self.clock.now()), &mut self.connection);
        self.transmit();
        while let Some(item) = self.held.pop_front() {
            if let Err(back) = self.inbox.try_send(item) {
                self.held.push_front(back);
                break;
            }
        }
        if self.last_words.is_some() && self.channel.is_done(&mut self.connection) {
            self.end(Closed::ByCaller);
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.is_connected = true;
                self.deadline = self.clock.now() + self.silence_timeout;
                self.phase.send_replace(Phase::Connected);
            }
            Event::Failed => self.end(Closed::Failed("the handshake failed".to_owned())),
            Event::Opened { channel, label } => {
                self.channels += 1;
                if label == LABEL {
                    self.channel.opened(channel);
                } else {
                    self.connection.close_channel(channel);
                }
                if self.channels > MAX_CHANNELS {
                    self.end(Closed::Failed(
                        "the caller opened too many channels".to_owned(),
                    ));
                }
            }
            Event::Closed(channel) => self.channel.closed(channel),
        }
    }

    fn understand(&mut self, message: Message) {
        let Message {
            channel,
            is_text,
            data,
        } = message;
        if self.channel.open() != Some(channel) {
            return;
        }
        let item = if data.len() > MAX_MESSAGE_BYTES {
            Inbound::Invalid(format!(
                "a message may have {MAX_MESSAGE_BYTES} bytes, not {}",
                data.len()
            ))
        } else if !is_text {
            Inbound::Invalid("a message must be text, not binary".to_owned())
        } else {
            String::from_utf8(data.into()).map_or_else(
                |_| Inbound::Invalid("a message must be UTF-8".to_owned()),
                Inbound::Message,
            )
        };
        self.held.push_back(item);
    }

    /// Sends what waits to be sent.
    pub(super) fn transmit(&mut self) {
        let mut transmits = 0;
        while let Some(packet) = self.connection.poll_transmit() {
            transmits += 1;
            if transmits > MAX_TRANSMITS {
                self.counted.withheld_packets += 1;
                continue;
            }
            let asked = Path {
                local: packet.transport.local_addr,
                remote: packet.transport.peer_addr,
            };
            // Checks and their answers go where the stack says. All else goes where the caller is now; the stack does not
            // leave the path that it chose first.
            let is_check = packet.message.first().is_some_and(|byte| *byte < 4);
            let path = if is_check {
                asked
            } else {
                self.route.current().unwrap_or(asked)
            };
            self.port.send(path, &packet.message);
        }
    }
}
