//! Which addresses files may come from, and a mirror that stands in for all of them.

use super::Error;
use reqwest::Url;
use std::str::FromStr;

/// A server that has the files of all hosts: its address stands in the place of scheme and host, and the path of the file's
/// own address follows. `https://mirror.lan/models` turns `https://huggingface.co/a/b.bin` into
/// `https://mirror.lan/models/a/b.bin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror(Url);

impl Mirror {
    /// Where the mirror has this file.
    pub fn address(&self, original: &Url) -> Url {
        let mut address = self.0.clone();
        let base = self.0.path().trim_end_matches('/');
        address.set_path(&format!("{base}{}", original.path()));
        address.set_query(original.query());
        address
    }
}

impl FromStr for Mirror {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Err(Error::Mirror(reason.to_owned()));
        let Ok(url) = Url::parse(text) else {
            return refuse("it is no address; write one like https://mirror.lan/models");
        };
        // Who names a server by http wants it so.
        if !matches!(url.scheme(), "https" | "http") {
            return refuse("it must begin with https:// or http://");
        }
        if has_secret(&url) {
            return refuse("it must not hold a name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("it must be scheme, host and path, without ? and #");
        }
        Ok(Self(url))
    }
}

/// Reads a file's address in a catalogue: HTTPS, and HTTP only on this very machine.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    if has_secret(&url) {
        return Err("an address must not hold a name or password".to_owned());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(format!(
                "{text:?}: http is only for this machine; use https"
            ));
        }
        scheme => return Err(format!("{text:?}: {scheme} is not known; use https")),
    }
    Ok(url)
}

/// Whether the address is one of this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || ip
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn has_secret(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_stands_in_for_scheme_and_host() {
        let original = Url::parse("https://huggingface.co/a/b%20c.bin?download=true").unwrap();
        for (mirror, there) in [
            ("https://m.lan", "https://m.lan/a/b%20c.bin?download=true"),
            (
                "http://m.lan:81/models/",
                "http://m.lan:81/models/a/b%20c.bin?download=true",
            ),
        ] {
            let mirror: Mirror = mirror.parse().unwrap();
            assert_eq!(mirror.address(&original).as_str(), there);
        }
        for wrong in [
            "m.lan",
            "ftp://m.lan",
            "file:///models",
            "https://m.lan?x=1",
            "https://name:secret@m.lan",
        ] {
            let error = wrong.parse::<Mirror>().unwrap_err();
            assert!(error.is_usage());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn http_is_only_for_this_machine() {
        for good in [
            "https://a.org/x",
            "http://127.0.0.1:9/x",
            "http://localhost/x",
            "http://[::1]/x",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.org/x",
            "ftp://a.org/x",
            "file:///etc/passwd",
            "x",
            "http://localhost.a.org/x",
            "https://name:secret@a.org/x",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
