//! `parlor bench failover`: workers that are killed in mid-sentence, one after the other, under a caller.
//!
//! ```text
//!   caller ──text──► parlor serve ──► worker a ✗ kill -9
//!     ▲                   │       └──► worker b   says the rest
//!     └── when did each frame come, what was said?
//! ```

use super::calls::line::Heard;
use super::calls::server::{ServerProcess, Start};
use super::calls::websocket::WebSocketLine;
use super::statistics::{Sample, TwoPercentiles};
use crate::cli::{Failure, Global, interrupted, out};
use anyhow::{Context as _, anyhow};
use clap::Args;
use media::FRAME;
use proto::tts::GetCapabilitiesRequest;
use proto::tts::tts_service_client::TtsServiceClient;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// What is said: three clauses.
const TEXT: &str = "The quick brown fox jumps over the lazy dog, and then it walks all the way home again, \
                    because it has forgotten what it wanted there.";
/// Longer than anything here takes; reaching it is a lost call.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first and the last frame after which a worker may be killed: 100 ms to 3 s into the sentence.
const KILLED_AFTER: std::ops::Range<u32> = 5..150;
/// Undisturbed sentences whose length is what the others are compared with.
const REFERENCES: usize = 3;

/// Workers that are killed in mid-sentence.
#[derive(Debug, Args)]
pub struct Failover {
    /// The registry, a Redis server.
    #[arg(long, env = "REDIS_URL", value_name = "URL")]
    redis: String,
    /// How many times a worker is killed.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    kills: u32,
    /// The workers' engine.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    /// Prints the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// A worker's process, killed with the value.
struct Worker {
    name: &'static str,
    child: Child,
    addr: String,
}

/// What one sentence was like for its caller.
#[derive(Debug, Default)]
struct Said {
    /// When each frame came, in milliseconds.
    came_ms: Vec<f64>,
    /// All its words were said.
    is_whole: bool,
}

/// What matters here of the server's messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    role: String,
    is_final: bool,
    text: String,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    kills: u32,
    /// Calls in which every word was said.
    survived: u32,
    /// The longest time between two frames of a sentence, less the 20 ms that there always are.
    gap_ms: TwoPercentiles,
    /// How much longer a sentence was than undisturbed: words said twice, and pauses.
    longer_ms: TwoPercentiles,
    /// The most by which a sentence was shorter, as a number below 0: pauses, and words if any were lost.
    shortest_ms: f64,
}

impl Failover {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let measured = tokio::select! {
            measured = self.measure(global) => measured,
            () = interrupted() => Err(Failure::Interrupted),
        };
        let report = measured?;
        if self.json {
            out::json(&report)?;
            return Ok(());
        }
        out::line(&format!(
            "{} of {} calls survived",
            report.survived, report.kills
        ))?;
        let two = |figures: &TwoPercentiles| {
            let of = |figure: Option<super::statistics::Figure>| {
                figure.map_or("-".to_owned(), |figure| format!("{:.0}", figure.0))
            };
            format!("p50 {} ms, p95 {} ms", of(figures.p50), of(figures.p95))
        };
        out::line(&format!("gap          {}", two(&report.gap_ms)))?;
        out::line(&format!(
            "longer       {}; shorter by {:.0} ms at most",
            two(&report.longer_ms),
            (-report.shortest_ms).max(0.0)
        ))?;
        Ok(())
    }

    async fn measure(&self, global: &Global) -> Result<Report, Failure> {
        let settings = [
            ("cluster.redis", format!("{:?}", self.redis)),
            ("cluster.prefix", "\"bench-worker:\"".to_owned()),
            ("server.dev_tls", "false".to_owned()),
            ("session.max_messages_per_session", "100000".to_owned()),
            ("stt.adapter", "\"scripted\"".to_owned()),
            ("turn.greeting", "\"\"".to_owned()),
            // Workers elsewhere come before the engines inside, whichever they have.
            ("tts.default_voice", "\"\"".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let mut workers = [self.worker("bench-a").await?, self.worker("bench-b").await?];
        let start = Start {
            settings: settings.to_vec(),
            cpus: None,
        };
        let server = ServerProcess::start(global, start).await?;
        let measured = self.sentences(&server.url, &mut workers).await;
        // Also when it failed: no server is left behind.
        server.stop().await;
        Ok(measured?)
    }

    async fn sentences(&self, url: &str, workers: &mut [Worker; 2]) -> anyhow::Result<Report> {
        let mut reference = Vec::new();
        for _ in 0..REFERENCES {
            let said = sentence(url, u32::MAX, None).await?;
            anyhow::ensure!(said.is_whole, "an undisturbed sentence was not whole");
            reference.push(said.came_ms.len() as f64);
        }
        let reference = Sample::new(reference).percentile(50.0).unwrap_or(0.0);
        let frame_ms = FRAME.as_secs_f64() * 1000.0;
        let (mut survived, mut gaps, mut longer) = (0, Vec::new(), Vec::new());
        for _ in 0..self.kills {
            let after = rand::rng().random_range(KILLED_AFTER);
            let Ok(said) = sentence(url, after, Some(workers)).await else {
                continue;
            };
            if said.is_whole {
                survived += 1;
            }
            let gap = said.came_ms.windows(2).filter_map(|pair| match pair {
                [one, next] => Some(next - one - frame_ms),
                _ => None,
            });
            gaps.push(gap.fold(0.0, f64::max));
            longer.push((said.came_ms.len() as f64 - reference) * frame_ms);
            for worker in workers.iter_mut() {
                if worker.child.try_wait()?.is_some() {
                    *worker = self.worker(worker.name).await?;
                }
            }
        }
        let shortest_ms = longer.iter().copied().fold(0.0, f64::min);
        Ok(Report {
            adapter: self.adapter.clone(),
            kills: self.kills,
            survived,
            gap_ms: Sample::new(gaps).two(),
            longer_ms: Sample::new(longer).two(),
            shortest_ms,
        })
    }

    async fn worker(&self, name: &'static str) -> anyhow::Result<Worker> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut child = Command::new(program)
            .args(["worker", "--kind", "tts", "--adapter", &self.adapter])
            .args(["--listen", "127.0.0.1:0", "--name", name])
            .args(["--set", "cluster.prefix=\"bench-worker:\""])
            .env("REDIS_URL", &self.redis)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a worker")?;
        let stderr = child
            .stderr
            .take()
            .context("a worker has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut last = String::new();
        let addr = loop {
            let line = timeout(PATIENCE, lines.next_line())
                .await
                .context("a worker did not begin")??;
            let Some(line) = line else {
                return Err(anyhow!("a worker ended before it began: {last}"));
            };
            if let Some(addr) = address(&line) {
                break addr.to_owned();
            }
            last = line;
        };
        // Somebody has to take what it says from now on; that ends with it.
        TaskTracker::new().spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Worker { name, child, addr })
    }
}

/// The address in the line by which a worker says that it is ready.
fn address(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" answers at grpc://")?;
    rest.split_ascii_whitespace()
        .next()
        .map(|addr| addr.trim_end_matches('.'))
}

/// A call that says the sentence; the worker that speaks it is killed once `after` frames have come.
async fn sentence(
    url: &str,
    after: u32,
    mut workers: Option<&mut [Worker; 2]>,
) -> anyhow::Result<Said> {
    let mut line = WebSocketLine::connect(url, None)
        .await
        .map_err(|_| anyhow!("the server takes no call"))?;
    let text = serde_json::json!({ "type": "text", "text": TEXT });
    line.tell(text.to_string()).await?;
    let mut said = Said::default();
    loop {
        match timeout(PATIENCE, line.recv()).await? {
            Heard::Packet(packet) => {
                said.came_ms.push(packet.at as f64 / 1e6);
                if said.came_ms.len() as u64 == u64::from(after)
                    && let Some(workers) = workers.take()
                {
                    kill_the_speaker(workers).await?;
                }
            }
            Heard::Message(message) => {
                let told: Told = serde_json::from_str(&message).unwrap_or_default();
                anyhow::ensure!(told.kind != "error", "the server says {message}");
                if told.kind == "transcript" && told.role == "agent" && told.is_final {
                    said.is_whole = told.text == TEXT;
                    line.hang_up().await;
                    return Ok(said);
                }
            }
            Heard::Closed(why) => return Err(anyhow!("the server closed: {why}")),
        }
    }
}

async fn kill_the_speaker(workers: &mut [Worker; 2]) -> anyhow::Result<()> {
    for worker in workers {
        let mut tts = TtsServiceClient::connect(format!("http://{}", worker.addr)).await?;
        let capabilities = tts.get_capabilities(GetCapabilitiesRequest {}).await?;
        let open = capabilities.get_ref().metrics.get("slots_in_use").copied();
        if open.unwrap_or(0.0) > 0.0 {
            return Ok(worker.child.kill().await?);
        }
    }
    Err(anyhow!("nobody speaks"))
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
