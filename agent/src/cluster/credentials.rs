//! How a worker is reached, and what it is shown: TLS from files, and a secret that both sides know.

use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

/// How long a worker may take to be connected.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How often a connection with calls on it is checked, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// Calls that a connection is sized for.
const CALLS: u32 = 512;

/// The way to a worker.
pub type Wire = InterceptedService<Channel, Token>;

/// Shows the secret with each request.
#[derive(Clone, Default)]
pub struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Why a worker cannot be reached at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{0:?} is no worker's address; one is grpc://host:port or grpcs://host:port")]
    Address(String),
    /// The certificates cannot be used.
    #[error("the certificates for workers cannot be used: {0}")]
    Tls(String),
    /// The secret has characters that cannot be sent.
    #[error(
        "the workers' token has characters that cannot be sent; use letters, digits and -._~+/"
    )]
    Token,
}

/// What this agent shows to workers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Access {
    token: Token,
    tls: Option<ClientTlsConfig>,
}

/// Files in PEM form, for TLS to workers.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// Who signs the workers' certificates; empty: the usual authorities.
    pub ca: Option<Vec<u8>>,
    /// This agent's own certificate and its key, for workers that ask for one.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

impl Access {
    /// Shows this token, if there is one, and uses these certificates with workers at `grpcs://`.
    ///
    /// # Errors
    /// [`Error::Token`] when it cannot be sent.
    pub fn new(token: Option<&SecretString>, certificates: Certificates) -> Result<Self, Error> {
        let token = token
            .map(|token| {
                let value = format!("Bearer {}", token.expose_secret());
                let mut value: MetadataValue<Ascii> = value.parse().map_err(|_| Error::Token)?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(ca) = certificates.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((certificate, key)) = certificates.own {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Ok(Self {
            token: Token(token),
            tls: Some(tls),
        })
    }

    /// A way that needs nothing.
    pub fn open(channel: Channel) -> Wire {
        InterceptedService::new(channel, Token::default())
    }

    /// Whether whoever is on the way to this address can read the token.
    pub fn is_token_readable(&self, addr: &str) -> bool {
        let is_plain = addr.starts_with("grpc://") || addr.starts_with("http://");
        self.token.0.is_some() && is_plain
    }

    /// The way to a worker at `grpc://host:port`, or `grpcs://` with TLS. It is connected when it is first used, and anew
    /// whenever it broke.
    ///
    /// # Errors
    /// When the address is none, or the certificates cannot be used.
    pub fn reach(&self, addr: &str) -> Result<Wire, Error> {
        let wrong = || Error::Address(addr.to_owned());
        let (scheme, rest) = addr.split_once("://").ok_or_else(wrong)?;
        let scheme = match scheme {
            "grpc" | "http" => "http",
            "grpcs" | "https" => "https",
            _ => return Err(wrong()),
        };
        let window = workers::STREAM_WINDOW_BYTES;
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{rest}"))
            .map_err(|_| wrong())?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_WITHIN)
            .initial_stream_window_size(window)
            .initial_connection_window_size(window.saturating_mul(CALLS));
        if scheme == "https" {
            let tls = self.tls.clone().unwrap_or_default();
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| Error::Tls(error.to_string()))?;
        }
        let channel = endpoint.connect_lazy();
        Ok(InterceptedService::new(channel, self.token.clone()))
    }
}
