//! Callers, sessions and tones for the tests of WebRTC calls.

use media::codec::Decoder;
use media::level::rms;
use media::link::webrtc::caller::{Caller, CallerSettings, Heard, HeardPacket, dial};
use media::link::webrtc::{Answered, Endpoint, EndpointSettings};
use media::link::{Inbound, Link};
use media::{AudioFrame, FRAME_SAMPLES};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for the slowest machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
const PITCH_HZ: f32 = 440.0;
const AMPLITUDE: f32 = 8000.0;

/// The outcome of what must not take for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes too long")
}

/// An endpoint that only this machine reaches.
pub fn endpoint(settings: EndpointSettings) -> Endpoint {
    let bind_addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    Endpoint::bind(EndpointSettings {
        bind_addresses,
        ..settings
    })
    .unwrap()
}

/// Where what comes of an offer is kept beside its answer.
pub type Kept = Arc<Mutex<Option<Answered>>>;

/// Answers an offer at the endpoint and keeps what else comes of it.
pub fn poster(endpoint: &Endpoint) -> (impl Fn(String) -> Result<String, String>, Kept) {
    let kept = Arc::new(Mutex::new(None));
    let (keep, endpoint) = (kept.clone(), endpoint.clone());
    let post = move |offer: String| {
        let answered = endpoint
            .answer(&offer, "test")
            .map_err(|error| error.to_string())?;
        let sdp = answered.sdp.clone();
        keep.lock().unwrap().replace(answered);
        Ok(sdp)
    };
    (post, kept)
}

/// A connected call.
pub async fn call(endpoint: &Endpoint) -> (Caller, Answered) {
    let (post, answered) = poster(endpoint);
    let caller = within(dial(CallerSettings::default(), |offer| {
        let answer = post(offer);
        async { answer }
    }))
    .await
    .unwrap();
    let answered = answered.lock().unwrap().take().unwrap();
    assert!(within(answered.call.connected()).await);
    (caller, answered)
}

/// A good offer whose caller never comes.
pub async fn offer_of_a_caller() -> String {
    let mut offered = String::new();
    let refused = dial(CallerSettings::default(), |offer| {
        offered = offer;
        async { Err("only asking") }
    });
    assert!(refused.await.is_err());
    offered
}

/// 20 ms number `n` of the tone.
pub fn tone(n: u64) -> AudioFrame {
    let mut frame = AudioFrame::silence();
    for (i, sample) in frame.samples_mut().iter_mut().enumerate() {
        let t = (n as usize * FRAME_SAMPLES + i) as f32 / 48_000.0;
        *sample = ((std::f32::consts::TAU * PITCH_HZ * t).sin() * AMPLITUDE) as i16;
    }
    frame
}

/// Checks pitch and level, past what the codec and the jitter buffer need to begin.
pub fn assert_is_tone(what: &str, samples: &[i16]) {
    let samples = &samples[samples.len() / 3..];
    let rising = samples
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0)
        .count();
    let pitch = rising as f32 * 48_000.0 / samples.len() as f32;
    assert!((pitch - PITCH_HZ).abs() < 12.0, "{what} {pitch} Hz");
    let level = rms(samples) / (AMPLITUDE / 2_f32.sqrt());
    assert!((0.7..1.3).contains(&level), "{what} {level} of the level");
}

/// The sound of packets that came without a gap.
pub fn decode(packets: &[HeardPacket]) -> Vec<i16> {
    let mut decoder = Decoder::new().unwrap();
    let mut samples = Vec::new();
    for packet in packets {
        samples.extend_from_slice(decoder.decode(&packet.payload).unwrap());
    }
    samples
}

/// The next packets that the caller hears.
pub async fn packets(caller: &mut Caller, count: usize) -> Vec<HeardPacket> {
    let mut packets = Vec::new();
    while packets.len() < count {
        match caller.heard.recv().await {
            Some(Heard::Packet(packet)) => packets.push(packet),
            Some(Heard::Message(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    packets
}

/// The next message that the caller gets.
pub async fn message(caller: &mut Caller) -> String {
    loop {
        match caller.heard.recv().await {
            Some(Heard::Message(text)) => return text,
            Some(Heard::Packet(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until the other side has hung up.
pub async fn closed(caller: &mut Caller) {
    while let Some(heard) = caller.heard.recv().await {
        if matches!(heard, Heard::Closed) {
            return;
        }
    }
}

/// The next thing but sound that the session gets.
pub async fn inbound(link: &mut Link) -> Inbound {
    loop {
        match link.inbox.recv().await {
            Some(Inbound::Audio { .. }) => {}
            Some(other) => return other,
            None => panic!("the call's task is gone"),
        }
    }
}

/// The next thing that the session gets.
pub async fn inbound_or_audio(link: &mut Link) -> Inbound {
    link.inbox.recv().await.expect("the call's task is gone")
}
