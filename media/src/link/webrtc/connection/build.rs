//! How the stack is set up for a voice call.

use super::StackError;
use crate::link::webrtc::MAX_MESSAGE_BYTES;
use crate::link::webrtc::sdp::Candidate;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{
    NackGeneratorBuilder, NackResponderBuilder, ReceiverReportBuilder, Registry,
    SenderReportBuilder, Slot,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngineBuilder,
};
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RtpCodecKind,
};
use std::net::SocketAddr;
use std::time::Instant;

/// The longest message that the stack puts together; anything longer it drops by itself.
const STACK_MESSAGE_BYTES: u32 = 2 * MAX_MESSAGE_BYTES as u32;
/// Bytes of a caller's messages in the stack before it tells the caller to wait.
const RECEIVE_BUFFER_BYTES: u32 = 4 * MAX_MESSAGE_BYTES as u32;
/// Sent packets kept for a repeat: more than a second, and no jitter buffer waits longer.
const REPEATABLE_PACKETS: u16 = 64;
/// How far behind a packet may come and still be told from a repeated one.
const REPLAY_WINDOW: usize = 256;
/// The same for voice, whose numbers wrap at 65 536: half of them. The stack takes the first number that it sees for the
/// newest before it knows whether that packet is genuine; with a shorter window, one forged packet before the first true
/// one would make all true ones look too old.
const VOICE_REPLAY_WINDOW: usize = 32_768;

/// What both sides have in common.
pub(in crate::link) fn settings() -> SettingEngineBuilder {
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(STACK_MESSAGE_BYTES))
        .with_sctp_max_receive_buffer_size(RECEIVE_BUFFER_BYTES)
        .with_srtp_replay_protection_window(VOICE_REPLAY_WINDOW)
        .with_srtcp_replay_protection_window(REPLAY_WINDOW)
        .with_dtls_replay_protection_window(REPLAY_WINDOW)
}

/// A connection without a description, and the random source number for its voice.
pub(in crate::link) fn build(
    now: Instant,
    settings: SettingEngineBuilder,
    payload_type: u8,
) -> Result<(Box<RTCPeerConnection>, u32), StackError> {
    let mut media = MediaEngine::default();
    let codec = RTCRtpCodecParameters {
        rtp_codec: opus(),
        payload_type,
    };
    media.register_codec(codec, RtpCodecKind::Audio)?;
    let interceptors = Registry::new()
        .with(
            Slot::NackResponder,
            NackResponderBuilder::new()
                .with_size(REPEATABLE_PACKETS)
                .build(),
        )
        .with(Slot::NackGenerator, NackGeneratorBuilder::new().build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build());
    let core = RTCPeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_setting_engine(settings.build())
        .with_interceptor_registry(interceptors)
        .build(now)?;
    Ok((Box::new(core), rand::random()))
}

/// RFC 7587: always 48 kHz and two channels in SDP, whatever is inside.
fn opus() -> RTCRtpCodec {
    // The stack repeats lost packets of video only, unless a codec asks for it.
    let repeats = RTCPFeedback {
        typ: "nack".to_owned(),
        parameter: String::new(),
    };
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![repeats],
    }
}

/// The one track.
pub(super) fn voice(ssrc: u32) -> MediaStreamTrack {
    voice_track(ssrc, "parlor", "voice")
}

/// A track of Opus with the names that SDP has for it.
pub(in crate::link) fn voice_track(ssrc: u32, stream: &str, track: &str) -> MediaStreamTrack {
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..Default::default()
        },
        codec: opus(),
        active: true,
        ..Default::default()
    };
    MediaStreamTrack::new(
        stream.to_owned(),
        track.to_owned(),
        track.to_owned(),
        RtpCodecKind::Audio,
        vec![encoding],
    )
}

/// Tells the stack an address that packets come to.
pub(in crate::link) fn add_local(
    core: &mut RTCPeerConnection,
    local: SocketAddr,
) -> Result<(), StackError> {
    let candidate = Candidate {
        address: local,
        place: 0,
    }
    .to_string();
    core.add_local_candidate(RTCIceCandidateInit {
        candidate,
        ..Default::default()
    })
}
