//! Where frames leave: numbers them, holds them, ends them.

use super::sessions::{Flow, Live};
use crate::tts::Pace;
use bytes::Bytes;
use futures_util::stream;
use media::{AudioFrame, Clock, FRAME, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use proto::tts as wire;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// What a speaker hands to the outlet.
pub(super) enum Item {
    /// The synthesis has begun.
    Begin {
        /// Its place in its session.
        live: Live,
        /// How fast its frames may leave.
        pace: Pace,
    },
    /// 20 ms of it.
    Frame(Spoken),
    /// It failed; nothing follows.
    Failed(Status),
}

/// 20 ms of speech and what is said in it.
pub(super) struct Spoken {
    pub frame: AudioFrame,
    pub chunk: i64,
    pub words: Vec<wire::WordMark>,
    pub is_final: bool,
}

/// The way out of one synthesis.
pub(super) struct Outlet {
    items: mpsc::Receiver<Item>,
    clock: Clock,
    state: State,
    sequence: i64,
    chunk: i64,
}

enum State {
    /// No chunk has come yet.
    Waiting,
    /// Frames leave unless they are held. The next may leave at `due`.
    Open {
        live: Live,
        pace: Pace,
        due: Duration,
    },
    /// The final frame, or the error, has left.
    Done,
}

impl Outlet {
    pub(super) fn new(items: mpsc::Receiver<Item>, clock: Clock) -> Self {
        Self {
            items,
            clock,
            state: State::Waiting,
            sequence: 0,
            chunk: 0,
        }
    }

    pub(super) fn into_stream(self) -> super::Frames {
        Box::pin(stream::unfold(self, async |mut outlet| {
            Some((outlet.next().await?, outlet))
        }))
    }

    async fn next(&mut self) -> Option<Result<wire::AudioFrame, Status>> {
        loop {
            let item = match &mut self.state {
                State::Done => return None,
                State::Waiting => self.items.recv().await,
                State::Open { live, due, .. } => {
                    let flow = *live.flow.borrow_and_update();
                    match flow {
                        Flow::Stopped => return Some(Ok(self.cut_short())),
                        Flow::Abandoned => {
                            self.items.close();
                            self.end();
                            return Some(Err(Status::unavailable(
                                "the worker ends; another can say the rest",
                            )));
                        }
                        Flow::Held => {
                            if live.flow.changed().await.is_err() {
                                return Some(Ok(self.cut_short()));
                            }
                            continue;
                        }
                        Flow::Speaking => {}
                    }
                    let due = *due;
                    tokio::select! {
                        biased;
                        steered = live.flow.changed() => match steered {
                            Ok(()) => continue,
                            Err(_) => return Some(Ok(self.cut_short())),
                        },
                        item = async {
                            self.clock.until(due).await;
                            self.items.recv().await
                        } => item,
                    }
                }
            };
            match item {
                Some(Item::Begin { live, pace }) => {
                    self.state = State::Open {
                        live,
                        pace,
                        due: self.clock.now(),
                    };
                }
                Some(Item::Frame(spoken)) => return Some(Ok(self.send(spoken))),
                Some(Item::Failed(status)) => {
                    self.end();
                    return Some(Err(status));
                }
                None => {
                    self.end();
                    return Some(Err(Status::internal(
                        "the synthesis ended before it was complete; try again",
                    )));
                }
            }
        }
    }

    /// The client is told how it ends.
    fn end(&mut self) {
        if let State::Open { live, .. } = &mut self.state {
            live.told();
        }
        self.state = State::Done;
    }

    /// The final frame of something that was stopped: what would have come next, faded out, or silence.
    fn cut_short(&mut self) -> wire::AudioFrame {
        let next = match self.items.try_recv() {
            Ok(Item::Frame(spoken)) => spoken,
            _ => Spoken {
                frame: AudioFrame::silence(),
                chunk: self.chunk,
                words: Vec::new(),
                is_final: true,
            },
        };
        let mut frame = next.frame;
        fade_out(&mut frame);
        // Closed now, so that the speaker learns of it even while the client is slow to take this frame.
        self.items.close();
        self.send(Spoken {
            frame,
            is_final: true,
            ..next
        })
    }

    fn send(&mut self, spoken: Spoken) -> wire::AudioFrame {
        let Spoken {
            frame,
            chunk,
            words,
            is_final,
        } = spoken;
        self.sequence += 1;
        self.chunk = chunk;
        let session_id = match &mut self.state {
            State::Open { live, pace, due } => {
                if let Pace::TimesRealTime(times) = pace {
                    // After a stall or a pause start afresh; never send a burst to catch up.
                    let now = self.clock.now();
                    let step = FRAME / (*times).max(1);
                    let base = if now < *due + FRAME { *due } else { now };
                    *due = base + step;
                }
                live.session_id.clone()
            }
            State::Waiting | State::Done => String::new(),
        };
        if is_final {
            // Its place in the session is free from here on.
            self.end();
        }
        wire::AudioFrame {
            session_id,
            audio_data: Bytes::from(frame.to_le_bytes()),
            sample_rate: SAMPLE_RATE_HZ as i32,
            frame_duration_ms: FRAME.as_millis() as i32,
            sequence_number: self.sequence,
            is_final,
            chunk,
            words,
        }
    }
}

/// Half a frame from full height to nothing, then silence.
fn fade_out(frame: &mut AudioFrame) {
    const FADE: usize = FRAME_SAMPLES / 2;
    for (at, sample) in frame.samples_mut().iter_mut().enumerate() {
        let height = FADE.saturating_sub(at) as f32 / FADE as f32;
        *sample = (f32::from(*sample) * height) as i16;
    }
}
