//! `parlor bench networks`: what synthesis costs with networks of the size and make of Piper's and Kokoro's.
//!
//! Their weights are random: what they say is noise, and only what it costs is real. They go through the same adapters as real
//! voices, in a worker's process of their own.

mod kokoro;
mod layers;
mod onnx;
mod piper;

use super::fleet::{Plan, WorkerProcess};
use super::report::{self, Promise, Report, Shown, Spread};
use super::statistics::{Figure, Sample, shown};
use crate::cli::{Failure, Global};
use crate::cluster::credentials::Wire;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use media::{Clock, FRAME};
use onnx::Network;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{EndSessionRequest, StartSessionRequest, TextChunk};
use serde::Serialize;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// What is said: a few words, a sentence, and a long one.
const TEXTS: [&str; 3] = [
    "Good morning.",
    "The ferry leaves at seven and is back before nine.",
    "It is a little colder than it was yesterday and the day before and nobody here can say for certain whether that will \
     change before the end of the week.",
];
/// The networks' name among their engines' models.
const MODEL: &str = "bench";
/// A voice of Kokoro's, and how many styles it has.
const VOICE: &str = "af_heart";
const STYLES: usize = 510;
/// How long a sentence may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Networks of full size with random weights.
#[derive(Debug, Args)]
pub struct Networks {
    /// Whose they are like.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "piper,kokoro"
    )]
    adapter: Vec<Adapter>,
    /// How often each text is said.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    #[command(flatten)]
    shown: Shown,
}

/// Whose network it is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Adapter {
    /// A Piper voice of medium quality.
    Piper,
    /// Kokoro-82M.
    Kokoro,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    /// Always so: nothing can be said of how they sound.
    weights: &'static str,
    networks: Vec<Measured>,
}

/// The figures of one network, on one core.
#[derive(Debug, Serialize)]
struct Measured {
    adapter: Adapter,
    parameters: u64,
    /// MB of 10^6 bytes.
    file_mb: Figure,
    /// From the start of the worker's process until it answers, its model loaded and tried.
    ready_after_seconds: Figure,
    /// The worker's memory then, in MB of 10^6 bytes.
    memory_mb: Figure,
    texts: Vec<Text>,
}

/// The figures of one text.
#[derive(Debug, Serialize)]
struct Text {
    characters: usize,
    sound_seconds: Figure,
    /// From the sending of the text to its first frame.
    first_frame_ms: Spread,
    /// Time until its last frame for each second of sound, at the median.
    real_time_factor: Option<Figure>,
    /// Computing time of the worker for each second of sound.
    cpu_factor: Figure,
}

impl Networks {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("networks", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let mut networks = Vec::new();
        for adapter in &self.adapter {
            networks.push(self.network(global, *adapter).await?);
        }
        Ok(Figures {
            weights: "random",
            networks,
        })
    }

    async fn network(&self, global: &Global, adapter: Adapter) -> Result<Measured, Failure> {
        let folder = Folder::make()?;
        let (root, making) = (folder.0.clone(), adapter);
        // Hundreds of megabytes: nobody else shall wait for them.
        let made = tokio::task::spawn_blocking(move || making.make(&root)).await;
        let (parameters, bytes) = made.context("making the network broke")??;
        let access = global.load(Vec::new())?.cluster.access()?;
        let name = adapter.name();
        let plan = Plan {
            kind: "tts",
            adapter: name.to_owned(),
            name: format!("bench-{name}"),
            settings: vec![format!(
                "tts.voicepacks=[{:?}]",
                folder.0.display().to_string()
            )],
            ..Plan::default()
        };
        let clock = Clock::start();
        let worker = WorkerProcess::start(global, &access, plan).await?;
        // Whatever it has loaded by itself, it is this one that is asked for.
        let mut speech = Speech::open(&worker, adapter).await?;
        speech
            .say(TEXTS.first().copied().unwrap_or_default())
            .await?;
        let ready = clock.now();
        let memory_mb = worker.usage()?.rss_mb;
        let mut texts = Vec::new();
        for text in TEXTS {
            texts.push(self.text(&worker, &mut speech, text).await?);
        }
        speech.close().await?;
        Ok(Measured {
            adapter,
            parameters,
            file_mb: Figure(bytes as f64 / 1e6),
            ready_after_seconds: Figure(ready.as_secs_f64()),
            memory_mb: Figure(memory_mb),
            texts,
        })
    }

    async fn text(
        &self,
        worker: &WorkerProcess,
        speech: &mut Speech,
        text: &str,
    ) -> anyhow::Result<Text> {
        let before = worker.usage()?.cpu_seconds;
        let (mut first_ms, mut factors, mut sound) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..self.rounds {
            let said = speech.say(text).await?;
            first_ms.push(said.first.as_secs_f64() * 1e3);
            factors.push(said.took.as_secs_f64() / said.sound.as_secs_f64());
            sound += said.sound.as_secs_f64();
        }
        let spent = worker.usage()?.cpu_seconds - before;
        Ok(Text {
            characters: text.chars().count(),
            sound_seconds: Figure(sound / f64::from(self.rounds)),
            first_frame_ms: Spread::of(first_ms),
            real_time_factor: Sample::new(factors).percentile(50.0).map(Figure),
            cpu_factor: Figure(spent / sound),
        })
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![(
            "weights".to_owned(),
            "random: only what it costs is real".to_owned(),
        )];
        for network in &self.networks {
            let name = network.adapter.name();
            rows.push((
                name.to_owned(),
                format!(
                    "{} parameters, {} MB, ready after {} s, {} MB of memory",
                    network.parameters,
                    shown(Some(network.file_mb)),
                    shown(Some(network.ready_after_seconds)),
                    shown(Some(network.memory_mb))
                ),
            ));
            let factor = |figure: Figure| format!("{:.3}", figure.0);
            rows.extend(network.texts.iter().map(|text| {
                (
                    format!("{name}, {} characters", text.characters),
                    format!(
                        "{} s of sound, first frame {}, real-time factor {}, {} of CPU",
                        shown(Some(text.sound_seconds)),
                        text.first_frame_ms.shown("ms"),
                        text.real_time_factor.map_or("-".to_owned(), factor),
                        factor(text.cpu_factor)
                    ),
                )
            }));
        }
        rows
    }

    fn promises(&self) -> Vec<Promise> {
        Vec::new()
    }
}

impl Adapter {
    fn name(self) -> &'static str {
        match self {
            Self::Piper => "piper",
            Self::Kokoro => "kokoro",
        }
    }

    /// The voice that is asked for.
    fn voice(self) -> String {
        match self {
            Self::Piper => format!("piper:{MODEL}"),
            Self::Kokoro => format!("kokoro:{VOICE}"),
        }
    }

    /// Writes a voice pack under `root`; the network's parameters, and the bytes of its file.
    fn make(self, root: &Path) -> anyhow::Result<(u64, u64)> {
        let folder = root.join(self.name()).join(MODEL);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("metadata.yaml"), "lang: en_US\ncpu_ok: true\n")?;
        let path = folder.join(format!("{MODEL}.onnx"));
        let network = match self {
            Self::Piper => {
                let beside = folder.join(format!("{MODEL}.onnx.json"));
                fs::write(beside, piper::config().to_string())?;
                piper::network()
            }
            Self::Kokoro => {
                let voices = folder.join("voices");
                fs::create_dir_all(&voices)?;
                fs::write(voices.join(format!("{VOICE}.bin")), styles())?;
                kokoro::network()
            }
        };
        let bytes = write(&network, &path)?;
        Ok((network.parameters(), bytes))
    }
}

/// Writes a network; the bytes of its file.
fn write(network: &Network, path: &Path) -> anyhow::Result<u64> {
    let cannot = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    let mut file = BufWriter::new(file);
    network.write(&mut file).with_context(cannot)?;
    file.flush().with_context(cannot)?;
    Ok(fs::metadata(path)?.len())
}

/// The styles of a voice of Kokoro's, as floats; any will do.
fn styles() -> Vec<u8> {
    let values = STYLES * usize::try_from(kokoro::STYLE).unwrap_or_default();
    let style = |at: usize| (at % 17) as f32 / 17.0 - 0.5;
    (0..values).flat_map(|at| style(at).to_le_bytes()).collect()
}

/// A folder of the bench's own; it is removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("parlor-bench-{}", uuid::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up: it lies where temporary files do.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A session at a worker.
struct Speech {
    tts: TtsServiceClient<Wire>,
    clock: Clock,
}

/// What was said.
struct Said {
    /// From the sending of the text to its first frame, and to its last.
    first: Duration,
    took: Duration,
    /// How long it sounds.
    sound: Duration,
}

impl Speech {
    const SESSION: &str = "bench";

    async fn open(worker: &WorkerProcess, adapter: Adapter) -> anyhow::Result<Self> {
        let mut tts = worker.tts();
        let request = StartSessionRequest {
            session_id: Self::SESSION.to_owned(),
            model_id: String::new(),
            options: HashMap::from([("voice".to_owned(), adapter.voice())]),
        };
        let started = timeout(PATIENCE, tts.start_session(request)).await??;
        let started = started.into_inner();
        anyhow::ensure!(started.success, "no session: {}", started.message);
        Ok(Self {
            tts,
            clock: Clock::start(),
        })
    }

    async fn say(&mut self, text: &str) -> anyhow::Result<Said> {
        let chunk = TextChunk {
            session_id: Self::SESSION.to_owned(),
            text: text.to_owned(),
            is_final: true,
            sequence_number: 1,
        };
        let sent = self.clock.now();
        let stream = self.tts.synthesize(tokio_stream::once(chunk));
        let mut stream = timeout(PATIENCE, stream).await??.into_inner();
        let (mut first, mut frames) = (None, 0);
        while let Some(_frame) = timeout(PATIENCE, stream.message()).await?? {
            frames += 1;
            first.get_or_insert(self.clock.now().saturating_sub(sent));
        }
        Ok(Said {
            first: first.context("no sound came")?,
            took: self.clock.now().saturating_sub(sent),
            sound: FRAME * frames,
        })
    }

    async fn close(mut self) -> anyhow::Result<()> {
        let request = EndSessionRequest {
            session_id: Self::SESSION.to_owned(),
        };
        timeout(PATIENCE, self.tts.end_session(request)).await??;
        Ok(())
    }
}
