//! A caller built on the `webrtc` crate with its own driver: a full ICE agent that shares no code of ours.

use super::house::*;
use bytes::Bytes;
use media::codec::{Encoder, EncoderSettings};
use media::link::webrtc::{EndpointSettings, LABEL, RESERVED_LABEL};
use media::link::{Generation, Inbound, Outbound};
use media::{AudioFrame, Clock};
use rtc::interceptor::Registry;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::MediaStreamTrack;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection as _, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};
use webrtc::runtime::TokioRuntime;

const SSRC: u32 = 4711;

enum Seen {
    Gathered,
    Connected,
    Voice(Bytes),
}

struct Browser(mpsc::Sender<Seen>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Browser {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.send(Seen::Gathered).await.unwrap();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            self.0.send(Seen::Connected).await.unwrap();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = self.0.clone();
        tokio_util::task::TaskTracker::new().spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = seen.send(Seen::Voice(packet.payload)).await;
                }
            }
        });
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/opus".into(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".into(),
        rtcp_feedback: vec![],
    }
}

async fn next_text(channel: &Arc<dyn DataChannel>) -> Option<String> {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => {
                return Some(String::from_utf8(message.data.to_vec()).unwrap());
            }
            DataChannelEvent::OnClose => return None,
            _ => {}
        }
    }
    None
}

#[tokio::test]
async fn the_webrtc_crates_own_driver_calls_talks_and_listens() {
    let endpoint = endpoint(EndpointSettings::default());
    let (seen_sender, mut seen) = mpsc::channel(1024);
    let mut media = MediaEngine::default();
    let codec = RTCRtpCodecParameters {
        rtp_codec: opus(),
        payload_type: 96,
    };
    media.register_codec(codec, RtpCodecKind::Audio).unwrap();
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .build();
    let browser = PeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_interceptor_registry(Registry::new())
        .with_setting_engine(settings)
        .with_handler(Arc::new(Browser(seen_sender)))
        .with_runtime(Arc::new(TokioRuntime))
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()]);
    let browser = Box::pin(browser.build()).await.unwrap();
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(SSRC),
            ..Default::default()
        },
        codec: opus(),
        ..Default::default()
    };
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "mic".into(),
        "mic".into(),
        "mic".into(),
        RtpCodecKind::Audio,
        vec![encoding],
    )));
    browser.add_track(track.clone()).await.unwrap();
    let parlor = browser.create_data_channel(LABEL, None).await.unwrap();
    let reserved = browser
        .create_data_channel(RESERVED_LABEL, None)
        .await
        .unwrap();
    let offer = browser.create_offer(None).await.unwrap();
    browser.set_local_description(offer).await.unwrap();
    while !matches!(within(seen.recv()).await, Some(Seen::Gathered)) {}
    let offer = browser.local_description().await.unwrap().sdp;

    let mut answered = endpoint.answer(&offer, "interop").unwrap();
    let answer = RTCSessionDescription::answer(answered.sdp.clone()).unwrap();
    browser.set_remote_description(answer).await.unwrap();
    while !matches!(within(seen.recv()).await, Some(Seen::Connected)) {}
    assert!(within(answered.call.connected()).await);

    // The reserved channel is closed without a word; ours carries messages both ways.
    assert_eq!(within(next_text(&reserved)).await, None);
    answered
        .link
        .outbound
        .send(Outbound::Message("hello".into()))
        .await
        .unwrap();
    assert_eq!(within(next_text(&parlor)).await.as_deref(), Some("hello"));
    parlor.send_text("hello yourself").await.unwrap();
    let heard = within(inbound(&mut answered.link)).await;
    assert!(
        matches!(&heard, Inbound::Message(text) if text == "hello yourself"),
        "{heard:?}"
    );

    let mut encoder = Encoder::new(EncoderSettings::default()).unwrap();
    let speak = async {
        let clock = Clock::start();
        for n in 0..60_u64 {
            clock.until(Duration::from_millis(20 * n)).await;
            let header = rtc::rtp::header::Header {
                version: 2,
                payload_type: 96,
                sequence_number: n as u16,
                timestamp: n as u32 * 960,
                ssrc: SSRC,
                ..Default::default()
            };
            let payload = encoder.encode(&tone(n)).unwrap();
            track
                .write_rtp(rtc::rtp::Packet { header, payload })
                .await
                .unwrap();
            let frame: AudioFrame = tone(n);
            let audio = Outbound::Audio {
                generation: Generation(1),
                tick: n,
                frame,
            };
            answered.link.outbound.send(audio).await.unwrap();
        }
    };
    let listen = async {
        let mut samples = Vec::new();
        while samples.len() < 50 * 960 {
            if let Some(Inbound::Audio { frame, .. }) = answered.link.inbox.recv().await {
                samples.extend_from_slice(frame.samples());
            }
        }
        samples
    };
    let hear = async {
        let mut packets = Vec::new();
        while packets.len() < 60 {
            if let Some(Seen::Voice(packet)) = seen.recv().await {
                packets.push(packet);
            }
        }
        let mut decoder = media::codec::Decoder::new().unwrap();
        packets
            .iter()
            .flat_map(|packet| decoder.decode(packet).unwrap().to_vec())
            .collect::<Vec<_>>()
    };
    let (_, at_session, at_browser) = within(async { tokio::join!(speak, listen, hear) }).await;
    assert_is_tone("the session hears", &at_session);
    assert_is_tone("the browser hears", &at_browser);
    within(browser.close()).await.unwrap();
    let last = within(inbound(&mut answered.link)).await;
    assert!(matches!(last, Inbound::Closed(_)), "{last:?}");
}
