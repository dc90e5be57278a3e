//! Workers in processes of their own, which a bench starts, kills and stops in mid-sentence.

use super::calls::server::Usage;
use crate::cli::Global;
use crate::cluster::Access;
use crate::cluster::credentials::Wire;
use anyhow::{Context as _, anyhow};
use media::Clock;
use proto::tts::GetCapabilitiesRequest;
use proto::tts::tts_service_client::TtsServiceClient;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Loading a large model takes a few seconds, and on a busy machine a few more.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a worker that is well may take to say how it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A free port of loopback.
const ANYWHERE: &str = "127.0.0.1:0";

/// What a worker is to be.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `tts` or `stt`.
    pub kind: &'static str,
    /// Its engine.
    pub adapter: String,
    /// Its name in the registry.
    pub name: String,
    /// The registry and how its keys begin there; none: it is in no registry.
    pub registry: Option<(String, String)>,
    /// Settings, as `--set` takes them.
    pub settings: Vec<String>,
    /// Sessions that it takes at a time; not set: as many as the engine takes.
    pub max_sessions: Option<usize>,
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It does nothing any more, and its connections stay.
    Stop,
    /// It goes on where it was stopped.
    Continue,
}

/// A worker's process, killed with the value.
pub struct WorkerProcess {
    /// Its name in the registry.
    pub name: String,
    /// The way to it, as agents have it.
    pub wire: Wire,
    access: Access,
    arguments: Vec<String>,
    /// Where it listens, as in `127.0.0.1:40123`.
    listens_at: String,
    child: Child,
    registry: Option<String>,
}

impl WorkerProcess {
    /// Starts this very program as a worker on a free port of loopback, and waits until it says that it is ready.
    ///
    /// # Errors
    /// What it said before it ended.
    pub async fn start(global: &Global, access: &Access, plan: Plan) -> anyhow::Result<Self> {
        let arguments = arguments(global, &plan);
        let registry = plan.registry.map(|(url, _)| url);
        let (child, listens_at) = begin(&arguments, registry.as_deref(), ANYWHERE).await?;
        Ok(Self {
            name: plan.name,
            wire: access.reach(&format!("grpc://{listens_at}"))?,
            access: access.clone(),
            arguments,
            listens_at,
            child,
            registry,
        })
    }

    /// Ends it at once, as `kill -9` does, and starts it again where it was, as whoever looks after workers would.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let registry = self.registry.as_deref();
        let begun = match begin(&self.arguments, registry, &self.listens_at).await {
            Ok(begun) => begun,
            // Somebody else may have got its port meanwhile.
            Err(_) => begin(&self.arguments, registry, ANYWHERE).await?,
        };
        let (child, listens_at) = begun;
        self.child = child;
        if self.listens_at != listens_at {
            self.wire = self.access.reach(&format!("grpc://{listens_at}"))?;
            self.listens_at = listens_at;
        }
        Ok(())
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let killed = self.child.kill().await;
        killed.with_context(|| format!("cannot kill the worker {}", self.name))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // SAFETY: `kill` takes two numbers and touches no memory; the child has not been waited for, so the id is its.
            #[expect(
                unsafe_code,
                reason = "std and tokio can only kill outright, and the worker shall hang"
            )]
            unsafe {
                libc::kill(id, signal);
            }
        }
    }

    /// A client of its synthesis.
    pub fn tts(&self) -> TtsServiceClient<Wire> {
        TtsServiceClient::new(self.wire.clone())
    }

    /// What it says of itself under this name; 0 where it says nothing.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(&self.wire, name)
            .await
            .with_context(|| format!("the worker {} says nothing", self.name))
    }

    /// What its process has used so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let id = self.child.id().context("the worker has ended")?;
        Usage::of(&id.to_string())
    }
}

/// What the speech worker behind `wire` says of itself under this name; 0 where it says nothing.
///
/// # Errors
/// When it does not answer.
pub async fn metric(wire: &Wire, name: &str) -> anyhow::Result<f64> {
    let mut tts = TtsServiceClient::new(wire.clone());
    let asked = tts.get_capabilities(GetCapabilitiesRequest {});
    let answer = timeout(ANSWER_WITHIN, asked)
        .await
        .context("no answer in time")??;
    let metrics = &answer.get_ref().metrics;
    Ok(metrics.get(name).copied().unwrap_or_default())
}

/// The worker that has a session open: the first of them.
///
/// # Errors
/// When one of them does not answer.
pub async fn speaker(workers: &mut [WorkerProcess]) -> anyhow::Result<Option<&mut WorkerProcess>> {
    for worker in workers {
        if worker.metric("slots_in_use").await? > 0.0 {
            return Ok(Some(worker));
        }
    }
    Ok(None)
}

fn arguments(global: &Global, plan: &Plan) -> Vec<String> {
    let Plan {
        kind,
        adapter,
        name,
        registry,
        settings,
        max_sessions,
    } = plan;
    let mut arguments = [
        "worker",
        "--kind",
        kind,
        "--adapter",
        adapter,
        "--name",
        name,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
    if let Some(file) = &global.config {
        add("--config", file.display().to_string());
    }
    if let Some((_, prefix)) = registry {
        add("--set", format!("cluster.prefix={prefix:?}"));
    }
    if let Some(most) = max_sessions {
        add("--max-sessions", most.to_string());
    }
    for setting in settings {
        add("--set", setting.clone());
    }
    for (key, value) in &global.settings {
        add("--set", format!("{key}={value}"));
    }
    arguments
}

/// Starts a worker that listens at `listen`; its process and where it listens.
async fn begin(
    arguments: &[String],
    registry: Option<&str>,
    listen: &str,
) -> anyhow::Result<(Child, String)> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["--listen", listen])
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    match registry {
        // Not as an argument: its address may hold a password, which everybody on this machine could read there.
        Some(url) => command.env("REDIS_URL", url),
        None => command.env_remove("REDIS_URL"),
    };
    let mut child = command.spawn().context("cannot start a worker")?;
    let stderr = child.stderr.take();
    let stderr = stderr.context("a worker has no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut last = String::new();
    let clock = Clock::start();
    let listens_at = loop {
        let left = READY_WITHIN.saturating_sub(clock.now());
        let line = timeout(left, lines.next_line())
            .await
            .context("a worker did not begin")??;
        let Some(line) = line else {
            return Err(anyhow!("a worker ended before it began: {last}"));
        };
        if let Some(address) = address(&line) {
            break address.to_owned();
        }
        last = line;
    };
    // Somebody has to take what it says from now on; that ends with it.
    TaskTracker::new().spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, listens_at))
}

/// The address in the line by which a worker says that it is ready.
fn address(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" answers at grpc://")?;
    rest.split_ascii_whitespace()
        .next()
        .map(|address| address.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_address_is_read_from_its_first_line() {
        assert_eq!(
            address("The flite worker answers at grpc://127.0.0.1:40123."),
            Some("127.0.0.1:40123")
        );
        assert_eq!(address("cannot listen"), None);
    }
}
