//! The real LiveKit server, on free ports of the loopback; `scripts/setup-livekit` builds it.

mod api;

pub use api::Refused;

use crate::{PATIENCE, set_up};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use media::link::livekit::token::{self, Grant, Keys};
use parlor::config::Config;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// How long the tokens of tests are good for joining.
const TTL: Duration = Duration::from_secs(600);
/// Somebody else may take a port between its being found free and its being used.
const TRIES: u32 = 5;
/// How often a server is asked whether it is ready, or a room whether somebody is in it.
const ASKED_EVERY: Duration = Duration::from_millis(20);
/// How much of its log a failed test shows.
const LAST_WORDS_BYTES: usize = 6000;

/// What a test may want otherwise of a server.
#[derive(Debug, Clone)]
pub struct LiveKitOptions {
    /// Whether it only answers connectivity checks and makes none: whoever calls chooses the path.
    pub ice_lite: bool,
    /// How long a room stays that nobody has joined.
    pub empty_timeout: Duration,
    /// How long a room stays that everybody has left.
    pub departure_timeout: Duration,
}

impl Default for LiveKitOptions {
    fn default() -> Self {
        Self {
            ice_lite: false,
            empty_timeout: Duration::from_secs(60),
            departure_timeout: Duration::from_secs(10),
        }
    }
}

/// A LiveKit server; it ends with the value, at once.
#[derive(Debug)]
pub struct LiveKitServer {
    /// What signs the tokens that it accepts.
    pub keys: Keys,
    options: LiveKitOptions,
    program: PathBuf,
    ports: Ports,
    log: NamedTempFile,
    running: Option<Child>,
    http: reqwest::Client,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    signal: u16,
    media: u16,
}

impl LiveKitServer {
    /// Starts one. None where it was not built, which is said on standard error.
    ///
    /// # Panics
    /// When it does not start, and with `CI=true` when it is not there.
    pub async fn start(options: LiveKitOptions) -> Option<Self> {
        let program = find()?;
        // Twice is fine: tests start many servers in one process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut server = Self {
            keys: Keys {
                api_key: "devkey".into(),
                api_secret: "only-tests-know-this-secret-0123456789".to_owned().into(),
            },
            options,
            program,
            ports: Ports::free(),
            log: NamedTempFile::new().expect("a log file"),
            running: None,
            http: reqwest::Client::new(),
        };
        for _ in 1..TRIES {
            if server.run().await {
                return Some(server);
            }
            server.ports = Ports::free();
        }
        server.start_again().await;
        Some(server)
    }

    /// Its address, for `livekit.url`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.signal_address())
    }

    /// Where it takes signalling and API calls.
    pub fn signal_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.signal))
    }

    /// Where it takes sound and data: the only UDP port that it has.
    pub fn media_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.media))
    }

    /// What it was started with.
    pub fn options(&self) -> &LiveKitOptions {
        &self.options
    }

    /// Tells a program about it.
    pub fn configure(&self, config: &mut Config) {
        config.livekit.url = self.url();
        config.livekit.api_key = self.keys.api_key.clone();
        config.livekit.api_secret = Some(self.keys.api_secret.clone());
    }

    /// A token with which a person joins a room.
    pub fn token(&self, room: &str, identity: &str) -> SecretString {
        let grant = Grant {
            room: room.into(),
            identity: identity.into(),
            ttl: TTL,
            ..Grant::default()
        };
        token::caller(&self.keys, &grant).expect("a room and an identity")
    }

    /// A token with which an agent joins a room.
    pub fn agent_token(&self, room: &str, identity: &str) -> SecretString {
        token::agent(&self.keys, room, identity, "", TTL).expect("a room and an identity")
    }

    /// A token with this server's signature that was good until an hour ago. parlor itself cannot make one.
    pub fn expired_token(&self, room: &str, identity: &str) -> SecretString {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let claims = json!({
            "iss": self.keys.api_key,
            "sub": identity,
            "nbf": now.as_secs() - 7200,
            "exp": now.as_secs() - 3600,
            "video": { "roomJoin": true, "room": room },
        });
        let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({ "alg": "HS256", "typ": "JWT" })),
            part(claims)
        );
        let secret = self.keys.api_secret.expose_secret().as_bytes();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}").into()
    }

    /// Ends it at once, as by a power cut.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it where it was before.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        assert!(
            self.run().await,
            "{} does not start; it said:\n{}",
            self.program.display(),
            self.last_words()
        );
    }

    /// Ends it and starts it where it was before: nobody is in any room any more.
    pub async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }

    /// Starts it on its ports; whether it answers.
    async fn run(&mut self) -> bool {
        self.stop();
        let log = File::create(self.log.path()).expect("the log file");
        let child = Command::new(&self.program)
            .env_clear()
            // In the environment no other user of the machine can read the secret.
            .env("LIVEKIT_CONFIG", self.configuration())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file"))
            .stderr(log)
            .spawn();
        self.running = Some(child.unwrap_or_else(|error| {
            panic!("{} does not run: {error}", self.program.display());
        }));
        tokio::time::timeout(PATIENCE, self.answers())
            .await
            .unwrap_or(false)
    }

    /// Waits until it answers or has ended.
    async fn answers(&mut self) -> bool {
        let address = format!("http://{}/", self.signal_address());
        loop {
            let answer = self.http.get(&address).send().await;
            // Asked after the answer: one that ended because the port was taken has not answered.
            let child = self.running.as_mut().expect("it was started");
            if child.try_wait().expect("its state").is_some() {
                return false;
            }
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
    }

    /// JSON is YAML, too.
    fn configuration(&self) -> String {
        let secret = self.keys.api_secret.expose_secret();
        json!({
            "port": self.ports.signal,
            "bind_addresses": [Ipv4Addr::LOCALHOST],
            "rtc": {
                "udp_port": self.ports.media,
                // Without TCP nothing gets around the UDP port.
                "tcp_port": 0,
                "use_external_ip": false,
                "node_ip": Ipv4Addr::LOCALHOST,
                "enable_loopback_candidate": true,
                "interfaces": { "includes": ["lo"] },
                "use_ice_lite": self.options.ice_lite,
                // Nobody answers there: no test asks a server on the internet.
                "stun_servers": ["127.0.0.1:9"],
            },
            "keys": { self.keys.api_key.clone(): secret },
            "room": {
                "auto_create": true,
                "empty_timeout": self.options.empty_timeout.as_secs(),
                "departure_timeout": self.options.departure_timeout.as_secs(),
            },
            "logging": { "level": "warn" },
        })
        .to_string()
    }

    /// The end of what it has written so far.
    fn last_words(&self) -> String {
        let mut said = Vec::new();
        let _ = File::open(self.log.path()).and_then(|mut log| log.read_to_end(&mut said));
        let from = said.len().saturating_sub(LAST_WORDS_BYTES);
        String::from_utf8_lossy(&said[from..]).into_owned()
    }
}

impl Drop for LiveKitServer {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("the LiveKit server said:\n{}", self.last_words());
        }
    }
}

impl Ports {
    fn free() -> Self {
        let signal = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port");
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
        Self {
            signal: signal.local_addr().expect("its address").port(),
            media: media.local_addr().expect("its address").port(),
        }
    }
}

/// Where the set-up put the program: `PARLOR_LIVEKIT_SERVER`, or the version of `tests/livekit/go.mod` in the cache.
fn find() -> Option<PathBuf> {
    let program = std::env::var_os("PARLOR_LIVEKIT_SERVER").map_or_else(
        || {
            let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("livekit/go.mod");
            let recipe = std::fs::read_to_string(recipe).expect("tests/livekit/go.mod");
            let version = version(&recipe).expect("go.mod names livekit-server");
            set_up::cache().join(format!("bin/livekit-server-{version}"))
        },
        PathBuf::from,
    );
    set_up::found(program, "LiveKit's tests", "scripts/setup-livekit")
}

fn version(recipe: &str) -> Option<&str> {
    let mut lines = recipe.lines().map(str::trim);
    lines.find_map(|line| {
        let version = line.strip_prefix("github.com/livekit/livekit-server v")?;
        version.split_whitespace().next()
    })
}
