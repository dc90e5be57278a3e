//! The jitter buffer's promises, on networks made by hand and by chance: in order, never twice, short when it can be.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use bytes::Bytes;
use media::jitter::{Inserted, JitterBuffer, JitterSettings, Packet, Playout};
use proptest::prelude::*;
use std::time::Duration;

/// First byte of an Opus packet of 20 ms (SILK, wideband, mono, one frame).
const TOC_20_MS: u8 = 9 << 3;
const TOC_10_MS: u8 = 8 << 3;
const TOC_60_MS: u8 = 11 << 3;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The packet sent as number `n` of a stream without silences.
fn packet(n: u32) -> Packet {
    let mut payload = vec![TOC_20_MS];
    payload.extend_from_slice(&n.to_be_bytes());
    Packet {
        sequence: n as u16,
        timestamp: n.wrapping_mul(960),
        payload: payload.into(),
        marker: false,
    }
}

fn number(payload: &Bytes) -> u32 {
    u32::from_be_bytes(payload[1..5].try_into().unwrap())
}

/// What was played, in short: `12` decoded, `+13` from the copy in 13, `~` made up, `-` nothing.
fn say(playout: Playout) -> String {
    match playout {
        Playout::Decode(payload) if payload.len() < 5 => "dtx".to_owned(),
        Playout::Decode(payload) => number(&payload).to_string(),
        Playout::Fec(payload) => format!("+{}", number(&payload)),
        Playout::Conceal => "~".to_owned(),
        Playout::Nothing => "-".to_owned(),
    }
}

/// Plays a stream whose packets arrive at the times given and is asked each 20 ms, 1 ms after the sender's beat.
fn play(
    arrivals: &[(u64, Packet)],
    ticks: u64,
    silent: impl Fn(u64) -> bool,
) -> (String, JitterBuffer) {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    let mut arrivals: Vec<_> = arrivals.to_vec();
    arrivals.sort_by_key(|(at, _)| *at);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut said = Vec::new();
    for tick in 0..ticks {
        let now = tick * 20 + 1;
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            buffer.insert(ms(at), packet);
        }
        said.push(say(buffer.next(ms(now), silent(tick))));
    }
    (said.join(" "), buffer)
}

fn loud(_: u64) -> bool {
    false
}

fn on_time(numbers: impl IntoIterator<Item = u32>) -> Vec<(u64, Packet)> {
    numbers
        .into_iter()
        .map(|n| (u64::from(n) * 20, packet(n)))
        .collect()
}

#[test]
fn packets_in_time_wait_for_one_frame() {
    let (said, buffer) = play(&on_time(0..5), 6, loud);
    assert_eq!(said, "- 0 1 2 3 4");
    let statistics = buffer.statistics();
    assert_eq!(
        (statistics.received, statistics.lost, statistics.concealed),
        (5, 0, 0)
    );
    assert_eq!(statistics.depth, ms(21));
}

#[test]
fn a_lost_packet_is_taken_from_the_very_next_one() {
    let (said, buffer) = play(&on_time([0, 1, 2, 4, 5, 6]), 8, loud);
    assert_eq!(said, "- 0 1 2 +4 4 5 6");
    let statistics = buffer.statistics();
    assert_eq!(
        (statistics.lost, statistics.fec, statistics.concealed),
        (1, 1, 0)
    );
}

#[test]
fn of_two_lost_packets_the_first_is_made_up() {
    let (said, buffer) = play(&on_time([0, 1, 4, 5, 6]), 8, loud);
    assert_eq!(said, "- 0 1 ~ +4 4 5 6");
    assert_eq!(buffer.statistics().lost, 2);
}

#[test]
fn a_long_loss_is_made_up_for_100_ms_only_and_takes_its_own_time() {
    let (said, _) = play(&on_time((0..3).chain(13..18)), 19, loud);
    assert_eq!(said, "- 0 1 2 ~ ~ ~ ~ ~ - - - - - 13 14 15 16 17");
}

#[test]
fn a_late_packet_is_waited_for_and_the_wait_stays() {
    let mut arrivals = on_time(0..8);
    arrivals[3].0 += 30;
    arrivals[4].0 += 10;
    let (said, buffer) = play(&arrivals, 10, loud);
    assert_eq!(said, "- 0 1 2 ~ 3 4 5 6 7");
    let statistics = buffer.statistics();
    assert_eq!((statistics.lost, statistics.late), (0, 0));
    assert_eq!(statistics.depth, ms(41));
}

#[test]
fn what_was_made_up_for_a_lost_packet_makes_nobody_wait() {
    // Packet 3 never comes, and at its turn nothing else is there either.
    let mut arrivals = on_time([0, 1, 2, 4, 5, 6, 7]);
    arrivals[3].0 += 10;
    let (said, _) = play(&arrivals, 9, loud);
    assert_eq!(said, "- 0 1 2 ~ 4 5 6 7");
}

#[test]
fn disorder_within_the_wait_is_not_heard() {
    let mut arrivals = on_time(0..8);
    arrivals[3].0 += 15;
    arrivals[4].0 -= 8;
    let (said, buffer) = play(&arrivals, 9, loud);
    assert_eq!(said, "- 0 1 2 3 4 5 6 7");
    assert_eq!(buffer.statistics().reordered, 1);
}

#[test]
fn disorder_beyond_the_wait_is_learnt_from() {
    // Every fifth packet comes 45 ms late, after the next two.
    let arrivals: Vec<_> = (0..60u32)
        .map(|n| {
            (
                u64::from(n) * 20 + if n % 5 == 4 { 45 } else { 0 },
                packet(n),
            )
        })
        .collect();
    let (said, buffer) = play(&arrivals, 63, loud);
    assert!(said.ends_with("50 51 52 53 54 55 56 57 58 59"), "{said}");
    assert!(buffer.statistics().late <= 2, "{said}");
}

#[test]
fn copies_are_played_once() {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    assert_eq!(buffer.insert(ms(0), packet(0)), Inserted::Queued);
    assert_eq!(buffer.insert(ms(1), packet(0)), Inserted::Duplicate);
    assert_eq!(say(buffer.next(ms(21), false)), "0");
    assert_eq!(buffer.insert(ms(22), packet(0)), Inserted::Duplicate);
    assert_eq!(say(buffer.next(ms(41), false)), "~");
    assert_eq!(buffer.insert(ms(42), packet(2)), Inserted::Queued);
    assert_eq!(say(buffer.next(ms(61), false)), "2");
    assert_eq!(buffer.insert(ms(62), packet(1)), Inserted::Late);
    assert_eq!(buffer.insert(ms(63), packet(1)), Inserted::Duplicate);
    assert_eq!(
        (buffer.statistics().duplicated, buffer.statistics().late),
        (3, 1)
    );
}

#[test]
fn numbers_wrap_around_unnoticed() {
    let mut arrivals = on_time(0..10);
    for (_, packet) in &mut arrivals {
        packet.sequence = packet.sequence.wrapping_sub(5);
        packet.timestamp = packet.timestamp.wrapping_sub(5 * 960);
    }
    arrivals.remove(6);
    let (said, buffer) = play(&arrivals, 11, loud);
    assert_eq!(said, "- 0 1 2 3 4 5 +7 7 8 9");
    assert_eq!(buffer.statistics().lost, 1);
}

#[test]
fn a_silent_talker_is_not_made_up() {
    // Two packets of silence 400 ms apart, between speech; sequence numbers run on.
    let mut arrivals = on_time(0..3);
    for (sequence, tick) in [(3u16, 3u32), (4, 23)] {
        let payload = Bytes::from_static(&[TOC_20_MS]);
        let timestamp = tick * 960;
        arrivals.push((
            u64::from(tick) * 20,
            Packet {
                sequence,
                timestamp,
                payload,
                marker: false,
            },
        ));
    }
    for n in 30..33 {
        let mut packet = packet(n);
        packet.sequence = n as u16 - 25;
        arrivals.push((u64::from(n) * 20, packet));
    }
    let (said, buffer) = play(&arrivals, 35, loud);
    let dashes = |count: usize| vec!["-"; count].join(" ");
    assert_eq!(
        said,
        format!("- 0 1 2 dtx {} dtx {} 30 31 32 ~", dashes(19), dashes(6))
    );
    assert_eq!(
        (buffer.statistics().lost, buffer.statistics().concealed),
        (0, 1)
    );
}

#[test]
fn a_grown_wait_shrinks_in_silence_only() {
    // A stall of 100 ms at packet 5; all comes at once, then in time.
    let mut arrivals = on_time(0..800);
    for (at, packet) in &mut arrivals {
        if (5..10).contains(&packet.sequence) {
            *at = 200;
        }
    }
    let (_, talking) = play(&arrivals, 780, loud);
    assert!(
        talking.statistics().depth >= ms(101),
        "{:?}",
        talking.statistics()
    );
    assert_eq!(talking.statistics().shortened, 0);
    // The stall is remembered for five to ten seconds; then the first silence takes the wait away.
    let (said, quiet) = play(&arrivals, 780, |tick| tick > 600);
    assert_eq!(quiet.statistics().depth, ms(21), "{said}");
    assert!((4..=5).contains(&quiet.statistics().shortened));
    assert_eq!(quiet.statistics().lost, 0);
}

#[test]
fn a_packet_much_larger_than_silence_is_never_left_out() {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    for n in 1..4 {
        buffer.insert(ms(0), packet(n));
    }
    let mut word = packet(4);
    word.payload = [&word.payload[..], &[0; 60]].concat().into();
    buffer.insert(ms(0), word);
    buffer.insert(ms(0), packet(5));
    let said: Vec<_> = (10..14)
        .map(|tick| say(buffer.next(ms(tick * 20), true)))
        .collect();
    assert_eq!(said.join(" "), "1 3 4 5");
}

#[test]
fn a_sender_that_begins_anew_is_heard() {
    let mut arrivals = on_time(0..10);
    for n in 10..20u32 {
        let mut packet = packet(n);
        packet.sequence = (n as u16).wrapping_add(30_000);
        packet.timestamp = packet.timestamp.wrapping_add(3_000_000_000);
        arrivals.push((u64::from(n) * 20, packet));
    }
    let (said, buffer) = play(&arrivals, 21, loud);
    assert!(said.starts_with("- 0 1 2 3 4 5 6 7 8 9 -"), "{said}");
    assert!(said.ends_with("14 15 16 17 18 19"), "{said}");
    assert_eq!(buffer.statistics().restarted, 1);
}

#[test]
fn one_stray_packet_changes_nothing() {
    let mut arrivals = on_time(0..10);
    let mut stray = packet(0);
    stray.sequence = 40_000;
    arrivals.push((95, stray));
    let (said, _) = play(&arrivals, 11, loud);
    assert_eq!(said, "- 0 1 2 3 4 5 6 7 8 9");
}

#[test]
fn a_clock_that_jumps_delays_nothing_for_long() {
    for jump in [
        1u32 << 20,
        1 << 30,
        0u32.wrapping_sub(1 << 20),
        0u32.wrapping_sub(1 << 30),
    ] {
        let mut arrivals = on_time(0..30);
        for (_, packet) in &mut arrivals[10..] {
            packet.timestamp = packet.timestamp.wrapping_add(jump);
        }
        let (said, buffer) = play(&arrivals, 45, loud);
        assert!(
            said.contains("20 21 22 23 24 25 26 27 28 29"),
            "{jump}: {said}"
        );
        assert_eq!(buffer.statistics().lost, 0, "{jump}");
    }
}

#[test]
fn no_more_sound_waits_than_allowed() {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    let mut overflowed = 0;
    for n in 0..100 {
        overflowed += u64::from(buffer.insert(ms(0), packet(n)) == Inserted::Overflow);
    }
    assert_eq!(overflowed, 90);
    assert_eq!(buffer.statistics().overflowed, 90);
    let said: Vec<_> = (1..12)
        .map(|tick| say(buffer.next(ms(tick * 20), false)))
        .collect();
    assert_eq!(said.join(" "), "90 91 92 93 94 95 96 97 98 99 ~");
}

#[test]
fn longer_and_shorter_packets_keep_their_time() {
    let stream = |toc: u8, samples: u32, count: u32| -> Vec<_> {
        (0..count)
            .map(|n| {
                let mut packet = packet(n);
                packet.payload = [&[toc][..], &packet.payload[1..]].concat().into();
                packet.timestamp = n * samples;
                (u64::from(n * samples / 48), packet)
            })
            .collect()
    };
    let (said, _) = play(&stream(TOC_60_MS, 2_880, 4), 12, loud);
    assert_eq!(said, "- 0 - - 1 - - 2 - - 3 -");
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    let mut arrivals = stream(TOC_10_MS, 480, 12).into_iter().peekable();
    let mut said = Vec::new();
    for tick in 0..6u64 {
        let now = tick * 20 + 1;
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            buffer.insert(ms(at), packet);
        }
        loop {
            match buffer.next(ms(now), false) {
                Playout::Nothing => break,
                playout => said.push(say(playout)),
            }
        }
    }
    assert_eq!(said.join(" "), "0 1 2 3 4 5 6 7 8 9");
}

/// A small generator of chance, the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Checks that numbers only grow and that a copy is only taken from the very next packet.
#[derive(Default)]
struct Listener {
    last: Option<u32>,
    awaited: Option<u32>,
    decoded: u32,
    concealed_in_a_row: u32,
}

impl Listener {
    fn hear(&mut self, playout: &Playout) {
        self.concealed_in_a_row = match playout {
            Playout::Conceal => self.concealed_in_a_row + 1,
            Playout::Decode(_) | Playout::Fec(_) | Playout::Nothing => 0,
        };
        assert!(self.concealed_in_a_row <= 5);
        match playout {
            Playout::Decode(payload) => {
                let n = number(payload);
                assert!(
                    self.last.is_none_or(|last| n > last),
                    "{n} after {:?}",
                    self.last
                );
                if let Some(awaited) = self.awaited.take() {
                    assert!(
                        n >= awaited,
                        "the packet that lent its copy has yet to come"
                    );
                }
                self.last = Some(n);
                self.decoded += 1;
            }
            Playout::Fec(payload) => {
                let n = number(payload);
                assert!(
                    self.last.is_some_and(|last| n > last + 1),
                    "{n} lends what was not lost"
                );
                assert_eq!(self.awaited.replace(n), None);
            }
            Playout::Conceal | Playout::Nothing => {}
        }
    }
}

#[test]
fn on_any_network_speech_comes_in_order_and_nearly_all_of_it() {
    for seed in 0..200 {
        let mut chance = Chance(seed);
        let (loss, jitter) = (chance.below(10), chance.below(80) + 1);
        let phase = chance.below(20);
        let first = chance.below(1 << 32) as u32;
        let sent = 1_500u32;
        let mut arrivals = Vec::new();
        for n in 0..sent {
            let at = 100 + u64::from(n) * 20 + chance.below(jitter);
            let mut packet = packet(n);
            packet.sequence = packet.sequence.wrapping_add(first as u16);
            packet.timestamp = packet.timestamp.wrapping_add(first);
            if chance.below(100) >= loss {
                arrivals.push((at, packet.clone()));
            }
            if chance.below(100) < 2 {
                arrivals.push((at + chance.below(300), packet));
            }
        }
        let arrived = arrivals.len() as u64;
        arrivals.sort_by_key(|(at, _)| *at);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut buffer = JitterBuffer::new(JitterSettings::default());
        let mut listener = Listener::default();
        for tick in 0..u64::from(sent) + 50 {
            let now = tick * 20 + phase;
            while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
                buffer.insert(ms(at), packet);
            }
            // A second of silence every five.
            listener.hear(&buffer.next(ms(now), tick % 250 >= 200));
        }
        let statistics = buffer.statistics();
        assert_eq!(statistics.received, arrived);
        let played = u64::from(listener.decoded) + statistics.shortened + statistics.overflowed;
        assert_eq!(
            played + statistics.late + statistics.duplicated,
            arrived,
            "seed {seed}: {statistics:?}"
        );
        let missed = f64::from(sent) - f64::from(listener.decoded) - statistics.shortened as f64;
        assert!(
            missed / f64::from(sent) < loss as f64 / 100.0 + 0.03,
            "seed {seed}, loss {loss} %, jitter {jitter} ms: {missed} missed, {statistics:?}"
        );
        assert!(
            statistics.depth < ms(jitter + 80),
            "seed {seed}, jitter {jitter} ms: {statistics:?}"
        );
    }
}

#[test]
fn a_sender_whose_clock_runs_fast_or_slow_is_followed() {
    // 200 ppm for ten minutes is 120 ms.
    for drift in [-200i64, 200] {
        let mut buffer = JitterBuffer::new(JitterSettings::default());
        let mut sent = 0u32;
        let mut deepest = Duration::ZERO;
        for tick in 0..30_000i64 {
            let now = tick * 20_000;
            while i64::from(sent) * (20_000_000 + drift * 20) / 1_000 <= now {
                buffer.insert(Duration::from_micros(now as u64), packet(sent));
                sent += 1;
            }
            buffer.next(Duration::from_micros(now as u64 + 1_000), tick % 250 >= 200);
            deepest = deepest.max(buffer.statistics().depth);
        }
        let statistics = buffer.statistics();
        assert!(deepest < ms(80), "{deepest:?}");
        assert!(
            statistics.overflowed == 0 && statistics.lost == 0,
            "{statistics:?}"
        );
    }
}

/// A packet as it never comes from an honest sender, or nearly as it does.
fn any_packet() -> impl Strategy<Value = (u16, u32, bool, Vec<u8>)> {
    (
        prop_oneof![any::<u16>(), 0u16..40, 65_500u16..=u16::MAX],
        prop_oneof![any::<u32>(), (0u32..40).prop_map(|n| n * 960)],
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..8),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn nothing_that_arrives_panics_or_piles_up(
        steps in prop::collection::vec((any_packet(), 0u64..60, any::<bool>()), 1..200),
        start in prop_oneof![Just(0u64), any::<u64>()],
    ) {
        let mut buffer = JitterBuffer::new(JitterSettings::default());
        let mut now = ms(start);
        let (mut queued, mut given) = (0u64, 0u64);
        for ((sequence, timestamp, marker, payload), wait, silent) in steps {
            now = now.saturating_add(ms(wait));
            let packet = Packet { sequence, timestamp, marker, payload: payload.into() };
            let inserted = buffer.insert(now, packet);
            queued += u64::from(matches!(inserted, Inserted::Queued | Inserted::Overflow));
            // Packets of 2.5 ms are the shortest.
            prop_assert!(buffer.len() <= 80, "{} packets wait", buffer.len());
            if wait > 10 {
                given += u64::from(matches!(buffer.next(now, silent), Playout::Decode(_)));
            }
        }
        let statistics = buffer.statistics();
        prop_assert!(given + statistics.overflowed + statistics.shortened <= queued);
        prop_assert_eq!(statistics.received, queued + statistics.late + statistics.duplicated);
    }

    #[test]
    fn nothing_is_played_twice_or_backwards(
        arrivals in prop::collection::vec((0u32..60, 0u64..200, any::<bool>()), 0..120),
        first in any::<u16>(),
    ) {
        let mut buffer = JitterBuffer::new(JitterSettings::default());
        let mut arrivals: Vec<_> = arrivals
            .into_iter()
            .map(|(n, late, marker)| (u64::from(n) * 20 + late, n, marker))
            .collect();
        arrivals.sort();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut listener = Listener::default();
        for tick in 0..90 {
            while let Some((at, n, marker)) = arrivals.next_if(|(at, ..)| *at <= tick * 20) {
                let mut packet = packet(n);
                packet.sequence = packet.sequence.wrapping_add(first);
                packet.marker = marker;
                buffer.insert(ms(at), packet);
            }
            listener.hear(&buffer.next(ms(tick * 20), tick % 10 > 6));
        }
    }
}

/// Opus can say that a packet holds no frame at all: such packets must not pile up for lack of a length.
#[test]
fn packets_without_sound_do_not_pile_up() {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    for n in 0..1000u16 {
        buffer.insert(
            ms(u64::from(n) / 10),
            Packet {
                sequence: n,
                timestamp: u32::from(n) * 960,
                payload: vec![0x03, 0x00].into(),
                marker: false,
            },
        );
    }
    assert!(buffer.len() <= 80, "{} packets wait", buffer.len());
}
