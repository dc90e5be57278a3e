//! The machine's side of a call: a reply's frames go through the pacer to the link, and the heard clock tells what was heard.

use super::captions::{Captions, Rest};
use super::speech::{Event, Handle};
use crate::cluster::Error;
use dialog::ReplyId;
use media::FRAME;
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
    /// Its first frame leaves when this has been told.
    Started(ReplyId),
    /// Its last frame has been heard.
    Ended(ReplyId),
    /// It broke off; what had come before will not be spoken.
    Failed(ReplyId, Error),
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
    /// How much of its text was announced as heard, in bytes.
    announced: usize,
}

impl Current {
    /// Ends the sound where a word begins, for another worker to go on from there.
    fn cut(&mut self, pacer: &mut Pacer) -> Rest {
        let mut place = self.captions.place(u64::MAX);
        let sample = pacer.cut(self.generation, place.sample);
        if sample > place.sample {
            // So much has left already: it goes on with the word that is being heard.
            place = self.captions.place(sample);
        }
        self.captions.cut(place, sample)
    }
}

/// The reply that ended last, for news of it that comes late.
struct Past {
    reply: ReplyId,
    generation: Generation,
    captions: Captions,
    complete: bool,
    /// How many samples of it were heard.
    samples: u64,
}

/// What the caller turned out to have heard of a reply that was thought to have been heard further.
#[derive(Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which reply.
    pub reply: ReplyId,
    /// What was thought.
    pub thought: String,
    /// What was heard.
    pub heard: Heard,
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
    past: Option<Past>,
    /// A reply was cut off, and the next tick lets it fade out.
    fading: bool,
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
            past: None,
            fading: false,
            statistics: DownlinkStatistics::default(),
        }
    }

    /// Starts a reply, whose sound will come through `handle`.
    pub fn begin(&mut self, now: Duration, reply: ReplyId, handle: Handle) {
        // Nothing was ticking while nothing played: take the beat that lies in the past, so that the first frame keeps the phase.
        if now >= self.pacer.next_timeout() {
            let late = now - self.pacer.next_timeout();
            self.tick(now);
            // A fade that missed its beat joins nothing any more: it would be a click out of the silence.
            if late < FRAME {
                while self.poll().is_some() {}
            } else {
                while self.pacer.poll_output().is_some() {}
            }
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
            announced: 0,
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

    /// A reply that has not begun to be heard does not begin before [`Downlink::release`] or [`Downlink::resume`]; it is made
    /// meanwhile.
    pub fn withhold(&mut self) {
        self.pacer.hold();
    }

    /// What was withheld may begin.
    pub fn release(&mut self) {
        self.pacer.resume();
    }

    /// Ends the reply: no frame of it leaves any more. What was heard of it is returned.
    pub fn cancel(&mut self) -> Option<Heard> {
        let next = self.generation();
        let samples = self.pacer.clear(next);
        self.fence.raise(next);
        self.control(ControlCommand::Stop);
        self.fading |= self.current.is_some();
        self.close(samples)
    }

    /// The reply has been heard to its end.
    pub fn finish(&mut self) -> Option<Heard> {
        let samples = self.pacer.heard();
        self.close(samples)
    }

    fn close(&mut self, samples: u64) -> Option<Heard> {
        let current = self.current.take()?;
        let past = self.past.insert(Past {
            reply: current.reply,
            generation: current.generation,
            captions: current.captions,
            complete: current.complete,
            samples,
        });
        Some(past.heard())
    }

    /// The reply's words that have been heard by now, if they are more than when last asked.
    pub fn newly_heard(&mut self) -> Option<(ReplyId, String)> {
        let samples = self.pacer.heard();
        let current = self.current.as_mut()?;
        let text = current.captions.heard(samples);
        if text.len() <= current.announced {
            return None;
        }
        current.announced = text.len();
        Some((current.reply, text.to_owned()))
    }

    /// When the next tick is due; none while there is nothing to play and nothing fades.
    pub fn next_timeout(&self) -> Option<Duration> {
        (self.current.is_some() || self.fading).then(|| self.pacer.next_timeout())
    }

    /// Tells the time. What is due leaves with [`Downlink::poll`], which is to be asked until it has nothing more.
    pub fn tick(&mut self, now: Duration) {
        self.pacer.handle_timeout(now);
        self.fading = false;
    }

    /// Lets what is due leave, and stops where the session must know something first: so a reply has started before its
    /// first frame leaves.
    pub fn poll(&mut self) -> Option<Happened> {
        while let Some(paced) = self.pacer.poll_output() {
            match paced {
                Paced::Frame {
                    generation,
                    tick,
                    frame,
                } => {
                    self.statistics.frames += 1;
                    // Full means that the transport has taken nothing for 16 frames; one that cannot leave now is not heard.
                    if self
                        .outbound
                        .try_send(Outbound::Audio {
                            generation,
                            tick,
                            frame,
                        })
                        .is_err()
                    {
                        self.statistics.unsent += 1;
                        self.pacer.unsent(generation, 1);
                    }
                }
                Paced::Started(generation) => {
                    if let Some(reply) = self.reply_of(generation) {
                        return Some(Happened::Started(reply));
                    }
                }
                Paced::Ended(generation) => {
                    if let Some(reply) = self.reply_of(generation) {
                        return Some(Happened::Ended(reply));
                    }
                }
                Paced::Underrun(_) => self.statistics.underruns += 1,
            }
        }
        None
    }

    /// The link kept frames back. Those of the reply that ended last may change what was heard of it.
    pub fn unsent(&mut self, generation: Generation, frames: u32) -> Option<Correction> {
        self.statistics.unsent += u64::from(frames);
        self.pacer.unsent(generation, frames);
        let past = self
            .past
            .as_mut()
            .filter(|past| past.generation == generation)?;
        let thought = past.heard().text;
        let samples = u64::from(frames) * media::FRAME_SAMPLES as u64;
        past.samples = past.samples.saturating_sub(samples);
        let heard = past.heard();
        (heard.text != thought).then_some(Correction {
            reply: past.reply,
            thought,
            heard,
        })
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
                let first = current.captions.is_empty();
                current.captions.clause(&text);
                first.then_some(Happened::Clause)
            }
            Some(Event::Frame { clause, frame }) => {
                match self.pacer.push(current.generation, frame) {
                    Pushed::Queued => current.captions.sound(clause, media::FRAME_SAMPLES as u64),
                    // `recv` asked for room first, and a generation ends only with its `current`.
                    Pushed::Full | Pushed::Stale => self.statistics.unsent += 1,
                }
                (!std::mem::replace(&mut current.sounded, true)).then_some(Happened::FirstSound)
            }
            Some(Event::Word {
                clause,
                offset_chars,
                at_sample,
            }) => {
                current.captions.word(clause, offset_chars, at_sample);
                None
            }
            Some(Event::Broken(answer)) => {
                // A task that is gone needs no answer.
                let _ = answer.send(current.cut(&mut self.pacer));
                None
            }
            Some(Event::Done) => {
                current.complete = true;
                current.captions.finish();
                self.pacer.finish(current.generation);
                // Without a single frame the pacer has nothing to end.
                (!current.sounded).then(|| {
                    let error = Error::Failed("it sent no sound".into());
                    Happened::Failed(current.reply, error)
                })
            }
            Some(Event::Failed(error)) => {
                current.complete = true;
                Some(Happened::Failed(current.reply, error))
            }
            None => {
                current.complete = true;
                let error = Error::Failed("the reply's task ended early".into());
                Some(Happened::Failed(current.reply, error))
            }
        }
    }

    /// Whether a reply is held.
    pub fn is_held(&self) -> bool {
        self.pacer.is_held()
    }

    /// Whether a reply has begun to be heard, held or not.
    pub fn is_playing(&self) -> bool {
        self.pacer.is_playing()
    }

    /// Whether any words of the reply have gone to synthesis.
    pub fn has_words(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| !current.captions.is_empty())
    }

    /// Whether any sound of the reply has come.
    pub fn has_sound(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.sounded)
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

impl Past {
    fn heard(&mut self) -> Heard {
        let text = self.captions.heard(self.samples).to_owned();
        let cut = !self.complete || text != self.captions.text();
        Heard { text, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{AudioFrame, FRAME_SAMPLES};

    /// A downlink, the transport's end of it, and a clock.
    struct Rig {
        downlink: Downlink,
        wire: mpsc::Receiver<Outbound>,
        now: Duration,
        // Dropped with the rig: a task that is gone would be news.
        events: Vec<mpsc::Sender<Event>>,
    }

    fn loud() -> AudioFrame {
        AudioFrame::padded(&[1000; FRAME_SAMPLES])
    }

    impl Rig {
        fn new() -> Self {
            let (outbound, wire) = mpsc::channel(16);
            let phase = Duration::from_millis(7);
            let fence = Fence::default();
            Self {
                downlink: Downlink::new(Duration::ZERO, phase, fence, outbound),
                wire,
                now: Duration::ZERO,
                events: Vec::new(),
            }
        }

        fn begin(&mut self, reply: u64) {
            let (events_in, events) = mpsc::channel(1);
            let (control, _) = mpsc::channel(1);
            self.events.push(events_in);
            let handle = Handle::new(events, control);
            self.downlink.begin(self.now, ReplyId(reply), handle);
        }

        fn says(&mut self, clause: &str, frames: usize) {
            self.downlink.on_event(Some(Event::Clause(clause.into())));
            for _ in 0..frames {
                let frame = loud();
                self.downlink
                    .on_event(Some(Event::Frame { clause: 1, frame }));
            }
        }

        /// Meets the next time-out, if there is one, and returns what happened.
        fn tick(&mut self) -> Option<Vec<Happened>> {
            self.now = self.downlink.next_timeout()?;
            self.downlink.tick(self.now);
            Some(std::iter::from_fn(|| self.downlink.poll()).collect())
        }

        /// What has left: generation and frame.
        fn left(&mut self) -> Vec<(Generation, AudioFrame)> {
            let mut left = Vec::new();
            while let Ok(item) = self.wire.try_recv() {
                if let Outbound::Audio {
                    generation, frame, ..
                } = item
                {
                    left.push((generation, frame));
                }
            }
            left
        }
    }

    #[test]
    fn a_cancelled_reply_fades_out_at_the_next_tick_and_then_all_is_quiet() {
        let mut rig = Rig::new();
        rig.begin(1);
        rig.says("Hello there.", 5);
        rig.tick();
        rig.tick();
        let whole = rig.left();
        assert_eq!(whole.len(), 2);
        assert!(rig.downlink.cancel().is_some());
        assert_eq!(rig.tick(), Some(vec![]), "the fade has its tick");
        let fade = rig.left();
        let [(generation, frame)] = fade.as_slice() else {
            panic!("{} frames left", fade.len());
        };
        assert!(*generation > whole[0].0, "it passes the fence");
        assert!(frame.samples()[0] > 900 && frame.samples()[FRAME_SAMPLES - 1] == 0);
        assert_eq!(rig.downlink.next_timeout(), None);
    }

    #[test]
    fn nothing_of_an_old_reply_leaves_before_a_new_one() {
        let mut rig = Rig::new();
        rig.begin(1);
        rig.says("Hello there.", 5);
        rig.tick();
        rig.downlink.cancel();
        rig.left();
        // The session was too busy for the tick of the fade.
        rig.now += Duration::from_secs(5);
        rig.begin(2);
        assert_eq!(rig.left(), []);
        rig.says("Hello again.", 1);
        assert_eq!(rig.tick(), Some(vec![Happened::Started(ReplyId(2))]));
        let left = rig.left();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].1, loud());
    }

    #[test]
    fn a_reply_has_started_before_its_first_frame_leaves() {
        let mut rig = Rig::new();
        rig.begin(1);
        rig.says("Hello there.", 2);
        rig.now = rig.downlink.next_timeout().unwrap();
        rig.downlink.tick(rig.now);
        assert_eq!(rig.downlink.poll(), Some(Happened::Started(ReplyId(1))));
        assert_eq!(rig.left(), [], "the session is told first");
        assert_eq!(rig.downlink.poll(), None);
        assert_eq!(rig.left().len(), 1);
    }

    #[test]
    fn frames_that_the_link_kept_back_were_not_heard_after_all() {
        let mut rig = Rig::new();
        rig.begin(1);
        rig.says("one two three four", 40);
        let mut left = Vec::new();
        for _ in 0..20 {
            rig.tick();
            left.extend(rig.left());
        }
        let generation = left[0].0;
        // 400 ms at 14 characters a second.
        let heard = rig.downlink.cancel().unwrap();
        assert_eq!((heard.text.as_str(), heard.cut), ("one", true));
        assert_eq!(rig.downlink.unsent(generation, 2), None);
        // The next reply begins in the same step, before the link has told all.
        rig.begin(2);
        let correction = rig.downlink.unsent(generation, 18).unwrap();
        assert_eq!(correction.reply, ReplyId(1));
        assert_eq!(correction.thought, "one");
        assert_eq!(correction.heard.text, "");
        assert_eq!(rig.downlink.unsent(Generation(99), 1), None);
    }
}
