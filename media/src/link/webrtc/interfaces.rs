//! The addresses of this machine that a caller can reach.

use std::io;
use std::net::{IpAddr, UdpSocket};

/// The addresses of every usable interface: IPv4 first, loopback last so that a browser on this machine works too.
///
/// Link-local addresses are left out: an IPv6 one means nothing without its scope, which a candidate cannot carry. So is
/// what the system lists but does not let us use, such as an address that it is still checking for doubles.
///
/// # Errors
/// The system's, when it does not tell.
pub(in crate::link) fn usable() -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(is_usable)
        .collect();
    addresses.retain(|address| UdpSocket::bind((*address, 0)).is_ok());
    addresses.sort_by_key(rank);
    addresses.dedup();
    Ok(addresses)
}

fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_multicast(),
    }
}

fn rank(address: &IpAddr) -> (bool, bool, IpAddr) {
    (address.is_loopback(), address.is_ipv6(), *address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_usable_and_comes_last() {
        let addresses = usable().unwrap();
        assert!(addresses.iter().any(IpAddr::is_loopback));
        let first_loopback = addresses.iter().position(IpAddr::is_loopback).unwrap();
        assert!(addresses[first_loopback..].iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn link_local_addresses_are_left_out() {
        assert!(!is_usable(&"fe80::1".parse().unwrap()));
        assert!(!is_usable(&"169.254.1.1".parse().unwrap()));
        assert!(is_usable(&"fd00::1".parse().unwrap()));
        assert!(is_usable(&"192.168.1.5".parse().unwrap()));
    }
}
