//! Forged, stolen and moved addresses against the routing table.

use super::*;
use rtc::crypto::RTCCryptoProvider;
use rtc::ice::attributes::use_candidate::UseCandidateAttr;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, TransactionId,
};
use rtc::stun::textattrs::Username;

struct House {
    table: Table<&'static str>,
    provider: Arc<dyn RTCCryptoProvider>,
}

const DTLS: &[u8] = &[22, 254, 253];
const RTP: &[u8] = &[128, 111, 0, 1];

fn from(port: u16) -> SocketAddr {
    ([203, 0, 113, 7], port).into()
}

impl House {
    fn with(names: &[&'static str]) -> Self {
        let mut table = Table::new(names.len());
        for name in names {
            let joined = table.join(Arc::new(Entry {
                ufrag: format!("{name}-ufrag"),
                password: format!("{name}-ours"),
                their_password: format!("{name}-theirs"),
                queue: *name,
            }));
            assert!(joined);
        }
        Self {
            table,
            provider: rtc::crypto::default_provider().unwrap(),
        }
    }

    fn stun(
        &self,
        typ: MessageType,
        id: u8,
        ufrag: &str,
        password: &str,
        nominates: bool,
    ) -> Vec<u8> {
        let mut message = Message::new();
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(typ),
            Box::new(TransactionId([id; 12])),
            Box::new(Username::new(ATTR_USERNAME, format!("{ufrag}:x"))),
        ];
        if nominates {
            setters.push(Box::new(UseCandidateAttr));
        }
        setters.push(Box::new(
            MessageIntegrity::new_short_term_integrity_with_provider(
                password.to_owned(),
                self.provider.crypto(),
            ),
        ));
        message.build(&setters).unwrap();
        message.raw
    }

    fn route(&mut self, port: u16, datagram: &[u8]) -> Result<(&'static str, Kind), Stray> {
        let crypto = self.provider.clone();
        let (entry, kind) = self.table.route(from(port), datagram, crypto.crypto())?;
        Ok((entry.queue, kind))
    }

    /// The whole exchange: a check of theirs, a check of ours, its answer.
    fn prove(&mut self, name: &'static str, port: u16, id: u8) {
        let ufrag = format!("{name}-ufrag");
        let check = self.stun(BINDING_REQUEST, 0, &ufrag, &format!("{name}-ours"), false);
        assert_eq!(
            self.route(port, &check),
            Ok((name, Kind::Check { nominates: false }))
        );
        self.table.ask(&ufrag, [id; 12], from(port));
        let answer = self.stun(BINDING_SUCCESS, id, "", &format!("{name}-theirs"), false);
        assert_eq!(self.route(port, &answer), Ok((name, Kind::Proof)));
    }
}

#[test]
fn dtls_from_an_address_that_is_not_proven_is_dropped() {
    let mut house = House::with(&["ann"]);
    assert_eq!(house.route(5, DTLS), Err(Stray::Unknown));
    let check = house.stun(BINDING_REQUEST, 0, "ann-ufrag", "ann-ours", true);
    assert_eq!(
        house.route(5, &check),
        Ok(("ann", Kind::Check { nominates: true }))
    );
    // The check alone proves nothing: its source may be forged.
    assert_eq!(house.route(5, DTLS), Err(Stray::Unknown));
    house.prove("ann", 5, 1);
    assert_eq!(house.route(5, DTLS), Ok(("ann", Kind::Media)));
    assert_eq!(house.route(5, RTP), Ok(("ann", Kind::Media)));
    assert_eq!(house.route(6, RTP), Err(Stray::Unknown));
}

#[test]
fn knowing_the_user_name_is_not_enough() {
    let mut house = House::with(&["ann"]);
    let guess = house.stun(BINDING_REQUEST, 0, "ann-ufrag", "a guess", true);
    assert_eq!(house.route(5, &guess), Err(Stray::Unsigned));
    let stranger = house.stun(BINDING_REQUEST, 0, "nobody", "ann-ours", true);
    assert_eq!(house.route(5, &stranger), Err(Stray::Unknown));
}

#[test]
fn a_caller_cannot_take_anothers_address() {
    let mut house = House::with(&["ann", "eve"]);
    house.prove("ann", 5, 1);
    // Eve forges Ann's source address; our check then goes to Ann, who cannot sign as Eve.
    let forged = house.stun(BINDING_REQUEST, 0, "eve-ufrag", "eve-ours", true);
    assert!(house.route(5, &forged).is_ok());
    house.table.ask("eve-ufrag", [9; 12], from(5));
    let answer = house.stun(BINDING_SUCCESS, 9, "", "ann-theirs", false);
    assert_eq!(house.route(5, &answer), Err(Stray::Unsigned));
    // Eve did not see the transaction, so a guess of hers leads nowhere; neither does an answer from elsewhere.
    let guess = house.stun(BINDING_SUCCESS, 8, "", "eve-theirs", false);
    assert_eq!(house.route(5, &guess), Err(Stray::Unknown));
    let elsewhere = house.stun(BINDING_SUCCESS, 9, "", "eve-theirs", false);
    assert_eq!(house.route(6, &elsewhere), Err(Stray::Unsigned));
    assert_eq!(house.route(5, RTP), Ok(("ann", Kind::Media)));
}

#[test]
fn an_address_that_a_new_call_has_proven_is_its_own() {
    let mut house = House::with(&["ann", "bob"]);
    house.prove("ann", 5, 1);
    house.prove("bob", 5, 2);
    assert_eq!(house.route(5, RTP), Ok(("bob", Kind::Media)));
    house.table.leave("ann-ufrag");
    assert_eq!(house.route(5, RTP), Ok(("bob", Kind::Media)));
}

#[test]
fn everything_leaves_with_the_call() {
    let mut house = House::with(&["ann"]);
    for port in 0..40 {
        house.prove("ann", port, port as u8);
        house
            .table
            .ask("ann-ufrag", [100 + port as u8; 12], from(port));
    }
    assert_eq!(house.table.traces(), ADDRESSES + ASKED);
    house.table.leave("ann-ufrag");
    assert_eq!((house.table.calls(), house.table.traces()), (0, 0));
}

#[test]
fn a_call_may_not_check_from_ever_more_addresses() {
    let mut house = House::with(&["ann"]);
    let check = house.stun(BINDING_REQUEST, 0, "ann-ufrag", "ann-ours", false);
    for port in 0..SOURCES as u16 {
        assert!(house.route(port, &check).is_ok());
    }
    assert_eq!(
        house.route(SOURCES as u16, &check),
        Err(Stray::TooManySources)
    );
    assert!(house.route(3, &check).is_ok());
}

#[test]
fn a_full_table_admits_nobody() {
    let mut house = House::with(&["ann"]);
    let late = Entry {
        ufrag: "late".into(),
        password: String::new(),
        their_password: String::new(),
        queue: "late",
    };
    assert!(!house.table.join(Arc::new(late)));
}

#[test]
fn noise_is_malformed() {
    let mut house = House::with(&["ann"]);
    for datagram in [&[][..], &[4], &[64, 0, 0], &[200; 30], &[0; 20], &[1; 3]] {
        assert_eq!(house.route(1, datagram), Err(Stray::Malformed));
    }
}
