//! What is measured: a server, the workers that it finds in a registry, and each of them a process of its own.

use super::calls::server::{ServerProcess, Start};
use super::fleet::{Plan, WorkerProcess};
use super::sentence;
use crate::cli::{Failure, Global};
use anyhow::{Context as _, anyhow};

/// Said until every worker has spoken once.
const GREETING: &str = "Good morning.";
/// How often that is said at most, for each worker.
const GREETINGS: usize = 10;

/// A server and its workers. They end with the value; [`Deployment::stop`] asks the server to end first.
pub struct Deployment {
    /// The server.
    pub server: ServerProcess,
    /// The speech workers, in the order in which they were wished for.
    pub workers: Vec<WorkerProcess>,
    /// The recognisers.
    pub recognisers: Vec<WorkerProcess>,
}

/// What there is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The registry.
    pub redis: String,
    /// How the keys of this deployment begin: several may share a registry.
    pub prefix: String,
    /// The engine of the speech workers.
    pub adapter: String,
    /// The voice that they speak with; empty for their first.
    pub voice: String,
    /// How many of them.
    pub workers: usize,
    /// How many recognisers, which hear this whatever is said.
    pub recognisers: (usize, &'static str),
    /// Calls at a time.
    pub calls: usize,
}

impl Deployment {
    /// Starts the workers and then the server.
    ///
    /// # Errors
    /// What those said that did not begin.
    pub async fn start(global: &Global, wanted: Wanted) -> Result<Self, Failure> {
        let access = global.load(Vec::new())?.cluster.access();
        let access = access.context("cannot reach workers as the settings say")?;
        let Wanted {
            redis,
            prefix,
            adapter,
            voice,
            workers,
            recognisers: (recognisers, hears),
            calls,
        } = wanted;
        // A call's reply may hold its place a moment longer than the next one needs its own.
        let places = 2 * calls + 2;
        let script = format!("stt.script=[{hears:?}]");
        let plan = |kind: &'static str, number: usize| Plan {
            kind,
            adapter: match kind {
                "stt" => "scripted".to_owned(),
                _ => adapter.clone(),
            },
            name: format!("bench-{kind}-{number}"),
            registry: Some((redis.clone(), prefix.clone())),
            settings: vec![script.clone()],
            max_sessions: Some(places),
        };
        let mut begun = Vec::new();
        for number in 0..workers {
            begun.push(WorkerProcess::start(global, &access, plan("tts", number)).await?);
        }
        let mut hearing = Vec::new();
        for number in 0..recognisers {
            hearing.push(WorkerProcess::start(global, &access, plan("stt", number)).await?);
        }
        let settings = [
            ("cluster.redis", format!("{redis:?}")),
            ("cluster.prefix", format!("{prefix:?}")),
            ("server.dev_tls", "false".to_owned()),
            ("server.drain_seconds", "1".to_owned()),
            ("server.max_sessions", (calls + 8).to_string()),
            ("session.max_messages_per_session", "100000".to_owned()),
            ("stt.adapter", "\"scripted\"".to_owned()),
            ("stt.slots", places.to_string()),
            ("stt.script", format!("[{hears:?}]")),
            ("turn.greeting", "\"\"".to_owned()),
            // Without one, workers elsewhere come before the engines inside, whichever they have.
            ("tts.default_voice", format!("{voice:?}")),
            ("tts.max_sessions", places.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let settings = settings.into_iter().chain(global.settings.iter().cloned());
        let start = Start {
            settings: settings.collect(),
            cpus: None,
        };
        Ok(Self {
            server: ServerProcess::start(global, start).await?,
            workers: begun,
            recognisers: hearing,
        })
    }

    /// Has short calls said something until every speech worker has spoken: from then on the server knows all of them.
    ///
    /// # Errors
    /// When one is never asked.
    pub async fn until_all_speak(&self) -> anyhow::Result<()> {
        let mut before = Vec::new();
        for worker in &self.workers {
            before.push(worker.metric("syntheses_total").await?);
        }
        for _ in 0..GREETINGS * self.workers.len() {
            let said = sentence::say_alone(&self.server.url, GREETING, |_| ()).await?;
            anyhow::ensure!(said.is_whole, "an undisturbed sentence was not whole");
            let mut have_spoken = 0;
            for (worker, before) in self.workers.iter().zip(&before) {
                if worker.metric("syntheses_total").await? > *before {
                    have_spoken += 1;
                }
            }
            if have_spoken == self.workers.len() {
                return Ok(());
            }
        }
        Err(anyhow!(
            "not every worker is asked; the server's last words:\n{}",
            self.server.last_words()
        ))
    }

    /// Ends all of it.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
