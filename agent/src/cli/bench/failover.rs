//! `parlor bench failover`: workers that are killed in mid-sentence, one after the other, under a caller.
//!
//! ```text
//!   caller ──text──► parlor serve ──► worker a ✗ kill -9, and started again
//!     ▲                   │       └──► worker b   says the rest
//!     └── when did each frame come, which words were heard?
//! ```

mod words;

use super::deployment::{Deployment, Wanted};
use super::fleet::{self, WorkerProcess};
use super::redis::RedisServer;
use super::report::{self, Promise, Report, Shown, Spread};
use super::sentence::{self, Said, TEXT};
use super::statistics::{Figure, Sample, shown};
use crate::cli::say::progress;
use crate::cli::{Failure, Global};
use anyhow::Context as _;
use clap::Args;
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use media::FRAME;
use rand::Rng as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use words::{Count, Reference};

/// The first and the last frame after which a worker may be killed: 100 ms to 3 s into the sentence.
const KILLED_AFTER: std::ops::Range<usize> = 5..150;
/// Undisturbed sentences whose length is what the others are compared with.
const REFERENCES: usize = 3;
/// A sentence that no worker spoke when one was to be killed does not count; of those there may be so many for each that does.
const MOST_TRIES: u32 = 2;

/// A voice that says the same with the same samples each time: it is put together from recordings, with no noise of its own.
const EXACT_VOICE: &str = "flite:kal16";

/// Workers that are killed in mid-sentence.
#[derive(Debug, Args)]
pub struct Failover {
    /// The registry, a Redis server (default: one of the bench's own).
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis: Option<String>,
    /// How many times a worker is killed.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    kills: u32,
    /// Callers at a time, each with a server and two workers of its own; 200 kills by four of them take about ten minutes.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    at_once: u32,
    /// The workers' engine.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    /// Their voice. Words are counted by its sound, if it says the same with the same samples each time, as flite's kal16 and kal
    /// do and voices with noise of their own do not (default: flite:kal16 with flite, otherwise the engine's first).
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// What became of one sentence under which a worker was killed.
struct Outcome {
    /// None where the call or the reply was lost, and what it said then.
    said: Result<Said, String>,
    /// None where the words cannot be told.
    words: Option<Count>,
}

/// What one caller measured.
struct Lane {
    /// Frames of the undisturbed sentence.
    reference: f64,
    outcomes: Vec<Outcome>,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    adapter: String,
    /// Empty for the engine's first.
    voice: String,
    kills: u64,
    /// Calls that went on to the end of the sentence, of which the server says that all its words were heard.
    survived: u64,
    survived_percent: Figure,
    /// The longest time between two frames of a sentence, less the 20 ms that there always are.
    gap_ms: Spread,
    /// Sentences whose sound tells which words were heard.
    words_counted: u64,
    /// Words that were not heard whole, of all those sentences.
    words_lost: u64,
    /// Words that were heard whole twice.
    words_repeated: u64,
    /// The most of one sentence.
    most_repeated: u64,
    /// How much longer a sentence was than undisturbed: words said twice, and pauses.
    longer_ms: Spread,
    /// The most by which a sentence was shorter, as a number below 0: pauses, and words if any were lost.
    shortest_ms: Figure,
    /// What the lost ones said, each with how often.
    problems: BTreeMap<String, u64>,
}

impl Failover {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("failover", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let own = match &self.redis {
            Some(_) => None,
            None => Some(RedisServer::start().await?),
        };
        let redis = own.as_ref().map(RedisServer::url);
        let redis = redis.or_else(|| self.redis.clone());
        let redis = redis.context("there is no registry")?;
        let bar = progress(global.quiet || self.shown.json);
        bar.enable_steady_tick(Duration::from_millis(200));
        let lanes = (0..self.at_once.min(self.kills)).map(|number| {
            let others = self.kills / self.at_once;
            let kills = others + u32::from(number < self.kills % self.at_once);
            Box::pin(self.lane(global, &redis, (number, kills), &bar))
        });
        let lanes = try_join_all(lanes).await?;
        bar.finish_and_clear();
        Ok(self.figures(lanes))
    }

    /// One caller, with a server and two workers of its own.
    async fn lane(
        &self,
        global: &Global,
        redis: &str,
        (number, kills): (u32, u32),
        bar: &ProgressBar,
    ) -> Result<Lane, Failure> {
        let wanted = Wanted {
            redis: redis.to_owned(),
            prefix: format!("bench-failover-{number}-worker:"),
            adapter: self.adapter.clone(),
            voice: self.voice(),
            workers: 2,
            recognisers: (0, ""),
            calls: 1,
        };
        let mut deployment = Deployment::start(global, wanted).await?;
        let measured = self.sentences(&mut deployment, kills, bar).await;
        // Also when it failed: no server is left behind.
        deployment.stop().await;
        Ok(measured?)
    }

    async fn sentences(
        &self,
        deployment: &mut Deployment,
        kills: u32,
        bar: &ProgressBar,
    ) -> anyhow::Result<Lane> {
        deployment.until_all_speak().await?;
        let reference = match deployment.workers.first() {
            Some(worker) => Reference::of(&mut worker.tts(), &self.voice(), TEXT).await?,
            None => None,
        };
        let mut reference = reference.map(Arc::new);
        let mut frames = Vec::new();
        for _ in 0..REFERENCES {
            let said = sentence::say_alone(&deployment.server.url, TEXT, |_| ()).await?;
            anyhow::ensure!(said.is_whole, "an undisturbed sentence was not whole");
            frames.push(said.came_ms.len() as f64);
            // Where the call does not sound as the worker does, its sound tells nothing of words.
            reference = reference.filter(|reference| reference.count(&said.samples).is_some());
        }
        let mut outcomes = Vec::new();
        for _ in 0..kills.saturating_mul(MOST_TRIES) {
            if outcomes.len() as u64 == u64::from(kills) {
                break;
            }
            let after = rand::rng().random_range(KILLED_AFTER);
            let Some(said) = under_a_kill(deployment, after).await? else {
                continue;
            };
            outcomes.push(outcome(said, reference.clone()).await?);
            bar.inc(1);
            bar.set_message(format!("{} of {} kills", bar.position(), self.kills));
        }
        Ok(Lane {
            reference: Sample::new(frames).percentile(50.0).unwrap_or(0.0),
            outcomes,
        })
    }

    fn voice(&self) -> String {
        let named = self.voice.clone();
        named.unwrap_or_else(|| match self.adapter.as_str() {
            "flite" => EXACT_VOICE.to_owned(),
            _ => String::new(),
        })
    }

    fn figures(&self, lanes: Vec<Lane>) -> Figures {
        let frame_ms = FRAME.as_secs_f64() * 1e3;
        let (mut kills, mut survived, mut counts) = (0, 0, Vec::new());
        let (mut gaps, mut longer) = (Vec::new(), Vec::new());
        let mut problems = BTreeMap::new();
        for lane in lanes {
            for Outcome { said, words } in lane.outcomes {
                kills += 1;
                match said {
                    Ok(said) => {
                        survived += u64::from(said.is_whole);
                        gaps.push(said.longest_gap_ms());
                        longer.push((said.came_ms.len() as f64 - lane.reference) * frame_ms);
                    }
                    Err(problem) => *problems.entry(problem).or_default() += 1,
                }
                counts.extend(words);
            }
        }
        let shortest_ms = longer.iter().copied().fold(0.0, f64::min);
        Figures {
            adapter: self.adapter.clone(),
            voice: self.voice(),
            kills,
            survived,
            survived_percent: Figure(100.0 * survived as f64 / kills.max(1) as f64),
            gap_ms: Spread::of(gaps),
            words_counted: counts.len() as u64,
            words_lost: counts.iter().map(|count| count.lost).sum(),
            words_repeated: counts.iter().map(|count| count.repeated).sum(),
            most_repeated: counts.iter().map(|count| count.repeated).max().unwrap_or(0),
            longer_ms: Spread::of(longer),
            shortest_ms: Figure(shortest_ms),
            problems,
        }
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let Self {
            kills,
            survived,
            survived_percent,
            gap_ms,
            words_counted,
            words_lost,
            words_repeated,
            most_repeated,
            longer_ms,
            shortest_ms,
            ..
        } = self;
        let mut rows = vec![
            (
                "survived".to_owned(),
                format!(
                    "{survived} of {kills}, {} %",
                    shown(Some(*survived_percent))
                ),
            ),
            ("gap".to_owned(), gap_ms.shown("ms")),
            (
                "words".to_owned(),
                format!(
                    "{words_lost} lost, {words_repeated} said twice ({most_repeated} at most in a sentence), \
                     in {words_counted} sentences whose sound tells"
                ),
            ),
            ("longer".to_owned(), longer_ms.shown("ms")),
            (
                "shorter".to_owned(),
                format!("by {} ms at most", shown(Some(Figure(-shortest_ms.0)))),
            ),
        ];
        let problems = self.problems.iter();
        rows.extend(problems.map(|(problem, times)| (problem.clone(), times.to_string())));
        rows
    }

    fn promises(&self) -> Vec<Promise> {
        vec![
            Promise::all("calls survive", self.survived, self.kills),
            Promise::at_most("gap, p95", 300.0, "ms", self.gap_ms.p95),
            Promise::none("words lost", self.words_lost),
        ]
    }
}

/// A call that says the sentence; the worker that speaks it is killed once `after` frames have come, and started again
/// meanwhile. None where no worker spoke then.
async fn under_a_kill(
    deployment: &mut Deployment,
    after: usize,
) -> anyhow::Result<Option<Result<Said, String>>> {
    let (reached, heard) = oneshot::channel();
    let mut reached = Some(reached);
    let on_frame = move |frames| {
        if frames == after
            && let Some(reached) = reached.take()
        {
            // The other end waits for it as long as this call lasts.
            let _ = reached.send(());
        }
    };
    let saying = sentence::say_alone(&deployment.server.url, TEXT, on_frame);
    let (said, killed) = tokio::join!(saying, kill_the_speaker(&mut deployment.workers, heard));
    let said = said.map_err(|lost| lost.to_string());
    Ok(killed?.then_some(said))
}

/// Kills whoever speaks once that is told, and starts it again; whether anybody did.
async fn kill_the_speaker(
    workers: &mut [WorkerProcess],
    heard: oneshot::Receiver<()>,
) -> anyhow::Result<bool> {
    // The call may be lost before.
    if heard.await.is_err() {
        return Ok(false);
    }
    match fleet::speaker(workers).await? {
        Some(worker) => worker.restart().await.map(|()| true),
        None => Ok(false),
    }
}

/// Counts the words of a sentence, and forgets its sound.
async fn outcome(
    said: Result<Said, String>,
    reference: Option<Arc<Reference>>,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { said, words: None };
    if let Ok(said) = &mut outcome.said {
        let samples = std::mem::take(&mut said.samples);
        if let Some(reference) = reference {
            // It takes a moment, in which other calls' frames would be stamped late.
            let counting = tokio::task::spawn_blocking(move || reference.count(&samples));
            outcome.words = counting.await?;
        }
    }
    Ok(outcome)
}
