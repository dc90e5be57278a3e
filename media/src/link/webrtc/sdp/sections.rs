//! An offer taken apart into sections and attributes, none of them understood yet.

use super::{Role, Section};
use crate::link::webrtc::OfferError;

/// The most sections of an offer that are answered; a browser's voice call has two.
const MAX_SECTIONS: usize = 32;

/// The `a=` lines of a section, or those before the first section.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Attributes<'a> {
    fn push(&mut self, attribute: &'a str) {
        self.0
            .push(attribute.split_once(':').unwrap_or((attribute, "")));
    }

    /// The values of every attribute with this name, in order.
    pub(super) fn values(&self, key: &'static str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| *k == key)
            .map(|(_, value)| *value)
    }

    /// The value of the first attribute with this name.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a str> {
        self.values(key).next()
    }

    /// Whether there is an attribute with this name.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }
}

/// One `m=` section as it was offered.
#[derive(Debug)]
pub(super) struct RawSection<'a> {
    pub(super) kind: &'a str,
    pub(super) port: &'a str,
    pub(super) protocol: &'a str,
    pub(super) formats: Vec<&'a str>,
    pub(super) attributes: Attributes<'a>,
}

impl RawSection<'_> {
    /// The name of the section, if it has one.
    pub(super) fn mid(&self) -> Option<&str> {
        self.attributes
            .value("mid")
            .map(str::trim)
            .filter(|mid| !mid.is_empty())
    }

    /// The section as the answer repeats it.
    pub(super) fn mirrored(&self, role: Role) -> Section {
        Section {
            role,
            kind: self.kind.to_owned(),
            protocol: self.protocol.to_owned(),
            formats: self.formats.join(" "),
            mid: self.mid().map(str::to_owned),
        }
    }
}

/// An offer in its parts.
pub(super) struct Parts<'a> {
    pub(super) session: Attributes<'a>,
    pub(super) sections: Vec<RawSection<'a>>,
}

/// Takes an offer apart.
///
/// # Errors
/// Where it is no SDP.
pub(super) fn split(text: &str) -> Result<Parts<'_>, OfferError> {
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    if lines.next() != Some("v=0") {
        return Err(OfferError::NotSdp("it does not begin with v=0"));
    }
    let mut parts = Parts {
        session: Attributes::default(),
        sections: Vec::new(),
    };
    for line in lines {
        let Some((kind, value)) = line.split_once('=') else {
            return Err(OfferError::NotSdp("a line has no '='"));
        };
        // What we mirror goes into a text protocol again: one byte for one character, nothing that could end a line.
        if line.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(OfferError::NotSdp("a line has control characters"));
        }
        match kind {
            "m" => parts.sections.push(media_line(value)?),
            "a" => match parts.sections.last_mut() {
                Some(section) => section.attributes.push(value),
                None => parts.session.push(value),
            },
            _ => {}
        }
        if parts.sections.len() > MAX_SECTIONS {
            return Err(OfferError::NotSdp("it has too many sections"));
        }
    }
    Ok(parts)
}

fn media_line(value: &str) -> Result<RawSection<'_>, OfferError> {
    let mut words = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
    else {
        return Err(OfferError::NotSdp("an m= line is cut short"));
    };
    let formats: Vec<_> = words.collect();
    if formats.is_empty() {
        return Err(OfferError::NotSdp("an m= line has no formats"));
    }
    Ok(RawSection {
        kind,
        port,
        protocol,
        formats,
        attributes: Attributes::default(),
    })
}
