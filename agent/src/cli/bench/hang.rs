//! `parlor bench hang`: workers that stop dead in mid-sentence, with their connections open, as a machine does that swaps.

use super::deployment::{Deployment, Wanted};
use super::fleet::{self, Signal, WorkerProcess};
use super::redis::RedisServer;
use super::report::{self, Promise, Report, Shown, Spread};
use super::sentence::{self, Said, TEXT};
use crate::cli::say::progress;
use crate::cli::{Failure, Global};
use clap::Args;
use rand::Rng as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::oneshot;

/// The frames after which a worker may stop. It is early, so that the call does not have the whole sentence already.
const STOPPED_AFTER: Range<usize> = 2..60;
/// How often the sentence is said in one go: longer than what a call and its connection hold.
const TIMES: usize = 2;
/// A sentence that no worker spoke when one was to be stopped does not count; there may be so many for each that does.
const MOST_TRIES: u32 = 2;
/// What a hung worker may cost: the second after which it is asked for a sign of life, the second that it has for it, and what a
/// call has for the change to another worker.
const DEADLINE_MS: f64 = 2_300.0;

/// Workers that hang in mid-sentence.
#[derive(Debug, Args)]
pub struct Hang {
    /// How many times a worker hangs.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    hangs: u32,
    /// The workers' engine.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    #[command(flatten)]
    shown: Shown,
}

/// The figures.
#[derive(Debug, Default, Serialize)]
struct Figures {
    adapter: String,
    hangs: u64,
    /// Calls that went on to the end of what was being said.
    survived: u64,
    /// The longest time between two frames of a sentence, less the 20 ms that there always are.
    gap_ms: Option<Spread>,
    /// What the lost ones said, each with how often.
    problems: BTreeMap<String, u64>,
}

impl Hang {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("hang", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let redis = RedisServer::start().await?;
        let wanted = Wanted {
            redis: redis.url(),
            prefix: "bench-hang-worker:".to_owned(),
            adapter: self.adapter.clone(),
            voice: String::new(),
            workers: 2,
            recognisers: (0, ""),
            calls: 1,
        };
        let mut deployment = Deployment::start(global, wanted).await?;
        let measured = self.sentences(global, &mut deployment).await;
        // Also when it failed: no server is left behind.
        deployment.stop().await;
        Ok(measured?)
    }

    async fn sentences(
        &self,
        global: &Global,
        deployment: &mut Deployment,
    ) -> anyhow::Result<Figures> {
        deployment.until_all_speak().await?;
        let bar = progress(global.quiet || self.shown.json);
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut figures = Figures {
            adapter: self.adapter.clone(),
            ..Figures::default()
        };
        let mut gaps = Vec::new();
        for _ in 0..self.hangs.saturating_mul(MOST_TRIES) {
            if figures.hangs == u64::from(self.hangs) {
                break;
            }
            let after = rand::rng().random_range(STOPPED_AFTER);
            let Some(said) = under_a_hang(deployment, after).await? else {
                continue;
            };
            figures.hangs += 1;
            match said {
                Ok(said) => {
                    figures.survived += u64::from(said.is_whole);
                    gaps.push(said.longest_gap_ms());
                }
                Err(problem) => *figures.problems.entry(problem).or_default() += 1,
            }
            bar.set_message(format!("{} of {} hangs", figures.hangs, self.hangs));
        }
        bar.finish_and_clear();
        figures.gap_ms = Some(Spread::of(gaps));
        Ok(figures)
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let gap = self.gap_ms.map(|gap| gap.shown("ms"));
        let mut rows = vec![
            (
                "survived".to_owned(),
                format!("{} of {}", self.survived, self.hangs),
            ),
            ("gap".to_owned(), gap.unwrap_or_default()),
        ];
        let problems = self.problems.iter();
        rows.extend(problems.map(|(problem, times)| (problem.clone(), times.to_string())));
        rows
    }

    fn promises(&self) -> Vec<Promise> {
        let longest = self.gap_ms.and_then(|gap| gap.max);
        vec![
            Promise::all("calls survive", self.survived, self.hangs),
            Promise::at_most("longest gap", DEADLINE_MS, "ms", longest),
        ]
    }
}

/// A call that says the sentence; the worker that speaks it is stopped once `after` frames have come. When the call is over
/// it goes on, is killed and started again. None where no worker spoke then.
async fn under_a_hang(
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
    let text = [TEXT; TIMES].join(" ");
    let saying = sentence::say_alone(&deployment.server.url, &text, on_frame);
    let stopping = stop_the_speaker(&mut deployment.workers, heard);
    let (said, stopped) = tokio::join!(saying, stopping);
    let Some(worker) = stopped? else {
        return Ok(None);
    };
    worker.signal(Signal::Continue);
    worker.restart().await?;
    Ok(Some(said.map_err(|lost| lost.to_string())))
}

/// Stops whoever speaks once that is told.
async fn stop_the_speaker(
    workers: &mut [WorkerProcess],
    heard: oneshot::Receiver<()>,
) -> anyhow::Result<Option<&mut WorkerProcess>> {
    // The call may be lost before.
    if heard.await.is_err() {
        return Ok(None);
    }
    let speaker = fleet::speaker(workers).await?;
    if let Some(worker) = &speaker {
        worker.signal(Signal::Stop);
    }
    Ok(speaker)
}
