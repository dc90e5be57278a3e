//! `parlor bench calls`: a server in a process of its own, and callers here that talk with it over loopback.
//!
//! ```text
//!   this process                                        the server's process
//!   caller 1 ── speaks over the answer ──► socket ──► parlor serve (scripted recogniser, 440 Hz voice)
//!   caller 2 ◄── when did each packet come? ── socket ◄──┘
//!      ...       figures: figures.rs                   CPU and memory: /proc, server.rs
//! ```

mod caller;
mod figures;
pub(super) mod line;
mod livekit;
pub(super) mod observed;
mod report;
mod script;
pub(super) mod server;
mod talker;
mod webrtc;
pub(super) mod websocket;

use super::speech::{recorded, speech_for};
use crate::cli::{Failure, Global, interrupted, out};
use anyhow::{Context as _, anyhow};
use caller::Shared;
use clap::Args;
use line::{NoCall, Transport};
use livekit::Rooms;
use media::Clock;
use media::clock::monotonic_ns;
use report::{Measured, Report};
use script::Script;
use secrecy::ExposeSecret as _;
use server::{ServerProcess, Start, Subject, Usage};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What callers say. The recogniser of the server under test hears these words whatever is said, and the built-in
/// responder answers with more than a minute of story, which the callers interrupt.
const WORDS: &str = "tell me a long story";
/// Calls begin this far apart, but all of them within [`ALL_BEGUN`].
const APART: Duration = Duration::from_millis(100);
const ALL_BEGUN: Duration = Duration::from_secs(10);
/// From the last call's beginning to the window: by then everybody has asked and is being answered.
const SETTLE: Duration = Duration::from_secs(4);
/// The server's memory is looked at this long after its start, when start-up work is over.
const IDLE: Duration = Duration::from_millis(500);

/// Real calls over sockets on loopback.
#[derive(Debug, Args)]
pub struct Calls {
    /// How callers reach the server.
    #[arg(long, value_enum, default_value_t = Transport::WebSocket)]
    transport: Transport,
    /// Calls at the same time.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=200))]
    sessions: u64,
    /// How long to measure once all calls are under way.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What callers say, instead of flite's voice: WAV, FLAC or OGG; the first ten seconds of it.
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    /// What is heard from the callers while they say nothing, instead of a faint hiss; the first minute of it. What stops
    /// the server's voice then is a false hold.
    #[arg(long, value_name = "FILE")]
    room: Option<PathBuf>,
    /// The server's recogniser.
    #[arg(long, default_value = "scripted", value_name = "ADAPTER")]
    stt: String,
    /// The server's voice, as in flite:slt, or its engine alone.
    #[arg(long, default_value = "mock", value_name = "VOICE")]
    tts: String,
    /// CPUs for the server alone, as taskset takes them: with `taskset -c 1 parlor bench calls --server-cpus 0 ...` server
    /// and callers have a core each.
    #[arg(long, value_name = "LIST")]
    server_cpus: Option<String>,
    /// Measures another program in place of a server of our own: the agent that answers to this name on the LiveKit server.
    #[arg(long, value_name = "NAME", requires = "process")]
    agent: Option<String>,
    /// The process id of that program; what it and all its children use is counted.
    #[arg(long, value_name = "PID", requires = "agent")]
    process: Option<u32>,
    /// Exits with 4 if the 95th percentile of lateness is above this.
    #[arg(long, value_name = "MS")]
    max_p95: Option<f64>,
    /// Prints the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

impl Calls {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let settings = self.settings(global);
        // The server reads the same; here every problem is named before anything starts.
        let config = global.load(settings.clone())?;
        let key = config
            .server
            .api_key
            .as_ref()
            .map(|key| key.expose_secret().to_owned());
        if self.agent.is_some() && self.transport != Transport::LiveKit {
            return Err(Failure::Usage("--agent needs --transport livekit".into()));
        }
        let agent_name = self.agent.as_deref().unwrap_or(livekit::AGENT_NAME);
        let rooms = (self.transport == Transport::LiveKit)
            .then(|| Rooms::new(&config.livekit, agent_name))
            .transpose()?;
        let speech = speech_for(global, self.wav.as_deref(), WORDS).await?;
        let room = self.room.as_deref().map(recorded).transpose()?;
        let script = Arc::new(Script::new(self.transport, &speech, room.as_deref())?);
        let start = Start {
            settings: global.settings.iter().cloned().chain(settings).collect(),
            cpus: self.server_cpus.clone(),
        };
        let server = match self.process {
            Some(process) => Subject::Other(process),
            None => tokio::select! {
                server = ServerProcess::start(global, start) => Subject::Own(Box::new(server?)),
                () = interrupted() => return Err(Failure::Interrupted),
            },
        };
        let stop = CancellationToken::new();
        let shared = Shared {
            url: server.url(),
            rooms,
            key,
            transport: self.transport,
            script,
            stop: stop.clone(),
        };
        let measured = tokio::select! {
            measured = self.measure(global, &server, shared, config.turn.end_of_turn_ms) => measured,
            () = interrupted() => Err(Failure::Interrupted),
        };
        // Also when it failed: no server is left behind.
        stop.cancel();
        let last_words = server.last_words();
        server.stop().await;
        let report = Report::new(&measured?);
        if !global.quiet && report.has_problems() && !last_words.is_empty() {
            out::note(&format!("The server's last words:\n{last_words}"));
        }
        if self.json {
            out::json(&report)?
        } else {
            report.print()?
        }
        self.check(&report)
    }

    /// What the server under test is told, unless `--set` says otherwise.
    fn settings(&self, global: &Global) -> Vec<(String, String)> {
        // A bare engine means its first voice.
        let (engine, voice) = self
            .tts
            .split_once(':')
            .map_or((self.tts.as_str(), ""), |(engine, _)| (engine, &self.tts));
        let greeting = match self.transport {
            Transport::LiveKit => "\"Hello.\"",
            Transport::WebRtc | Transport::WebSocket => "\"\"",
        };
        let settings = [
            ("server.max_sessions", self.sessions.to_string()),
            ("server.drain_seconds", "1".to_owned()),
            ("server.dev_tls", "false".to_owned()),
            // A caller of a bench has a turn every few seconds.
            ("session.max_messages_per_session", "100000".to_owned()),
            ("vad.engine", "silero".to_owned()),
            ("stt.adapter", self.stt.clone()),
            ("stt.script", format!("[{WORDS:?}]")),
            ("tts.adapters", format!("[{engine:?}]")),
            ("tts.default_voice", format!("{voice:?}")),
            // Callers ask for it by this name, so nobody else's rooms come to it.
            ("livekit.agent_name", livekit::AGENT_NAME.to_owned()),
            (
                "livekit.dispatch",
                (self.transport == Transport::LiveKit).to_string(),
            ),
            // Long enough to be heard from the first frame on, and over before the first question.
            ("turn.greeting", greeting.to_owned()),
            ("livekit.stay_seconds", "0".to_owned()),
            // A reply that was cut off may hold its place a moment longer than the next one needs its own.
            ("tts.max_sessions", (2 * self.sessions).to_string()),
        ];
        // A script costs nothing to listen with; a real recogniser keeps as many places as there are cores.
        let slots = (self.stt == "scripted").then(|| ("stt.slots", self.sessions.to_string()));
        let is_set = |key: &str| global.settings.iter().any(|(set, _)| set == key);
        settings
            .into_iter()
            .chain(slots)
            .filter(|(key, _)| !is_set(key))
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    async fn measure(
        &self,
        global: &Global,
        server: &Subject,
        shared: Shared,
        end_of_turn_ms: u64,
    ) -> Result<Measured, Failure> {
        let clock = Clock::start();
        clock.until(IDLE).await;
        let idle = server.usage()?;
        let engines = match server {
            Subject::Own(_) => engines(&shared.url).await?,
            Subject::Other(_) => serde_json::Value::Null,
        };
        let progress = crate::cli::say::progress(global.quiet || self.json);
        progress.enable_steady_tick(Duration::from_millis(200));
        progress.set_message(format!("{} calls begin ...", self.sessions));

        let (shared, mut calls) = (Arc::new(shared), JoinSet::new());
        let (waiting, mut begun) = mpsc::channel(1);
        let apart = APART.min(ALL_BEGUN / u32::try_from(self.sessions).unwrap_or(u32::MAX));
        for number in 0..self.sessions {
            let delay = apart * u32::try_from(number).unwrap_or(u32::MAX);
            calls.spawn(caller::call(shared.clone(), number, delay, waiting.clone()));
        }
        drop(waiting);
        // Closed when every caller has dropped its end: nothing is ever sent.
        while begun.recv().await.is_some() {}
        clock.until(clock.now() + SETTLE).await;

        progress.set_message(format!(
            "{} calls, measuring for {} s ...",
            self.sessions, self.seconds
        ));
        let (from, before, own_before) = (monotonic_ns(), server.usage()?, Usage::of("self")?);
        clock
            .until(clock.now() + Duration::from_secs(self.seconds))
            .await;
        let (to, after, own_after) = (monotonic_ns(), server.usage()?, Usage::of("self")?);
        progress.finish_and_clear();

        shared.stop.cancel();
        let (mut observed, mut refused, mut failed) = (Vec::new(), 0, Vec::new());
        while let Some(call) = calls.join_next().await {
            match call.context("a caller broke")? {
                Ok(call) => observed.push(call),
                Err(NoCall::Refused) => refused += 1,
                Err(NoCall::Failed(error)) => failed.push(format!("{error:#}")),
            }
        }
        if let (true, 0, Some(error)) = (observed.is_empty(), refused, failed.first()) {
            return Err(Failure::Unreachable(anyhow!("no call came about: {error}")));
        }
        Ok(Measured {
            transport: self.transport,
            sessions: self.sessions,
            engines,
            window: (from, to),
            end_of_turn_ms,
            observed,
            refused,
            failed,
            server: [idle, before, after],
            callers: [own_before, own_after],
        })
    }

    fn check(&self, report: &Report) -> Result<(), Failure> {
        let Some(limit) = self.max_p95 else {
            return Ok(());
        };
        match report.lateness_p95() {
            Some(p95) if p95 <= limit => Ok(()),
            Some(p95) => Err(Failure::CheckFailed(format!(
                "the 95th percentile of lateness is {p95:.2} ms, more than {limit} ms"
            ))),
            None => Err(Failure::CheckFailed(
                "no sound came, so there is no lateness to check".to_owned(),
            )),
        }
    }
}

/// What the server says it works with.
async fn engines(url: &str) -> anyhow::Result<serde_json::Value> {
    let address = format!("{url}/api/v1/info");
    let info = webrtc::http()
        .get(&address)
        .send()
        .await
        .with_context(|| format!("cannot ask {address}"))?;
    let mut info: serde_json::Value = info
        .json()
        .await
        .with_context(|| format!("{address} is no JSON"))?;
    Ok(info
        .get_mut("engines")
        .map(serde_json::Value::take)
        .unwrap_or_default())
}
