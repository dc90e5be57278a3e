//! Who gets in to a worker: the secret, TLS and mutual TLS.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/server.rs"]
mod server;

use proto::tts::ListVoicesRequest;
use proto::tts::tts_service_client::TtsServiceClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use server::Served;
use std::path::PathBuf;
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use workers::{Error, Kind, Options, Settings, TlsFiles, Worker};

async fn voices(channel: &Channel, token: Option<&str>) -> Result<usize, Status> {
    let mut request = Request::new(ListVoicesRequest {});
    if let Some(token) = token {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", token.parse().unwrap());
    }
    let answer = TtsServiceClient::new(channel.clone())
        .list_voices(request)
        .await?;
    Ok(answer.into_inner().voices.len())
}

#[tokio::test]
async fn only_who_knows_the_token_gets_more_than_health() {
    let options = Options {
        token: Some("secret-word".to_owned().into()),
        ..Options::default()
    };
    let worker = Served::start(Kind::Tts, "mock", Settings::default(), options).await;
    let channel = worker.channel().await;
    for token in [
        None,
        Some("Bearer secret-wort"),
        Some("Bearer "),
        Some("secret-word"),
    ] {
        let refused = voices(&channel, token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
        assert!(!refused.message().contains("secret-word"));
    }
    assert_eq!(
        voices(&channel, Some("Bearer secret-word")).await.unwrap(),
        1
    );
    let health = HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await;
    assert!(health.is_ok());
    let asked = tokio_stream::iter([ServerReflectionRequest::default()]);
    let reflection = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(asked)
        .await;
    assert_eq!(reflection.unwrap_err().code(), Code::Unauthenticated);
    drop(channel);
    worker.stop().await;
}

/// Somebody who signs certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this name, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Files that a worker is started with.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn tls(&self, (certificate, key): (String, String), ca: Option<&Authority>) -> TlsFiles {
        TlsFiles {
            certificate: self.write("worker.pem", &certificate),
            key: self.write("worker.key", &key),
            client_ca: ca.map(|ca| self.write("clients.pem", &ca.certificate)),
        }
    }
}

async fn with_tls(tls: TlsFiles) -> Served {
    let options = Options {
        tls: Some(tls),
        ..Options::default()
    };
    Served::start(Kind::Tts, "mock", Settings::default(), options).await
}

/// How many voices a client hears of who trusts `ca` and shows `own`, if it gets through at all.
async fn reached(worker: &Served, ca: &Authority, own: Option<(String, String)>) -> Option<usize> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&ca.certificate))
        .domain_name("worker.test");
    if let Some((certificate, key)) = own {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Channel::from_shared(format!("https://{}", worker.address)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.ok()?;
    voices(&channel, None).await.ok()
}

#[tokio::test]
async fn tls_proves_who_the_worker_is() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let files = Files::new();
    let worker = with_tls(files.tls(ours.sign("worker.test"), None)).await;
    assert!(
        worker.advertised.starts_with("grpcs://"),
        "{}",
        worker.advertised
    );
    assert_eq!(reached(&worker, &ours, None).await, Some(1));
    assert_eq!(reached(&worker, &theirs, None).await, None);
    // Who speaks without TLS gets nowhere, and harms nobody.
    let plain = Channel::from_shared(format!("http://{}", worker.address)).unwrap();
    if let Ok(channel) = plain.connect().await {
        assert!(voices(&channel, None).await.is_err());
    }
    assert_eq!(reached(&worker, &ours, None).await, Some(1));
    worker.stop().await;
}

#[tokio::test]
async fn mutual_tls_proves_who_the_client_is() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let files = Files::new();
    let worker = with_tls(files.tls(ours.sign("worker.test"), Some(&ours))).await;
    let known = ours.sign("agent.test");
    let stranger = theirs.sign("agent.test");
    assert_eq!(reached(&worker, &ours, Some(known)).await, Some(1));
    assert_eq!(reached(&worker, &ours, Some(stranger)).await, None);
    assert_eq!(reached(&worker, &ours, None).await, None);
    worker.stop().await;
}

#[tokio::test]
async fn files_that_are_no_certificates_are_told_at_the_start() {
    let ours = Authority::new();
    let (certificate, key) = ours.sign("worker.test");
    let other = ours.sign("worker.test").1;
    let nothing = String::new();
    for pair in [
        (certificate.clone(), nothing.clone()),
        (nothing, key.clone()),
        ("no certificate".to_owned(), key),
        (certificate, other),
    ] {
        let files = Files::new();
        let options = Options {
            tls: Some(files.tls(pair, None)),
            ..Options::default()
        };
        let listen = server::ANY_PORT.parse().unwrap();
        let bound = Worker::bind(Kind::Tts, "mock", listen, Settings::default(), options).await;
        assert!(matches!(bound.err(), Some(Error::Tls(_))));
    }
}
