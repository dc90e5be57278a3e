//! Every setting, in one struct: defaults, then the file, then the environment, then flags, then `validate`.

mod cluster;
mod example;
mod given;
mod livekit;
mod load;
mod local;
mod models;

pub use cluster::Cluster;
pub use example::example_toml;
pub use livekit::LiveKit;
pub use load::{Loaded, Problems, Source, load};
pub use local::LocalWorkers;
pub use models::Models;

use crate::session::responder::openai;
use media::codec::EncoderSettings;
use media::hear::{Denoise, EarSettings, VadSettings};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How long a reply of the built-in responder may take before its first sound.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of that is the voice's, after the last word of a chat server.
const VOICE_TIMEOUT: Duration = Duration::from_secs(10);

/// All settings of the program.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and to whom the program answers.
    pub server: Server,
    /// The direct WebRTC endpoint.
    pub webrtc: WebRtc,
    /// The LiveKit server whose rooms the agent joins.
    pub livekit: LiveKit,
    /// Opus and what cleans the caller's sound.
    pub audio: Audio,
    /// When sound counts as speech.
    pub vad: VadSettings,
    /// Who has the floor and when it changes hands.
    pub turn: Turn,
    /// A call's limits.
    pub session: Session,
    /// Who thinks of the answers.
    pub responder: Responder,
    /// Recognition.
    pub stt: workers::SttSettings,
    /// Synthesis.
    pub tts: workers::TtsSettings,
    /// Which models stay loaded.
    pub model_manager: workers::ModelManagerSettings,
    /// The files of models, and where they come from.
    pub models: Models,
    /// Workers in processes of their own.
    pub cluster: Cluster,
    /// What is written about calls.
    pub recorder: Recorder,
    /// Logs and metrics.
    pub telemetry: Telemetry,
}

/// Where and to whom the program answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port of HTTP and WebSocket.
    pub listen: SocketAddr,
    /// If set, every request but the page and health must carry it as a bearer token.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<SecretString>,
    /// Web pages of other origins that may connect, as `https://host[:port]`; this server's own page always may.
    pub allowed_origins: Vec<String>,
    /// Calls at the same time; more are refused with 503 or close code 1013.
    pub max_sessions: usize,
    /// The largest WebSocket message or request body, in bytes.
    pub max_message_bytes: usize,
    /// Answer with TLS and a self-signed certificate, so that a phone on the same network may use its microphone.
    pub dev_tls: bool,
    /// How long calls may go on once the program was told to end, in seconds.
    pub drain_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            api_key: None,
            allowed_origins: Vec::new(),
            max_sessions: 100,
            max_message_bytes: 2 << 20,
            dev_tls: false,
            drain_seconds: 10,
        }
    }
}

/// The direct WebRTC endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebRtc {
    /// Whether `POST /v1/realtime/calls` is served.
    pub enabled: bool,
    /// The one UDP port of all calls; 0 takes the number of the HTTP port.
    pub udp_port: u16,
    /// Addresses to advertise instead of this host's own: those of a NAT in front of it.
    pub advertised_addresses: Vec<IpAddr>,
}

impl Default for WebRtc {
    fn default() -> Self {
        Self {
            enabled: true,
            udp_port: 0,
            advertised_addresses: Vec::new(),
        }
    }
}

/// Opus and what cleans the caller's sound.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audio {
    /// `off`, or `rnnoise` in front of gate, detector and recognition.
    pub denoise: Denoise,
    /// Opus' effort, 0 to 10. Encoding is the largest cost of a call; 1 is hard to tell from 10 for speech.
    pub opus_complexity: u8,
    /// Opus' bit rate in bits a second, 6000 to 128000.
    pub opus_bitrate_bps: i32,
    /// Whether packets repeat the one before them coarsely, for callers that lose packets.
    pub opus_fec: bool,
    /// Whether silence inside speech is sent as almost nothing.
    pub opus_dtx: bool,
}

impl Default for Audio {
    fn default() -> Self {
        let opus = EncoderSettings::default();
        Self {
            denoise: Denoise::Off,
            opus_complexity: opus.complexity,
            opus_bitrate_bps: opus.bitrate_bps,
            opus_fec: opus.fec,
            opus_dtx: opus.dtx,
        }
    }
}

/// Who interrupts whom, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The caller may interrupt at any moment.
    #[default]
    Duplex,
    /// The caller is not heard while the machine speaks.
    Mute,
    /// A turn ends only when the caller says so.
    Manual,
}

/// Who has the floor and when it changes hands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// `duplex`, `mute` or `manual`, unless the caller asks for another.
    pub mode: Mode,
    /// Silence that ends a turn, in milliseconds.
    pub end_of_turn_ms: u64,
    /// Silence that ends a turn which a turn model believes complete, in milliseconds.
    pub end_of_turn_min_ms: u64,
    /// Silence that ends a turn which a turn model believes incomplete, in milliseconds.
    pub end_of_turn_max_ms: u64,
    /// How long after the end of speech its words are waited for, in milliseconds.
    pub final_timeout_ms: u64,
    /// Overlap that turns a hold into a cancel even without words, in milliseconds.
    pub cancel_after_overlap_ms: u64,
    /// Quiet without words after which a held reply goes on, in milliseconds.
    pub resume_after_ms: u64,
    /// How long a reply may take before its first sound, in milliseconds; then the machine apologises. 0: as long as the
    /// chat server may take with all its tries, and 10 s more for the voice; 15 s without a chat server.
    pub prepare_timeout_ms: u64,
    /// How long a goodbye may last before the call ends without waiting for it, in milliseconds.
    pub goodbye_timeout_ms: u64,
    /// Silence after which the machine asks whether somebody is there, in milliseconds; 0: it never asks.
    pub reprompt_after_ms: u64,
    /// How often it asks before it says goodbye.
    pub reprompts: u32,
    /// What is said first; empty for nothing.
    pub greeting: String,
    /// What is said after a long silence.
    pub reprompt: String,
    /// What is said before the machine hangs up.
    pub goodbye: String,
    /// Whether the greeting may be interrupted.
    pub greeting_interruptible: bool,
    /// Whether answers may be interrupted.
    pub replies_interruptible: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            mode: Mode::Duplex,
            end_of_turn_ms: 700,
            end_of_turn_min_ms: 300,
            end_of_turn_max_ms: 3000,
            final_timeout_ms: 3000,
            cancel_after_overlap_ms: 700,
            resume_after_ms: 1000,
            prepare_timeout_ms: 0,
            goodbye_timeout_ms: 30_000,
            reprompt_after_ms: 30_000,
            reprompts: 2,
            greeting: String::new(),
            reprompt: "Are you still there?".into(),
            goodbye: "Goodbye. Call again any time.".into(),
            greeting_interruptible: true,
            replies_interruptible: true,
        }
    }
}

impl Turn {
    /// How long a reply may take before its first sound.
    pub fn prepare_timeout(&self, responder: &Responder) -> Duration {
        match (self.prepare_timeout_ms, responder.kind) {
            (0, ResponderKind::Builtin) => PREPARE_TIMEOUT,
            (0, ResponderKind::OpenAi) => responder.patience() + VOICE_TIMEOUT,
            (ms, _) => Duration::from_millis(ms),
        }
    }
}

/// A call's limits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// A call in which nobody says anything ends after this.
    pub idle_timeout_seconds: u64,
    /// Every call ends after this.
    pub max_session_duration_seconds: u64,
    /// Turns of the caller after which a call ends.
    pub max_messages_per_session: u32,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle_timeout_seconds: 300,
            max_session_duration_seconds: 3600,
            max_messages_per_session: 100,
        }
    }
}

/// Which responder answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum ResponderKind {
    /// Small and deterministic; needs nothing.
    #[default]
    Builtin,
    /// A server that speaks OpenAI's chat completions API.
    OpenAi,
}

/// Who thinks of the answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Responder {
    /// `builtin` or `openai`.
    pub kind: ResponderKind,
    /// Where the chat server is, up to and including `/v1`; `OPENAI_BASE_URL` where empty.
    pub base_url: String,
    /// Its key; `OPENAI_API_KEY` where missing.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<SecretString>,
    /// Its model.
    pub model: String,
    /// The system prompt.
    pub prompt: String,
    /// How long it may take to the first and between any two pieces of text, in milliseconds.
    pub timeout_ms: u64,
    /// How often a request that brought nothing is tried again.
    pub retries: u32,
}

impl Default for Responder {
    fn default() -> Self {
        Self {
            kind: ResponderKind::Builtin,
            base_url: String::new(),
            api_key: None,
            model: String::new(),
            prompt: "You are a friendly voice assistant. Answer in one to three short spoken sentences, without lists or markup."
                .into(),
            timeout_ms: 10_000,
            retries: 1,
        }
    }
}

impl Responder {
    /// How long the chat server may be silent with all its tries before it counts as failed.
    pub fn patience(&self) -> Duration {
        openai::patience(Duration::from_millis(self.timeout_ms), self.retries)
    }
}

/// What is written about calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recorder {
    /// Where every call writes its `.call` file; empty for nowhere.
    pub directory: PathBuf,
    /// Whether the file holds words. Without, it holds how many there were.
    pub text: bool,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs and metrics.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Where Prometheus may read metrics; none where missing.
    pub metrics_listen: Option<SocketAddr>,
}

// The value goes to a terminal or a file: never the secret.
fn masked<S: serde::Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_str("********"),
        None => serializer.serialize_none(),
    }
}

impl Config {
    /// The ear's settings.
    pub fn ear(&self) -> EarSettings {
        EarSettings {
            vad: self.vad.clone(),
            denoise: self.audio.denoise,
        }
    }

    /// The encoder's settings.
    pub fn encoder(&self) -> EncoderSettings {
        EncoderSettings {
            complexity: self.audio.opus_complexity,
            bitrate_bps: self.audio.opus_bitrate_bps,
            fec: self.audio.opus_fec,
            dtx: self.audio.opus_dtx,
            ..EncoderSettings::default()
        }
    }

    /// The embedded workers' settings.
    pub fn workers(&self) -> workers::Settings {
        workers::Settings {
            tts: self.tts.clone(),
            stt: self.stt.clone(),
            model_manager: self.model_manager.clone(),
            places: crate::server::engines::places(),
        }
    }

    /// The same for the workers inside the program: where there are others, the default voice may be theirs. A recogniser that
    /// runs apart has the one that needs nothing behind it, as far as that is installed.
    pub fn embedded_workers(&self) -> workers::Settings {
        let mut settings = self.workers();
        let own = |voice: &str| {
            let engine = voice.split_once(':').map_or(voice, |(engine, _)| engine);
            self.tts
                .adapters
                .iter()
                .any(|adapter| adapter.to_string() == engine)
        };
        let has_others = self.cluster.redis.is_some() || !self.cluster.local.is_empty();
        if has_others && !own(&settings.tts.default_voice) {
            settings.tts.default_voice.clear();
        }
        if self.stt.runs_apart() {
            settings.stt.adapter = workers::SttEngine::Pocketsphinx;
        }
        settings
    }

    /// Whether the recogniser inside the program may listen: where one that runs apart knows other languages than English, what
    /// the one inside would make of them is worse than nothing.
    pub fn hears_inside(&self) -> bool {
        let whisper = &self.stt.whisper;
        !self.stt.runs_apart() || whisper.language == "en" || whisper.model.ends_with(".en")
    }

    /// Everything that is wrong, one sentence each with the key's name.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = self.ear().validate();
        let mut must = |holds: bool, key: &str, rule: &str| {
            if !holds {
                problems.push(format!("{key} must be {rule}"));
            }
        };
        must(
            self.server.max_sessions >= 1,
            "server.max_sessions",
            "at least 1",
        );
        must(
            (4096..=64 << 20).contains(&self.server.max_message_bytes),
            "server.max_message_bytes",
            "4096 to 67108864 bytes",
        );
        for origin in &self.server.allowed_origins {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            must(
                rest.is_some_and(|host| !host.is_empty() && !host.contains('/')),
                "server.allowed_origins",
                "a list of origins like https://example.org, without a path",
            );
        }
        must(
            self.audio.opus_complexity <= 10,
            "audio.opus_complexity",
            "0 to 10",
        );
        must(
            (6_000..=128_000).contains(&self.audio.opus_bitrate_bps),
            "audio.opus_bitrate_bps",
            "6000 to 128000",
        );
        for (key, ms) in [
            ("turn.end_of_turn_ms", self.turn.end_of_turn_ms),
            (
                "turn.cancel_after_overlap_ms",
                self.turn.cancel_after_overlap_ms,
            ),
            ("turn.resume_after_ms", self.turn.resume_after_ms),
            ("turn.end_of_turn_min_ms", self.turn.end_of_turn_min_ms),
            ("turn.end_of_turn_max_ms", self.turn.end_of_turn_max_ms),
            ("turn.final_timeout_ms", self.turn.final_timeout_ms),
            ("turn.goodbye_timeout_ms", self.turn.goodbye_timeout_ms),
            ("responder.timeout_ms", self.responder.timeout_ms),
        ] {
            must((1..=600_000).contains(&ms), key, "1 to 600000 milliseconds");
        }
        must(
            self.turn.end_of_turn_min_ms <= self.turn.end_of_turn_max_ms,
            "turn.end_of_turn_min_ms",
            "at most turn.end_of_turn_max_ms",
        );
        must(
            self.turn.reprompt_after_ms == 0 || self.turn.reprompt_after_ms >= 1000,
            "turn.reprompt_after_ms",
            "at least 1000 milliseconds, or 0 for never",
        );
        let responds_within = match self.responder.kind {
            ResponderKind::Builtin => Duration::ZERO,
            ResponderKind::OpenAi => self.responder.patience(),
        };
        must(
            self.turn.prepare_timeout_ms <= 600_000
                && self.turn.prepare_timeout(&self.responder) > responds_within,
            "turn.prepare_timeout_ms",
            &format!(
                "more than the {} ms that the chat server may take with all its tries and at most 600000, or 0",
                responds_within.as_millis()
            ),
        );
        must(self.responder.retries <= 10, "responder.retries", "0 to 10");
        must(
            self.session.idle_timeout_seconds >= 1,
            "session.idle_timeout_seconds",
            "at least 1",
        );
        must(
            self.session.max_session_duration_seconds >= 1,
            "session.max_session_duration_seconds",
            "at least 1",
        );
        must(
            self.session.max_messages_per_session >= 1,
            "session.max_messages_per_session",
            "at least 1",
        );
        self.livekit.check(&mut must);
        self.cluster.check(&mut must);
        self.models.check(&mut must);
        self.check_workers(&mut must);
        for (key, secret) in [
            ("server.api_key", &self.server.api_key),
            ("livekit.api_secret", &self.livekit.api_secret),
            ("responder.api_key", &self.responder.api_key),
        ] {
            let empty = secret
                .as_ref()
                .is_some_and(|secret| secret.expose_secret().is_empty());
            must(!empty, key, "a text that is not empty, or not be set");
        }
        if self.responder.kind == ResponderKind::OpenAi {
            let url = &self.responder.base_url;
            must(
                url.starts_with("http://") || url.starts_with("https://"),
                "responder.base_url",
                "the chat server's address, like http://localhost:11434/v1 (or set OPENAI_BASE_URL)",
            );
            must(
                !self.responder.model.is_empty(),
                "responder.model",
                "the name of a model of that server",
            );
        }
        problems
    }

    fn check_workers(&self, must: &mut impl FnMut(bool, &str, &str)) {
        let (tts, models) = (&self.tts, &self.model_manager);
        must(
            !tts.adapters.is_empty(),
            "tts.adapters",
            "at least one engine: flite, espeak or mock",
        );
        must(
            tts.max_sessions != Some(0),
            "tts.max_sessions",
            "at least 1, or not set",
        );
        // Whether the engine has the voice is known only once it is open.
        let engine = tts.default_voice.split_once(':').map(|(engine, _)| engine);
        must(
            // Or one of a worker somewhere else.
            self.cluster.redis.is_some()
                || engine.is_none_or(|engine| {
                    tts.adapters
                        .iter()
                        .any(|adapter| adapter.to_string().eq_ignore_ascii_case(engine))
                        || self.speaks_apart(engine)
                }),
            "tts.default_voice",
            "a voice of one of tts.adapters or cluster.local, as in flite:slt",
        );
        must(
            models.resident_cap >= 1,
            "model_manager.resident_cap",
            "at least 1",
        );
        must(
            models.max_parallel_loads >= 1,
            "model_manager.max_parallel_loads",
            "at least 1",
        );
        must(
            models.load_timeout_ms >= 1,
            "model_manager.load_timeout_ms",
            "at least 1",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_a_chat_server() -> Config {
        let mut config = Config::default();
        config.responder.kind = ResponderKind::OpenAi;
        config.responder.base_url = "http://localhost:11434/v1".into();
        config.responder.model = "small".into();
        config
    }

    #[test]
    fn a_reply_may_take_longer_than_its_chat_server_with_all_its_tries() {
        assert!(with_a_chat_server().validate().is_empty());
        for (timeout_ms, retries) in [(1, 0), (10_000, 1), (60_000, 10)] {
            let mut config = with_a_chat_server();
            config.responder.timeout_ms = timeout_ms;
            config.responder.retries = retries;
            let tries = Duration::from_millis(timeout_ms) * (retries + 1);
            assert!(config.turn.prepare_timeout(&config.responder) > tries);
        }
        let builtin = Config::default();
        assert_eq!(
            builtin.turn.prepare_timeout(&builtin.responder),
            dialog::Policy::default().prepare_timeout
        );
    }

    #[test]
    fn a_time_out_that_is_too_short_for_the_tries_is_named() {
        let mut config = with_a_chat_server();
        config.turn.prepare_timeout_ms = 15_000;
        let problems = config.validate();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("turn.prepare_timeout_ms must be more than the 22000 ms"),
            "{problems:?}"
        );
        config.responder.kind = ResponderKind::Builtin;
        assert!(config.validate().is_empty());
        config.turn.end_of_turn_min_ms = 4000;
        config.turn.reprompt_after_ms = 0;
        config.turn.final_timeout_ms = 0;
        assert_eq!(config.validate().len(), 2, "{:?}", config.validate());
    }
}
