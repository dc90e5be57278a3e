//! `--listen HOST:PORT` and its like: an address to answer at, with a name or a number for the host.

use super::Failure;
use std::net::SocketAddr;

/// The address that the value `text` of a flag means. Of a name's addresses the first IPv4 one is taken: that is what `127.0.0.1` in other
/// places reaches.
pub async fn resolve(flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{flag} {text}: {why}"));
    let found: Vec<SocketAddr> = match tokio::net::lookup_host(text).await {
        Ok(found) => found.collect(),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return Err(wrong(
                "write HOST:PORT, as in localhost:8080 or 0.0.0.0:8080",
            ));
        }
        Err(error) => return Err(wrong(&format!("the host is not known here: {error}"))),
    };
    found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first())
        .copied()
        .ok_or_else(|| wrong("the host has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_may_be_a_name_or_a_number() {
        for (text, address) in [
            ("localhost:9999", "127.0.0.1:9999"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(
                resolve("--listen", text).await.unwrap().to_string(),
                address
            );
        }
        for text in [
            "localhost",
            "8080",
            "localhost:http",
            "no-such-host.invalid:80",
            "",
        ] {
            assert!(
                matches!(resolve("--listen", text).await, Err(Failure::Usage(why)) if why.contains("--listen")),
                "{text}"
            );
        }
    }
}
