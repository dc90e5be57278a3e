//! What the session wants said.

use super::super::channel::Queued;
use super::{LAST_WORDS, Peer};
use crate::frame::AudioFrame;
use crate::link::{Closed, Generation, Inbound, Outbound};

impl Peer {
    /// Takes one thing from the session.
    pub(super) fn send(&mut self, outbound: Option<Outbound>) {
        match outbound {
            Some(Outbound::Audio {
                generation,
                tick,
                frame,
            }) => self.say(generation, tick, &frame),
            Some(Outbound::Message(message)) => {
                if self.channel.push(message) == Queued::TooSlow {
                    self.end(Closed::TooSlow);
                }
            }
            // Only callers have it.
            Some(Outbound::Opus { .. }) => {}
            // This caller is alone and gets messages.
            Some(Outbound::Caption(_) | Outbound::Attributes(_) | Outbound::Data { .. }) => {}
            Some(Outbound::Close { .. }) | None => {
                self.last_words = Some(self.clock.now() + LAST_WORDS);
            }
        }
    }

    fn say(&mut self, generation: Generation, tick: u64, frame: &AudioFrame) {
        let may_leave = self.is_connected && self.is_heard && self.fence.admits(generation);
        if !may_leave {
            return self.unsent(generation);
        }
        let now = self.clock.instant(self.clock.now());
        let packet = self
            .voice
            .packet(tick, frame)
            .map_err(|error| error.to_string());
        let sent = packet.and_then(|packet| {
            let Some(packet) = packet else { return Ok(()) };
            self.connection
                .send_voice(now, packet)
                .map_err(|error| error.to_string())
        });
        match sent {
            Ok(()) => self.counted.frames_sent += 1,
            Err(error) => {
                tracing::debug!(%error, "A frame could not be sent.");
                self.unsent(generation);
            }
        }
    }

    /// Tells the session that a frame did not leave; it counts as not heard.
    fn unsent(&mut self, generation: Generation) {
        self.counted.frames_unsent += 1;
        if let Some(Inbound::Unsent {
            generation: last,
            frames,
        }) = self.held.back_mut()
            && *last == generation
        {
            *frames += 1;
            return;
        }
        self.held.push_back(Inbound::Unsent {
            generation,
            frames: 1,
        });
    }
}
