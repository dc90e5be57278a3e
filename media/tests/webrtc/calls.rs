//! Calls in which all is well: sound, messages, silences, and a caller who moves.

use super::house::*;
use media::Clock;
use media::link::webrtc::EndpointSettings;
use media::link::webrtc::caller::{CallerSettings, Heard, dial};
use media::link::{Generation, Inbound, Outbound};
use std::time::Duration;

#[tokio::test]
async fn a_tone_goes_both_ways_and_keeps_its_pitch_and_level() {
    let endpoint = endpoint(EndpointSettings::default());
    let (mut caller, answered) = call(&endpoint).await;
    let (mouth, outbound) = (caller.mouth(), answered.link.outbound.clone());
    let mut inbox = answered.link.inbox;
    let speak = async {
        let clock = Clock::start();
        for n in 0..120 {
            clock.until(Duration::from_millis(20 * n)).await;
            assert!(mouth.frame(tone(n)).await);
            let audio = Outbound::Audio {
                generation: Generation(1),
                tick: n,
                frame: tone(n),
            };
            outbound.send(audio).await.unwrap();
        }
    };
    let listen = async {
        let mut samples = Vec::new();
        while samples.len() < 110 * 960 {
            if let Some(Inbound::Audio { frame, .. }) = inbox.recv().await {
                samples.extend_from_slice(frame.samples());
            }
        }
        samples
    };
    let (_, at_session, at_caller) =
        within(async { tokio::join!(speak, listen, packets(&mut caller, 120)) }).await;
    assert_is_tone("the session hears", &at_session);
    assert_is_tone("the caller hears", &decode(&at_caller));
    assert!(at_caller[0].marker);
    for pair in at_caller.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(960));
        assert!(!pair[1].marker);
    }
    let statistics = answered.call.statistics();
    assert_eq!((statistics.moves, statistics.strange_packets), (0, 0));
}

#[tokio::test]
async fn messages_go_both_ways_in_order_and_none_is_lost_before_the_channel_opens() {
    let endpoint = endpoint(EndpointSettings::default());
    let (post, answered) = poster(&endpoint);
    let mut caller = within(dial(CallerSettings::default(), |offer| {
        let answer = post(offer);
        let early = answered.lock().unwrap();
        let outbound = &early.as_ref().unwrap().link.outbound;
        for n in 0..5 {
            outbound
                .try_send(Outbound::Message(format!("to caller {n}")))
                .unwrap();
        }
        async { answer }
    }))
    .await
    .unwrap();
    let mut link = answered.lock().unwrap().take().unwrap().link;
    let mouth = caller.mouth();
    let talk = async {
        for n in 5..200 {
            link.outbound
                .send(Outbound::Message(format!("to caller {n}")))
                .await
                .unwrap();
        }
    };
    let say = async {
        for n in 0..200 {
            assert!(mouth.message(format!("to session {n}")).await);
        }
    };
    let hear = async {
        for n in 0..200 {
            assert_eq!(message(&mut caller).await, format!("to caller {n}"));
        }
    };
    let listen = async {
        for n in 0..200 {
            match link.inbox.recv().await {
                Some(Inbound::Message(text)) => assert_eq!(text, format!("to session {n}")),
                other => panic!("{other:?}"),
            }
        }
    };
    within(async { tokio::join!(talk, say, hear, listen) }).await;
}

#[tokio::test]
async fn after_the_fence_is_raised_no_older_frame_leaves() {
    let endpoint = endpoint(EndpointSettings::default());
    let (mut caller, mut answered) = call(&endpoint).await;
    let link = &mut answered.link;
    let send = async |generation: u32, ticks: std::ops::Range<u64>| {
        for tick in ticks {
            let generation = Generation(generation);
            let audio = Outbound::Audio {
                generation,
                tick,
                frame: tone(tick),
            };
            link.outbound.send(audio).await.unwrap();
        }
    };
    send(1, 0..10).await;
    let before = within(packets(&mut caller, 10)).await;
    link.fence.raise(Generation(2));
    send(1, 10..20).await;
    send(2, 20..30).await;
    let after = within(packets(&mut caller, 10)).await;
    let ticks: Vec<_> = after
        .iter()
        .map(|p| p.timestamp.wrapping_sub(before[0].timestamp) / 960)
        .collect();
    assert_eq!(ticks, (20..30).collect::<Vec<_>>());
    let mut unsent = 0;
    while unsent < 10 {
        match within(inbound(link)).await {
            Inbound::Unsent {
                generation: Generation(1),
                frames,
            } => unsent += frames,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(unsent, 10);
}

#[tokio::test]
async fn timestamps_follow_the_clock_through_silence_and_a_mark_follows_it() {
    let endpoint = endpoint(EndpointSettings::default());
    let (mut caller, answered) = call(&endpoint).await;
    for tick in [7, 8, 9, 59, 60] {
        let audio = Outbound::Audio {
            generation: Generation(1),
            tick,
            frame: tone(tick),
        };
        answered.link.outbound.send(audio).await.unwrap();
    }
    let heard = within(packets(&mut caller, 5)).await;
    let marks: Vec<_> = heard.iter().map(|packet| packet.marker).collect();
    assert_eq!(marks, [true, false, false, true, false]);
    let since: Vec<_> = heard
        .iter()
        .map(|p| p.timestamp.wrapping_sub(heard[0].timestamp) / 960)
        .collect();
    assert_eq!(since, [0, 1, 2, 52, 53]);
    let numbers: Vec<_> = heard
        .iter()
        .map(|p| p.sequence.wrapping_sub(heard[0].sequence))
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn frames_before_the_connection_come_back_as_unsent() {
    let endpoint = endpoint(EndpointSettings::default());
    let (post, answered) = poster(&endpoint);
    let offer = offer_of_a_caller().await;
    post(offer).unwrap();
    let mut answered = answered.lock().unwrap().take().unwrap();
    for tick in 0..3 {
        let audio = Outbound::Audio {
            generation: Generation(4),
            tick,
            frame: tone(tick),
        };
        answered.link.outbound.send(audio).await.unwrap();
    }
    let mut unsent = 0;
    while unsent < 3 {
        match within(inbound(&mut answered.link)).await {
            Inbound::Unsent {
                generation: Generation(4),
                frames,
            } => unsent += frames,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn twenty_calls_share_one_port_and_hear_only_their_own() {
    let endpoint = endpoint(EndpointSettings::default());
    let mut calls = Vec::new();
    for n in 0..20 {
        let (caller, answered) = call(&endpoint).await;
        assert!(
            answered
                .sdp
                .contains(&format!(" 127.0.0.1 {} typ host", endpoint.port()))
        );
        assert!(caller.mouth().message(format!("I am {n}")).await);
        calls.push((caller, answered));
    }
    for (n, (caller, answered)) in calls.iter_mut().enumerate() {
        for tick in 0..10 {
            let audio = Outbound::Audio {
                generation: Generation(1),
                tick,
                frame: tone(tick),
            };
            answered.link.outbound.send(audio).await.unwrap();
            assert!(caller.mouth().frame(tone(tick)).await);
        }
        let you = Outbound::Message(format!("you are {n}"));
        answered.link.outbound.send(you).await.unwrap();
    }
    for (n, (caller, answered)) in calls.iter_mut().enumerate() {
        let first = within(inbound(&mut answered.link)).await;
        assert!(
            matches!(&first, Inbound::Message(text) if *text == format!("I am {n}")),
            "{first:?}"
        );
        let (mut heard, mut told) = (0, false);
        while heard < 10 || !told {
            match within(caller.heard.recv()).await {
                Some(Heard::Packet(_)) => heard += 1,
                Some(Heard::Message(text)) => told = text == format!("you are {n}"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(endpoint.statistics().calls, 20);
}

#[tokio::test]
async fn a_caller_who_changes_its_port_is_followed() {
    let endpoint = endpoint(EndpointSettings::default());
    let (mut caller, mut answered) = call(&endpoint).await;
    let mouth = caller.mouth();
    let (link, stop) = (
        &mut answered.link,
        tokio_util::sync::CancellationToken::new(),
    );
    let outbound = link.outbound.clone();
    let speak = async {
        let clock = Clock::start();
        for n in 0..3000 {
            if stop.is_cancelled() {
                return;
            }
            if n == 25 {
                assert!(mouth.change_port().await);
            }
            clock.until(Duration::from_millis(20 * n)).await;
            assert!(mouth.frame(tone(n)).await);
            let audio = Outbound::Audio {
                generation: Generation(1),
                tick: n,
                frame: tone(n),
            };
            outbound.send(audio).await.unwrap();
        }
    };
    let listen = async {
        // What is sent to the old port is lost, so a gap in the numbers shows that the new one was found.
        let mut last = None;
        let after_gap = loop {
            let [packet] = packets(&mut caller, 1).await.try_into().unwrap();
            let expected = last
                .replace(packet.sequence)
                .map(|last: u16| last.wrapping_add(1));
            if expected.is_some_and(|expected| expected != packet.sequence) {
                break packets(&mut caller, 50).await;
            }
        };
        while answered.call.statistics().moves == 0 {
            inbound(link).await;
        }
        let mut samples = Vec::new();
        while samples.len() < 30 * 960 {
            if let Some(Inbound::Audio { frame, .. }) = link.inbox.recv().await
                && !frame.is_silent()
            {
                samples.extend_from_slice(frame.samples());
            }
        }
        stop.cancel();
        assert_is_tone("the caller hears", &decode(&after_gap));
    };
    within(async { tokio::join!(speak, listen) }).await;
    assert_eq!(answered.call.statistics().moves, 1);
}
