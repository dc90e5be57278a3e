//! One STUN datagram, read only as far as routing needs it: whose it is, and whether its sender may say so.

use rtc::crypto::RTCCrypto;
use rtc::stun::attributes::{ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    BINDING_REQUEST, BINDING_SUCCESS, MESSAGE_HEADER_SIZE, Message, is_stun_message,
};

/// What pairs a response with its request: 96 random bits.
pub(super) type TransactionId = [u8; 12];

/// What a connectivity check asks or answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// The caller checks a path, and may say that media shall take it.
    Request {
        /// Our half of the username: which call it is for.
        ufrag: String,
        /// Whether the path is nominated (USE-CANDIDATE).
        nominates: bool,
    },
    /// The caller answers a check of ours.
    Success(TransactionId),
}

/// A datagram that parsed as a binding request or its successful answer.
pub(super) struct Stun {
    message: Message,
    /// What it asks or answers.
    pub(super) binding: Binding,
}

impl Stun {
    /// Reads a datagram; `None` for everything that is not part of a connectivity check.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        if !is_stun_message(datagram) {
            return None;
        }
        let mut message = Message {
            raw: datagram.to_vec(),
            ..Message::default()
        };
        message.decode().ok()?;
        let binding = if message.typ == BINDING_REQUEST {
            let username = String::from_utf8(message.get(ATTR_USERNAME).ok()?).ok()?;
            let (ufrag, _theirs) = username.split_once(':')?;
            let nominates = message.contains(ATTR_USE_CANDIDATE);
            Binding::Request {
                ufrag: ufrag.to_owned(),
                nominates,
            }
        } else if message.typ == BINDING_SUCCESS {
            Binding::Success(message.transaction_id.0)
        } else {
            return None;
        };
        Some(Self { message, binding })
    }

    /// Whether its MESSAGE-INTEGRITY was made with `password`.
    pub(super) fn is_signed_with(&mut self, password: &str, crypto: &dyn RTCCrypto) -> bool {
        MessageIntegrity::check(&mut self.message, password.as_bytes(), crypto).is_ok()
    }
}

/// The transaction of a binding request about to be sent, if `datagram` is one.
pub(super) fn asked(datagram: &[u8]) -> Option<TransactionId> {
    let is_request = is_stun_message(datagram) && datagram.starts_with(&[0, 1]);
    let id = datagram.get(8..MESSAGE_HEADER_SIZE)?;
    is_request.then(|| id.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::stun::attributes::ATTR_PRIORITY;
    use rtc::stun::message::{Setter, TransactionId as Id};
    use rtc::stun::textattrs::Username;

    fn request(password: &str) -> Vec<u8> {
        let provider = rtc::crypto::default_provider().unwrap();
        let mut message = Message::new();
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
            password.to_owned(),
            provider.crypto(),
        );
        let setters: [Box<dyn Setter + '_>; 4] = [
            Box::new(BINDING_REQUEST),
            Box::new(Id::new()),
            Box::new(Username::new(ATTR_USERNAME, "ours:theirs".to_owned())),
            Box::new(integrity),
        ];
        message.build(&setters).unwrap();
        message.raw
    }

    #[test]
    fn a_request_names_its_call_and_proves_that_it_knows_the_password() {
        let provider = rtc::crypto::default_provider().unwrap();
        let raw = request("a password of ours");
        let mut stun = Stun::read(&raw).unwrap();
        assert_eq!(
            stun.binding,
            Binding::Request {
                ufrag: "ours".into(),
                nominates: false
            }
        );
        assert!(stun.is_signed_with("a password of ours", provider.crypto()));
        assert!(!stun.is_signed_with("another password", provider.crypto()));
        assert_eq!(asked(&raw).unwrap(), stun.message.transaction_id.0);
    }

    #[test]
    fn an_unsigned_request_proves_nothing() {
        let provider = rtc::crypto::default_provider().unwrap();
        let mut message = Message::new();
        message.build(&[Box::new(BINDING_REQUEST)]).unwrap();
        message.add(ATTR_USERNAME, b"ours:theirs");
        message.add(ATTR_PRIORITY, &[0, 0, 0, 1]);
        let mut stun = Stun::read(&message.raw).unwrap();
        assert!(!stun.is_signed_with("", provider.crypto()));
    }

    #[test]
    fn cut_and_damaged_requests_are_refused_without_a_panic() {
        let provider = rtc::crypto::default_provider().unwrap();
        let whole = request("a password of ours");
        assert!(Stun::read(&whole).is_some());
        for length in 0..whole.len() {
            assert!(Stun::read(&whole[..length]).is_none());
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                if let Some(mut stun) = Stun::read(&damaged) {
                    assert!(!stun.is_signed_with("a password of ours", provider.crypto()));
                }
            }
        }
    }
}
