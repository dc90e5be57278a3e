//! Utterances as they are spoken.

use super::meter::{Counted, Meter};
use super::{check_hints, language, samples, status, words};
use crate::metric::{self, End};
use crate::stt::slots::{STEP_SAMPLES, Slots, Utterance};
use crate::stt::{Hints, RATE_HZ, Speaker, Transcript};
use media::Clock;
use proto::stt as wire;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::{Status, Streaming};

/// Who talks on without end gets a transcript each two minutes; a recogniser cannot hold more.
const MOST_SAMPLES: u64 = 120 * RATE_HZ as u64;
/// Whose utterance goes on without a word from the client for so long has forgotten to end it: others want the recogniser.
const IDLE: Duration = Duration::from_secs(30);

/// What streams listen with.
#[derive(Clone, Copy)]
pub(super) struct Listening<'a> {
    pub slots: &'a Slots,
    pub meter: &'a Meter,
    pub clock: Clock,
}

/// One stream: its place in time and the utterance that is open.
struct Stream<'a> {
    with: Listening<'a>,
    session_id: String,
    events: &'a mpsc::Sender<Result<wire::TranscriptEvent, Status>>,
    /// Samples of the stream so far.
    heard: u64,
    segment: i32,
    /// What the client said last about what it says.
    hints: Hints,
    open: Option<Open<'a>>,
}

struct Open<'a> {
    utterance: Utterance,
    began: u64,
    counted: Counted<'a>,
}

/// Transcribes utterance by utterance until the client has no more.
pub(super) async fn transcribe(
    with: Listening<'_>,
    first: wire::AudioFrame,
    inbound: &mut Streaming<wire::AudioFrame>,
    events: &mpsc::Sender<Result<wire::TranscriptEvent, Status>>,
) -> Result<(), Status> {
    let session_id = first.session_id.clone();
    let mut stream = Stream {
        with,
        session_id,
        events,
        heard: 0,
        segment: 0,
        hints: Hints::default(),
        open: None,
    };
    let end = stream.run(first, inbound).await;
    if end.is_err()
        && let Some(open) = &mut stream.open
    {
        open.counted.ended(End::Error);
    }
    end
}

impl Stream<'_> {
    async fn run(
        &mut self,
        first: wire::AudioFrame,
        inbound: &mut Streaming<wire::AudioFrame>,
    ) -> Result<(), Status> {
        let mut next = Some(first);
        while let Some(frame) = next {
            if !frame.session_id.is_empty() && frame.session_id != self.session_id {
                return Err(Status::invalid_argument(
                    "all frames of a stream belong to one session",
                ));
            }
            let samples = samples(&frame.data)?;
            let is_last = frame.is_last;
            self.take_hints(frame)?;
            self.hear(&samples).await?;
            if is_last {
                self.end().await?;
            }
            next = self.next(inbound).await?;
        }
        // A client that half-closes in the middle of an utterance has ended it.
        if self.open.is_some() {
            self.end().await
        } else {
            Ok(())
        }
    }

    /// Hints count from the next utterance on; they need not be repeated with each frame.
    fn take_hints(&mut self, frame: wire::AudioFrame) -> Result<(), Status> {
        check_hints(&frame.initial_prompt, &frame.hot_words)?;
        if !frame.initial_prompt.is_empty() {
            self.hints.prompt = frame.initial_prompt;
        }
        if !frame.hot_words.is_empty() {
            self.hints.hot_words = frame.hot_words;
        }
        Ok(())
    }

    /// The client's next frame; tells meanwhile what the recogniser makes of the last ones.
    async fn next(
        &mut self,
        inbound: &mut Streaming<wire::AudioFrame>,
    ) -> Result<Option<wire::AudioFrame>, Status> {
        let idle = sleep(IDLE);
        tokio::pin!(idle);
        loop {
            let Some(open) = &mut self.open else {
                return inbound.message().await;
            };
            let text = tokio::select! {
                biased;
                text = open.utterance.partial() => Some(text),
                frame = inbound.message() => return frame,
                () = &mut idle => None,
            };
            match text {
                Some(text) => self.tell_partial(text).await,
                // What was heard is told; the next frame begins another utterance.
                None => self.end().await?,
            }
        }
    }

    async fn hear(&mut self, samples: &[i16]) -> Result<(), Status> {
        for step in samples.chunks(STEP_SAMPLES) {
            if self
                .open
                .as_ref()
                .is_some_and(|open| self.heard - open.began >= MOST_SAMPLES)
            {
                self.end().await?;
            }
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let speaker = Speaker(self.session_id.clone());
                    let utterance = self.with.slots.borrow(speaker, self.hints.clone()).await;
                    self.open.insert(Open {
                        utterance: utterance.map_err(|error| status(&error))?,
                        began: self.heard,
                        counted: self.with.meter.count(),
                    })
                }
            };
            open.utterance
                .hear(step)
                .await
                .map_err(|error| status(&error))?;
            self.heard += step.len() as u64;
            if let Some(text) = open.utterance.partial_now() {
                self.tell_partial(text).await;
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Status> {
        let (began, transcript) = match self.open.take() {
            Some(open) => (open.began, finish(self.with, open).await?),
            // Nothing was said, and that is what is told.
            None => (self.heard, Default::default()),
        };
        let mut event = wire::TranscriptEvent {
            event_type: "final".to_owned(),
            confidence: transcript.confidence,
            words: words(&transcript, time(began)),
            ..self.event(began, transcript.text)
        };
        if let Some(language) = transcript.language {
            event.language = language;
        }
        self.segment += 1;
        self.tell(event).await;
        Ok(())
    }

    async fn tell_partial(&mut self, text: String) {
        let began = self.open.as_ref().map_or(self.heard, |open| open.began);
        let event = wire::TranscriptEvent {
            event_type: "partial".to_owned(),
            ..self.event(began, text)
        };
        self.tell(event).await;
    }

    fn event(&self, began: u64, text: String) -> wire::TranscriptEvent {
        let ms = |samples: u64| i64::try_from(time(samples).as_millis()).unwrap_or(i64::MAX);
        wire::TranscriptEvent {
            session_id: self.session_id.clone(),
            text,
            segment_id: self.segment,
            start_ms: ms(began),
            end_ms: ms(self.heard),
            language: language(self.with.slots),
            ..Default::default()
        }
    }

    async fn tell(&mut self, event: wire::TranscriptEvent) {
        // A client that is gone is noticed by whoever runs this.
        let _ = self.events.send(Ok(event)).await;
    }
}

/// What an utterance says; how long that took is noted.
async fn finish(with: Listening<'_>, open: Open<'_>) -> Result<Transcript, Status> {
    let Open {
        utterance,
        mut counted,
        ..
    } = open;
    let ended = with.clock.now();
    let transcript = utterance.finish().await;
    counted.ended(match transcript {
        Ok(_) => End::Ok,
        Err(_) => End::Error,
    });
    with.meter.told(with.clock.now().saturating_sub(ended));
    metrics::gauge!(metric::STT_RTF).set(with.slots.rtf());
    transcript.map_err(|error| status(&error))
}

fn time(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(RATE_HZ))
}
