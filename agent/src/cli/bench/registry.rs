//! `parlor bench registry`: live calls while the registry of their workers is killed, emptied, cut off or read-only.
//!
//! ```text
//!   20 callers ──► parlor serve ──► 2 speech workers, 1 recogniser
//!                       └──────┬────────┘ a way that can be severed
//!                              ▼
//!                        redis-server ✗
//! ```

mod caller;
mod fault;

use super::deployment::{Deployment, Wanted};
use super::report::{self, Promise, Report, Shown};
use super::sentence;
use super::speech::{audible, speech_for};
use super::statistics::{Figure, shown};
use crate::cli::say::progress;
use crate::cli::{Failure, Global};
use anyhow::Context as _;
use caller::{Means, Shared, Talked, now_ms};
use clap::Args;
use fault::{Fault, Registry as Struck};
use media::framer::Framer;
use media::{AudioFrame, Clock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long calls go on before the fault, to compare with, and after it.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(5);
/// While the fault lasts somebody new calls so often, and says this.
const NEW_EVERY: Duration = Duration::from_secs(1);
const GREETING: &str = "Good morning.";
/// Calls begin this far apart, so that they do not do everything at the same time.
const APART: Duration = Duration::from_millis(100);
/// How the keys of this bench begin.
const PREFIX: &str = "bench-registry-worker:";
/// Within so much workers are to be there again.
const MUST_SECONDS: f64 = 5.0;

/// Live calls while the registry fails.
#[derive(Debug, Args)]
pub struct Registry {
    /// What befalls the registry.
    #[arg(long, value_enum)]
    fault: Fault,
    /// Live calls.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    calls: u32,
    /// How long the fault lasts.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// The speech workers' engine.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    #[command(flatten)]
    shown: Shown,
}

/// What the callers had in some time.
#[derive(Debug, Default, Serialize)]
struct Heard {
    /// Texts that were to be spoken, and those that were not heard to their end.
    texts: u64,
    texts_failed: u64,
    /// Questions by voice, and those whose answer was not heard to its end.
    questions: u64,
    questions_failed: u64,
    frames: u64,
    /// Frames that came more than 40 ms after the one before.
    frames_late: u64,
    /// The longest time between two frames, less the 20 ms that there always are.
    longest_gap_ms: Option<Figure>,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    fault: Fault,
    calls: u32,
    seconds: u32,
    /// Live calls that were lost, at any time.
    dropped: u64,
    before: Heard,
    during: Heard,
    after: Heard,
    /// Calls that were begun while the fault lasted, and those of them that were taken and spoken to.
    new_calls: u64,
    new_calls_taken: u64,
    /// Replies of all calls, at any time, that no worker spoke: the engine inside the server did.
    spoken_inside: u64,
    /// From the end of the fault until all workers had written themselves into the registry anew.
    registered_after_seconds: Option<Figure>,
    /// What went wrong, each with how often.
    problems: BTreeMap<String, u64>,
}

impl Registry {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("registry", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let words = speech_for(global, None, caller::WORDS).await?;
        let mut registry = Struck::start().await?;
        let wanted = Wanted {
            redis: registry.url(),
            prefix: PREFIX.to_owned(),
            adapter: self.adapter.clone(),
            voice: String::new(),
            workers: 2,
            recognisers: (1, caller::WORDS),
            calls: self.calls as usize,
        };
        let deployment = Deployment::start(global, wanted).await?;
        let shared = Shared {
            url: deployment.server.url.clone(),
            speech: pcm(audible(&words)),
            silence: AudioFrame::silence().to_le_bytes().into(),
            stop: CancellationToken::new(),
        };
        let measured = Box::pin(self.talk(global, &mut registry, &deployment, shared));
        let measured = measured.await;
        // Also when it failed: no server is left behind.
        deployment.stop().await;
        measured
    }

    async fn talk(
        &self,
        global: &Global,
        registry: &mut Struck,
        deployment: &Deployment,
        shared: Shared,
    ) -> Result<Figures, Failure> {
        deployment.until_all_speak().await?;
        let spoken_before = spoken(deployment).await?;
        let bar = progress(global.quiet || self.shown.json);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar.set_message(format!("{} calls begin ...", self.calls));
        let (shared, mut callers, mut strangers) =
            (Arc::new(shared), JoinSet::new(), JoinSet::new());
        let (waiting, mut begun) = mpsc::channel(1);
        let clock = Clock::start();
        for number in 0..self.calls {
            let (shared, waiting) = (shared.clone(), waiting.clone());
            callers.spawn(async move {
                clock.until(APART * number).await;
                caller::talk(&shared, number as usize, waiting).await
            });
        }
        drop(waiting);
        // Closed when every caller has dropped its end: nothing is ever sent.
        while begun.recv().await.is_some() {}
        let all_begun = now_ms();
        clock.until(clock.now() + BEFORE).await;

        bar.set_message(format!("{:?} for {} s ...", self.fault, self.seconds));
        let struck = clock.now();
        let from = now_ms();
        registry.strike(self.fault).await?;
        for second in 1..=self.seconds {
            let url = shared.url.clone();
            strangers.spawn(async move { sentence::say_alone(&url, GREETING, |_| ()).await });
            clock.until(struck + NEW_EVERY * second).await;
            registry.keep_up(self.fault).await?;
        }
        registry.heal(self.fault).await?;
        let to = now_ms();
        bar.set_message("the registry is there again ...");
        let workers = deployment.workers.iter().chain(&deployment.recognisers);
        let registered = registry.until_written(PREFIX, workers).await;
        clock.until(clock.now() + AFTER).await;
        shared.stop.cancel();

        let (mut talked, mut new_calls) = (Vec::new(), Vec::new());
        while let Some(call) = callers.join_next().await {
            talked.push(call.context("a caller broke")?);
        }
        while let Some(call) = strangers.join_next().await {
            let said = call.context("a caller broke")?;
            new_calls.push(
                said.map(|said| said.is_whole)
                    .map_err(|lost| lost.to_string()),
            );
        }
        bar.finish_and_clear();
        let spoken = spoken(deployment).await? - spoken_before;
        let times = [all_begun..from, from..to, to..f64::INFINITY];
        let mut figures = self.figures(&talked, &new_calls, &times);
        let replies = talked.iter().flat_map(|call| &call.turns);
        let replies = replies.filter(|turn| turn.is_whole()).count() as u64;
        let replies = replies + figures.new_calls_taken;
        figures.spoken_inside = replies.saturating_sub(spoken as u64);
        figures.registered_after_seconds = registered.map(|after| Figure(after.as_secs_f64()));
        Ok(figures)
    }

    fn figures(
        &self,
        talked: &[Talked],
        new_calls: &[Result<bool, String>],
        [before, during, after]: &[Range<f64>; 3],
    ) -> Figures {
        let mut problems = BTreeMap::new();
        let dropped = talked.iter().filter_map(|call| call.dropped.as_ref());
        let lost = talked.iter().flat_map(|call| &call.turns);
        let lost = lost.filter_map(|turn| turn.heard.as_ref().err());
        let refused = new_calls.iter().filter_map(|call| call.as_ref().err());
        for problem in dropped.clone().chain(lost).chain(refused) {
            *problems.entry(problem.clone()).or_default() += 1;
        }
        Figures {
            fault: self.fault,
            calls: self.calls,
            seconds: self.seconds,
            dropped: dropped.count() as u64,
            before: Heard::of(talked, before),
            during: Heard::of(talked, during),
            after: Heard::of(talked, after),
            new_calls: new_calls.len() as u64,
            new_calls_taken: new_calls.iter().filter(|call| **call == Ok(true)).count() as u64,
            spoken_inside: 0,
            registered_after_seconds: None,
            problems,
        }
    }
}

impl Heard {
    /// What the callers had in `time`. A turn that fell into it in part counts as a whole; frames count when they came in it.
    fn of(talked: &[Talked], time: &Range<f64>) -> Self {
        let mut heard = Self::default();
        let mut longest = 0.0_f64;
        let turns = talked.iter().flat_map(|call| &call.turns);
        for turn in turns.filter(|turn| turn.touches(time)) {
            let (all, failed) = match turn.means {
                Means::Text => (&mut heard.texts, &mut heard.texts_failed),
                Means::Voice => (&mut heard.questions, &mut heard.questions_failed),
            };
            *all += 1;
            *failed += u64::from(!turn.is_whole());
            let (frames, late, gap) = turn.frames(time);
            heard.frames += frames;
            heard.frames_late += late;
            longest = longest.max(gap);
        }
        heard.longest_gap_ms = (heard.frames > 0).then_some(Figure(longest));
        heard
    }

    fn shown(&self) -> String {
        let Self {
            texts,
            texts_failed,
            questions,
            questions_failed,
            frames,
            frames_late,
            longest_gap_ms,
        } = self;
        format!(
            "{texts} texts ({texts_failed} failed), {questions} questions by voice ({questions_failed} failed), \
             {frames} frames ({frames_late} late, longest gap {} ms)",
            shown(*longest_gap_ms)
        )
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, figure: String| (name.to_owned(), figure);
        let mut rows = vec![
            row(
                "calls dropped",
                format!("{} of {}", self.dropped, self.calls),
            ),
            row("before", self.before.shown()),
            row("during", self.during.shown()),
            row("after", self.after.shown()),
            row(
                "new calls",
                format!("{} of {} taken", self.new_calls_taken, self.new_calls),
            ),
            row(
                "spoken inside",
                format!("{} replies, not by a worker", self.spoken_inside),
            ),
            row(
                "registered",
                format!("after {} s", shown(self.registered_after_seconds)),
            ),
        ];
        let problems = self.problems.iter();
        rows.extend(problems.map(|(problem, times)| (problem.clone(), times.to_string())));
        rows
    }

    fn promises(&self) -> Vec<Promise> {
        let failed = self.during.texts_failed + self.during.questions_failed;
        let registered = self.registered_after_seconds;
        vec![
            Promise::none("calls dropped", self.dropped),
            Promise::none("replies failed during the fault", failed),
            Promise::all("new calls taken", self.new_calls_taken, self.new_calls),
            Promise::at_most("registered again after", MUST_SECONDS, "s", registered),
        ]
    }
}

/// What the speech workers have said so far.
async fn spoken(deployment: &Deployment) -> anyhow::Result<f64> {
    let mut spoken = 0.0;
    for worker in &deployment.workers {
        spoken += worker.metric("syntheses_total").await?;
    }
    Ok(spoken)
}

/// Sound in frames of 20 ms, as PCM.
fn pcm(samples: &[i16]) -> Vec<bytes::Bytes> {
    let mut framer = Framer::new();
    framer.push(samples);
    let mut frames: Vec<AudioFrame> = std::iter::from_fn(|| framer.pop()).collect();
    frames.extend(framer.flush());
    frames
        .iter()
        .map(|frame| frame.to_le_bytes().into())
        .collect()
}
