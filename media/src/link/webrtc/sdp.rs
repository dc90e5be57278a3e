//! Offers read as far as a voice call needs them, and the answer that a browser gets.
//!
//! Nothing of an offer reaches the WebRTC stack as it came: what is needed is taken out and checked here, and the stack
//! is given a small offer written anew. So an odd offer meets one parser, ours, and sections that a voice call does not
//! use (video, a second microphone) are refused in one place.

use super::OfferError;
use std::fmt::Write as _;

mod answer;
mod sections;

pub(super) use answer::{Answer, Candidate};
use sections::{Attributes, RawSection, split};

/// The longest offer read. Browsers send 2 to 8 KB.
pub const MAX_OFFER_BYTES: usize = 64 * 1024;
/// Sources of the caller's that are remembered from the offer.
const MAX_SOURCES: usize = 8;

/// Who opens the DTLS handshake, as the offer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    /// Either side may: so we do, which saves a round trip.
    ActPass,
    /// The caller does.
    Active,
    /// We do.
    Passive,
}

/// Which way the caller wants sound to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Both ways.
    SendReceive,
    /// Only from the caller.
    SendOnly,
    /// Only to the caller.
    ReceiveOnly,
}

/// What a section of the offer is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The caller's voice, and ours.
    Voice,
    /// The data channels.
    Data,
    /// Refused in the answer.
    Refused,
}

/// One `m=` section, as the answer must mirror it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) role: Role,
    pub(super) kind: String,
    pub(super) protocol: String,
    pub(super) formats: String,
    pub(super) mid: Option<String>,
}

/// A caller's offer that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) sections: Vec<Section>,
    pub(super) is_bundled: bool,
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) fingerprint: String,
    pub(super) setup: Setup,
    pub(super) direction: Direction,
    pub(super) payload_type: u8,
    pub(super) has_nack: bool,
    pub(super) sources: Vec<u32>,
    pub(super) sctp_port: u16,
    pub(super) max_message_bytes: u32,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// What it lacks for a voice call.
    pub(super) fn parse(text: &str) -> Result<Self, OfferError> {
        if text.len() > MAX_OFFER_BYTES {
            return Err(OfferError::TooLong { bytes: text.len() });
        }
        let parts = split(text)?;
        let session = parts.session;
        let (voice_at, opus) = find_voice(&parts.sections)?;
        let voice = parts.sections.get(voice_at).ok_or(OfferError::NoAudio)?;
        let bundle = session
            .value("group")
            .and_then(|group| group.strip_prefix("BUNDLE"));
        let data_at = find_data(&parts.sections, voice, bundle);

        let either = |key| voice.attributes.value(key).or_else(|| session.value(key));
        let ufrag = either("ice-ufrag").filter(|ufrag| is_credential(ufrag));
        let password = either("ice-pwd").filter(|password| is_credential(password));
        let (Some(ufrag), Some(password)) = (ufrag, password) else {
            return Err(OfferError::NoIceCredentials);
        };
        let fingerprint = voice
            .attributes
            .values("fingerprint")
            .chain(session.values("fingerprint"))
            .find_map(sha_256)
            .ok_or(OfferError::NoFingerprint)?;
        let setup = match either("setup") {
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            _ => Setup::ActPass,
        };
        let data = data_at
            .and_then(|at| parts.sections.get(at))
            .map(|data| &data.attributes);
        let number = |key| data.and_then(|data| data.value(key)?.trim().parse::<u32>().ok());
        Ok(Self {
            is_bundled: bundle.is_some(),
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
            fingerprint,
            setup,
            direction: opus.direction,
            payload_type: opus.payload_type,
            has_nack: opus.has_nack,
            sources: sources(&voice.attributes),
            sctp_port: number("sctp-port")
                .and_then(|port| port.try_into().ok())
                .unwrap_or(5000),
            max_message_bytes: number("max-message-size").unwrap_or(65_536),
            sections: parts
                .sections
                .iter()
                .enumerate()
                .map(|(at, section)| {
                    let role = match at {
                        _ if at == voice_at => Role::Voice,
                        _ if Some(at) == data_at => Role::Data,
                        _ => Role::Refused,
                    };
                    section.mirrored(role)
                })
                .collect(),
        })
    }

    /// Whether the caller offers data channels that we take.
    pub(super) fn has_data(&self) -> bool {
        self.sections
            .iter()
            .any(|section| section.role == Role::Data)
    }

    /// The offer as the WebRTC stack gets it: one Opus section, the data channels, and no candidates, since an ICE-lite
    /// agent learns a caller's addresses from the caller's checks.
    pub(super) fn canonical(&self) -> String {
        let Self {
            payload_type,
            ufrag,
            password,
            fingerprint,
            ..
        } = self;
        let setup = match self.setup {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        let transport = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\n"
        );
        let bundle = if self.has_data() { "0 1" } else { "0" };
        let mut text = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {bundle}\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}\r\n{transport}a=mid:0\r\na=sendrecv\r\n\
             a=rtcp-mux\r\na=rtpmap:{payload_type} opus/48000/2\r\n\
             a=fmtp:{payload_type} minptime=10;useinbandfec=1\r\n"
        );
        if self.has_nack {
            let _ = write!(text, "a=rtcp-fb:{payload_type} nack\r\n");
        }
        if self.has_data() {
            let (port, bytes) = (self.sctp_port, self.max_message_bytes);
            let _ = write!(
                text,
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{transport}a=mid:1\r\n\
                 a=sctp-port:{port}\r\na=max-message-size:{bytes}\r\n"
            );
        }
        text
    }
}

/// The value of an attribute in a description that we trust, such as one the WebRTC stack wrote.
pub(super) fn find_attribute<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(key)?
            .strip_prefix(':')
    })
}

#[derive(Debug, Clone, Copy)]
struct Opus {
    payload_type: u8,
    direction: Direction,
    has_nack: bool,
}

fn find_voice(sections: &[RawSection<'_>]) -> Result<(usize, Opus), OfferError> {
    let mut refusal = OfferError::NoAudio;
    for (at, section) in sections.iter().enumerate() {
        let is_secure_audio = section.kind == "audio" && section.protocol.ends_with("SAVPF");
        if !is_secure_audio || section.port == "0" || section.attributes.has("inactive") {
            continue;
        }
        let Some(payload_type) = opus_payload_type(section) else {
            refusal = OfferError::NoOpus;
            continue;
        };
        let direction = if section.attributes.has("sendonly") {
            Direction::SendOnly
        } else if section.attributes.has("recvonly") {
            Direction::ReceiveOnly
        } else {
            Direction::SendReceive
        };
        let has_nack = section.attributes.values("rtcp-fb").any(|feedback| {
            let (format, what) = feedback.split_once(' ').unwrap_or((feedback, ""));
            what.trim() == "nack" && (format == "*" || format.parse() == Ok(payload_type))
        });
        return Ok((
            at,
            Opus {
                payload_type,
                direction,
                has_nack,
            },
        ));
    }
    Err(refusal)
}

fn opus_payload_type(section: &RawSection<'_>) -> Option<u8> {
    section.attributes.values("rtpmap").find_map(|map| {
        let (format, codec) = map.split_once(' ')?;
        let is_opus = codec.trim().eq_ignore_ascii_case("opus/48000/2");
        let is_listed = section.formats.contains(&format);
        format
            .parse()
            .ok()
            .filter(|payload_type| is_opus && is_listed && *payload_type < 128)
    })
}

/// The data section, if it shares the voice's transport; we have no second one.
fn find_data(
    sections: &[RawSection<'_>],
    voice: &RawSection<'_>,
    bundle: Option<&str>,
) -> Option<usize> {
    let bundled: Vec<_> = bundle?.split_ascii_whitespace().collect();
    bundled.contains(&voice.mid()?).then_some(())?;
    sections.iter().position(|section| {
        section.kind == "application"
            && section.protocol.ends_with("DTLS/SCTP")
            && section.formats.as_slice() == ["webrtc-datachannel"]
            && section.port != "0"
            && section.mid().is_some_and(|mid| bundled.contains(&mid))
    })
}

fn sources(voice: &Attributes<'_>) -> Vec<u32> {
    let mut sources: Vec<u32> = voice
        .values("ssrc")
        .filter_map(|source| source.split(' ').next()?.parse().ok())
        .collect();
    sources.dedup();
    sources.truncate(MAX_SOURCES);
    sources
}

/// RFC 8839 allows letters, digits, `+` and `/`; some clients use more, so anything printable that is no separator goes.
fn is_credential(text: &str) -> bool {
    (4..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// The hash of a SHA-256 fingerprint, the only kind that the stack verifies.
fn sha_256(fingerprint: &str) -> Option<String> {
    let (algorithm, hash) = fingerprint.trim().split_once(' ')?;
    let bytes: Vec<_> = hash.trim().split(':').collect();
    let is_hex = |byte: &&str| byte.len() == 2 && byte.bytes().all(|c| c.is_ascii_hexdigit());
    let is_whole = bytes.len() == 32 && bytes.iter().all(is_hex);
    (algorithm.eq_ignore_ascii_case("sha-256") && is_whole).then(|| hash.trim().to_uppercase())
}

#[cfg(test)]
mod tests;
