//! Puts a caller's packets in order and says, each 20 ms, what is to be decoded.
//!
//! Packets come early, late, twice, in disorder or never. The buffer keeps each back a little, so that most late ones still
//! come in time. How long is not planned but found out: when nothing is there at its turn the listener hears 20 ms of
//! concealment, and the packet, should it still come, is played 20 ms later than it would have been; so is all that follows.
//! In silence, where nobody hears it, the wait is chosen anew or a packet is left out, and the buffer is short again.
//!
//! ```text
//!   sent       1    2    3    4    5    6 (talker is silent) 7    8
//!   arrives      1    2        4 3      6 5                    7    8
//!   played           1    2    C    3    4    5    6    –    –    –    7    8
//!                              └ concealed: from here on 20 ms more wait  └ silence: 20 ms less
//! ```

mod history;
mod numbers;
mod statistics;
mod transit;

use crate::codec;
use crate::frame::{FRAME, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use bytes::Bytes;
use history::History;
use numbers::{Number, Numbers, Place};
use std::collections::VecDeque;
use std::time::Duration;
use transit::Transit;

pub use statistics::JitterStatistics;

/// After 100 ms of concealment there is nothing left of the voice to go on with.
const MAX_CONCEALED: u64 = 5;
/// What one call of [`JitterBuffer::next`] plays, in samples.
const PLAYED: i64 = FRAME_SAMPLES as i64;
/// How long packets wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JitterSettings {
    /// The wait at the beginning, and the shortest one.
    pub initial: Duration,
    /// The most sound that is kept; older packets are dropped beyond that.
    pub max: Duration,
}

impl Default for JitterSettings {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(20),
            max: Duration::from_millis(200),
        }
    }
}

/// One RTP packet of Opus at a 48 kHz clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The RTP sequence number.
    pub sequence: u16,
    /// The RTP timestamp: samples at 48 kHz.
    pub timestamp: u32,
    /// The Opus packet.
    pub payload: Bytes,
    /// The RTP marker: the first packet after a silence.
    pub marker: bool,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It waits for its turn.
    Queued,
    /// Its turn has passed, or it belongs to no stream known yet.
    Late,
    /// It was here before.
    Duplicate,
    /// It waits, but the buffer was full: the oldest packets were dropped.
    Overflow,
}

/// What to play for the next 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout {
    /// Decode this packet.
    Decode(Bytes),
    /// A packet is lost, and this is the very next one: decode the copy of the lost one that it may carry. It comes again,
    /// to be decoded itself.
    Fec(Bytes),
    /// Nothing has come in time: let the decoder make something up.
    Conceal,
    /// The talker is silent or has not begun, or the last packet was longer than 20 ms and is not played out.
    Nothing,
}

/// One caller's jitter buffer. Sans-IO: packets and the time go in, what to play comes out.
#[derive(Debug)]
pub struct JitterBuffer {
    initial: i64,
    max: i64,
    /// In order of `sequence`, without doubles.
    queue: VecDeque<Waiting>,
    queued: i64,
    /// What is to be played next; none before the first packet is.
    expected: Option<Expected>,
    history: History,
    transit: Transit,
    numbers: Numbers,
    asked_at: Option<i64>,
    /// Samples that the listener still needs at this tick; negative while a long packet is played out.
    owed: i64,
    /// How long `expected` has been waited for, in samples.
    waited: i64,
    concealed_in_a_row: u64,
    in_dtx: bool,
    /// Size of the packet that was decoded last.
    decoded_bytes: usize,
    statistics: JitterStatistics,
}

/// A packet that waits, its numbers unwrapped.
#[derive(Debug)]
struct Waiting {
    sequence: i64,
    timestamp: i64,
    arrival: i64,
    duration: i64,
    marker: bool,
    payload: Bytes,
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    sequence: i64,
    timestamp: i64,
    /// The length of the packet before, the best guess for a lost one.
    duration: i64,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new(settings: JitterSettings) -> Self {
        Self {
            initial: samples(settings.initial),
            max: samples(settings.max.max(settings.initial).max(FRAME)),
            queue: VecDeque::with_capacity(32),
            queued: 0,
            expected: None,
            history: History::default(),
            transit: Transit::default(),
            numbers: Numbers::default(),
            asked_at: None,
            owed: 0,
            waited: 0,
            concealed_in_a_row: 0,
            in_dtx: false,
            decoded_bytes: 0,
            statistics: JitterStatistics::default(),
        }
    }

    /// Takes a packet that arrived at `now`.
    pub fn insert(&mut self, now: Duration, packet: Packet) -> Inserted {
        let arrival = samples(now);
        self.statistics.received += 1;
        let Number {
            sequence,
            timestamp,
            place,
        } = self.numbers.unwrap(packet.sequence, packet.timestamp);
        match place {
            Place::Newest | Place::Before => {}
            Place::Anew => self.restart(),
            Place::Stray => {
                self.statistics.late += 1;
                return Inserted::Late;
            }
        }
        if self.history.contains(sequence) {
            self.statistics.duplicated += 1;
            return Inserted::Duplicate;
        }
        let index = self
            .queue
            .partition_point(|waiting| waiting.sequence < sequence);
        if self
            .queue
            .get(index)
            .is_some_and(|waiting| waiting.sequence == sequence)
        {
            self.statistics.duplicated += 1;
            return Inserted::Duplicate;
        }
        if place == Place::Before {
            self.statistics.reordered += 1;
        }
        // A late packet is not played, but it shows how long the way may take.
        self.transit.observe(arrival, timestamp);
        if self
            .expected
            .is_some_and(|expected| sequence < expected.sequence)
        {
            self.history.mark(sequence);
            self.statistics.late += 1;
            return Inserted::Late;
        }
        let duration = codec::packet_samples(&packet.payload).map_or(PLAYED, i64::from);
        self.queued += duration;
        self.queue.insert(
            index,
            Waiting {
                sequence,
                timestamp,
                arrival,
                duration,
                marker: packet.marker,
                payload: packet.payload,
            },
        );
        self.shed()
    }

    /// Forgets the stream before, whose sender has begun anew.
    fn restart(&mut self) {
        self.statistics.restarted += 1;
        self.queue.clear();
        self.queued = 0;
        self.expected = None;
        self.transit = Transit::default();
        self.history = History::default();
        self.in_dtx = false;
    }

    /// Drops the oldest packets while too much sound waits.
    fn shed(&mut self) -> Inserted {
        let mut inserted = Inserted::Queued;
        while self.queued > self.max && self.queue.len() > 1 {
            if self.pop().is_some() {
                self.statistics.overflowed += 1;
                inserted = Inserted::Overflow;
            }
        }
        inserted
    }

    /// What to play for the 20 ms from `now`. `silent` says that what was decoded last was silence, so that nobody hears a
    /// shorter wait. To be called each 20 ms; where packets are shorter than that, again with the same `now` until there
    /// are 20 ms of sound or the answer is [`Playout::Nothing`].
    pub fn next(&mut self, now: Duration, silent: bool) -> Playout {
        let now = samples(now);
        if self.asked_at.replace(now) != Some(now) {
            self.owed = (self.owed + PLAYED).min(PLAYED);
        }
        if self.owed <= 0 {
            return Playout::Nothing;
        }
        let (Some(front), Some(expected)) = (self.queue.front(), self.expected) else {
            return self.without_a_packet(now, silent);
        };
        let lost = front.sequence - expected.sequence;
        let gap = front.timestamp - expected.timestamp;
        if front.marker || gap != lost * expected.duration || lost > MAX_CONCEALED as i64 {
            // The talker was silent, or too much is lost to be made up: a new wait may be chosen.
            return self.begin_spurt(now);
        }
        if lost == 0 {
            if silent && self.may_shorten(now) {
                self.statistics.shortened += 1;
                self.pop();
            }
            return self.decode(now);
        }
        let overdue = self.transit.delay(now, expected.timestamp) >= self.target();
        match gap - self.waited {
            // Others were as late before, so it may still come; if not, the wait has grown to what the network asks for.
            _ if !overdue => self.conceal(),
            // What was made up while waiting took the place of what is lost.
            ..=0 => self.decode(now),
            missing if missing == expected.duration => self.recover(expected, lost),
            _ => self.conceal(),
        }
    }

    fn without_a_packet(&mut self, now: i64, silent: bool) -> Playout {
        match (self.queue.is_empty(), self.expected) {
            (false, _) => self.begin_spurt(now),
            (true, Some(_)) if !silent && !self.in_dtx => self.conceal(),
            (true, _) => self.pause(),
        }
    }

    /// Plays the front packet once it has been kept back for as long as the network's way of late asks for.
    fn begin_spurt(&mut self, now: i64) -> Playout {
        let target = self.target();
        match self.queue.front() {
            Some(front) if self.kept(now, front) >= target => self.decode(now),
            Some(_) | None => self.pause(),
        }
    }

    fn decode(&mut self, now: i64) -> Playout {
        let Some(packet) = self.pop() else {
            return self.pause();
        };
        self.owed -= packet.duration;
        self.concealed_in_a_row = 0;
        self.decoded_bytes = packet.payload.len();
        self.in_dtx = self.decoded_bytes <= codec::DTX_BYTES;
        self.statistics.depth = duration(self.kept(now, &packet));
        Playout::Decode(packet.payload)
    }

    /// Gives the front packet for what it knows of the lost one before it.
    fn recover(&mut self, expected: Expected, lost: i64) -> Playout {
        let Some(front) = self.queue.front() else {
            return self.pause();
        };
        self.owed -= expected.duration;
        self.concealed_in_a_row = 0;
        self.statistics.fec += 1;
        self.statistics.lost += lost.unsigned_abs();
        self.waited = 0;
        self.expected = Some(Expected {
            sequence: front.sequence,
            timestamp: front.timestamp,
            duration: expected.duration,
        });
        Playout::Fec(front.payload.clone())
    }

    fn conceal(&mut self) -> Playout {
        if self.concealed_in_a_row >= MAX_CONCEALED {
            return self.pause();
        }
        self.concealed_in_a_row += 1;
        self.statistics.concealed += 1;
        self.waited += PLAYED;
        self.owed = 0;
        Playout::Conceal
    }

    fn pause(&mut self) -> Playout {
        self.waited += PLAYED;
        self.owed = 0;
        Playout::Nothing
    }

    /// Takes the front packet out; what lay before it has had its turn.
    fn pop(&mut self) -> Option<Waiting> {
        let packet = self.queue.pop_front()?;
        self.queued -= packet.duration;
        if let Some(expected) = self.expected {
            self.statistics.lost += (packet.sequence - expected.sequence).unsigned_abs();
        }
        self.expected = Some(Expected {
            sequence: packet.sequence + 1,
            timestamp: packet.timestamp + packet.duration,
            duration: packet.duration,
        });
        self.history.mark(packet.sequence);
        self.waited = 0;
        Some(packet)
    }

    /// Whether the packet behind the front one has already been kept back long enough, and the front one may be left out.
    fn may_shorten(&self, now: i64) -> bool {
        let (Some(front), Some(second)) = (self.queue.front(), self.queue.get(1)) else {
            return false;
        };
        // A packet much larger than the silent one before it is where a word begins.
        front.payload.len() <= self.decoded_bytes * 3 / 2
            && second.sequence == front.sequence + 1
            && second.timestamp == front.timestamp + front.duration
            && self.kept(now, second) >= self.target()
    }

    /// How long a packet has been kept back, compared with the fastest; never less than it has been here.
    fn kept(&self, now: i64, packet: &Waiting) -> i64 {
        self.transit
            .delay(now, packet.timestamp)
            .max(now - packet.arrival)
    }

    /// How long packets should be kept back.
    fn target(&self) -> i64 {
        self.transit.jitter().clamp(self.initial, self.max)
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no packet waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What has happened so far.
    pub fn statistics(&self) -> JitterStatistics {
        self.statistics
    }
}

/// Time in samples at 48 kHz.
fn samples(time: Duration) -> i64 {
    let samples = time.as_nanos() * u128::from(SAMPLE_RATE_HZ) / 1_000_000_000;
    // Three million years fit; the bound keeps sums of two such times from overflowing.
    i64::try_from(samples).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

fn duration(samples: i64) -> Duration {
    let nanos = samples
        .max(0)
        .unsigned_abs()
        .saturating_mul(1_000_000_000 / 1000);
    Duration::from_nanos(nanos / u64::from(SAMPLE_RATE_HZ / 1000))
}
