//! `parlor workers`.

use super::{Failure, Global, interrupted, out};
use crate::cluster::credentials::Wire;
use crate::cluster::registry::Registry;
use crate::config::Config;
use crate::{harmless, telemetry};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use proto::registry::{RecordKind, WorkerRecord, metric};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{LoadModelRequest, UnloadModelRequest};
use proto::worker::admin_client::AdminClient;
use proto::worker::{DrainRequest, GetStateRequest, ResumeRequest, State};
use secrecy::SecretString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{sleep, timeout};
use tonic::Code;

/// How long a worker may take to load a model, and to let one go.
const LOADED_WITHIN: Duration = Duration::from_secs(300);
const UNLOADED_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to say how it stands, and how often it is asked.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// The longest name, address and list of models that is shown: whoever reaches the registry can write anything into it.
const NAME_CHARS: usize = 200;
const MODELS_CHARS: usize = 400;
/// The longest message of a worker that is repeated.
const MESSAGE_CHARS: usize = 500;

/// Shows the workers of a registry, which models they keep, and takes them out of service and back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor workers list --redis redis://registry:6379
  parlor workers list --json | jq -r '.[] | select(.metrics.draining > 0) | .name'
  parlor workers load tts-piper@0 en_US-lessac-medium
  parlor workers unload tts-piper@0 en_US-lessac-medium
  parlor workers drain tts-piper@0 --wait && ssh gpu-host systemctl restart parlor-worker
  parlor workers resume tts-piper@0")]
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
    /// Makes a worker take nobody new; what goes on ends by itself, and the process stays up.
    Drain {
        /// The worker's name, as the list shows it.
        worker: String,
        /// Waits until nothing is said or heard there any more. Ctrl-C ends the waiting and leaves the worker draining.
        #[arg(long)]
        wait: bool,
    },
    /// Makes a draining worker take callers again.
    Resume {
        /// The worker's name, as the list shows it.
        worker: String,
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
        let found = Found {
            records: list(&registry).await?,
            config: &config,
        };
        match self.action {
            Action::List { json: true } => {
                let records = serde_json::to_string(&found.records).context("cannot write JSON")?;
                out::line(&harmless::json(&records))?;
            }
            Action::List { json: false } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_or(0.0, |now| now.as_secs_f64());
                for record in &found.records {
                    out::line(&line(record, now))?;
                }
                if found.records.is_empty() && !global.quiet {
                    out::note("No worker is there.");
                }
            }
            Action::Load { worker, model } => {
                let mut tts = TtsServiceClient::new(found.reach_speaker(&worker)?);
                let request = LoadModelRequest {
                    model_id: model,
                    preload_only: true,
                };
                let answer = timeout(LOADED_WITHIN, tts.load_model(request)).await;
                let answer = answered(&worker, answer)?;
                told(global, answer.success, &answer.message)?;
            }
            Action::Unload { worker, model } => {
                let mut tts = TtsServiceClient::new(found.reach_speaker(&worker)?);
                let request = UnloadModelRequest { model_id: model };
                let answer = timeout(UNLOADED_WITHIN, tts.unload_model(request)).await;
                let answer = answered(&worker, answer)?;
                told(global, answer.success, &answer.message)?;
            }
            Action::Drain { worker, wait } => {
                let mut admin = AdminClient::new(found.reach(&worker)?);
                let answer = timeout(ANSWERED_WITHIN, admin.drain(DrainRequest {})).await;
                let state = answered(&worker, answer)?;
                if wait {
                    drained(global, &worker, admin, state).await?;
                } else if !global.quiet {
                    out::note(&standing(&worker, state));
                }
            }
            Action::Resume { worker } => {
                let mut admin = AdminClient::new(found.reach(&worker)?);
                let answer = timeout(ANSWERED_WITHIN, admin.resume(ResumeRequest {})).await;
                answered(&worker, answer)?;
                if !global.quiet {
                    out::note(&format!("{worker} takes callers again."));
                }
            }
        }
        Ok(())
    }
}

/// The workers of a registry, and how they are reached.
struct Found<'a> {
    records: Vec<WorkerRecord>,
    config: &'a Config,
}

impl Found<'_> {
    fn reach(&self, name: &str) -> Result<Wire, Failure> {
        self.wire(self.record(name)?)
    }

    /// The way to a worker with models of which it may have some in memory and others not.
    fn reach_speaker(&self, name: &str) -> Result<Wire, Failure> {
        let record = self.record(name)?;
        if record.capabilities.kind != RecordKind::Tts {
            return Err(Failure::Usage(format!(
                "{name} listens: it has one model and keeps it"
            )));
        }
        self.wire(record)
    }

    fn record(&self, name: &str) -> Result<&WorkerRecord, Failure> {
        let mut records = self.records.iter();
        records.find(|record| record.name == name).ok_or_else(|| {
            Failure::Failed(anyhow!(
                "there is no worker {name:?}; type parlor workers list"
            ))
        })
    }

    fn wire(&self, record: &WorkerRecord) -> Result<Wire, Failure> {
        let access = self.config.cluster.access().map_err(usage)?;
        let name = harmless::line(&record.name, NAME_CHARS);
        Ok(access
            .reach(&record.addr)
            .with_context(|| format!("cannot reach {name}"))?)
    }
}

/// Waits until nothing is said or heard at a worker, and says how it goes.
async fn drained(
    global: &Global,
    worker: &str,
    mut admin: AdminClient<Wire>,
    mut state: State,
) -> Result<(), Failure> {
    let mut shown = None;
    let waiting = async {
        loop {
            if !state.draining {
                return Err(Failure::Failed(anyhow!(
                    "{worker} takes callers again: somebody else has resumed it"
                )));
            }
            if shown != Some(state) && !global.quiet {
                out::note(&standing(worker, state));
            }
            shown = Some(state);
            if state.idle {
                return Ok(());
            }
            sleep(ASKED_EVERY).await;
            // To ask for its state, and not to drain it again: another may have taken it back meanwhile.
            let answer = timeout(ANSWERED_WITHIN, admin.get_state(GetStateRequest {})).await;
            state = answered(worker, answer)?;
        }
    };
    tokio::select! {
        // First, so that it listens before anything is said.
        biased;
        () = interrupted() => {
            if !global.quiet {
                out::note(&format!(
                    "{worker} goes on draining; parlor workers resume {worker} takes it back."
                ));
            }
            Err(Failure::Interrupted)
        }
        ended = waiting => ended,
    }
}

/// How a worker that was drained stands, for people.
fn standing(worker: &str, state: State) -> String {
    let open = match state.open {
        1 => "1 session is open".to_owned(),
        open => format!("{open} sessions are open"),
    };
    match (state.idle, state.open) {
        (false, _) => format!("{worker} takes nobody new; {open}."),
        (true, 0) => format!("{worker} is drained: nobody is there any more."),
        (true, _) => format!("{worker} is drained: nothing is said or heard, though {open}."),
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
        Ok(Err(status)) if status.code() == Code::Unimplemented => Err(Failure::Failed(anyhow!(
            "{worker} does not know how: it is an earlier version, or of another make"
        ))),
        Ok(Err(status)) => {
            let why = anyhow!(
                "{worker} refused: {}",
                harmless::line(status.message(), MESSAGE_CHARS)
            );
            Err(match status.code() {
                Code::Unavailable | Code::DeadlineExceeded => Failure::Unreachable(why),
                _ => Failure::Failed(why),
            })
        }
        Err(_) => Err(Failure::Unreachable(anyhow!(
            "{worker} did not answer in time"
        ))),
    }
}

fn told(global: &Global, success: bool, message: &str) -> Result<(), Failure> {
    let message = harmless::line(message, MESSAGE_CHARS);
    if !success {
        return Err(Failure::Failed(anyhow!("{message}")));
    }
    if !global.quiet {
        out::note(&message);
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
        models => harmless::line(&models.join(","), MODELS_CHARS),
    };
    format!(
        "{}\t{kind}\t{}\t{}/{} open\t{} waiting\t{:.0} ms\t{state}\t{models}",
        harmless::line(&record.name, NAME_CHARS),
        harmless::line(&record.addr, NAME_CHARS),
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

    #[test]
    fn what_a_stranger_wrote_into_the_registry_stays_in_its_line_and_column() {
        let record = WorkerRecord {
            name: "tts\u{1b}]0;owned\u{7}\n\ttrue".into(),
            addr: format!("grpc://{}:7001", "h".repeat(9_000)),
            resident_models: vec!["a\u{9b}31m".into()],
            ..WorkerRecord::default()
        };
        let shown = line(&record, 0.0);
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\t'),
            "{shown:?}"
        );
        assert_eq!(shown.split('\t').count(), 8, "{shown:?}");
        assert!(shown.len() < 1_000);
    }

    #[test]
    fn a_drain_is_over_when_nothing_is_said_whoever_holds_a_place() {
        let state = |open, idle| State {
            draining: true,
            open,
            idle,
        };
        assert_eq!(
            standing("a", state(2, false)),
            "a takes nobody new; 2 sessions are open."
        );
        assert_eq!(
            standing("a", state(1, true)),
            "a is drained: nothing is said or heard, though 1 session is open."
        );
        assert_eq!(
            standing("a", state(0, true)),
            "a is drained: nobody is there any more."
        );
    }
}
