//! A self-signed certificate made at start, so that a phone on the same network may use its microphone.

use super::engines::own_addresses;
use anyhow::Context as _;
use axum_server::tls_rustls::RustlsConfig;
use std::net::SocketAddr;

/// A certificate for this host's names and addresses, kept in memory only.
#[derive(Debug)]
pub struct SelfSigned {
    certificate_pem: String,
    key_pem: String,
}

impl SelfSigned {
    /// Makes one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        if !address.ip().is_unspecified() {
            names.push(address.ip().to_string());
        }
        names.extend(own_addresses().into_iter().map(|ip| ip.to_string()));
        names.sort();
        names.dedup();
        let made =
            rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        Ok(Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        })
    }

    /// For the HTTP server.
    ///
    /// # Errors
    /// When the TLS library refuses the certificate.
    pub async fn config(self) -> anyhow::Result<RustlsConfig> {
        RustlsConfig::from_pem(self.certificate_pem.into_bytes(), self.key_pem.into_bytes())
            .await
            .context("cannot use the certificate")
    }
}
