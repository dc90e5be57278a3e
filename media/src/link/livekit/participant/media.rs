//! Sound in both ways.

use super::Participant;
use crate::clock::monotonic_ns;
use crate::codec::{self, Encoder, EncoderSettings};
use crate::frame::{AudioFrame, FRAME};
use crate::jitter::Packet;
use crate::link::livekit::hearing::Heard;
use crate::link::livekit::{HeardPacket, Role};
use crate::link::{Generation, Inbound};
use bytes::Bytes;
use std::time::Duration;

/// How long silence is sent at most: whoever has not subscribed by then does not need it.
const PREROLL: Duration = Duration::from_secs(20);

/// The silence before the first word: a track is there for others only once packets of it flow.
pub(super) struct Preroll {
    began: Duration,
    silence: Bytes,
    /// The next slot since the beginning; none once it is over.
    next: Option<u64>,
    /// The session's slot 0, counted from the beginning.
    offset: Option<u64>,
}

impl Preroll {
    pub(super) fn new(now: Duration) -> Result<Self, codec::Error> {
        let mut encoder = Encoder::new(EncoderSettings::default())?;
        Ok(Self {
            began: now,
            silence: encoder.encode(&AudioFrame::silence())?,
            next: Some(0),
            offset: None,
        })
    }

    /// A track that begins anew needs it again.
    pub(super) fn restart(&mut self, now: Duration) {
        self.began = now;
        self.next = Some(0);
        self.offset = None;
    }

    /// It has done its work, or words have begun.
    pub(super) fn stop(&mut self) {
        self.next = None;
    }

    /// When the next packet of silence is due.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.next.map(|slot| self.began + slots(slot))
    }

    fn slot(&self, now: Duration) -> u64 {
        let slot = now.saturating_sub(self.began).as_micros() / FRAME.as_micros();
        u64::try_from(slot).unwrap_or(u64::MAX)
    }

    /// The slot of the session's `tick`: what went before it is counted.
    fn place(&mut self, now: Duration, tick: u64) -> u64 {
        let slot = self.slot(now);
        let offset = self
            .offset
            .get_or_insert_with(|| (slot + 1).saturating_sub(tick));
        *offset + tick
    }
}

fn slots(slots: u64) -> Duration {
    FRAME.saturating_mul(u32::try_from(slots).unwrap_or(u32::MAX))
}

impl Participant {
    /// Takes the packets of people's sound that have come.
    pub(super) fn take_sound(&mut self) {
        let now = self.clock.now();
        while let Some((track, packet)) = self.subscriber.poll_sound() {
            let rtc::rtp::Packet { header, payload } = packet;
            // Padding, by which a server measures what the line carries.
            if payload.is_empty() {
                continue;
            }
            if self.settings.role == Role::Probe {
                let packet = HeardPacket {
                    arrived_ns: monotonic_ns(),
                    sequence: header.sequence_number,
                    timestamp: header.timestamp,
                    marker: header.marker,
                    payload,
                };
                // Whoever measures and does not look loses the newest.
                let _ = self.probed.try_send(packet);
                continue;
            }
            let packet = Packet {
                sequence: header.sequence_number,
                timestamp: header.timestamp,
                marker: header.marker,
                payload,
            };
            if !self.hearing.insert(now, &track, packet) {
                self.counted.strange_packets += 1;
            }
        }
    }

    pub(super) fn hear_what_is_due(&mut self, now: Duration) {
        let (inbox, held) = (&self.wire.inbox, &mut self.held);
        let mut levels = Vec::new();
        self.hearing.handle_timeout(now, |heard| match heard {
            Heard::Frame(speaker, frame) => inbox.audio_of(speaker, frame),
            Heard::Recorded(speaker, frames) => {
                held.push_back(Inbound::Recorded { speaker, frames })
            }
            Heard::Level(speaker, dbfs) => levels.push((speaker, dbfs)),
        });
        for (speaker, dbfs) in levels {
            self.tell_level(speaker, dbfs);
        }
    }

    /// What somebody said before we were there.
    pub(super) fn on_recording(&mut self, track: &str, frames: Vec<AudioFrame>) {
        if let Some(Heard::Recorded(speaker, frames)) = self.hearing.recorded(track, frames) {
            self.held.push_back(Inbound::Recorded { speaker, frames });
        }
    }

    /// Sends the silence that is due.
    pub(super) fn say_silence(&mut self, now: Duration) {
        while let Some(slot) = self.preroll.next
            && self.preroll.began + slots(slot) <= now
        {
            self.preroll.next = Some(slot + 1);
            if slots(slot) > PREROLL {
                self.preroll.stop();
            } else if self.publisher.is_connected() {
                let packet = self.voice.encoded(slot, self.preroll.silence.clone());
                let at = self.clock.instant(now);
                if let Err(error) = self.publisher.send_voice(at, packet) {
                    tracing::debug!(%error, "Silence could not be sent.");
                }
            }
        }
    }

    /// Sends what is Opus already.
    pub(super) fn say_opus(&mut self, tick: u64, packet: Bytes) {
        if !self.publisher.is_connected() || self.mending.is_some() || self.is_muted {
            return;
        }
        self.preroll.stop();
        let now = self.clock.now();
        let slot = self.preroll.place(now, tick);
        let packet = self.voice.encoded(slot, packet);
        match self.publisher.send_voice(self.clock.instant(now), packet) {
            Ok(()) => self.counted.frames_sent += 1,
            Err(error) => tracing::debug!(%error, "A packet could not be sent."),
        }
    }

    /// Sends a frame of our voice, if it may leave.
    pub(super) fn say(&mut self, generation: Generation, tick: u64, frame: &AudioFrame) {
        let may_leave = self.publisher.is_connected()
            && self.mending.is_none()
            && !self.is_muted
            && self.wire.fence.admits(generation);
        if !may_leave {
            return self.unsent(generation);
        }
        self.preroll.stop();
        let now = self.clock.now();
        let slot = self.preroll.place(now, tick);
        let sent = match self.voice.packet(slot, frame) {
            Ok(Some(packet)) => self
                .publisher
                .send_voice(self.clock.instant(now), packet)
                .map_err(|error| error.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_goes_on_where_the_silence_ends() {
        let ms = Duration::from_millis;
        let mut preroll = Preroll::new(ms(1000)).unwrap();
        assert_eq!(preroll.next_timeout(), Some(ms(1000)));
        assert_eq!(preroll.place(ms(1990), 3), 50);
        assert_eq!(preroll.place(ms(2410), 24), 71);
        preroll.stop();
        assert_eq!(preroll.next_timeout(), None);
        assert!(!preroll.silence.is_empty());
        preroll.restart(ms(5000));
        assert_eq!(preroll.place(ms(5100), 500), 500);
    }
}
