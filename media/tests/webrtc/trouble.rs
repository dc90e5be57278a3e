//! Calls that end, offers that are refused, and packets that nobody should have sent.

use super::house::*;
use bytes::Bytes;
use media::Clock;
use media::link::webrtc::caller::{CallerSettings, dial};
use media::link::webrtc::{Endpoint, EndpointSettings, Error, OfferError};
use media::link::{Closed, Generation, Inbound, Outbound};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

#[tokio::test]
async fn a_message_that_is_too_long_or_binary_is_reported_and_the_call_goes_on() {
    let endpoint = endpoint(EndpointSettings::default());
    let (post, answered) = poster(&endpoint);
    // A caller that does not keep to the limit that the answer names.
    let careless = |offer| post(offer).map(|answer| answer.replace("size:65536", "size:131072"));
    let caller = within(dial(CallerSettings::default(), |offer| {
        let answer = careless(offer);
        async { answer }
    }))
    .await
    .unwrap();
    let mut link = answered.lock().unwrap().take().unwrap().link;
    let mouth = caller.mouth();
    assert!(mouth.message("x".repeat(70_000)).await);
    assert!(mouth.binary().await);
    assert!(mouth.message("fine").await);
    let too_long = within(inbound(&mut link)).await;
    assert!(
        matches!(&too_long, Inbound::Invalid(why) if why.contains("70000")),
        "{too_long:?}"
    );
    let binary = within(inbound(&mut link)).await;
    assert!(
        matches!(&binary, Inbound::Invalid(why) if why.contains("binary")),
        "{binary:?}"
    );
    let fine = within(inbound(&mut link)).await;
    assert!(
        matches!(&fine, Inbound::Message(text) if text == "fine"),
        "{fine:?}"
    );
}

#[tokio::test]
async fn whoever_hangs_up_the_other_side_hears_of_it_and_nothing_stays() {
    let endpoint = endpoint(EndpointSettings::default());
    let runtime = tokio::runtime::Handle::current();
    let tasks = runtime.metrics().num_alive_tasks();
    for way in 0..4 {
        let (mut caller, mut answered) = call(&endpoint).await;
        assert_eq!(endpoint.statistics().calls, 1);
        match way {
            0 => within(caller.hang_up()).await,
            1 => {
                answered.call.hang_up();
                within(closed(&mut caller)).await;
            }
            2 => {
                let last = Outbound::Message("last words".into());
                answered.link.outbound.send(last).await.unwrap();
                let close = Outbound::Close {
                    code: 1000,
                    reason: "goodbye".into(),
                };
                answered.link.outbound.send(close).await.unwrap();
                assert_eq!(within(message(&mut caller)).await, "last words");
                within(closed(&mut caller)).await;
            }
            _ => {
                let call = answered.call.clone();
                drop(answered);
                within(closed(&mut caller)).await;
                within(call.ended()).await;
                continue;
            }
        }
        let last = within(inbound(&mut answered.link)).await;
        assert!(
            matches!(last, Inbound::Closed(Closed::ByCaller)),
            "{way}: {last:?}"
        );
        assert!(within(answered.link.inbox.recv()).await.is_none());
        within(answered.call.ended()).await;
    }
    let statistics = endpoint.statistics();
    assert_eq!((statistics.calls, statistics.remembered), (0, 0));
    within(async {
        while runtime.metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn garbage_for_an_offer_is_an_error_and_leaves_nothing() {
    let endpoint = endpoint(EndpointSettings::default());
    let good = offer_of_a_caller().await;
    let without = |what: &str| -> String {
        good.split_inclusive('\n')
            .filter(|line| !line.starts_with(what))
            .collect()
    };
    let refused = |offer: &str| endpoint.answer(offer, "garbage").unwrap_err();
    assert!(matches!(refused(""), OfferError::NotSdp(_)));
    assert!(matches!(refused("not SDP at all"), OfferError::NotSdp(_)));
    assert!(matches!(refused("v=0\r\n"), OfferError::NoAudio));
    assert!(matches!(
        refused(&"v=0\n".repeat(50_000)),
        OfferError::TooLong { .. }
    ));
    assert!(matches!(
        refused(&without("a=ice-ufrag")),
        OfferError::NoIceCredentials
    ));
    assert!(matches!(
        refused(&without("a=fingerprint")),
        OfferError::NoFingerprint
    ));
    assert!(matches!(refused(&without("a=rtpmap")), OfferError::NoOpus));
    assert!(matches!(refused(&without("m=audio")), OfferError::NoAudio));
    for cut in (0..good.len()).step_by(7) {
        // Cut anywhere: an error, or a call that nobody connects to.
        let _ = endpoint.answer(&good[..cut], "cut");
    }
    // Their links are dropped at once, so the calls end.
    within(async {
        while endpoint.statistics().calls > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(endpoint.statistics().remembered, 0);
    call(&endpoint).await;
}

#[tokio::test]
async fn a_full_server_says_so_and_has_room_again_after_a_call() {
    let endpoint = endpoint(EndpointSettings {
        max_peers: 1,
        ..EndpointSettings::default()
    });
    let (caller, answered) = call(&endpoint).await;
    let offer = offer_of_a_caller().await;
    let full = endpoint.answer(&offer, "late").unwrap_err();
    assert!(matches!(full, OfferError::Full { calls: 1 }), "{full}");
    within(caller.hang_up()).await;
    within(answered.call.ended()).await;
    assert!(endpoint.answer(&offer, "in time").is_ok());
}

#[tokio::test]
async fn opus_garbage_and_empty_packets_harm_nobody() {
    let endpoint = endpoint(EndpointSettings::default());
    let (caller, mut answered) = call(&endpoint).await;
    let mouth = caller.mouth();
    let clock = Clock::start();
    let speak = async {
        for n in 0..200_u64 {
            clock.until(Duration::from_millis(20 * n)).await;
            let garbage: &[u8] = match n % 4 {
                _ if n >= 60 => {
                    mouth.frame(tone(n)).await;
                    continue;
                }
                0 => &[],
                1 => &[0x7b, 0x3f, 1, 2],
                2 => &[0xff; 900],
                _ => &[3],
            };
            mouth.opus(Bytes::copy_from_slice(garbage)).await;
        }
    };
    let listen = async {
        let mut samples = Vec::new();
        while samples.len() < 60 * 960 {
            if let Inbound::Audio { frame, .. } = inbound_or_audio(&mut answered.link).await
                && clock.now() > Duration::from_millis(1600)
            {
                samples.extend_from_slice(frame.samples());
            }
        }
        assert_is_tone("after the garbage the session hears", &samples);
    };
    within(async { tokio::join!(speak, listen) }).await;
    let statistics = answered.call.statistics();
    assert!(
        statistics.undecodable_packets > 0 && statistics.strange_packets >= 15,
        "{statistics:?}"
    );
}

#[tokio::test]
async fn strangers_packets_are_counted_and_the_call_goes_on() {
    let endpoint = endpoint(EndpointSettings::default());
    let (mut caller, answered) = call(&endpoint).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = (Ipv4Addr::LOCALHOST, endpoint.port());
    let mut sent = 0;
    for first in 0..=255_u8 {
        let noise = vec![first; 100];
        let mut check = noise.clone();
        check[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
        let hello = [&[22, 254, 253][..], &noise].concat();
        for packet in [&noise[..], &check, &hello, &[first], &[]] {
            stranger.send_to(packet, port).unwrap();
            sent += 1;
        }
        within(async {
            loop {
                let statistics = endpoint.statistics();
                if statistics.unknown + statistics.malformed + statistics.unsigned == sent {
                    break;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let audio = Outbound::Audio {
        generation: Generation(1),
        tick: 0,
        frame: tone(0),
    };
    answered.link.outbound.send(audio).await.unwrap();
    within(packets(&mut caller, 1)).await;
    assert_eq!(endpoint.statistics().calls, 1);
}

#[tokio::test]
async fn a_certificate_that_the_offer_did_not_name_never_connects() {
    let settings = EndpointSettings {
        connect_timeout: Duration::from_secs(2),
        ..EndpointSettings::default()
    };
    let endpoint = endpoint(settings);
    let (post, answered) = poster(&endpoint);
    let impatient = CallerSettings {
        connect_timeout: Duration::from_secs(3),
        ..CallerSettings::default()
    };
    let outcome = dial(impatient, |offer| {
        let at = offer.find("a=fingerprint:sha-256 ").unwrap() + 22;
        let (hash, forged) = (&offer[at..at + 95], "AA:".repeat(31) + "AA");
        let answer = post(offer.replace(hash, &forged));
        async { answer }
    });
    let (outcome, mut answered) = (
        within(outcome).await,
        answered.lock().unwrap().take().unwrap(),
    );
    assert!(outcome.is_err());
    assert!(!within(answered.call.connected()).await);
    let last = within(inbound(&mut answered.link)).await;
    assert!(
        matches!(last, Inbound::Closed(Closed::Failed(_))),
        "{last:?}"
    );
    assert_eq!(endpoint.statistics().calls, 0);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = EndpointSettings {
        udp_port: taken.local_addr().unwrap().port(),
        bind_addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        ..EndpointSettings::default()
    };
    let error = Endpoint::bind(settings).err().unwrap();
    assert!(matches!(error, Error::Bind { address, .. } if address == taken.local_addr().unwrap()));
}

#[tokio::test]
async fn every_interface_and_the_advertised_address_are_candidates() {
    let advertised = "203.0.113.9".parse().unwrap();
    let endpoint = Endpoint::bind(EndpointSettings {
        advertised_addresses: vec![advertised],
        ..EndpointSettings::default()
    })
    .unwrap();
    let answered = endpoint
        .answer(&offer_of_a_caller().await, "candidates")
        .unwrap();
    let candidates: Vec<_> = answered
        .sdp
        .lines()
        .filter(|line| line.starts_with("a=candidate:"))
        .collect();
    assert!(candidates[0].contains(" 203.0.113.9 "), "{candidates:?}");
    for address in endpoint.local_addresses() {
        let wanted = format!(" {} {} typ host", address.ip(), address.port());
        assert!(
            candidates
                .iter()
                .any(|candidate| candidate.contains(&wanted)),
            "{wanted}"
        );
    }
    assert!(
        endpoint
            .local_addresses()
            .iter()
            .any(|address| address.ip().is_loopback())
    );
    within(endpoint.shutdown()).await;
}

#[tokio::test]
async fn a_caller_of_whom_nothing_is_heard_is_lost() {
    // Shorter than the two seconds between a caller's checks, and this caller says nothing.
    let silence_timeout = Duration::from_millis(700);
    let endpoint = endpoint(EndpointSettings {
        silence_timeout,
        ..EndpointSettings::default()
    });
    let (_caller, mut answered) = call(&endpoint).await;
    let last = within(inbound(&mut answered.link)).await;
    assert!(
        matches!(last, Inbound::Closed(Closed::Failed(_))),
        "{last:?}"
    );
    within(answered.call.ended()).await;
    assert_eq!(endpoint.statistics().calls, 0);
}

#[tokio::test]
async fn a_session_that_does_not_read_holds_its_caller_back_and_loses_no_message() {
    let endpoint = endpoint(EndpointSettings::default());
    let (caller, mut answered) = call(&endpoint).await;
    let mouth = caller.mouth();
    for n in 0..600 {
        assert!(mouth.message(format!("{n} {}", "x".repeat(300))).await);
    }
    for n in 0..600 {
        match within(inbound(&mut answered.link)).await {
            Inbound::Message(text) => assert!(text.starts_with(&format!("{n} "))),
            other => panic!("{other:?}"),
        }
    }
}
