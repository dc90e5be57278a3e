//! What a worker on its own is given beside its engine: a name, an address, certificates, a secret, a registry.

use crate::announce::{Announcer, Rhythm};
use crate::host::Error;
use crate::settings::Kind;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// The longest name; a registry's keys are read by people.
const NAME_BYTES: usize = 200;
/// A client that does not shake hands in time holds a place that others want.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a worker on its own is given.
#[derive(Clone, Default)]
pub struct Options {
    /// Unique among all workers, as in `tts-piper@0`; none: `kind-adapter@host:port`.
    pub name: Option<String>,
    /// Where others reach it, as in `host`, `host:7001` or `grpc://host:7001`; none: where it listens, with this host's name if
    /// that is everywhere.
    pub advertise: Option<String>,
    /// The GPU that its models run on, counted from 0; none: what the settings say.
    pub gpu: Option<u32>,
    /// The model of a session that names neither a model nor a voice; none: what the settings say, if it is one of the engine's.
    pub default_model: Option<String>,
    /// Models loaded at the start; empty: those of the settings that are the engine's.
    pub preload: Vec<String>,
    /// TLS; none: whoever reaches the port may read along.
    pub tls: Option<TlsFiles>,
    /// What clients must show as `authorization: Bearer ...`; none: whoever reaches the port is served.
    pub token: Option<SecretString>,
    /// The registry that it writes itself into; none: it is found by its address only.
    pub announcer: Option<Arc<dyn Announcer>>,
    /// How often it does so.
    pub rhythm: Rhythm,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The worker's certificate, and those between it and an authority.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// Who signs the certificates that clients must show; none: they need none.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files; whether they fit each other is found by whoever uses them.
    pub(crate) async fn read(&self) -> Result<ServerTlsConfig, Error> {
        let Self {
            certificate,
            key,
            client_ca,
        } = self;
        let identity = Identity::from_pem(read(certificate).await?, read(key).await?);
        let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
        if let Some(ca) = client_ca {
            config = config.client_ca_root(Certificate::from_pem(read(ca).await?));
        }
        Ok(config)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path)
        .await
        .map_err(|error| Error::Tls(format!("cannot read {}: {error}", path.display())))
}

impl Options {
    /// The worker's name, when it answers at `bound`.
    pub(crate) fn name(
        &self,
        kind: Kind,
        adapter: &str,
        bound: SocketAddr,
    ) -> Result<String, Error> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => format!("{kind}-{adapter}@{}:{}", host_name(), bound.port()),
        };
        let is_key = |character: char| !character.is_whitespace() && !character.is_control();
        match !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(is_key) {
            true => Ok(name),
            false => Err(Error::BadName(name)),
        }
    }

    /// Where others reach it, when it answers at `bound`.
    pub(crate) fn addr(&self, bound: SocketAddr) -> Result<String, Error> {
        let scheme = match self.tls {
            Some(_) => "grpcs",
            None => "grpc",
        };
        let Some(given) = &self.advertise else {
            let port = bound.port();
            return Ok(match bound.ip().is_unspecified() {
                true => format!("{scheme}://{}:{port}", host_name()),
                false => format!("{scheme}://{bound}"),
            });
        };
        let wrong = || Error::Advertise {
            given: given.clone(),
            scheme,
        };
        let place = match given.split_once("://") {
            None => given.as_str(),
            Some((named, place)) if named == scheme => place,
            // Whoever believed it would not get through.
            Some(_) => return Err(wrong()),
        };
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an address of IPv6 stand in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (place, bound.port()),
        };
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let fits = |character: char| {
            character.is_alphanumeric()
                || matches!(character, '.' | '-' | '_')
                || is_bracketed && matches!(character, ':' | '[' | ']' | '%')
        };
        match !host.is_empty() && port != 0 && host.chars().all(fits) {
            true => Ok(format!("{scheme}://{host}:{port}")),
            false => Err(wrong()),
        }
    }
}

/// This host's name, by which other hosts are to reach it.
pub fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    told.or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_worker_that_listens_everywhere_is_reached_by_its_host_s_name() {
        let options = Options::default();
        let host = host_name();
        for (bound, addr) in [
            ("127.0.0.1:7001", "grpc://127.0.0.1:7001".to_owned()),
            ("0.0.0.0:7001", format!("grpc://{host}:7001")),
            ("[::]:7001", format!("grpc://{host}:7001")),
            ("[::1]:7001", "grpc://[::1]:7001".to_owned()),
        ] {
            assert_eq!(options.addr(at(bound)).unwrap(), addr);
        }
        assert_eq!(
            options
                .name(Kind::Stt, "whisper", at("0.0.0.0:7002"))
                .unwrap(),
            format!("stt-whisper@{host}:7002")
        );
    }

    #[test]
    fn an_address_to_tell_may_have_its_port_and_its_scheme() {
        let tell = |given: &str| {
            let options = Options {
                advertise: Some(given.to_owned()),
                ..Options::default()
            };
            options.addr(at("0.0.0.0:7001"))
        };
        for (given, addr) in [
            ("gpu-1", "grpc://gpu-1:7001"),
            ("gpu-1.lan:9", "grpc://gpu-1.lan:9"),
            ("grpc://10.0.0.7:9", "grpc://10.0.0.7:9"),
            ("[fd00::7]", "grpc://[fd00::7]:7001"),
            ("[fd00::7]:9", "grpc://[fd00::7]:9"),
        ] {
            assert_eq!(tell(given).unwrap(), addr);
        }
        for wrong in [
            "",
            ":",
            ":9",
            "host:",
            "host:x",
            "host:0",
            "host:70000",
            "a b",
            "a/b",
            "http://host",
            "grpcs://host",
            "fd00::7",
        ] {
            let error = tell(wrong).unwrap_err().to_string();
            assert!(error.contains("grpc://host:port"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_name_that_no_registry_should_hold_is_refused() {
        for name in ["", "a b", "a\n", &"x".repeat(201)] {
            let options = Options {
                name: Some(name.to_owned()),
                ..Options::default()
            };
            assert!(options.name(Kind::Tts, "mock", at("127.0.0.1:1")).is_err());
        }
    }
}
