//! Utterances as they are spoken.

use super::{language, samples, status, words};
use crate::stt::slots::{STEP_SAMPLES, Slots, Utterance};
use crate::stt::{RATE_HZ, Speaker};
use proto::stt as wire;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Who talks on without end gets a transcript each two minutes; a recogniser cannot hold more.
const MOST_SAMPLES: u64 = 120 * RATE_HZ as u64;

/// One stream: its place in time and the utterance that is open.
struct Stream<'a> {
    slots: &'a Slots,
    session_id: String,
    events: &'a mpsc::Sender<Result<wire::TranscriptEvent, Status>>,
    /// Samples of the stream so far.
    heard: u64,
    segment: i32,
    open: Option<Open>,
}

struct Open {
    utterance: Utterance,
    began: u64,
}

/// Transcribes utterance by utterance until the client has no more.
pub(super) async fn transcribe(
    slots: &Slots,
    first: wire::AudioFrame,
    inbound: &mut Streaming<wire::AudioFrame>,
    events: &mpsc::Sender<Result<wire::TranscriptEvent, Status>>,
) -> Result<(), Status> {
    let session_id = first.session_id.clone();
    let mut stream = Stream {
        slots,
        session_id,
        events,
        heard: 0,
        segment: 0,
        open: None,
    };
    let mut next = Some(first);
    while let Some(frame) = next {
        if !frame.session_id.is_empty() && frame.session_id != stream.session_id {
            return Err(Status::invalid_argument(
                "all frames of a stream belong to one session",
            ));
        }
        stream.hear(&samples(&frame.data)?).await?;
        if frame.is_last {
            stream.end().await?;
        }
        next = stream.next(inbound).await?;
    }
    // A client that half-closes in the middle of an utterance has ended it.
    if stream.open.is_some() {
        stream.end().await
    } else {
        Ok(())
    }
}

impl Stream<'_> {
    /// The client's next frame; tells meanwhile what the recogniser makes of the last ones.
    async fn next(
        &mut self,
        inbound: &mut Streaming<wire::AudioFrame>,
    ) -> Result<Option<wire::AudioFrame>, Status> {
        loop {
            let Some(open) = &mut self.open else {
                return inbound.message().await;
            };
            let text = tokio::select! {
                biased;
                text = open.utterance.partial() => text,
                frame = inbound.message() => return frame,
            };
            self.tell_partial(text).await;
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
                    let utterance = self
                        .slots
                        .borrow(speaker)
                        .await
                        .map_err(|error| status(&error))?;
                    self.open.insert(Open {
                        utterance,
                        began: self.heard,
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
            Some(Open { utterance, began }) => (
                began,
                utterance.finish().await.map_err(|error| status(&error))?,
            ),
            // Nothing was said, and that is what is told.
            None => (self.heard, Default::default()),
        };
        let event = wire::TranscriptEvent {
            event_type: "final".to_owned(),
            confidence: transcript.confidence,
            words: words(&transcript, time(began)),
            ..self.event(began, transcript.text)
        };
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
            language: language(self.slots),
            ..Default::default()
        }
    }

    async fn tell(&mut self, event: wire::TranscriptEvent) {
        // A client that is gone is noticed by whoever runs this.
        let _ = self.events.send(Ok(event)).await;
    }
}

fn time(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(RATE_HZ))
}
