//! Offers of browsers, and offers that are none.

use super::*;
use proptest::prelude::*;
use rtc::peer_connection::sdp::RTCSessionDescription;
use std::net::SocketAddr;

const HASH: &str = "0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E";

/// What Chromium sends for a microphone and a data channel, shortened where lines repeat.
fn chromium() -> String {
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS 3f\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2113937151 2c0a.local 51413 typ host generation 0 network-cost 999\r\n\
         a=ice-ufrag:Kx7q\r\na=ice-pwd:vJ4oU7WnXgk2aTXQdGZkz1Ci\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {HASH}\r\na=setup:actpass\r\na=mid:0\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:3f 77\r\na=rtcp-mux\r\n\
         a=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
         a=rtpmap:9 G722/8000\r\na=ssrc:2796912341 cname:zVqd\r\na=ssrc:2796912341 msid:3f 77\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Kx7q\r\n\
         a=ice-pwd:vJ4oU7WnXgk2aTXQdGZkz1Ci\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {HASH}\r\n\
         a=setup:actpass\r\na=mid:1\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"
    )
}

fn answer(offer: &Offer) -> String {
    let candidate = |ip: &str, place| Candidate {
        address: SocketAddr::new(ip.parse().unwrap(), 40000),
        place,
    };
    Answer {
        offer,
        ufrag: "ours",
        password: "a password of ours",
        fingerprint: "sha-256 AB",
        candidates: &[candidate("203.0.113.7", 0), candidate("::1", 1)],
        ssrc: 77,
        max_message_bytes: 65_536,
    }
    .to_string()
}

#[test]
fn a_browsers_offer_gives_all_that_a_call_needs() {
    let offer = Offer::parse(&chromium()).unwrap();
    assert_eq!(offer.payload_type, 111);
    assert_eq!(offer.setup, Setup::ActPass);
    assert_eq!(offer.direction, Direction::SendReceive);
    assert_eq!(
        (offer.ufrag.as_str(), offer.sources.as_slice()),
        ("Kx7q", &[2_796_912_341][..])
    );
    assert!(offer.has_data() && !offer.has_nack);
    // Lines may end with a bare line feed.
    assert_eq!(Offer::parse(&chromium().replace('\r', "")).unwrap(), offer);
}

#[test]
fn the_answer_says_what_a_browser_wants_to_read() {
    let offer = Offer::parse(&chromium()).unwrap();
    let expected = "v=0\r\no=- 77 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        a=msid-semantic: WMS parlor\r\na=ice-lite\r\n\
        m=audio 40000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 203.0.113.7\r\na=mid:0\r\na=ice-ufrag:ours\r\n\
        a=ice-pwd:a password of ours\r\na=fingerprint:sha-256 AB\r\na=setup:active\r\na=sendrecv\r\na=rtcp-mux\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=msid:parlor voice\r\n\
        a=ssrc:77 cname:parlor\r\na=ssrc:77 msid:parlor voice\r\n\
        a=candidate:1 1 udp 2130706431 203.0.113.7 40000 typ host\r\n\
        a=candidate:2 1 udp 2130706175 ::1 40000 typ host\r\na=end-of-candidates\r\n\
        m=application 40000 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 203.0.113.7\r\na=mid:1\r\n\
        a=ice-ufrag:ours\r\na=ice-pwd:a password of ours\r\na=fingerprint:sha-256 AB\r\na=setup:active\r\n\
        a=sctp-port:5000\r\na=max-message-size:65536\r\n";
    assert_eq!(answer(&offer), expected);
}

#[test]
fn video_and_a_second_microphone_are_refused_in_their_place() {
    let video =
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n";
    let second = chromium()
        .split("m=audio")
        .nth(1)
        .unwrap()
        .split("m=application")
        .next()
        .unwrap()
        .to_owned();
    let second = format!("m=audio{}", second.replace("a=mid:0", "a=mid:a2"));
    let text = chromium().replacen("m=audio", &format!("{video}m=audio"), 1) + &second;
    let text = text.replace("BUNDLE 0 1", "BUNDLE v 0 1 a2");
    let offer = Offer::parse(&text).unwrap();
    let roles: Vec<_> = offer.sections.iter().map(|section| section.role).collect();
    assert_eq!(
        roles,
        [Role::Refused, Role::Voice, Role::Data, Role::Refused]
    );
    let answer = answer(&offer);
    assert!(answer.contains("a=group:BUNDLE 0 1\r\n"));
    assert!(answer.contains(
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=inactive\r\n"
    ));
    assert!(answer.contains("m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n"));
    assert_eq!(answer.matches("\r\nm=").count(), 4);
}

#[test]
fn directions_and_handshake_roles_are_turned_around() {
    for (offered, answered) in [("sendonly", "recvonly"), ("recvonly", "sendonly")] {
        let text = chromium().replace("a=sendrecv", &format!("a={offered}"));
        let answer = answer(&Offer::parse(&text).unwrap());
        assert!(answer.contains(&format!("\r\na={answered}\r\n")));
        assert_eq!(answer.contains("a=msid:parlor"), answered == "sendonly");
    }
    for (offered, answered) in [("active", "passive"), ("passive", "active")] {
        let text = chromium().replace("setup:actpass", &format!("setup:{offered}"));
        let answer = answer(&Offer::parse(&text).unwrap());
        assert!(answer.contains(&format!("a=setup:{answered}")));
    }
}

#[test]
fn repeats_are_agreed_on_only_if_offered() {
    let text = chromium().replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 nack");
    let offer = Offer::parse(&text).unwrap();
    assert!(answer(&offer).contains("a=rtcp-fb:111 nack\r\n"));
    assert!(!answer(&Offer::parse(&chromium()).unwrap()).contains("rtcp-fb"));
}

#[test]
fn data_channels_need_the_voices_transport() {
    let apart = chromium().replace("BUNDLE 0 1", "BUNDLE 0");
    assert!(!Offer::parse(&apart).unwrap().has_data());
    let unbundled = chromium().replace("a=group:BUNDLE 0 1\r\n", "");
    let offer = Offer::parse(&unbundled).unwrap();
    assert!(!offer.has_data() && !answer(&offer).contains("BUNDLE"));
    let old = chromium().replace("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000");
    assert!(!Offer::parse(&old).unwrap().has_data());
}

#[test]
fn what_an_offer_lacks_is_named() {
    let chromium = chromium();
    let without = |what: &str| {
        let kept = chromium
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(what));
        Offer::parse(&kept.collect::<String>()).unwrap_err()
    };
    assert!(matches!(
        without("a=ice-ufrag"),
        OfferError::NoIceCredentials
    ));
    assert!(matches!(without("a=ice-pwd"), OfferError::NoIceCredentials));
    assert!(matches!(
        without("a=fingerprint"),
        OfferError::NoFingerprint
    ));
    assert!(matches!(without("a=rtpmap:111"), OfferError::NoOpus));
    assert!(matches!(without("m=audio"), OfferError::NoAudio));
    assert!(matches!(without("v=0"), OfferError::NotSdp(_)));
    let inactive = chromium.replace("a=sendrecv", "a=inactive");
    assert!(matches!(Offer::parse(&inactive), Err(OfferError::NoAudio)));
    let insecure = chromium.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP");
    assert!(matches!(Offer::parse(&insecure), Err(OfferError::NoAudio)));
    let weak = chromium.replace("sha-256", "sha-1");
    assert!(matches!(
        Offer::parse(&weak),
        Err(OfferError::NoFingerprint)
    ));
    let short = chromium.replace("0F:74:", "");
    assert!(matches!(
        Offer::parse(&short),
        Err(OfferError::NoFingerprint)
    ));
}

#[test]
fn what_is_no_sdp_is_refused() {
    let long = "a=x\r\n".repeat(20_000);
    assert!(matches!(
        Offer::parse(&long),
        Err(OfferError::TooLong { bytes: 100_000 })
    ));
    let sections = format!(
        "v=0\r\n{}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(33)
    );
    for text in [
        "",
        "hello",
        "{\"type\":\"offer\"}",
        "v=1\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF\r\n",
        "v=0\r\nno equals sign\r\n",
        "v=0\r\ns=\u{0}\r\n",
        &sections,
    ] {
        assert!(
            matches!(Offer::parse(text), Err(OfferError::NotSdp(_))),
            "{text:?}"
        );
    }
    assert!(matches!(Offer::parse("v=0\r\n"), Err(OfferError::NoAudio)));
}

/// Lines of a real offer in any order, left out, doubled and damaged.
fn damaged() -> impl Strategy<Value = String> {
    let lines: Vec<String> = chromium()
        .split_inclusive("\r\n")
        .map(str::to_owned)
        .collect();
    let picks = prop::collection::vec((0..lines.len(), any::<Option<(u8, char)>>()), 0..60);
    picks.prop_map(move |picks| {
        let mut text = String::from("v=0\r\n");
        for (line, damage) in picks {
            let mut chars: Vec<char> = lines[line].chars().collect();
            if let Some((at, char)) = damage {
                let at = usize::from(at) % chars.len();
                chars[at] = char;
            }
            text.extend(chars);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics_and_the_stack_reads_what_is_passed_on(text in prop_oneof![any::<String>(), damaged()]) {
        if let Ok(offer) = Offer::parse(&text) {
            let answer = answer(&offer);
            prop_assert_eq!(answer.matches("\r\nm=").count(), offer.sections.len());
            let passed_on = RTCSessionDescription::offer(offer.canonical());
            prop_assert!(passed_on.is_ok(), "{:?}", passed_on);
        }
    }

    #[test]
    fn one_damaged_character_never_panics(at in 0_usize..2000, char in any::<char>()) {
        let mut chars: Vec<char> = chromium().chars().collect();
        let at = at % chars.len();
        chars[at] = char;
        let text: String = chars.into_iter().collect();
        if let Ok(offer) = Offer::parse(&text) {
            prop_assert!(RTCSessionDescription::offer(offer.canonical()).is_ok());
        }
    }
}
