//! `parlor transcribe`.

use super::{Failure, Global, out, say::progress};
use crate::cluster::{Cluster, Error};
use crate::models::loading;
use crate::telemetry;
use anyhow::Context as _;
use clap::Args;
use proto::stt::TranscribeFileRequest;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use workers::Embedded;

/// Writes down what recordings say.
#[derive(Debug, Args)]
pub struct Transcribe {
    /// WAV, FLAC or OGG files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Prints one JSON object a file, with segments and words.
    #[arg(long)]
    json: bool,
    /// The language that is spoken (ISO 639-1), or auto (default: what the engine is set to).
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "",
        hide_default_value = true
    )]
    language: String,
    /// Writes it in English, whatever is spoken (whisper).
    #[arg(long)]
    translate: bool,
    /// A text with the names and the spelling that are expected (whisper).
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prompt: String,
}

impl Transcribe {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        loading::check(&config, loading::speaking_and_listening(&config)).await?;
        let embedded = Embedded::start(config.workers())
            .await
            .context("cannot start the recogniser")?;
        let cluster = Cluster::of(&embedded);
        let several = self.files.len() > 1;
        for file in &self.files {
            let bytes =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let spinner = progress(global.quiet || self.json);
            spinner.enable_steady_tick(Duration::from_millis(100));
            let task = if self.translate { "translate" } else { "" };
            let request = TranscribeFileRequest {
                audio_data: bytes.into(),
                language: self.language.clone(),
                task: task.to_owned(),
                initial_prompt: self.prompt.clone(),
                ..TranscribeFileRequest::default()
            };
            let result = cluster
                .transcribe_file(request)
                .await
                .map_err(|error| match error {
                    Error::Unavailable(_) | Error::Full(_) => Failure::Unreachable(error.into()),
                    error => Failure::Failed(
                        anyhow::Error::new(error)
                            .context(format!("cannot transcribe {}", file.display())),
                    ),
                })?;
            spinner.finish_and_clear();
            if self.json {
                let words: Vec<_> = result
                    .words
                    .iter()
                    .map(|word| json!({"word": word.word, "start": word.start, "end": word.end, "probability": word.probability}))
                    .collect();
                let segments: Vec<_> = result
                    .segments
                    .iter()
                    .map(|segment| {
                        json!({
                            "id": segment.id,
                            "start": segment.start,
                            "end": segment.end,
                            "text": segment.text,
                            "avg_logprob": segment.avg_logprob,
                            "no_speech_prob": segment.no_speech_prob,
                            "compression_ratio": segment.compression_ratio,
                        })
                    })
                    .collect();
                out::json(&json!({
                    "file": file,
                    "text": result.text,
                    "language": result.language,
                    "duration": result.duration,
                    "segments": segments,
                    "words": words,
                }))?;
            } else if several {
                out::line(&format!("{}: {}", file.display(), result.text))?;
            } else {
                out::line(&result.text)?;
            }
        }
        Ok(())
    }
}
