//! `parlor bench control`: how soon a worker with many busy sessions obeys PAUSE, RESUME and STOP.
//!
//! ```text
//!   frames  | | | | | | | |            | | | | | | | ■ final
//!                  ^ PAUSE             ^ RESUME     ^ STOP
//!                  |---| answered      |-| answered |--| answered
//!                  |---| last frame    |-| first    |--| final frame
//! ```

use super::fleet::{Plan, WorkerProcess};
use super::report::{self, Promise, Report, Shown, Spread};
use super::sentence::TEXT;
use crate::cli::{Failure, Global};
use crate::cluster::credentials::Wire;
use anyhow::{Context as _, anyhow};
use clap::Args;
use media::Clock;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{
    AudioFrame, ControlCommand, ControlRequest, ControlResponse, EndSessionRequest,
    StartSessionRequest, TextChunk,
};
use rand::Rng as _;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Response, Status, Streaming};

/// How long a session speaks before it is paused, and after it was resumed. It has sounded by then, however long that took.
const SPEAKS_MS: Range<u64> = 100..400;
/// A frame is taken so often: twice as fast as it is heard, as agents take them at a reply's beginning. What a worker has made
/// beyond that waits at both ends of the connection.
const TAKEN_EVERY: Duration = Duration::from_millis(10);
/// How long it is held: longer than a frame may still leave, so that one that does is seen.
const HELD: Duration = Duration::from_millis(150);
/// How often the sentence is said in one go: more than any engine makes in the time.
const TIMES: usize = 60;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Within so much a command is to be answered and to take effect, in 95 of 100.
const MUST_MS: f64 = 50.0;

/// PAUSE, RESUME and STOP at a busy worker.
#[derive(Debug, Args)]
pub struct Control {
    /// Sessions that speak at the same time.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    sessions: u32,
    /// How often each of them is paused, resumed and stopped.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The worker's engine.
    #[arg(long, default_value = "mock", value_name = "ADAPTER")]
    adapter: String,
    #[command(flatten)]
    shown: Shown,
}

/// How long a command took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Took {
    /// Until its answer came.
    answered: f64,
    /// Until it had taken effect; 0 where no frame came any more.
    effective: f64,
}

/// What one session measured.
#[derive(Debug, Default)]
struct Times {
    pause: Vec<Took>,
    resume: Vec<Took>,
    stop: Vec<Took>,
}

/// The figures of one command, in milliseconds.
#[derive(Debug, Serialize)]
struct Obeyed {
    /// From its sending to its answer.
    answered_ms: Spread,
    /// From its sending to the last frame of what is held, the first of what goes on, the final one of what ends. From then on
    /// frames are taken as soon as they come, and those that waited at this end count.
    effective_ms: Spread,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    adapter: String,
    sessions: u32,
    pause: Obeyed,
    resume: Obeyed,
    stop: Obeyed,
}

impl Control {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("control", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let access = global.load(Vec::new())?.cluster.access();
        let plan = Plan {
            kind: "tts",
            adapter: self.adapter.clone(),
            name: "bench-control".to_owned(),
            max_sessions: Some(self.sessions as usize),
            ..Plan::default()
        };
        let worker = WorkerProcess::start(global, &access?, plan).await?;
        let mut sessions = JoinSet::new();
        for number in 0..self.sessions {
            sessions.spawn(session(worker.wire.clone(), number, self.rounds));
        }
        let mut all = Times::default();
        while let Some(session) = sessions.join_next().await {
            let Times {
                pause,
                resume,
                stop,
            } = session.context("a session broke")??;
            all.pause.extend(pause);
            all.resume.extend(resume);
            all.stop.extend(stop);
        }
        Ok(Figures {
            adapter: self.adapter.clone(),
            sessions: self.sessions,
            pause: Obeyed::of(&all.pause),
            resume: Obeyed::of(&all.resume),
            stop: Obeyed::of(&all.stop),
        })
    }
}

impl Obeyed {
    fn of(times: &[Took]) -> Self {
        Self {
            answered_ms: Spread::of(times.iter().map(|took| took.answered).collect()),
            effective_ms: Spread::of(times.iter().map(|took| took.effective).collect()),
        }
    }
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        self.each()
            .into_iter()
            .flat_map(|(command, obeyed)| {
                [
                    (
                        format!("{command} answered"),
                        obeyed.answered_ms.shown("ms"),
                    ),
                    (
                        format!("{command} effective"),
                        obeyed.effective_ms.shown("ms"),
                    ),
                ]
            })
            .collect()
    }

    fn promises(&self) -> Vec<Promise> {
        let promise = |(command, obeyed): (&str, &Obeyed)| {
            let answered = format!("{command} answered, p95");
            let effective = format!("{command} effective, p95");
            [
                Promise::at_most(&answered, MUST_MS, "ms", obeyed.answered_ms.p95),
                Promise::at_most(&effective, MUST_MS, "ms", obeyed.effective_ms.p95),
            ]
        };
        self.each().into_iter().flat_map(promise).collect()
    }
}

impl Figures {
    fn each(&self) -> [(&'static str, &Obeyed); 3] {
        [
            ("PAUSE", &self.pause),
            ("RESUME", &self.resume),
            ("STOP", &self.stop),
        ]
    }
}

/// One session: speaks, is paused, resumed and stopped, and begins again.
async fn session(wire: Wire, number: u32, rounds: u32) -> anyhow::Result<Times> {
    let mut tts = TtsServiceClient::new(wire);
    let session_id = format!("bench-{number}");
    let request = StartSessionRequest {
        session_id: session_id.clone(),
        model_id: String::new(),
        options: HashMap::new(),
    };
    let started = timeout(PATIENCE, tts.start_session(request)).await??;
    let started = started.into_inner();
    anyhow::ensure!(started.success, "no session: {}", started.message);
    let mut times = Times::default();
    for _ in 0..rounds {
        let text = TextChunk {
            session_id: session_id.clone(),
            text: [TEXT; TIMES].join(" "),
            is_final: true,
            sequence_number: 1,
        };
        let speaking = tts.synthesize(tokio_stream::once(text));
        let mut speech = Speech {
            clock: Clock::start(),
            frames: timeout(PATIENCE, speaking).await??.into_inner(),
            tts: tts.clone(),
            session_id: session_id.clone(),
        };
        speech.go_on().await?;
        times.pause.push(speech.pause().await?);
        times.resume.push(speech.resume().await?);
        speech.go_on().await?;
        times.stop.push(speech.stop().await?);
    }
    let ended = tts.end_session(EndSessionRequest { session_id });
    timeout(PATIENCE, ended).await??;
    Ok(times)
}

/// Something that is being said.
struct Speech {
    clock: Clock,
    frames: Streaming<AudioFrame>,
    tts: TtsServiceClient<Wire>,
    session_id: String,
}

impl Speech {
    /// Takes frames for a while.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        let speaks = Duration::from_millis(rand::rng().random_range(SPEAKS_MS));
        let until = self.clock.now() + speaks;
        loop {
            let frame = timeout(PATIENCE, self.frames.message()).await??;
            go_on(frame)?;
            let now = self.clock.now();
            if now >= until {
                return Ok(());
            }
            self.clock.until(now + TAKEN_EVERY).await;
        }
    }

    /// Holds it, and takes what still comes as soon as it comes.
    async fn pause(&mut self) -> anyhow::Result<Took> {
        let sent = self.clock.now();
        let held = sent + HELD;
        let answer = self.command(ControlCommand::Pause);
        tokio::pin!(answer);
        let (mut answered, mut last) = (None, sent);
        loop {
            // Not before it is answered, however late that is.
            let over = match answered {
                Some(_) => held,
                None => sent + PATIENCE,
            };
            tokio::select! {
                biased;
                answer = &mut answer, if answered.is_none() => {
                    obeyed(answer)?;
                    answered = Some(self.clock.now());
                }
                () = self.clock.until(over) => break,
                frame = self.frames.message() => {
                    go_on(frame?)?;
                    last = self.clock.now();
                }
            }
        }
        took(sent, answered, last)
    }

    async fn resume(&mut self) -> anyhow::Result<Took> {
        let sent = self.clock.now();
        let answer = self.command(ControlCommand::Resume);
        tokio::pin!(answer);
        let (mut answered, mut first) = (None, None);
        while answered.is_none() || first.is_none() {
            tokio::select! {
                biased;
                answer = &mut answer, if answered.is_none() => {
                    obeyed(answer)?;
                    answered = Some(self.clock.now());
                }
                frame = self.frames.message() => {
                    go_on(frame?)?;
                    first.get_or_insert(self.clock.now());
                }
                () = self.clock.until(sent + PATIENCE) => break,
            }
        }
        took(sent, answered, first.context("nothing came after RESUME")?)
    }

    async fn stop(mut self) -> anyhow::Result<Took> {
        let sent = self.clock.now();
        let answer = self.command(ControlCommand::Stop);
        tokio::pin!(answer);
        let (mut answered, mut last) = (None, None);
        while answered.is_none() || last.is_none() {
            tokio::select! {
                biased;
                answer = &mut answer, if answered.is_none() => {
                    obeyed(answer)?;
                    answered = Some(self.clock.now());
                }
                frame = self.frames.message(), if last.is_none() => {
                    let frame = frame?.context("the stream ended without a final frame")?;
                    if frame.is_final {
                        last = Some(self.clock.now());
                    }
                }
                () = self.clock.until(sent + PATIENCE) => break,
            }
        }
        took(
            sent,
            answered,
            last.context("no final frame came after STOP")?,
        )
    }

    /// Sends a command, without holding what is being said.
    fn command(
        &self,
        command: ControlCommand,
    ) -> impl Future<Output = Result<Response<ControlResponse>, Status>> + use<> {
        let mut tts = self.tts.clone();
        let request = ControlRequest {
            session_id: self.session_id.clone(),
            command: command.into(),
        };
        async move { tts.control(request).await }
    }
}

fn took(sent: Duration, answered: Option<Duration>, effective: Duration) -> anyhow::Result<Took> {
    let answered = answered.context("a command was not answered")?;
    let since = |at: Duration| at.saturating_sub(sent).as_secs_f64() * 1e3;
    Ok(Took {
        answered: since(answered),
        effective: since(effective),
    })
}

fn obeyed(answer: Result<Response<ControlResponse>, Status>) -> anyhow::Result<()> {
    let answer = answer?.into_inner();
    anyhow::ensure!(answer.success, "a command was refused: {}", answer.message);
    Ok(())
}

/// A frame with others to follow.
fn go_on(frame: Option<AudioFrame>) -> anyhow::Result<()> {
    match frame {
        Some(frame) if !frame.is_final => Ok(()),
        _ => Err(anyhow!("all was said before it was stopped")),
    }
}
