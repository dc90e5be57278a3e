//! Why the endpoint does not start, and why an offer is not answered.

use super::MAX_OFFER_BYTES;
use super::connection::StackError;
use crate::codec;
use std::io;
use std::net::SocketAddr;

/// Why the endpoint could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not tell its addresses.
    #[error("cannot list this machine's network interfaces: {0}")]
    Interfaces(io::Error),
    /// There is no usable address, or the settings name none.
    #[error("there is no network address to take WebRTC calls on")]
    NoAddress,
    /// A port is in use, or an address is not this machine's.
    #[error(
        "cannot take WebRTC calls on UDP {address}: {source}; is another server running, or is the port too low?"
    )]
    Bind {
        /// The address and port.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The cryptography that WebRTC needs is not there.
    #[error("cannot set up WebRTC's encryption: {0}")]
    Crypto(String),
}

/// Why an offer was not answered. The message is meant for whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It is longer than any offer needs to be.
    #[error("the offer has {bytes} bytes; the most is {MAX_OFFER_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not a session description.
    #[error("the offer is not SDP: {0}")]
    NotSdp(&'static str),
    /// It has no usable audio section.
    #[error("the offer has no audio section that is secure (SAVPF) and active")]
    NoAudio,
    /// Its audio sections lack the one codec spoken here.
    #[error("the offer's audio has no opus/48000/2")]
    NoOpus,
    /// It cannot be checked who sends packets.
    #[error("the offer has no ICE credentials (a=ice-ufrag, a=ice-pwd)")]
    NoIceCredentials,
    /// The encryption cannot be tied to the offer.
    #[error("the offer has no SHA-256 fingerprint (a=fingerprint)")]
    NoFingerprint,
    /// Every place is taken; an outcome, not an error of the caller's.
    #[error("the server is full: {calls} calls")]
    Full {
        /// The calls present.
        calls: usize,
    },
    /// The WebRTC stack or the encoder refused for a reason of its own.
    #[error("the offer cannot be answered: {0}")]
    Refused(String),
}

impl From<StackError> for OfferError {
    fn from(error: StackError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<codec::Error> for OfferError {
    fn from(error: codec::Error) -> Self {
        Self::Refused(error.to_string())
    }
}
