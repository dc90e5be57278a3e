//! From where an address can be reached.

use std::net::IpAddr;

/// Whether only this host reaches itself at an address as in `grpc://127.0.0.1:7001`: at that of its loopback, or at none at all.
pub(crate) fn is_only_here(addr: &str) -> bool {
    let place = addr.split_once("://").map_or(addr, |(_, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_unspecified() || ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_no_address_at_all_lead_nobody_else_here() {
        for addr in [
            "grpc://127.0.0.1:7001",
            "grpcs://127.3.2.1:7001",
            "grpc://localhost:7001",
            "grpc://0.0.0.0:7001",
            "grpc://[::]:7001",
            "grpc://[::1]:7001",
            "grpc://[::ffff:127.0.0.1]:7001",
        ] {
            assert!(is_only_here(addr), "{addr}");
        }
        for addr in [
            "grpc://gpu-1.lan:7001",
            "grpc://10.0.0.7:7001",
            "grpcs://[fd00::7]:7001",
            "grpc://localhost.example:7001",
        ] {
            assert!(!is_only_here(addr), "{addr}");
        }
    }
}
