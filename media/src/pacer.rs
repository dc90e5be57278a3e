//! Owns what was made but not yet heard, and hands over one frame each 20 ms.
//!
//! ```text
//!            begin            first frame            finish, and the last frame was heard
//!     Idle ────────► Flowing ────────────► (Started) ──────────────────────────────────► Idle (Ended)
//!                    │    ▲ ▲
//!               hold │    │ └── the next frame leaves, faded in ──┐
//!                    ▼    │ resume                                │
//!                  Holding ┘                        resume        │
//!                    └── tick: 10 ms faded out ──► Held ──────► Resuming
//!
//!     clear: from anywhere to Idle; sound that was not yet faded out leaves 10 ms of fade under the next generation
//! ```
//!
//! *Heard* is what left in whole frames: it ends where a fade begins, and a resume starts again from there.

mod fade;

use crate::clock::FrameTicks;
use crate::frame::{AudioFrame, FRAME_SAMPLES};
use crate::link::Generation;
use std::collections::VecDeque;
use std::time::Duration;

/// How many handed-over frames are remembered, so that [`Pacer::unsent`] knows which of them had counted as heard: five
/// seconds, far more than any link keeps.
const REMEMBERED: usize = 256;

/// What became of a frame that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It leaves when its turn comes.
    Queued,
    /// It belongs to no reply that is under way, and is gone.
    Stale,
    /// Two seconds (or what the capacity is) wait already; the frame is gone. Ask [`Pacer::room`] first.
    Full,
}

/// What the pacer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paced {
    /// A frame that is due now.
    Frame {
        /// The reply it belongs to; for a cancelled reply's last 10 ms the generation after it.
        generation: Generation,
        /// The number of this 20 ms slot since the call began. It runs on through silence and stalls.
        tick: u64,
        /// The sound.
        frame: AudioFrame,
    },
    /// A reply begins to be heard; its first frame follows.
    Started(Generation),
    /// A finished reply has been heard to its end. A reply without any frame ends without having started.
    Ended(Generation),
    /// A reply is being heard, is not finished, and has no frame: a gap begins. Said once a gap.
    Underrun(Generation),
}

/// How the sound of a reply flows at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Frames leave as they are due.
    Flowing,
    /// To be held: the next tick fades out.
    Holding,
    /// Held: silence.
    Held,
    /// Released: the next frame fades in.
    Resuming,
}

/// The reply under way.
#[derive(Debug)]
struct Reply {
    flow: Flow,
    started: bool,
    finished: bool,
    /// Whether the last slot carried a whole frame, so that stopping now would click.
    sounding: bool,
    /// Samples pushed so far that were not cut off again.
    pushed: u64,
    /// How the sound goes on after a cut.
    joint: Option<Joint>,
}

/// The place where one sound ends and another is to follow.
#[derive(Debug)]
enum Joint {
    /// What would have come next: it fades out while the next frame fades in.
    Overlap(AudioFrame),
    /// Nothing is left to go over from: the next frame fades in.
    Rise,
}

/// One call's pacer. Sans-IO: it is told the time, and asked what is due.
///
/// After each [`handle_timeout`](Self::handle_timeout), take all output.
#[derive(Debug)]
pub struct Pacer {
    ticks: FrameTicks,
    next_tick: u64,
    capacity: usize,
    generation: Generation,
    reply: Option<Reply>,
    queue: VecDeque<AudioFrame>,
    /// The fade of a cancelled reply, to leave at the next tick.
    tail: Option<AudioFrame>,
    output: VecDeque<Paced>,
    heard: u64,
    heard_of: Generation,
    /// For each of the last frames handed over of `heard_of`: how many samples it counted as heard.
    counted: VecDeque<u64>,
}

impl Pacer {
    /// A pacer whose first tick falls `phase` (modulo 20 ms) after `now`, and which keeps up to `capacity_frames`.
    pub fn new(now: Duration, phase: Duration, capacity_frames: usize) -> Self {
        Self {
            ticks: FrameTicks::new(now, phase),
            next_tick: 0,
            capacity: capacity_frames,
            generation: Generation(0),
            reply: None,
            queue: VecDeque::with_capacity(capacity_frames),
            tail: None,
            output: VecDeque::with_capacity(4),
            heard: 0,
            heard_of: Generation(0),
            counted: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Begins a new reply; anything left of an older one is gone (faded out, if it could be heard). A generation that has
    /// passed, or is under way already, changes nothing.
    pub fn begin(&mut self, generation: Generation) {
        if generation < self.generation || (generation == self.generation && self.reply.is_some()) {
            return;
        }
        self.clear(generation);
        self.reply = Some(Reply {
            flow: Flow::Flowing,
            started: false,
            finished: false,
            sounding: false,
            pushed: 0,
            joint: None,
        });
        self.heard = 0;
        self.heard_of = generation;
        self.counted.clear();
    }

    /// Adds a frame to the reply of `generation`.
    pub fn push(&mut self, generation: Generation, mut frame: AudioFrame) -> Pushed {
        let room = self.room();
        let reply = match &mut self.reply {
            Some(reply) if generation == self.generation && !reply.finished => reply,
            Some(_) | None => return Pushed::Stale,
        };
        if room == 0 {
            return Pushed::Full;
        }
        match reply.joint.take() {
            Some(Joint::Overlap(leaving)) => fade::cross(leaving, &mut frame),
            Some(Joint::Rise) => fade::r#in(&mut frame),
            None => {}
        }
        reply.pushed += FRAME_SAMPLES as u64;
        self.queue.push_back(frame);
        Pushed::Queued
    }

    /// The reply goes on with another sound from about sample `from` on: what was pushed after it and has not left is taken
    /// back, and the next frame that is pushed follows with a cross-fade of 10 ms. Returns at which sample the sound is cut, a
    /// whole frame, which is later where more has left already; the next frame begins there.
    pub fn cut(&mut self, generation: Generation, from: u64) -> u64 {
        let frame = FRAME_SAMPLES as u64;
        let Some(reply) = &mut self.reply else {
            return 0;
        };
        if generation != self.generation || reply.finished {
            return reply.pushed;
        }
        let left = reply.pushed / frame - self.queue.len() as u64;
        // One frame at least is kept to go over from, if there is one.
        let last = (reply.pushed / frame).saturating_sub(1).max(left);
        let keep = (from / frame).clamp(left, last);
        let kept = usize::try_from(keep - left).unwrap_or(usize::MAX);
        let overlap = self.queue.drain(kept.min(self.queue.len())..).next();
        let was_joint = reply.joint.take();
        reply.joint = Some(match (overlap, was_joint) {
            (Some(overlap), _) => Joint::Overlap(overlap),
            (None, Some(joint)) => joint,
            (None, None) => Joint::Rise,
        });
        reply.pushed = keep * frame;
        reply.pushed
    }

    /// Says that the last frame of this reply has been pushed.
    pub fn finish(&mut self, generation: Generation) {
        if generation == self.generation
            && let Some(reply) = &mut self.reply
        {
            reply.finished = true;
        }
    }

    /// How many frames may still be pushed.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.queue.len())
    }

    /// Holds the reply: the next tick sends the first 10 ms of its front frame faded out, then there is silence. That frame
    /// is kept, and does not count as heard. With nothing queued, nothing is sent.
    pub fn hold(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.flow = match reply.flow {
                Flow::Flowing | Flow::Holding => Flow::Holding,
                // Nothing was heard since the fade, so there is nothing to fade again.
                Flow::Held | Flow::Resuming => Flow::Held,
            };
        }
    }

    /// Goes on with the frame at which a hold stopped, with 10 ms of fade-in.
    pub fn resume(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.flow = match reply.flow {
                // No tick has passed since the hold: nobody heard of it.
                Flow::Flowing | Flow::Holding => Flow::Flowing,
                Flow::Held | Flow::Resuming => Flow::Resuming,
            };
        }
    }

    /// Cancels the reply and returns how many samples of it were heard. From now on no frame of a generation before `next`
    /// leaves; if the reply could be heard, its first unheard 10 ms fade out under `next`. There will be no `Ended`.
    pub fn clear(&mut self, next: Generation) -> u64 {
        let next = next.max(self.generation);
        self.recall(next);
        if let Some(reply) = self.reply.take()
            && reply.sounding
            && let Some(frame) = self.queue.front_mut()
        {
            fade::out(frame);
            self.tail = self.queue.pop_front();
        }
        self.queue.clear();
        self.generation = next;
        self.heard
    }

    /// Takes back frames of generations before `next` that nobody has fetched yet: they were not heard.
    fn recall(&mut self, next: Generation) {
        let waiting = std::mem::take(&mut self.output);
        for paced in waiting.into_iter().rev() {
            match paced {
                Paced::Frame {
                    generation, frame, ..
                } if generation < next => {
                    self.unsent(generation, 1);
                    self.queue.push_front(frame);
                }
                Paced::Started(generation) if generation < next => {}
                Paced::Frame { .. } | Paced::Started(_) | Paced::Ended(_) | Paced::Underrun(_) => {
                    self.output.push_front(paced);
                }
            }
        }
    }

    /// Tells the time. When a tick is due, what it brings waits in [`poll_output`](Self::poll_output): at most one frame,
    /// however late the call comes.
    pub fn handle_timeout(&mut self, now: Duration) {
        let Some(missed) = self.ticks.handle_timeout(now) else {
            return;
        };
        let tick = self.next_tick + missed;
        self.next_tick = tick + 1;
        let generation = self.generation;
        if let Some(frame) = self.tail.take() {
            self.hand_over(tick, frame, 0);
            return;
        }
        let Some(reply) = &mut self.reply else {
            return;
        };
        match reply.flow {
            Flow::Held => {}
            Flow::Holding => {
                reply.flow = Flow::Held;
                let sounding = std::mem::take(&mut reply.sounding);
                // Sound that has not begun needs no fade, and must not begin now.
                if let (true, Some(front)) = (sounding, self.queue.front()) {
                    let mut frame = front.clone();
                    fade::out(&mut frame);
                    self.hand_over(tick, frame, 0);
                }
            }
            Flow::Flowing | Flow::Resuming => {
                if let Some(mut frame) = self.queue.pop_front() {
                    if reply.flow == Flow::Resuming {
                        fade::r#in(&mut frame);
                        reply.flow = Flow::Flowing;
                    }
                    reply.sounding = true;
                    if !std::mem::replace(&mut reply.started, true) {
                        self.output.push_back(Paced::Started(generation));
                    }
                    self.hand_over(tick, frame, FRAME_SAMPLES as u64);
                } else {
                    let is_gap = std::mem::take(&mut reply.sounding);
                    let is_over = reply.finished;
                    // What the sound was cut from fades out alone if nothing has come to follow it.
                    if is_gap
                        && let Some(Joint::Overlap(mut frame)) = reply
                            .joint
                            .take_if(|joint| matches!(joint, Joint::Overlap(_)))
                    {
                        reply.joint = Some(Joint::Rise);
                        fade::out(&mut frame);
                        self.hand_over(tick, frame, 0);
                    }
                    if is_over {
                        self.reply = None;
                        self.output.push_back(Paced::Ended(generation));
                    } else if is_gap {
                        self.output.push_back(Paced::Underrun(generation));
                    }
                }
            }
        }
    }

    fn hand_over(&mut self, tick: u64, frame: AudioFrame, heard: u64) {
        let generation = self.generation;
        if generation == self.heard_of {
            self.heard += heard;
            if self.counted.len() == REMEMBERED {
                self.counted.pop_front();
            }
            self.counted.push_back(heard);
        }
        self.output.push_back(Paced::Frame {
            generation,
            tick,
            frame,
        });
    }

    /// What the last tick brought, in order.
    pub fn poll_output(&mut self) -> Option<Paced> {
        self.output.pop_front()
    }

    /// When the next tick is due.
    pub fn next_timeout(&self) -> Duration {
        self.ticks.next_timeout()
    }

    /// Learns that the link kept back the last `frames` frames that it was given of `generation`: they were not heard.
    pub fn unsent(&mut self, generation: Generation, frames: u32) {
        if generation != self.heard_of {
            return;
        }
        for _ in 0..frames {
            let Some(counted) = self.counted.pop_back() else {
                return;
            };
            self.heard = self.heard.saturating_sub(counted);
        }
    }

    /// Samples heard of the present reply or, when it has ended or was cleared, of the last one.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Whether a reply has begun to be heard and has neither ended nor been cleared. A held reply is still playing.
    pub fn is_playing(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.started)
    }

    /// Whether the reply is held.
    pub fn is_held(&self) -> bool {
        self.reply
            .as_ref()
            .is_some_and(|reply| matches!(reply.flow, Flow::Holding | Flow::Held))
    }

    /// The lowest generation that may still leave.
    pub fn generation(&self) -> Generation {
        self.generation
    }
}
