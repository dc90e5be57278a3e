//! An utterance on its way to a recogniser, and to the next one when that breaks.
//!
//! ```text
//!   sound ──► kept: the last 30 s ──► worker ──► events ──► session
//!               │                       │ breaks, or shows no sign of life for 2 s
//!               └── from the first sample without a final ──► the next worker
//! ```

use super::credentials::Wire;
use super::error::{Blame, blame, is_sign_of_life};
use super::fleet::Chosen;
use super::router::Wish;
use super::{Cluster, Error, MAX, TRIES};
use crate::telemetry::metrics as names;
use media::Clock;
use proto::registry::RecordKind;
use proto::stt::stt_service_client::SttServiceClient;
use proto::stt::{
    AudioFrame, HealthRequest, TranscribeFileRequest, TranscribeFileResponse, TranscriptEvent,
};
use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Samples that are kept for the next worker: thirty seconds at 16 kHz. Of a longer utterance the beginning is lost then.
const KEPT_SAMPLES: u64 = 30 * 16_000;
/// Pieces of sound that wait in the connection.
const IN_FLIGHT: usize = 16;
/// How long a worker that owes something may do nothing before it is asked for a sign of life, and how long that may take.
const QUIET_FOR: Duration = Duration::from_secs(1);
const SIGN_OF_LIFE_WITHIN: Duration = Duration::from_secs(1);
/// How long it may do nothing although it gives signs of life: a model may have to be loaded first, and a large one takes its time
/// over a long utterance.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// A final's end is told in whole milliseconds.
const ROUNDING_SAMPLES: u64 = 16;

/// The sound of an utterance: what came, and what is still to come.
struct Utterance {
    coming: Option<mpsc::Receiver<AudioFrame>>,
    kept: VecDeque<AudioFrame>,
    /// The number of the first piece that is kept, and of the first of its samples.
    first: u64,
    first_sample: u64,
    kept_samples: u64,
}

fn samples(frame: &AudioFrame) -> u64 {
    frame.data.len() as u64 / 2
}

impl Utterance {
    fn new(coming: mpsc::Receiver<AudioFrame>) -> Self {
        Self {
            coming: Some(coming),
            kept: VecDeque::new(),
            first: 0,
            first_sample: 0,
            kept_samples: 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.coming.is_none()
    }

    /// The piece of this number, if it is there.
    fn piece(&self, number: u64) -> Option<&AudioFrame> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get(index)
    }

    /// The number that the next piece to come will have.
    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    async fn recv(&mut self) -> Option<AudioFrame> {
        match &mut self.coming {
            Some(coming) => coming.recv().await,
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, piece: Option<AudioFrame>) {
        match piece {
            Some(piece) => {
                self.kept_samples += samples(&piece);
                self.kept.push_back(piece);
                while self.kept_samples > KEPT_SAMPLES && self.kept.len() > 1 {
                    self.forget_first();
                }
            }
            None => self.coming = None,
        }
    }

    /// All up to this sample is recognised for good.
    fn commit(&mut self, sample: u64) {
        while let Some(piece) = self.kept.front()
            && self.first_sample + samples(piece) <= sample + ROUNDING_SAMPLES
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(piece) = self.kept.pop_front() {
            self.first += 1;
            self.first_sample += samples(&piece);
            self.kept_samples -= samples(&piece);
        }
    }
}

/// How one worker's part of an utterance ended.
enum End {
    /// All is recognised, or nobody wants to know any more.
    Done,
    /// The worker broke, or is full.
    Broke(Status),
}

type Opening = Pin<Box<dyn Future<Output = Result<Streaming<TranscriptEvent>, Status>> + Send>>;

enum Events {
    Opening(Opening),
    Open(Box<Streaming<TranscriptEvent>>),
}

impl Events {
    /// The next event; `None` when the stream has just opened.
    async fn next(&mut self) -> Result<Option<TranscriptEvent>, Status> {
        match self {
            Self::Opening(opening) => {
                *self = Self::Open(Box::new(opening.await?));
                Ok(None)
            }
            Self::Open(events) => match events.message().await? {
                Some(event) => Ok(Some(event)),
                None => Err(Status::ok("")),
            },
        }
    }
}

impl Cluster {
    /// Transcribes one utterance: 16 kHz samples from `sound` until it closes. Returns once the last event was handed over.
    ///
    /// # Errors
    /// [`Error::Full`] or [`Error::Unavailable`] when no recogniser is free, [`Error::Refused`] when the sound is none.
    pub async fn transcribe(
        &self,
        sound: mpsc::Receiver<AudioFrame>,
        events: &mpsc::Sender<TranscriptEvent>,
    ) -> Result<(), Error> {
        let mut utterance = Utterance::new(sound);
        let mut tried = BTreeSet::new();
        let mut problem = None;
        while let Some(chosen) = self.recogniser(&tried) {
            tried.insert(chosen.name.clone());
            self.fleet()
                .ask(&chosen.name, QUIET_FOR + SIGN_OF_LIFE_WITHIN);
            match self.transcribe_at(&chosen, &mut utterance, events).await {
                End::Done => {
                    self.fleet().succeeded(&chosen.name);
                    return Ok(());
                }
                End::Broke(status) => match blame(&status) {
                    Blame::Asker => return Err(status.into()),
                    Blame::Busy => {
                        problem.get_or_insert(Error::from(status));
                    }
                    Blame::Worker => {
                        self.fleet().failed(&chosen.name, status.message());
                        metrics::counter!(names::FAILOVERS_TOTAL, "kind" => "stt").increment(1);
                        problem.get_or_insert(Error::from(status));
                    }
                },
            }
        }
        Err(problem.unwrap_or_else(nobody))
    }

    /// The recogniser to be asked next.
    fn recogniser(&self, tried: &BTreeSet<String>) -> Option<Chosen> {
        let wish = Wish {
            kind: RecordKind::Stt,
            ..Wish::default()
        };
        let mut choices = self.fleet().choose(&wish, tried).into_iter();
        match tried.len() < TRIES {
            true => choices.next(),
            false => choices.find(|chosen| chosen.is_embedded),
        }
    }

    async fn transcribe_at(
        &self,
        chosen: &Chosen,
        utterance: &mut Utterance,
        events: &mpsc::Sender<TranscriptEvent>,
    ) -> End {
        let _open = self.fleet().opened(&chosen.name);
        let stt = client(chosen.wire.clone());
        let (pieces, waiting) = mpsc::channel(IN_FLIGHT);
        let mut worker = {
            let mut stt = stt.clone();
            let opening = async move {
                let opened = stt.transcribe_stream(ReceiverStream::new(waiting)).await;
                opened.map(tonic::Response::into_inner)
            };
            Events::Opening(Box::pin(opening))
        };
        let mut pieces = Some(pieces);
        // What the worker before has heard already is known in more words than this one has at first.
        let known_until = utterance.next();
        // Where this worker's time begins.
        let origin = utterance.first_sample;
        let mut next = utterance.first;
        let clock = Clock::start();
        let mut quiet_since = clock.now();
        let mut silent_since = quiet_since;
        loop {
            let piece = utterance.piece(next).cloned();
            let owes = piece.is_some() || utterance.is_complete();
            if piece.is_none() && utterance.is_complete() {
                // Closing the stream is what tells the worker that the utterance is over.
                pieces = None;
            }
            // A clone, so that the arms below may change the way while a permit is held.
            let way = pieces.clone();
            tokio::select! {
                biased;
                () = events.closed() => return End::Done,
                told = worker.next() => match told {
                    Ok(None) => {
                        self.fleet().succeeded(&chosen.name);
                        quiet_since = clock.now();
                        silent_since = quiet_since;
                    }
                    Ok(Some(event)) => {
                        quiet_since = clock.now();
                        silent_since = quiet_since;
                        let end = u64::try_from(event.end_ms).unwrap_or(0) * 16;
                        let is_final = event.event_type == "final";
                        if !is_final && next < known_until {
                            continue;
                        }
                        if events.send(event).await.is_err() {
                            return End::Done;
                        }
                        if is_final {
                            utterance.commit(origin + end);
                            if utterance.is_complete() && utterance.kept.is_empty() {
                                return End::Done;
                            }
                        }
                    }
                    Err(status) if status.code() == tonic::Code::Ok => {
                        if utterance.is_complete() && next >= utterance.next() {
                            return End::Done;
                        }
                        return End::Broke(Status::unavailable("it stopped listening"));
                    }
                    Err(status) => return End::Broke(status),
                },
                permit = reserve(&way), if piece.is_some() => match (permit, piece) {
                    (Some(permit), Some(piece)) => {
                        permit.send(piece);
                        next += 1;
                        quiet_since = clock.now();
                        silent_since = quiet_since;
                    }
                    // It takes no more; why, it says on the other way.
                    _ => pieces = None,
                },
                piece = utterance.recv() => {
                    if !owes {
                        quiet_since = clock.now();
                        silent_since = quiet_since;
                    }
                    utterance.take(piece);
                    // Of an utterance that is too long for what is kept, the worker gets all that is there.
                    next = next.max(utterance.first);
                }
                () = clock.until(quiet_since + QUIET_FOR), if owes => {
                    if !is_alive(stt.clone()).await {
                        return End::Broke(Status::deadline_exceeded("it gives no sign of life"));
                    }
                    quiet_since = clock.now();
                    if quiet_since.saturating_sub(silent_since) >= STALLED_AFTER {
                        // It is there, and slow: another may be faster, but it has not failed.
                        return End::Broke(Status::resource_exhausted("it takes too long"));
                    }
                }
            }
            debug_assert!(next <= utterance.next());
        }
    }

    /// Transcribes a whole file (WAV, FLAC or OGG).
    ///
    /// # Errors
    /// [`Error::Refused`] when the bytes hold no sound that can be read.
    pub async fn transcribe_file(
        &self,
        request: TranscribeFileRequest,
    ) -> Result<TranscribeFileResponse, Error> {
        let mut tried = BTreeSet::new();
        let mut problem = None;
        while let Some(chosen) = self.recogniser(&tried) {
            tried.insert(chosen.name.clone());
            let _open = self.fleet().opened(&chosen.name);
            let mut stt = client(chosen.wire.clone());
            // How long a recording takes is its own affair; whether anybody is there is asked first.
            if !chosen.is_embedded && !is_alive(stt.clone()).await {
                self.fleet()
                    .failed(&chosen.name, "it gives no sign of life");
                continue;
            }
            match stt.transcribe_file(request.clone()).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) if blame(&status) == Blame::Asker => return Err(status.into()),
                Err(status) => {
                    if blame(&status) == Blame::Worker {
                        self.fleet().failed(&chosen.name, status.message());
                    }
                    problem.get_or_insert(Error::from(status));
                }
            }
        }
        Err(problem.unwrap_or_else(nobody))
    }
}

fn nobody() -> Error {
    Error::Unavailable("none is there that can listen; try again in a moment".into())
}

fn client(wire: Wire) -> SttServiceClient<Wire> {
    SttServiceClient::new(wire)
        .max_encoding_message_size(MAX)
        .max_decoding_message_size(MAX)
}

async fn is_alive(mut stt: SttServiceClient<Wire>) -> bool {
    let asked = stt.health(HealthRequest {});
    let answer = timeout(SIGN_OF_LIFE_WITHIN, asked).await;
    answer.is_ok_and(|answer| is_sign_of_life(&answer))
}

async fn reserve(
    pieces: &Option<mpsc::Sender<AudioFrame>>,
) -> Option<mpsc::Permit<'_, AudioFrame>> {
    match pieces {
        Some(pieces) => pieces.reserve().await.ok(),
        None => std::future::pending().await,
    }
}
