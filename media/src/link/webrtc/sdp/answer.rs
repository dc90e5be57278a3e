//! The answer: non-trickle, with every candidate in it, from an ICE-lite agent.

use super::{Direction, Offer, Role, Section, Setup};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The name of our stream and of our one track in it.
const STREAM: (&str, &str) = ("parlor", "voice");

/// An address at which we can be reached, with its place in our order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Candidate {
    /// The address and port.
    pub(in super::super) address: SocketAddr,
    /// 0 is preferred most.
    pub(in super::super) place: u16,
}

// The syntax and the formula for the priority are RFC 8839's 5.1 and RFC 8445's 5.1.2.1, for a host candidate of RTP.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let priority = (126_u32 << 24) | (u32::from(u16::MAX - self.place) << 8) | 255;
        let (foundation, ip, port) = (self.place + 1, self.address.ip(), self.address.port());
        write!(
            f,
            "candidate:{foundation} 1 udp {priority} {ip} {port} typ host"
        )
    }
}

/// What we say to an offer.
#[derive(Debug)]
pub(in super::super) struct Answer<'a> {
    /// What we answer.
    pub(in super::super) offer: &'a Offer,
    /// Our half of the ICE user name.
    pub(in super::super) ufrag: &'a str,
    /// Our ICE password.
    pub(in super::super) password: &'a str,
    /// `sha-256` and the hash of our certificate.
    pub(in super::super) fingerprint: &'a str,
    /// Where we can be reached, the most preferred first.
    pub(in super::super) candidates: &'a [Candidate],
    /// The source of our voice.
    pub(in super::super) ssrc: u32,
    /// The longest message that we take on a data channel.
    pub(in super::super) max_message_bytes: usize,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The session's number only has to be the call's own; our source number is random.
        write!(
            f,
            "v=0\r\no=- {} 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
            self.ssrc
        )?;
        if self.offer.is_bundled {
            f.write_str("a=group:BUNDLE")?;
            let accepted = self
                .offer
                .sections
                .iter()
                .filter(|section| section.role != Role::Refused);
            for mid in accepted.filter_map(|section| section.mid.as_deref()) {
                write!(f, " {mid}")?;
            }
            f.write_str("\r\n")?;
        }
        f.write_str("a=msid-semantic: WMS parlor\r\na=ice-lite\r\n")?;
        for section in &self.offer.sections {
            match section.role {
                Role::Voice => self.voice(f, section)?,
                Role::Data => self.data(f, section)?,
                Role::Refused => refused(f, section)?,
            }
        }
        Ok(())
    }
}

impl Answer<'_> {
    fn voice(&self, f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
        let payload_type = self.offer.payload_type;
        self.head(f, section, &payload_type.to_string())?;
        let direction = match self.offer.direction {
            Direction::SendReceive => "sendrecv",
            Direction::SendOnly => "recvonly",
            Direction::ReceiveOnly => "sendonly",
        };
        write!(
            f,
            "a={direction}\r\na=rtcp-mux\r\na=rtpmap:{payload_type} opus/48000/2\r\n\
             a=fmtp:{payload_type} minptime=10;useinbandfec=1\r\n"
        )?;
        if self.offer.has_nack {
            write!(f, "a=rtcp-fb:{payload_type} nack\r\n")?;
        }
        if self.offer.direction != Direction::SendOnly {
            let ((stream, track), ssrc) = (STREAM, self.ssrc);
            write!(
                f,
                "a=msid:{stream} {track}\r\na=ssrc:{ssrc} cname:{stream}\r\n\
                 a=ssrc:{ssrc} msid:{stream} {track}\r\n"
            )?;
        }
        for candidate in self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        f.write_str("a=end-of-candidates\r\n")
    }

    fn data(&self, f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
        self.head(f, section, "webrtc-datachannel")?;
        let bytes = self.max_message_bytes;
        write!(f, "a=sctp-port:5000\r\na=max-message-size:{bytes}\r\n")
    }

    /// The `m=` line and what every accepted section says about the one transport that they share.
    fn head(&self, f: &mut fmt::Formatter<'_>, section: &Section, format: &str) -> fmt::Result {
        let Section { kind, protocol, .. } = section;
        let first = self.candidates.first().map(|candidate| candidate.address);
        let (port, ip) = first.map_or((9, None), |first| (first.port(), Some(first.ip())));
        let (family, ip) = match ip {
            Some(ip @ IpAddr::V6(_)) => ("IP6", ip.to_string()),
            Some(ip @ IpAddr::V4(_)) => ("IP4", ip.to_string()),
            None => ("IP4", "0.0.0.0".to_owned()),
        };
        write!(
            f,
            "m={kind} {port} {protocol} {format}\r\nc=IN {family} {ip}\r\n"
        )?;
        mid(f, section)?;
        let setup = match self.offer.setup {
            Setup::ActPass | Setup::Passive => "active",
            Setup::Active => "passive",
        };
        let Self {
            ufrag,
            password,
            fingerprint,
            ..
        } = self;
        write!(
            f,
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:{fingerprint}\r\n\
             a=setup:{setup}\r\n"
        )
    }
}

/// RFC 3264: port 0 refuses a section. Firefox wants a connection line in it all the same.
fn refused(f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
    let Section {
        kind,
        protocol,
        formats,
        ..
    } = section;
    write!(f, "m={kind} 0 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\n")?;
    mid(f, section)?;
    f.write_str("a=inactive\r\n")
}

fn mid(f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
    match &section.mid {
        Some(mid) => write!(f, "a=mid:{mid}\r\n"),
        None => Ok(()),
    }
}
