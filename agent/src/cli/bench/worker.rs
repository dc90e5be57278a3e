//! `parlor bench worker`: how much sound a speech worker makes, and how soon the first of it is there.

use super::calls::server::Usage;
use super::fleet::{Plan, WorkerProcess};
use super::report::{self, Promise, Report, Shown, Spread};
use super::sentence::TEXT;
use super::statistics::{Figure, shown};
use crate::cli::{Failure, Global};
use crate::cluster::credentials::Wire;
use anyhow::Context as _;
use clap::Args;
use media::{Clock, FRAME};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{EndSessionRequest, StartSessionRequest, TextChunk};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the first sound of all may take: a model is loaded for it.
const LOADED_WITHIN: Duration = Duration::from_secs(120);
/// How long an answer may take that needs no model.
const PATIENCE: Duration = Duration::from_secs(10);

/// A speech worker at its limits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor bench worker --adapter flite
  parlor bench worker --adapter piper --set 'tts.voicepacks=[\"voicepacks\"]' --sessions 1,2,4
  parlor bench worker --addr grpc://host:7001 --sessions 8")]
pub struct Worker {
    /// The engine of a worker of the bench's own.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    /// Measures a worker that is there instead; what it costs is known only with --process.
    #[arg(long, value_name = "ADDR", conflicts_with = "adapter")]
    addr: Option<String>,
    /// The process id of that worker, where it runs on this host.
    #[arg(long, value_name = "PID", requires = "addr")]
    process: Option<u32>,
    /// Sessions that speak at the same time, one measurement for each number.
    #[arg(long, default_value = "1,4,16", value_name = "N,...", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=256))]
    sessions: Vec<u32>,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What is said, again and again.
    #[arg(long, default_value = TEXT, hide_default_value = true)]
    text: String,
    /// Whose voice it is (default: the worker's).
    #[arg(long, default_value = "", hide_default_value = true)]
    voice: String,
    #[command(flatten)]
    shown: Shown,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    /// The engine, or the address of somebody else's worker.
    worker: String,
    runs: Vec<Run>,
}

/// The figures of one number of sessions. A frame is 20 ms of sound.
#[derive(Debug, Serialize)]
struct Run {
    sessions: u32,
    seconds: Figure,
    frames: u64,
    frames_per_second: Figure,
    /// Frames for each second that a core of the worker's works; none where its process is not known.
    frames_per_core_second: Option<Figure>,
    /// What the worker's process took, in cores.
    worker_cores: Option<Figure>,
    /// What the bench itself took, in cores: where both together are all there are, a worker alone makes more.
    bench_cores: Figure,
    /// From the sending of a text to its first frame.
    first_frame_ms: Spread,
    /// Computing time of the worker for each second of sound; none where its process is not known.
    real_time_factor: Option<Figure>,
    /// Sessions that the worker did not take.
    refused: u64,
}

/// What one session had.
#[derive(Debug, Default)]
struct Had {
    frames: u64,
    first_ms: Vec<f64>,
    refused: u64,
}

/// What is measured.
enum Subject {
    Own(Box<WorkerProcess>),
    Other { wire: Wire, process: Option<u32> },
}

impl Subject {
    fn wire(&self) -> Wire {
        match self {
            Self::Own(worker) => worker.wire.clone(),
            Self::Other { wire, .. } => wire.clone(),
        }
    }

    /// CPU time that it has used, in seconds; none where that is not known.
    fn cpu_seconds(&self) -> anyhow::Result<Option<f64>> {
        let usage = match self {
            Self::Own(worker) => worker.usage()?,
            Self::Other {
                process: Some(process),
                ..
            } => Usage::of(&process.to_string())?,
            Self::Other { process: None, .. } => return Ok(None),
        };
        Ok(Some(usage.cpu_seconds))
    }
}

impl Worker {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("worker", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        // The worker may want TLS. Twice is fine: tests do many things in one process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let access = global.load(Vec::new())?.cluster.access()?;
        let subject = match &self.addr {
            Some(addr) => {
                let wire = access.reach(addr);
                Subject::Other {
                    wire: wire.map_err(|error| Failure::Usage(error.to_string()))?,
                    process: self.process,
                }
            }
            None => {
                let most = self.sessions.iter().max().copied().unwrap_or(1);
                let plan = Plan {
                    kind: "tts",
                    adapter: self.adapter.clone(),
                    name: "bench-worker".to_owned(),
                    max_sessions: Some(most as usize),
                    ..Plan::default()
                };
                let worker = WorkerProcess::start(global, &access, plan).await?;
                Subject::Own(Box::new(worker))
            }
        };
        // Once for the model: loading it is not what is measured.
        let order = Order {
            text: self.text.clone(),
            voice: self.voice.clone(),
        };
        let once = session(subject.wire(), 0, order.clone(), Duration::ZERO);
        let had = timeout(LOADED_WITHIN, once)
            .await
            .context("no sound came")??;
        if had.frames == 0 {
            return Err(Failure::Unreachable(anyhow::anyhow!(
                "the worker takes no session"
            )));
        }
        let mut runs = Vec::new();
        for sessions in &self.sessions {
            runs.push(self.once(&subject, *sessions, &order).await?);
        }
        Ok(Figures {
            worker: self.addr.clone().unwrap_or_else(|| self.adapter.clone()),
            runs,
        })
    }

    async fn once(&self, subject: &Subject, sessions: u32, order: &Order) -> anyhow::Result<Run> {
        let (clock, cpu, own) = (Clock::start(), subject.cpu_seconds()?, Usage::of("self")?);
        let mut speaking = JoinSet::new();
        for number in 0..sessions {
            let (wire, order) = (subject.wire(), order.clone());
            let lasts = Duration::from_secs(self.seconds);
            speaking.spawn(session(wire, number, order, lasts));
        }
        let mut all = Had::default();
        while let Some(had) = speaking.join_next().await {
            let Had {
                frames,
                first_ms,
                refused,
            } = had.context("a session broke")??;
            all.frames += frames;
            all.first_ms.extend(first_ms);
            all.refused += refused;
        }
        let seconds = clock.now().as_secs_f64();
        let spent = subject.cpu_seconds()?.zip(cpu);
        let spent = spent.map(|(after, before)| after - before);
        let own = Usage::of("self")?.cpu_seconds - own.cpu_seconds;
        let frames = all.frames as f64;
        // The kernel counts in hundredths of a second: where it counted none, nothing is known.
        let known = spent.filter(|spent| *spent > 0.0 && frames > 0.0);
        Ok(Run {
            sessions,
            seconds: Figure(seconds),
            frames: all.frames,
            frames_per_second: Figure(frames / seconds),
            frames_per_core_second: known.map(|spent| Figure(frames / spent)),
            worker_cores: spent.map(|spent| Figure(spent / seconds)),
            bench_cores: Figure(own / seconds),
            first_frame_ms: Spread::of(all.first_ms),
            real_time_factor: known.map(|spent| Figure(spent / (frames * FRAME.as_secs_f64()))),
            refused: all.refused,
        })
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let row = |run: &Run| {
            let told = |figure: Option<Figure>| shown(figure);
            let figures = format!(
                "{} frames/s, {} a core ({} cores, the bench {}), real-time factor {}, first frame {}, {} refused",
                told(Some(run.frames_per_second)),
                told(run.frames_per_core_second),
                told(run.worker_cores),
                told(Some(run.bench_cores)),
                run.real_time_factor
                    .map_or("-".to_owned(), |Figure(factor)| format!("{factor:.3}")),
                run.first_frame_ms.shown("ms"),
                run.refused
            );
            (format!("{} sessions", run.sessions), figures)
        };
        self.runs.iter().map(row).collect()
    }

    fn promises(&self) -> Vec<Promise> {
        Vec::new()
    }
}

/// What is said.
#[derive(Debug, Clone)]
struct Order {
    text: String,
    voice: String,
}

/// Has the text said, again and again, until so much time has passed, but once at least; what comes later does not count.
async fn session(wire: Wire, number: u32, order: Order, lasts: Duration) -> anyhow::Result<Had> {
    let clock = Clock::start();
    let mut tts = TtsServiceClient::new(wire);
    let session_id = format!("bench-{number}");
    let mut options = HashMap::new();
    if !order.voice.is_empty() {
        options.insert("voice".to_owned(), order.voice);
    }
    let request = StartSessionRequest {
        session_id: session_id.clone(),
        model_id: String::new(),
        options,
    };
    let started = timeout(LOADED_WITHIN, tts.start_session(request)).await??;
    let started = started.into_inner();
    let mut had = Had::default();
    if started.busy {
        had.refused = 1;
        return Ok(had);
    }
    anyhow::ensure!(started.success, "no session: {}", started.message);
    let is_once = lasts.is_zero();
    while is_once || clock.now() < lasts {
        let text = TextChunk {
            session_id: session_id.clone(),
            text: order.text.clone(),
            is_final: true,
            sequence_number: 1,
        };
        let sent = clock.now();
        let mut frames = tts.synthesize(tokio_stream::once(text)).await?.into_inner();
        let mut is_first = true;
        loop {
            let frame = tokio::select! {
                biased;
                () = clock.until(lasts), if !is_once => break,
                frame = frames.message() => frame?,
            };
            let Some(frame) = frame else {
                break;
            };
            had.frames += 1;
            if std::mem::take(&mut is_first) {
                let first = clock.now().saturating_sub(sent);
                had.first_ms.push(first.as_secs_f64() * 1e3);
            }
            if frame.is_final {
                break;
            }
        }
        if is_once {
            break;
        }
    }
    let ended = tts.end_session(EndSessionRequest { session_id });
    timeout(PATIENCE, ended).await??;
    Ok(had)
}
