//! How often one address may ask for something that must not be handed out without limit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Addresses that are remembered. When more ask at once, the one that asked least is forgotten: what a stranger with many
/// addresses gains by that is less than what everybody else would lose by waiting.
const ADDRESSES: usize = 4096;

/// A bucket of tokens for each address: full at first, and refilled at an even pace. Told the time.
#[derive(Debug)]
pub struct Rate {
    /// The time in which one token comes back.
    pace: Duration,
    /// What a full bucket is worth.
    full: Duration,
    /// When each bucket will be full again; one that is full need not be remembered.
    full_at: HashMap<IpAddr, Duration>,
}

impl Rate {
    /// `per_minute` at once, and as many again within a minute; at least one.
    pub fn per_minute(per_minute: u32) -> Self {
        let pace = Duration::from_secs(60) / per_minute.max(1);
        Self {
            pace,
            full: pace * per_minute.max(1),
            full_at: HashMap::new(),
        }
    }

    /// Takes a token of `address`.
    ///
    /// # Errors
    /// How long until there is one again.
    pub fn take(&mut self, now: Duration, address: IpAddr) -> Result<(), Duration> {
        let address = whose(address);
        let full_at = self.full_at.get(&address).copied().unwrap_or(now).max(now) + self.pace;
        let too_soon = full_at.saturating_sub(now).saturating_sub(self.full);
        if !too_soon.is_zero() {
            return Err(too_soon);
        }
        if self.full_at.len() >= ADDRESSES && !self.full_at.contains_key(&address) {
            self.forget(now);
        }
        self.full_at.insert(address, full_at);
        Ok(())
    }

    fn forget(&mut self, now: Duration) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= ADDRESSES {
            let least = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
            if let Some(address) = least.map(|(address, _)| *address) {
                self.full_at.remove(&address);
            }
        }
    }
}

/// Whoever has one IPv6 address has the 2^64 beside it.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_full_bucket_is_given_at_once_and_refilled_evenly() {
        let mut rate = Rate::per_minute(3);
        for _ in 0..3 {
            assert_eq!(rate.take(seconds(5), HERE), Ok(()));
        }
        assert_eq!(rate.take(seconds(5), HERE), Err(seconds(20)));
        // To ask in vain costs nothing.
        assert_eq!(rate.take(seconds(24), HERE), Err(seconds(1)));
        assert_eq!(rate.take(seconds(25), HERE), Ok(()));
        assert_eq!(rate.take(seconds(25), HERE), Err(seconds(20)));
        for _ in 0..3 {
            assert_eq!(rate.take(seconds(500), HERE), Ok(()));
        }
        assert!(rate.take(seconds(500), HERE).is_err());
    }

    #[test]
    fn each_address_has_a_bucket_but_a_whole_ipv6_network_has_one() {
        let mut rate = Rate::per_minute(1);
        let mut takes = |address: &str| rate.take(seconds(1), address.parse().unwrap()).is_ok();
        assert!(takes("192.0.2.1"));
        assert!(takes("192.0.2.2"));
        assert!(!takes("::ffff:192.0.2.1"));
        assert!(takes("2001:db8::1"));
        assert!(!takes("2001:db8::ffff:2"));
        assert!(takes("2001:db8:0:1::1"));
    }

    #[test]
    fn only_so_many_addresses_are_remembered_and_who_asked_most_stays() {
        let mut rate = Rate::per_minute(2);
        rate.take(seconds(0), HERE).unwrap();
        rate.take(seconds(0), HERE).unwrap();
        for n in 0..u32::try_from(ADDRESSES * 2).unwrap() {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0A00_0000 + n));
            assert_eq!(rate.take(seconds(1), address), Ok(()));
        }
        assert_eq!(rate.full_at.len(), ADDRESSES);
        assert!(rate.take(seconds(1), HERE).is_err());
        rate.take(seconds(3600), "192.0.2.1".parse().unwrap())
            .unwrap();
        assert_eq!(rate.full_at.len(), 1, "all others are full again");
    }
}
