//! Makes frames of chunks of text: clause by clause through the engine, to the common level, to 48 kHz.

use super::catalogue::Choice;
use super::meter::Meter;
use super::outlet::{Item, Spoken};
use crate::finish::{Leveller, TAIL_MS, Trimmer};
use crate::models::Lease;
use crate::text::{self, Clauses, Pause};
use crate::tts::{self, Mark, Pace, Piece, Portion};
use media::framer::Framer;
use media::resample::Resampler;
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
    leveller: Leveller,
    resampler: Option<(u32, Resampler)>,
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
            leveller: Leveller::new(choice.voice.level_dbfs),
            choice,
            lease,
            items,
            meter,
            clock,
            resampler: None,
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
                self.say(whole).await.or_else(status)
            }
            Portion::Clause => {
                if self.ran_dry() {
                    // The listener has had a pause already.
                    self.after = None;
                }
                for clause in Clauses::of(&chunk.text) {
                    self.say(clause).await.or_else(status)?;
                }
                Ok(())
            }
        }
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

    async fn say(&mut self, clause: text::Clause<'_>) -> Result<(), End> {
        let adapter = self.lease.adapter();
        let portion = adapter.portion();
        let mut speech = adapter
            .speak(tts::Clause {
                text: clause.text.to_owned(),
                voice: self.choice.voice.name.clone(),
                speed: self.choice.speed,
            })
            .map_err(End::Failed)?;
        let meter = self.meter.clone();
        let queued = meter.queued();
        let asked = self.clock.now();
        let mut trimmer: Option<Trimmer> = None;
        let mut marks = Vec::new();
        let mut start = None;
        let mut trimmed = Vec::new();
        while let Some(piece) = speech.next().await {
            let Piece {
                rate_hz,
                mut samples,
                marks: more,
            } = piece.map_err(End::Failed)?;
            marks.extend(more);
            self.converter(rate_hz)?;
            for part in samples.chunks_mut(STEP_SAMPLES) {
                match portion {
                    Portion::Chunk => trimmed.extend_from_slice(part),
                    Portion::Clause => {
                        self.leveller.process(part);
                        trimmer
                            .get_or_insert_with(|| Trimmer::new(rate_hz))
                            .process(part, &mut trimmed);
                    }
                }
                if trimmed.is_empty() {
                    continue;
                }
                let start = match start {
                    Some(start) => start,
                    None => {
                        // Only now is it sure that the clause has any sound.
                        self.pause().await?;
                        *start.insert(self.made)
                    }
                };
                let cut = trimmer.as_ref().map_or(0, Trimmer::cut);
                self.mark(&mut marks, clause.at_char, start, cut, rate_hz);
                self.convert(&mut trimmed).await?;
                if self.began.is_none() {
                    self.began = Some(self.clock.now());
                    self.meter
                        .first_audio(self.clock.now().saturating_sub(asked));
                }
            }
        }
        if let Some(took) = speech.took() {
            self.meter.made(took.sound, took.time);
        }
        drop(queued);
        if let Some(trimmer) = &mut trimmer {
            trimmer.finish(&mut trimmed);
            self.convert(&mut trimmed).await?;
        }
        self.settle().await?;
        if start.is_some() {
            self.after = Some(clause.pause);
        }
        Ok(())
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

    /// Makes sure that the resampler fits the engine's rate.
    fn converter(&mut self, rate_hz: u32) -> Result<(), End> {
        if self
            .resampler
            .as_ref()
            .is_some_and(|(rate, _)| *rate == rate_hz)
        {
            return Ok(());
        }
        let resampler = Resampler::new(rate_hz, SAMPLE_RATE_HZ).map_err(|error| {
            End::Failed(tts::Error::Failed {
                engine: self.lease.adapter().family(),
                reason: error.to_string(),
            })
        })?;
        self.resampler = Some((rate_hz, resampler));
        Ok(())
    }

    /// Brings samples to 48 kHz and hands them on; `samples` is empty afterwards.
    async fn convert(&mut self, samples: &mut Vec<i16>) -> Result<(), End> {
        let mut at_48k = Vec::new();
        for part in samples.chunks(STEP_SAMPLES) {
            at_48k.clear();
            if let Some((_, resampler)) = &mut self.resampler {
                resampler.process(part, &mut at_48k);
            }
            self.push(&at_48k).await?;
        }
        samples.clear();
        Ok(())
    }

    /// Hands on what the resampler still holds of a clause.
    async fn settle(&mut self) -> Result<(), End> {
        let mut rest = Vec::new();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.flush(&mut rest);
        }
        self.push(&rest).await
    }

    async fn push(&mut self, samples: &[i16]) -> Result<(), End> {
        self.made += samples.len() as u64;
        self.framer.push(samples);
        while let Some(frame) = self.framer.pop() {
            self.emit(frame).await?;
        }
        Ok(())
    }

    /// Notes where the words begin whose places are known by now.
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
