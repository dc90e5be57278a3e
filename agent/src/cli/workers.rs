//! `parlor workers`.

use super::{Failure, Global, out};
use crate::cluster::credentials::Wire;
use crate::cluster::registry::Registry;
use crate::telemetry;
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use proto::registry::{RecordKind, WorkerRecord, metric};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{LoadModelRequest, UnloadModelRequest};
use secrecy::SecretString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long a worker may take to load a model, and to let one go.
const LOADED_WITHIN: Duration = Duration::from_secs(300);
const UNLOADED_WITHIN: Duration = Duration::from_secs(30);

/// Shows the workers of a registry, and which models they keep.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor workers list --redis redis://registry:6379
  parlor workers list --json | jq -r '.[] | select(.metrics.draining > 0) | .name'
  parlor workers load tts-piper@0 en_US-lessac-medium
  parlor workers unload tts-piper@0 en_US-lessac-medium")]
pub struct Workers {
    #[command(subcommand)]
    action: Action,
    /// The registry (default: cluster.redis, else $REDIS_URL).
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<SecretString>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints a line a worker: name, kind, address, open sessions, queue, median time to the first result, state, models in memory.
    List {
        /// Prints the records as one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Makes a worker load a model.
    Load {
        /// The worker's name, as the list shows it.
        worker: String,
        /// The model.
        model: String,
    },
    /// Makes a worker let a model go, if nobody uses it.
    Unload {
        /// The worker's name, as the list shows it.
        worker: String,
        /// The model.
        model: String,
    },
}

impl Workers {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut config = global.load(Vec::new())?;
        telemetry::init(&config.telemetry, global.verbose);
        // Workers may want TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(redis) = self.redis {
            config.cluster.redis = Some(redis);
        }
        let registry = config.cluster.registry().map_err(usage)?.ok_or_else(|| {
            Failure::Usage("no registry is set; give --redis URL or set cluster.redis".into())
        })?;
        let records = list(&registry).await?;
        let reach = |name: &str| -> Result<Wire, Failure> {
            let record = records
                .iter()
                .find(|record| record.name == name)
                .ok_or_else(|| {
                    Failure::Failed(anyhow!(
                        "there is no worker {name:?}; type parlor workers list"
                    ))
                })?;
            if record.capabilities.kind != RecordKind::Tts {
                return Err(Failure::Usage(format!(
                    "{name} listens: it has one model and keeps it"
                )));
            }
            let access = config.cluster.access().map_err(usage)?;
            Ok(access
                .reach(&record.addr)
                .with_context(|| format!("cannot reach {name}"))?)
        };
        match self.action {
            Action::List { json: true } => out::json(&records)?,
            Action::List { json: false } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_or(0.0, |now| now.as_secs_f64());
                for record in &records {
                    out::line(&line(record, now))?;
                }
                if records.is_empty() && !global.quiet {
                    out::note("No worker is there.");
                }
            }
            Action::Load { worker, model } => {
                let mut tts = TtsServiceClient::new(reach(&worker)?);
                let request = LoadModelRequest {
                    model_id: model,
                    preload_only: true,
                };
                let answer = timeout(LOADED_WITHIN, tts.load_model(request)).await;
                let answer = answered(&worker, answer)?;
                told(global, answer.success, &answer.message)?;
            }
            Action::Unload { worker, model } => {
                let mut tts = TtsServiceClient::new(reach(&worker)?);
                let request = UnloadModelRequest { model_id: model };
                let answer = timeout(UNLOADED_WITHIN, tts.unload_model(request)).await;
                let answer = answered(&worker, answer)?;
                told(global, answer.success, &answer.message)?;
            }
        }
        Ok(())
    }
}

async fn list(registry: &Registry) -> Result<Vec<WorkerRecord>, Failure> {
    let listed = registry.list().await;
    let mut records = listed.map_err(|error| Failure::Unreachable(error.into()))?;
    records.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(records)
}

fn usage(error: anyhow::Error) -> Failure {
    Failure::Usage(format!("{error:#}"))
}

fn answered<T>(
    worker: &str,
    answer: Result<Result<tonic::Response<T>, tonic::Status>, tokio::time::error::Elapsed>,
) -> Result<T, Failure> {
    match answer {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Failure::Unreachable(anyhow!(
            "{worker} refused: {}",
            status.message()
        ))),
        Err(_) => Err(Failure::Unreachable(anyhow!(
            "{worker} did not answer in time"
        ))),
    }
}

fn told(global: &Global, success: bool, message: &str) -> Result<(), Failure> {
    if !success {
        return Err(Failure::Failed(anyhow!("{message}")));
    }
    if !global.quiet {
        out::note(message);
    }
    Ok(())
}

/// A worker in one line, its parts divided by tabs.
fn line(record: &WorkerRecord, now: f64) -> String {
    let kind = match record.capabilities.kind {
        RecordKind::Tts => "tts",
        RecordKind::Stt => "stt",
    };
    let state = match record.is_draining() {
        true => "draining".to_owned(),
        false => format!(
            "seen {:.0} s ago",
            (now - record.last_heartbeat_ts).max(0.0)
        ),
    };
    let models = match record.resident_models.as_slice() {
        [] => "-".to_owned(),
        models => models.join(","),
    };
    format!(
        "{}\t{kind}\t{}\t{}/{} open\t{} waiting\t{:.0} ms\t{state}\t{models}",
        record.name,
        record.addr,
        record.metric(metric::SLOTS_IN_USE),
        record.metric(metric::SLOTS),
        record.metric(metric::QUEUE_DEPTH),
        record.metric(metric::P50_MS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_a_line() {
        let mut record = WorkerRecord {
            name: "tts-piper@0".into(),
            addr: "grpc://host:7001".into(),
            resident_models: vec!["a".into(), "b".into()],
            last_heartbeat_ts: 90.0,
            ..WorkerRecord::default()
        };
        record.metrics.insert(metric::SLOTS.into(), 10.0);
        record.metrics.insert(metric::SLOTS_IN_USE.into(), 3.0);
        record.metrics.insert(metric::P50_MS.into(), 81.6);
        assert_eq!(
            line(&record, 94.2),
            "tts-piper@0\ttts\tgrpc://host:7001\t3/10 open\t0 waiting\t82 ms\tseen 4 s ago\ta,b"
        );
        record.metrics.insert(metric::DRAINING.into(), 1.0);
        record.resident_models.clear();
        assert!(line(&record, 94.2).ends_with("\tdraining\t-"));
    }
}
