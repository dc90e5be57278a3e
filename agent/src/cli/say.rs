//! `parlor say`.

use super::{Failure, Global, out};
use crate::cluster::{Cluster, Voice};
use crate::models::loading;
use crate::session::responder::Piece;
use crate::session::speech::{Affinity, Event, Order, speech};
use crate::telemetry;
use anyhow::{Context as _, anyhow};
use clap::Args;
use media::wav::WavWriter;
use media::{FRAME, SAMPLE_RATE_HZ};
use serde_json::json;
use std::io::Read as _;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use workers::Embedded;

/// Speaks a text into a file.
#[derive(Debug, Args)]
pub struct Say {
    /// What to say; `-` reads standard input.
    #[arg(required_unless_present = "list_voices")]
    text: Option<String>,
    /// A voice such as flite:slt; see --list-voices.
    #[arg(long, default_value = "")]
    voice: String,
    /// Times the voice's own speed, 0.25 to 4.
    #[arg(long)]
    speed: Option<f32>,
    /// The WAV file to write, 48 kHz mono.
    #[arg(short, long, value_name = "FILE", default_value = "say.wav")]
    output: PathBuf,
    /// Lists the voices and ends.
    #[arg(long)]
    list_voices: bool,
    /// Prints what was written as a JSON object, or the voices as a list of them.
    #[arg(long)]
    json: bool,
}

impl Say {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        loading::check(&config, loading::speaking_and_listening(&config)).await?;
        let embedded = Embedded::start(config.workers())
            .await
            .context("cannot start the speech workers")?;
        let cluster = Cluster::of(&embedded);
        if self.list_voices {
            cluster.ask_voices().await;
            let voices = cluster.voices();
            if self.json {
                let voices: Vec<_> = voices
                    .iter()
                    .map(|voice| {
                        json!({"id": voice.voice_id, "name": voice.name, "language": voice.language})
                    })
                    .collect();
                out::json(&voices)?;
                return Ok(());
            }
            for voice in voices {
                out::line(&format!(
                    "{}\t{}\t{}",
                    voice.voice_id, voice.language, voice.name
                ))?;
            }
            return Ok(());
        }
        let text = match self.text.as_deref().unwrap_or_default() {
            "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                text
            }
            text => text.to_owned(),
        };
        if text.trim().is_empty() {
            return Err(Failure::Usage(
                "there is nothing to say: the text is empty".into(),
            ));
        }
        if self
            .speed
            .is_some_and(|speed| !(0.25..=4.0).contains(&speed))
        {
            return Err(Failure::Usage("--speed must be between 0.25 and 4".into()));
        }
        let voice = if self.voice.is_empty() {
            config.tts.default_voice.clone()
        } else {
            self.voice
        };
        let voice = Voice {
            id: voice,
            speed: self.speed,
            is_must: true,
        };
        let (words, pieces) = mpsc::channel(1);
        let order = Order {
            cluster,
            id: "say".into(),
            voice,
            affinity: Affinity::default(),
        };
        let (mut handle, task) = speech(order, pieces);
        let tasks = TaskTracker::new();
        tasks.spawn(task);
        // If the worker refuses, the events say why.
        let _ = words.send(Piece::Text(text)).await;
        drop(words);
        let path = &self.output;
        let mut writer = WavWriter::create(path, SAMPLE_RATE_HZ)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let mut frames = 0u64;
        let progress = progress(global.quiet || self.json);
        while let Some(event) = handle.events.recv().await {
            match event {
                Event::Clause(_) | Event::Word { .. } => {}
                // Half a file is none.
                Event::Broken(_) => {
                    return Err(Failure::Failed(anyhow!("the speech worker broke")));
                }
                Event::Frame { frame, .. } => {
                    frames += 1;
                    writer
                        .write(frame.samples())
                        .with_context(|| format!("cannot write {}", path.display()))?;
                    progress.set_message(format!("{:.1} s", frames as f64 * FRAME.as_secs_f64()));
                }
                Event::Done => break,
                Event::Failed(error) => return Err(failure(error)),
            }
        }
        progress.finish_and_clear();
        writer
            .finalize()
            .with_context(|| format!("cannot write {}", path.display()))?;
        let seconds = frames as f64 * FRAME.as_secs_f64();
        if self.json {
            out::json(&json!({"file": path, "seconds": seconds, "sample_rate": SAMPLE_RATE_HZ}))?;
        } else if !global.quiet {
            out::note(&format!("Wrote {} ({seconds:.1} s).", path.display()));
        }
        Ok(())
    }
}

fn failure(error: crate::cluster::Error) -> Failure {
    match error {
        crate::cluster::Error::Refused(why) => Failure::Usage(why),
        crate::cluster::Error::Unavailable(_) | crate::cluster::Error::Full(_) => {
            Failure::Unreachable(error.into())
        }
        crate::cluster::Error::Failed(_) => Failure::Failed(error.into()),
    }
}

/// A spinner on a terminal, nothing elsewhere.
pub(super) fn progress(hidden: bool) -> indicatif::ProgressBar {
    if hidden {
        indicatif::ProgressBar::hidden()
    } else {
        indicatif::ProgressBar::new_spinner()
    }
}
