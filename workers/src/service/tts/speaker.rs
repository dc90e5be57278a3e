//! Makes frames of chunks of text: clause by clause through the engine, to the common level, to 48 kHz.

use super::catalogue::Choice;
use super::meter::Meter;
use super::outlet::{Item, Spoken};
use crate::finish::{Finisher, TAIL_MS, Treatment};
use crate::models::Lease;
use crate::text::{self, Clauses, Pause};
use crate::tts::engine::TOGETHER;
use crate::tts::{self, Class, Mark, Pace, Piece, Portion, Speech};
use media::framer::Framer;
use media::{AudioFrame, Clock, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use proto::tts as wire;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// Samples worked on at a time: the client's slowness is felt after each 100 ms or so, and buffers stay small.
const STEP_SAMPLES: usize = 2_400;

/// Says the chunks of one synthesis.
pub(super) struct Speaker {
    choice: Choice,
    lease: Lease,
    items: mpsc::Sender<Item>,
    meter: Arc<Meter>,
    clock: Clock,
    finisher: Finisher,
    framer: Framer,
    /// Samples at 48 kHz that went into the framer so far.
    made: u64,
    /// Samples at 48 kHz that came out of it in frames.
    framed: u64,
    /// From which sample on which chunk is spoken.
    chunks: VecDeque<(u64, i64)>,
    words: VecDeque<(u64, wire::WordMark)>,
    /// The last frame made, kept back until it is known whether another follows.
    last: Option<Spoken>,
    /// The chunk that came last.
    chunk: i64,
    /// The chunk that the frames have come to.
    speaking: i64,
    /// What the last clause ended with; none before the first.
    after: Option<Pause>,
    /// When the first frame was made.
    began: Option<Duration>,
}

/// A clause that an engine was given.
struct Asked<'a> {
    clause: text::Clause<'a>,
    speech: Speech,
    /// When it was.
    at: Duration,
}

/// The client is gone, or the engine failed.
enum End {
    Gone,
    Failed(tts::Error),
}

impl Speaker {
    pub(super) fn new(
        choice: Choice,
        lease: Lease,
        items: mpsc::Sender<Item>,
        meter: Arc<Meter>,
        clock: Clock,
    ) -> Self {
        Self {
            choice,
            lease,
            items,
            meter,
            clock,
            finisher: Finisher::default(),
            framer: Framer::new(),
            made: 0,
            framed: 0,
            chunks: VecDeque::new(),
            words: VecDeque::new(),
            last: None,
            chunk: 0,
            speaking: 0,
            after: None,
            began: None,
        }
    }

    /// Says a chunk; returns when all its frames wait for the client.
    pub(super) async fn speak(&mut self, chunk: &wire::TextChunk) -> Result<(), Status> {
        self.chunk = chunk.sequence_number;
        if chunk.text.trim().is_empty() {
            return Ok(());
        }
        self.chunks.push_back((self.made, chunk.sequence_number));
        match self.lease.adapter().portion() {
            Portion::Chunk => {
                let whole = text::Clause {
                    text: &chunk.text,
                    at_char: 0,
                    pause: Pause::None,
                };
                self.say_all(std::iter::once(whole)).await.or_else(status)
            }
            Portion::Clause => {
                if self.ran_dry() {
                    // The listener has had a pause already.
                    self.after = None;
                }
                self.say_all(Clauses::of(&chunk.text)).await.or_else(status)
            }
        }
    }

    /// Says clauses one after the other. A caller's go to the engine one by one, so that a stop leaves nothing undone; of batch
    /// work the engine gets as many as it says together.
    async fn say_all<'a>(
        &mut self,
        mut clauses: impl Iterator<Item = text::Clause<'a>>,
    ) -> Result<(), End> {
        let most = match self.choice.class {
            Class::RealTime => 1,
            Class::Batch => TOGETHER,
        };
        let mut ahead: VecDeque<Asked<'a>> = VecDeque::new();
        let mut waiting = clauses.next();
        loop {
            while ahead.len() < most
                && let Some(clause) = waiting
            {
                match self.ask(clause) {
                    Ok(asked) => ahead.push_back(asked),
                    // There is a place when one of these is said.
                    Err(tts::Error::Busy(_)) if !ahead.is_empty() => break,
                    Err(error) => return Err(End::Failed(error)),
                }
                waiting = clauses.next();
            }
            match ahead.pop_front() {
                Some(asked) => self.say(asked).await?,
                None => return Ok(()),
            }
        }
    }

    /// Gives a clause to the engine.
    fn ask<'a>(&self, clause: text::Clause<'a>) -> Result<Asked<'a>, tts::Error> {
        let speech = self.lease.adapter().speak(tts::Clause {
            text: clause.text.to_owned(),
            voice: self.choice.voice.name.clone(),
            speed: self.choice.speed,
            class: self.choice.class,
        })?;
        Ok(Asked {
            clause,
            speech,
            at: self.clock.now(),
        })
    }

    /// Sends the final frame. It carries the rest of the sound, or silence if there was none at all.
    pub(super) async fn finish(mut self) -> Result<(), Status> {
        if let Some(rest) = self.framer.flush() {
            self.emit(rest).await.or_else(status)?;
        }
        let last = self.last.take().unwrap_or_else(|| Spoken {
            frame: AudioFrame::silence(),
            chunk: self.chunk,
            words: Vec::new(),
            is_final: true,
        });
        self.meter.finished();
        // If the outlet is gone there is nobody to tell.
        let _ = self
            .items
            .send(Item::Frame(Spoken {
                is_final: true,
                ..last
            }))
            .await;
        Ok(())
    }

    /// Hands on the sound of a clause as the engine makes it.
    async fn say(&mut self, asked: Asked<'_>) -> Result<(), End> {
        let Asked {
            clause,
            mut speech,
            at,
        } = asked;
        let family = self.lease.adapter().family();
        let class = self.choice.class;
        let meter = self.meter.clone();
        let queued = meter.queued();
        let mut rate = None;
        let mut marks = Vec::new();
        let mut start = None;
        let mut polishing = Duration::ZERO;
        let mut sound = Vec::new();
        while let Some(piece) = speech.next().await {
            let Piece {
                rate_hz,
                samples,
                marks: more,
            } = piece.map_err(End::Failed)?;
            marks.extend(more);
            if rate != Some(rate_hz) {
                rate = Some(rate_hz);
                self.begin(rate_hz, &speech)?;
            }
            for part in samples.chunks(STEP_SAMPLES) {
                let before = self.clock.now();
                self.finisher.process(part, &mut sound);
                polishing += self.clock.now().saturating_sub(before);
                if sound.is_empty() {
                    continue;
                }
                let start = self.started(&mut start).await?;
                let cut = self.finisher.cut();
                self.mark(&mut marks, clause.at_char, start, cut, rate_hz);
                self.push(&sound).await?;
                sound.clear();
                if self.began.is_none() {
                    let now = self.clock.now();
                    self.began = Some(now);
                    self.meter.first_audio(class, now.saturating_sub(at));
                }
            }
        }
        if let Some(took) = speech.took() {
            self.meter.made(family, class, took);
        }
        drop(queued);
        let Some(rate_hz) = rate else {
            return Ok(());
        };
        let before = self.clock.now();
        let cut = self.finisher.cut();
        self.finisher.end(&mut sound);
        polishing += self.clock.now().saturating_sub(before);
        if !sound.is_empty() {
            let start = self.started(&mut start).await?;
            self.mark(&mut marks, clause.at_char, start, cut, rate_hz);
            self.push(&sound).await?;
        }
        self.meter.polished(family, class, polishing);
        if start.is_some() {
            self.after = Some(clause.pause);
        }
        Ok(())
    }

    /// A clause's sound begins: the finisher learns what is to be done to it.
    fn begin(&mut self, rate_hz: u32, speech: &Speech) -> Result<(), End> {
        let adapter = self.lease.adapter();
        let treatment = match adapter.portion() {
            Portion::Chunk => Treatment::AsItIs,
            Portion::Clause => {
                let known = speech.loudness_lufs();
                Treatment::Speech(known.or(self.choice.voice.loudness_lufs))
            }
        };
        self.finisher.begin(rate_hz, treatment).map_err(|error| {
            End::Failed(tts::Error::Failed {
                engine: adapter.family(),
                reason: error.to_string(),
            })
        })
    }

    /// At which sample a clause begins, behind the pause before it: only with its first sound is it sure that it has any.
    async fn started(&mut self, start: &mut Option<u64>) -> Result<u64, End> {
        if let Some(start) = *start {
            return Ok(start);
        }
        self.pause().await?;
        Ok(*start.insert(self.made))
    }

    /// The silence between two clauses; some of it is the first one's own tail.
    async fn pause(&mut self) -> Result<(), End> {
        let Some(after) = self.after.take() else {
            return Ok(());
        };
        let pause_ms = (after.length_ms() as f32 / self.choice.speed).round() as usize;
        let silence = vec![0; pause_ms.saturating_sub(TAIL_MS) * SAMPLE_RATE_HZ as usize / 1000];
        self.push(&silence).await
    }

    /// Whether a listener in real time has already heard all that was made.
    fn ran_dry(&self) -> bool {
        let Some(began) = self.began else {
            return false;
        };
        let sound = Duration::from_millis(self.made * 1000 / u64::from(SAMPLE_RATE_HZ));
        matches!(self.lease.adapter().pace(), Pace::AsMade)
            && self.clock.now().saturating_sub(began) > sound
    }

    async fn push(&mut self, samples: &[i16]) -> Result<(), End> {
        self.made += samples.len() as u64;
        self.framer.push(samples);
        while let Some(frame) = self.framer.pop() {
            self.emit(frame).await?;
        }
        Ok(())
    }

    /// Notes where the words begin whose places are known by now, of a clause from which so many samples were cut.
    fn mark(
        &mut self,
        marks: &mut Vec<Mark>,
        at_char: usize,
        start: u64,
        cut: usize,
        rate_hz: u32,
    ) {
        for mark in marks.drain(..) {
            let into = mark.at_sample.saturating_sub(cut) as u64 * u64::from(SAMPLE_RATE_HZ)
                / u64::from(rate_hz.max(1));
            let at = start + into;
            let small = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
            let word = wire::WordMark {
                offset_chars: small(at_char + mark.offset_chars),
                length_chars: small(mark.length_chars),
                at_sample: i64::try_from(at).unwrap_or(i64::MAX),
            };
            self.words.push_back((at, word));
        }
    }

    /// Sends the frame before this one, and keeps this one back.
    async fn emit(&mut self, frame: AudioFrame) -> Result<(), End> {
        let first = self.framed;
        self.framed += FRAME_SAMPLES as u64;
        // The chunk that its first sample speaks.
        while let Some((from, chunk)) = self.chunks.front().copied()
            && from <= first
        {
            self.chunks.pop_front();
            self.speaking = chunk;
        }
        let mut words = Vec::new();
        while let Some((at, word)) = self.words.front().copied()
            && at < self.framed
        {
            self.words.pop_front();
            words.push(word);
        }
        self.meter.frame();
        let chunk = self.speaking;
        match self.last.replace(Spoken {
            frame,
            chunk,
            words,
            is_final: false,
        }) {
            Some(before) => self
                .items
                .send(Item::Frame(before))
                .await
                .map_err(|_| End::Gone),
            None => Ok(()),
        }
    }
}

/// What the client is told; nothing when it is gone.
fn status(end: End) -> Result<(), Status> {
    match end {
        End::Gone => Ok(()),
        End::Failed(error @ tts::Error::Busy(_)) => {
            Err(Status::resource_exhausted(error.to_string()))
        }
        End::Failed(
            error @ (tts::Error::Missing(_) | tts::Error::Stopped(_) | tts::Error::Start { .. }),
        ) => Err(Status::unavailable(error.to_string())),
        End::Failed(error @ tts::Error::Failed { .. }) => Err(Status::internal(error.to_string())),
    }
}
