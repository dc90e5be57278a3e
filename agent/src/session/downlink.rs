//! The machine's side of a call: a reply's frames go through the pacer to the link, and the heard clock tells what was heard.

use super::captions::Captions;
use super::speech::{Event, Handle};
use dialog::ReplyId;
use media::link::{Fence, Generation, Outbound};
use media::pacer::{Paced, Pacer, Pushed};
use proto::tts::ControlCommand;
use std::time::Duration;
use tokio::sync::mpsc;

/// How far a reply is read ahead of what is heard: two seconds.
const READ_AHEAD_FRAMES: usize = 100;

/// What happened to the reply that the session must know.
#[derive(Debug, PartialEq, Eq)]
pub enum Happened {
    /// Its first clause went to synthesis.
    Clause,
    /// Its first sound came back.
    FirstSound,
    /// Its first frame left.
    Started(ReplyId),
    /// Its last frame has been heard.
    Ended(ReplyId),
    /// It broke off; what had come before will not be spoken.
    Failed(ReplyId, String),
}

/// A reply that has ended, for the history.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The words that the caller heard.
    pub text: String,
    /// Whether words remained.
    pub cut: bool,
}

struct Current {
    reply: ReplyId,
    generation: Generation,
    handle: Handle,
    captions: Captions,
    sounded: bool,
    complete: bool,
    announced: String,
}

/// Counters of the machine's side.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownlinkStatistics {
    /// Frames handed to the link.
    pub frames: u64,
    /// Frames that the link kept back.
    pub unsent: u64,
    /// Times that a reply had no frame when one was due.
    pub underruns: u64,
}

/// The pacer and the reply that it plays.
pub struct Downlink {
    pacer: Pacer,
    fence: Fence,
    outbound: mpsc::Sender<Outbound>,
    next_generation: u32,
    current: Option<Current>,
    statistics: DownlinkStatistics,
}

impl Downlink {
    /// A call's downlink. `phase` is where in every 20 ms its tick falls.
    pub fn new(
        now: Duration,
        phase: Duration,
        fence: Fence,
        outbound: mpsc::Sender<Outbound>,
    ) -> Self {
        Self {
            pacer: Pacer::new(now, phase, READ_AHEAD_FRAMES),
            fence,
            outbound,
            next_generation: 0,
            current: None,
            statistics: DownlinkStatistics::default(),
        }
    }

    /// Starts a reply, whose sound will come through `handle`.
    pub fn begin(&mut self, now: Duration, reply: ReplyId, handle: Handle) {
        // Nothing was ticking while nothing played: take the beat that lies in the past, so that the first frame keeps the phase.
        if now >= self.pacer.next_timeout() {
            self.tick(now);
        }
        let generation = self.generation();
        self.pacer.begin(generation);
        self.current = Some(Current {
            reply,
            generation,
            handle,
            captions: Captions::default(),
            sounded: false,
            complete: false,
            announced: String::new(),
        });
    }

    /// Barge-in: the next tick fades, and then nothing leaves until [`Downlink::resume`] or [`Downlink::cancel`].
    pub fn hold(&mut self) {
        self.pacer.hold();
        self.control(ControlCommand::Pause);
    }

    /// Goes on at the sample where the fade began.
    pub fn resume(&mut self) {
        self.pacer.resume();
        self.control(ControlCommand::Resume);
    }

    /// Ends the reply: no frame of it leaves any more. What was heard of it is returned.
    pub fn cancel(&mut self) -> Option<Heard> {
        let next = self.generation();
        let samples = self.pacer.clear(next);
        self.fence.raise(next);
        self.control(ControlCommand::Stop);
        self.current.take().map(|current| current.heard(samples))
    }

    /// The reply has been heard to its end.
    pub fn finish(&mut self) -> Option<Heard> {
        let samples = self.pacer.heard();
        self.current.take().map(|current| current.heard(samples))
    }

    /// The reply's words that have been heard by now, if they are more than when last asked.
    pub fn newly_heard(&mut self) -> Option<(ReplyId, String)> {
        let samples = self.pacer.heard();
        let current = self.current.as_mut()?;
        let text = current.captions.heard(samples);
        if text.len() <= current.announced.len() {
            return None;
        }
        current.announced.clone_from(&text);
        Some((current.reply, text))
    }

    /// When the next tick is due; none while there is nothing to play.
    pub fn next_timeout(&self) -> Option<Duration> {
        (self.current.is_some() || self.pacer.is_playing()).then(|| self.pacer.next_timeout())
    }

    /// Lets the frame that is due leave.
    pub fn tick(&mut self, now: Duration) -> Option<Happened> {
        self.pacer.handle_timeout(now);
        let mut happened = None;
        while let Some(paced) = self.pacer.poll_output() {
            match paced {
                Paced::Frame {
                    generation,
                    tick,
                    frame,
                } => {
                    self.statistics.frames += 1;
                    // Full means that the transport did not take two frames in 40 ms; a frame that cannot leave now is not heard.
                    if self
                        .outbound
                        .try_send(Outbound::Audio {
                            generation,
                            tick,
                            frame,
                        })
                        .is_err()
                    {
                        self.unsent(generation, 1);
                    }
                }
                Paced::Started(generation) => {
                    happened = self.reply_of(generation).map(Happened::Started);
                }
                Paced::Ended(generation) => {
                    happened = self.reply_of(generation).map(Happened::Ended);
                }
                Paced::Underrun(_) => self.statistics.underruns += 1,
            }
        }
        happened
    }

    /// The link kept frames back.
    pub fn unsent(&mut self, generation: Generation, frames: u32) {
        self.statistics.unsent += u64::from(frames);
        self.pacer.unsent(generation, frames);
    }

    /// Waits for the reply's next event, while there is room for a frame. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Event> {
        match &mut self.current {
            Some(current) if !current.complete && self.pacer.room() > 0 => {
                current.handle.events.recv().await
            }
            _ => std::future::pending().await,
        }
    }

    /// Takes an event of the reply.
    pub fn on_event(&mut self, event: Option<Event>) -> Option<Happened> {
        let current = self.current.as_mut()?;
        match event {
            Some(Event::Clause(text)) => {
                let first = current.captions.text().is_empty();
                current.captions.clause(text);
                first.then_some(Happened::Clause)
            }
            Some(Event::Frame { chunk, frame }) => {
                match self.pacer.push(current.generation, frame) {
                    Pushed::Queued => current.captions.sound(chunk, media::FRAME_SAMPLES as u64),
                    // `recv` asked for room first, and a generation ends only with its `current`.
                    Pushed::Full | Pushed::Stale => self.statistics.unsent += 1,
                }
                (!std::mem::replace(&mut current.sounded, true)).then_some(Happened::FirstSound)
            }
            Some(Event::Done) => {
                current.complete = true;
                current.captions.finish();
                self.pacer.finish(current.generation);
                // Without a single frame the pacer has nothing to end.
                (!current.sounded)
                    .then(|| Happened::Failed(current.reply, "the worker sent no sound".into()))
            }
            Some(Event::Failed(error)) => {
                current.complete = true;
                Some(Happened::Failed(current.reply, error.to_string()))
            }
            None => {
                current.complete = true;
                Some(Happened::Failed(
                    current.reply,
                    "the reply's task ended early".into(),
                ))
            }
        }
    }

    /// Whether a reply is held.
    pub fn is_held(&self) -> bool {
        self.pacer.is_held()
    }

    /// What was counted so far.
    pub fn statistics(&self) -> DownlinkStatistics {
        self.statistics
    }

    fn control(&self, command: ControlCommand) {
        if let Some(current) = &self.current {
            current.handle.control(command);
        }
    }

    fn reply_of(&self, generation: Generation) -> Option<ReplyId> {
        self.current
            .as_ref()
            .filter(|current| current.generation == generation)
            .map(|current| current.reply)
    }

    fn generation(&mut self) -> Generation {
        self.next_generation += 1;
        Generation(self.next_generation)
    }
}

impl Current {
    fn heard(&self, samples: u64) -> Heard {
        let text = self.captions.heard(samples);
        let cut = !self.complete || text != self.captions.text();
        Heard { text, cut }
    }
}
