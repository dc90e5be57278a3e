//! Which call a packet belongs to: a check by its user name, an answer to a check by its transaction, the rest by address.
//!
//! ```text
//!   STUN request ──► user name ──► signed with our password? ──► the call
//!   STUN answer  ──► transaction ──► from where we asked, signed with theirs? ──► the call; the address is now its own
//!   DTLS, RTP    ──► source address ──► the call
//!   anything else, or anything unknown: dropped and counted
//! ```
//!
//! An address is never taken from a call by a claim alone: only an answer to a check, which whoever forges source
//! addresses never sees, moves it.

use super::stun::{Binding, Stun, TransactionId};
use rtc::crypto::RTCCrypto;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Addresses that a call may send checks from in its life; each costs the stack a candidate.
const SOURCES: usize = 64;
/// Addresses that a call may hold at a time.
const ADDRESSES: usize = 16;
/// Checks of ours that may be under way for a call; the stack asks again after 200 ms.
const ASKED: usize = 32;

/// What identifies a call on the shared port, and where its packets go.
#[derive(Debug)]
pub(super) struct Entry<Q> {
    /// Our half of the ICE user name.
    pub(super) ufrag: String,
    /// Our ICE password: the caller signs requests with it.
    pub(super) password: String,
    /// The caller's ICE password: it signs answers with that.
    pub(super) their_password: String,
    /// Where its packets wait.
    pub(super) queue: Q,
}

/// What a datagram is to the call that it was routed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A signed check of the caller's.
    Check {
        /// Whether media shall take its path.
        nominates: bool,
    },
    /// The signed answer to a check of ours.
    Proof,
    /// DTLS or RTP from an address that the call holds.
    Media,
}

/// Why a datagram goes to no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// Neither STUN nor DTLS nor RTP, or cut short.
    Malformed,
    /// No call has this user name, transaction or address.
    Unknown,
    /// It is not signed as it must be.
    Unsigned,
    /// The call has sent checks from too many addresses.
    TooManySources,
}

#[derive(Debug)]
struct Member<Q> {
    entry: Arc<Entry<Q>>,
    sources: HashSet<SocketAddr>,
    addresses: VecDeque<SocketAddr>,
    asked: VecDeque<TransactionId>,
}

#[derive(Debug)]
struct Asked<Q> {
    entry: Arc<Entry<Q>>,
    to: SocketAddr,
}

/// The calls on the shared port.
#[derive(Debug)]
pub(super) struct Table<Q> {
    capacity: usize,
    members: HashMap<String, Member<Q>>,
    addresses: HashMap<SocketAddr, Arc<Entry<Q>>>,
    asked: HashMap<TransactionId, Asked<Q>>,
}

impl<Q> Table<Q> {
    /// An empty table for at most `capacity` calls.
    pub(super) fn new(capacity: usize) -> Self {
        let (members, addresses, asked) = Default::default();
        Self {
            capacity,
            members,
            addresses,
            asked,
        }
    }

    /// The calls present.
    pub(super) fn calls(&self) -> usize {
        self.members.len()
    }

    /// Everything remembered besides the calls: addresses and checks under way.
    pub(super) fn traces(&self) -> usize {
        self.addresses.len() + self.asked.len()
    }

    /// Whether one more call may join.
    pub(super) fn has_room(&self) -> bool {
        self.members.len() < self.capacity
    }

    /// Adds a call; `false` when the table is full or the user name is taken.
    pub(super) fn join(&mut self, entry: Arc<Entry<Q>>) -> bool {
        if !self.has_room() || self.members.contains_key(&entry.ufrag) {
            return false;
        }
        let (sources, addresses, asked) = Default::default();
        self.members.insert(
            entry.ufrag.clone(),
            Member {
                entry,
                sources,
                addresses,
                asked,
            },
        );
        true
    }

    /// Removes a call and everything that leads to it.
    pub(super) fn leave(&mut self, ufrag: &str) {
        let Some(member) = self.members.remove(ufrag) else {
            return;
        };
        for address in member.addresses {
            self.release(address, &member.entry);
        }
        for id in member.asked {
            self.asked.remove(&id);
        }
    }

    /// Remembers a check that the call sends now.
    pub(super) fn ask(&mut self, ufrag: &str, id: TransactionId, to: SocketAddr) {
        let Some(member) = self.members.get_mut(ufrag) else {
            return;
        };
        if member.asked.len() == ASKED
            && let Some(oldest) = member.asked.pop_front()
        {
            self.asked.remove(&oldest);
        }
        member.asked.push_back(id);
        self.asked.insert(
            id,
            Asked {
                entry: member.entry.clone(),
                to,
            },
        );
    }

    /// Finds the call that a datagram belongs to.
    ///
    /// # Errors
    /// The reason why it belongs to none.
    pub(super) fn route(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        crypto: &dyn RTCCrypto,
    ) -> Result<(Arc<Entry<Q>>, Kind), Stray> {
        // RFC 7983: the first byte tells the protocols on one port apart.
        match datagram.first() {
            Some(0..=3) => {
                let stun = Stun::read(datagram).ok_or(Stray::Malformed)?;
                self.route_check(from, stun, crypto)
            }
            Some(20..=63 | 128..=191) => {
                let entry = self.addresses.get(&from).ok_or(Stray::Unknown)?;
                Ok((entry.clone(), Kind::Media))
            }
            _ => Err(Stray::Malformed),
        }
    }

    fn route_check(
        &mut self,
        from: SocketAddr,
        mut stun: Stun,
        crypto: &dyn RTCCrypto,
    ) -> Result<(Arc<Entry<Q>>, Kind), Stray> {
        match &stun.binding {
            Binding::Request { ufrag, nominates } => {
                let kind = Kind::Check {
                    nominates: *nominates,
                };
                let member = self.members.get_mut(ufrag).ok_or(Stray::Unknown)?;
                if !stun.is_signed_with(&member.entry.password, crypto) {
                    return Err(Stray::Unsigned);
                }
                if member.sources.len() == SOURCES && !member.sources.contains(&from) {
                    return Err(Stray::TooManySources);
                }
                member.sources.insert(from);
                Ok((member.entry.clone(), kind))
            }
            Binding::Success(id) => {
                let id = *id;
                let asked = self.asked.get(&id).ok_or(Stray::Unknown)?;
                if asked.to != from || !stun.is_signed_with(&asked.entry.their_password, crypto) {
                    return Err(Stray::Unsigned);
                }
                let entry = asked.entry.clone();
                self.answered(&entry, id, from);
                Ok((entry, Kind::Proof))
            }
        }
    }

    fn answered(&mut self, entry: &Arc<Entry<Q>>, id: TransactionId, from: SocketAddr) {
        self.asked.remove(&id);
        let Some(member) = self.members.get_mut(&entry.ufrag) else {
            return;
        };
        member.asked.retain(|asked| *asked != id);
        self.addresses.insert(from, entry.clone());
        if member.addresses.contains(&from) {
            return;
        }
        member.addresses.push_back(from);
        if member.addresses.len() > ADDRESSES
            && let Some(oldest) = member.addresses.pop_front()
        {
            self.release(oldest, entry);
        }
    }

    /// Forgets an address unless another call has proven it since.
    fn release(&mut self, address: SocketAddr, entry: &Arc<Entry<Q>>) {
        if self
            .addresses
            .get(&address)
            .is_some_and(|owner| Arc::ptr_eq(owner, entry))
        {
            self.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests;
