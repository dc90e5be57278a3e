//! Two connections in memory, in virtual time, with a network between them that loses and damages packets.

use super::super::sdp::Answer;
use super::super::voice::Voice;
use super::*;
use crate::clock::Clock;
use crate::codec::EncoderSettings;
use crate::frame::AudioFrame;
use proptest::prelude::*;
use rtc::shared::marshal::Unmarshal as _;
use std::collections::VecDeque;

const STEP: Duration = Duration::from_millis(5);

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

struct Pair {
    now: Instant,
    caller: Connection,
    called: Connection,
    voice: Voice,
    tick: u64,
    connected: (bool, bool),
    channel: Option<ChannelId>,
    heard: Vec<rtc::rtp::Packet>,
    told: Vec<Message>,
}

impl Pair {
    fn new() -> Self {
        let clock = Clock::start();
        let now = clock.instant(Duration::ZERO);
        let (mut caller, offer) = Connection::offering(now, local(1), "parlor").unwrap();
        let offer = Offer::parse(&offer).unwrap();
        let (ufrag, password) = ("ours", "a password of ours that is long");
        let (called, fingerprint) =
            Connection::answering(now, &offer, ufrag, password, [local(2)].into_iter()).unwrap();
        let answer = Answer {
            offer: &offer,
            ufrag,
            password,
            fingerprint: &fingerprint,
            candidates: &[sdp::Candidate {
                address: local(2),
                place: 0,
            }],
            ssrc: called.ssrc,
            max_message_bytes: 65_536,
        };
        caller.answered(now, answer.to_string()).unwrap();
        let voice = Voice::new(EncoderSettings::default(), 111, caller.ssrc).unwrap();
        let (tick, channel, heard, told) = Default::default();
        Self {
            now,
            caller,
            called,
            voice,
            tick,
            connected: (false, false),
            channel,
            heard,
            told,
        }
    }

    /// Lets both sides talk for a step; `network` sees every packet and may change it or take it away.
    fn step(&mut self, network: &mut impl FnMut(&mut Vec<u8>) -> bool) {
        self.now += STEP;
        let mut wire: VecDeque<(bool, Vec<u8>)> = VecDeque::new();
        for side in [&mut self.caller, &mut self.called] {
            if side.next_timeout().is_some_and(|at| at <= self.now) {
                // A side that gave up says so by an event.
                let _ = side.handle_timeout(self.now);
            }
        }
        for _ in 0..50 {
            while let Some(packet) = self.caller.poll_transmit() {
                wire.push_back((true, packet.message.to_vec()));
            }
            while let Some(packet) = self.called.poll_transmit() {
                wire.push_back((false, packet.message.to_vec()));
            }
            self.take();
            let Some((to_called, mut packet)) = wire.pop_front() else {
                return;
            };
            if !network(&mut packet) {
                continue;
            }
            let datagram = BytesMut::from(packet.as_slice());
            let (to, at, from) = match to_called {
                true => (&mut self.called, local(2), local(1)),
                false => (&mut self.caller, local(1), local(2)),
            };
            to.handle_datagram(self.now, at, from, datagram);
        }
    }

    fn take(&mut self) {
        while let Some(event) = self.caller.poll_event() {
            match event {
                Event::Connected => self.connected.0 = true,
                Event::Opened { channel, .. } => self.channel = Some(channel),
                Event::Failed | Event::Closed(_) => {}
            }
        }
        while let Some(event) = self.called.poll_event() {
            self.connected.1 |= matches!(event, Event::Connected);
        }
        while let Some(packet) = self.called.poll_voice() {
            self.heard.push(packet);
        }
        while let Some(message) = self.called.poll_message() {
            self.told.push(message);
        }
    }

    fn is_ready(&self) -> bool {
        self.connected == (true, true) && self.channel.is_some()
    }

    fn connect(&mut self) {
        for _ in 0..2000 {
            if self.is_ready() {
                return;
            }
            self.step(&mut |_| true);
        }
        panic!("no connection in ten seconds");
    }

    fn speak(&mut self, packets: u64, network: &mut impl FnMut(&mut Vec<u8>) -> bool) {
        for _ in 0..packets {
            let packet = self
                .voice
                .packet(self.tick, &AudioFrame::silence())
                .unwrap()
                .unwrap();
            self.tick += 1;
            self.caller.send_voice(self.now, packet).unwrap();
            for _ in 0..4 {
                self.step(network);
            }
        }
    }
}

#[test]
fn a_connection_is_there_at_once_and_not_after_the_next_time_out() {
    let mut pair = Pair::new();
    let began = pair.now;
    pair.connect();
    assert!(
        pair.now - began < Duration::from_millis(150),
        "{:?}",
        pair.now - began
    );
}

#[test]
fn a_lost_packet_is_asked_for_again() {
    let mut pair = Pair::new();
    pair.connect();
    let mut voices = 0;
    pair.speak(50, &mut |packet| {
        let is_voice = packet[0] >= 128 && packet[1] & 127 == 111;
        voices += u32::from(is_voice);
        !(is_voice && voices == 20)
    });
    let mut numbers: Vec<u16> = pair
        .heard
        .iter()
        .map(|packet| packet.header.sequence_number)
        .collect();
    assert_eq!(numbers.len(), 50);
    numbers
        .sort_unstable_by_key(|number| number.wrapping_sub(pair.heard[0].header.sequence_number));
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[1] == pair[0].wrapping_add(1))
    );
}

#[test]
fn a_forged_packet_before_the_first_true_one_deafens_nobody() {
    for jump in [0, 1, 100, 5000, 20_000, 32_767, 32_768, 40_000, 65_535] {
        let mut pair = Pair::new();
        pair.connect();
        let next = pair
            .voice
            .packet(0, &AudioFrame::silence())
            .unwrap()
            .unwrap()
            .header
            .sequence_number;
        let mut forged = vec![128, 111];
        forged.extend(next.wrapping_add(jump).to_be_bytes());
        forged.extend([0; 4]);
        forged.extend(pair.caller.ssrc.to_be_bytes());
        forged.extend([0; 60]);
        let forged = BytesMut::from(forged.as_slice());
        pair.called
            .handle_datagram(pair.now, local(2), local(1), forged);
        pair.speak(20, &mut |_| true);
        assert_eq!(pair.heard.len(), 20, "{jump}");
    }
}

#[test]
fn a_forged_goodbye_or_handshake_ends_nothing() {
    for level in [1, 2] {
        for record in [
            [21, level, 0],
            [21, level, 40],
            [22, 1, 0],
            [20, 1, 0],
            [23, 0, 0],
        ] {
            for epoch in [0, 1] {
                let mut pair = Pair::new();
                pair.connect();
                let [kind, first, second] = record;
                // A DTLS 1.2 record with a high sequence number and two bytes in it.
                let forged = [
                    kind, 254, 253, 0, epoch, 0, 0, 0, 0, 1, 0, 0, 2, first, second,
                ];
                let datagram = BytesMut::from(&forged[..]);
                let _ = pair
                    .called
                    .handle_datagram(pair.now, local(2), local(1), datagram);
                pair.step(&mut |_| true);
                assert!(!pair.called.is_closed_by_them(), "{record:?} epoch {epoch}");
                let text = "still here".to_owned();
                pair.caller
                    .send_text(pair.now, pair.channel.unwrap(), text)
                    .unwrap();
                pair.speak(5, &mut |_| true);
                assert_eq!(
                    (pair.heard.len(), pair.told.len()),
                    (5, 1),
                    "{record:?} epoch {epoch}"
                );
            }
        }
    }
}

#[test]
fn who_closes_is_understood() {
    let mut pair = Pair::new();
    pair.connect();
    assert!(!pair.called.is_closed_by_them());
    pair.caller.close();
    pair.step(&mut |_| true);
    assert!(pair.called.is_closed_by_them());
}

#[test]
fn a_handshake_through_a_bad_network_comes_about_in_the_end() {
    let mut pair = Pair::new();
    let mut chance = 1_u32;
    for _ in 0..6000 {
        // A quarter of all packets is lost, without a pattern.
        pair.step(&mut |_| {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            chance >> 30 != 0
        });
        if pair.is_ready() {
            return;
        }
    }
    panic!("no connection in thirty seconds");
}

/// Where and how packets are damaged: every so many-th, at a place, with a byte.
fn damage() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    prop::collection::vec((1_usize..8, 0_usize..200, any::<u8>()), 1..6)
}

fn damaging(plan: Vec<(usize, usize, u8)>) -> impl FnMut(&mut Vec<u8>) -> bool {
    let mut packets = 0;
    move |packet| {
        packets += 1;
        for (every, at, byte) in &plan {
            if packets % every == 0 {
                match packet.len() {
                    0 => {}
                    length if *byte == 0 => packet.truncate(at % length),
                    length => packet[at % length] ^= byte,
                }
            }
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_damaged_handshake_never_panics(plan in damage()) {
        let mut pair = Pair::new();
        let mut network = damaging(plan);
        for _ in 0..400 {
            pair.step(&mut network);
        }
    }

    #[test]
    fn damaged_speech_and_reports_never_panic_and_later_speech_is_heard(plan in damage()) {
        let mut pair = Pair::new();
        pair.connect();
        pair.caller.send_text(pair.now, pair.channel.unwrap(), "x".repeat(3000)).unwrap();
        pair.speak(50, &mut damaging(plan));
        let before = pair.heard.len();
        pair.speak(20, &mut |_| true);
        prop_assert!(pair.heard.len() >= before + 20);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    // What a caller's packets are once they are decrypted; only the caller can make these.
    #[test]
    fn bad_padding_and_bad_extensions_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), flags in 0_u8..64) {
        for first in [128 | flags, 176, 144, 160] {
            let packet: Vec<u8> = std::iter::once(first).chain(bytes.iter().copied()).collect();
            let _ = rtc::rtp::Packet::unmarshal(&mut packet.as_slice());
            for kind in 200..=207 {
                let report: Vec<u8> = [first, kind].into_iter().chain(bytes.iter().copied()).collect();
                let _ = rtc::rtcp::packet::unmarshal(&mut report.as_slice());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn noise_before_the_handshake_never_panics(noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..40)) {
        let mut pair = Pair::new();
        for packet in noise {
            pair.called.handle_datagram(pair.now, local(2), local(1), BytesMut::from(packet.as_slice()));
            pair.take();
        }
        pair.connect();
    }
}
