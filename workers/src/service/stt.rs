//! `stt.STTService`: utterances in, words out.

mod file;
mod meter;
mod record;
mod running;
mod stream;

use crate::condition::{Changes, Condition};
use crate::metric::{self, End};
use crate::stt::slots::{Slots, State};
use crate::stt::{Error, SttAdapter, Transcript, Word};
use crate::{library::Missing, settings::SttSettings};
use media::Clock;
use meter::Meter;
use proto::stt as wire;
use proto::stt::stt_service_server::SttService;
use running::Running;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

/// Events that wait for a client; one that does not read them holds back its own utterance and nothing else.
const EVENTS_AHEAD: usize = 64;
/// Recordings that are being transcribed at a time; more wait. Each may hold a hundred megabytes.
const FILES: usize = 4;

/// Recognition over gRPC.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    engine: Engine,
    running: Running,
    files: Semaphore,
    meter: Meter,
    condition: Condition,
    gpu: Option<u32>,
    clock: Clock,
    tasks: TaskTracker,
}

/// What listens, or why nothing does.
enum Engine {
    Present(Slots),
    Missing(Error),
}

impl Service {
    /// Listens with this engine, on this GPU or on the processor. Without an engine the service stands and says what is missing.
    /// Tasks run on `tasks`.
    pub fn new(
        adapter: Result<Arc<dyn SttAdapter>, Error>,
        settings: &SttSettings,
        gpu: Option<u32>,
        tasks: TaskTracker,
    ) -> Self {
        let engine = match adapter {
            Ok(adapter) => Engine::Present(Slots::new(
                adapter,
                settings.slots,
                Duration::from_millis(settings.wait_ms.unwrap_or(SttSettings::WAIT_MS)),
            )),
            Err(error) => Engine::Missing(error),
        };
        Self(Arc::new(Inner {
            engine,
            running: Running::default(),
            files: Semaphore::new(FILES),
            meter: Meter::default(),
            condition: Condition::default(),
            gpu,
            clock: Clock::start(),
            tasks,
        }))
    }

    /// Makes the first recogniser ahead of time, in a task of its own.
    pub fn warm(&self) {
        let inner = self.0.clone();
        self.0.tasks.spawn(async move {
            if let Engine::Present(slots) = &inner.engine {
                slots.warm().await;
            }
        });
    }

    /// From now on nothing new is transcribed; what is under way goes on.
    pub fn drain(&self) {
        self.0.condition.drain();
    }

    /// Takes callers again after a drain.
    pub fn resume(&self) {
        self.0.condition.resume();
    }

    /// Whether nothing is being transcribed.
    pub fn is_idle(&self) -> bool {
        self.0.running.is_empty()
    }

    /// Stops everything that is being transcribed.
    pub fn stop_all(&self) {
        self.0.running.stop_all();
    }

    /// Whether it takes somebody and its engine works.
    pub(crate) fn is_well(&self) -> bool {
        let works = match &self.0.engine {
            Engine::Present(slots) => !matches!(slots.state(), State::Failed(_)),
            Engine::Missing(_) => false,
        };
        works && self.0.condition.is_well()
    }

    /// To wait for that to change with: the one or the other.
    pub(crate) fn changes(&self) -> (Changes, Option<watch::Receiver<State>>) {
        let states = match &self.0.engine {
            Engine::Present(slots) => Some(slots.states()),
            Engine::Missing(_) => None,
        };
        (self.0.condition.subscribe(), states)
    }
}

type Events =
    Pin<Box<dyn futures_util::Stream<Item = Result<wire::TranscriptEvent, Status>> + Send>>;

#[tonic::async_trait]
impl SttService for Service {
    type TranscribeStreamStream = Events;

    async fn transcribe_file(
        &self,
        request: Request<wire::TranscribeFileRequest>,
    ) -> Result<Response<wire::TranscribeFileResponse>, Status> {
        let request = request.into_inner();
        let slots = self.0.open()?;
        let run = self.0.running.begin(&request.request_id, "");
        let mut counted = self.0.meter.count();
        let response = tokio::select! {
            biased;
            () = run.token.cancelled() => return Err(cancelled()),
            response = async {
                let _place = self.0.place(slots).await?;
                file::transcribe(slots, request).await
            } => response,
        };
        counted.ended(if response.is_ok() {
            End::Ok
        } else {
            End::Error
        });
        response.map(Response::new)
    }

    async fn transcribe_stream(
        &self,
        request: Request<Streaming<wire::AudioFrame>>,
    ) -> Result<Response<Events>, Status> {
        self.0.open()?;
        let (events, waiting) = mpsc::channel(EVENTS_AHEAD);
        let inner = self.0.clone();
        let mut inbound = request.into_inner();
        // Nothing is awaited before the answer: a client may wait for it before it sends its first frame.
        self.0.tasks.spawn(async move {
            let gone = events.clone();
            tokio::select! {
                biased;
                () = gone.closed() => {}
                end = inner.listen(&mut inbound, &events) => if let Err(status) = end {
                    // The client may have gone; then nobody needs to know.
                    let _ = events.send(Err(status)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(waiting))))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelResponse>, Status> {
        let wire::CancelRequest {
            request_id,
            session_id,
        } = request.into_inner();
        let acknowledged = self.0.running.cancel(&request_id, &session_id);
        Ok(Response::new(wire::CancelResponse { acknowledged }))
    }

    async fn health(
        &self,
        _request: Request<wire::HealthRequest>,
    ) -> Result<Response<wire::HealthResponse>, Status> {
        Ok(Response::new(self.health_now()))
    }
}

impl Inner {
    /// The recognisers, for somebody new.
    fn open(&self) -> Result<&Slots, Status> {
        let slots = self.slots()?;
        if self.condition.is_draining() {
            metric::refused("stt");
            return Err(Status::resource_exhausted(format!(
                "the worker is draining: {} of {} recognisers are listening and no more will; ask another",
                slots.in_use(),
                slots.most()
            )));
        }
        Ok(slots)
    }

    /// A place among the recordings that are transcribed. Nobody waits for one where nobody waits for a recogniser.
    async fn place(&self, slots: &Slots) -> Result<SemaphorePermit<'_>, Status> {
        let has_none = || {
            status(&Error::NoneFree {
                slots: slots.most(),
            })
        };
        if slots.wait().is_zero() && slots.in_use() >= slots.most() {
            return Err(has_none());
        }
        if let Ok(place) = self.files.try_acquire() {
            return Ok(place);
        }
        if slots.wait().is_zero() {
            metric::refused("stt");
            return Err(Status::resource_exhausted(format!(
                "the worker is full: {FILES} of {FILES} recordings are being transcribed; try again later"
            )));
        }
        self.files.acquire().await.map_err(|_| has_none())
    }

    fn slots(&self) -> Result<&Slots, Status> {
        match &self.engine {
            Engine::Present(slots) => Ok(slots),
            Engine::Missing(error) => Err(status(error)),
        }
    }

    async fn listen(
        &self,
        inbound: &mut Streaming<wire::AudioFrame>,
        events: &mpsc::Sender<Result<wire::TranscriptEvent, Status>>,
    ) -> Result<(), Status> {
        let Some(first) = inbound.message().await? else {
            return Ok(());
        };
        let run = self.running.begin("", &first.session_id);
        let listening = stream::Listening {
            slots: self.slots()?,
            meter: &self.meter,
            clock: self.clock,
        };
        tokio::select! {
            biased;
            () = run.token.cancelled() => Err(cancelled()),
            end = stream::transcribe(listening, first, inbound, events) => end,
        }
    }
}

/// What a client is told.
fn status(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::NoneFree { .. } => {
            metric::refused("stt");
            Status::resource_exhausted(message)
        }
        Error::Missing(Missing { .. }) | Error::Start { .. } | Error::Stopped(_) => {
            Status::unavailable(message)
        }
    }
}

fn cancelled() -> Status {
    Status::cancelled("the transcription was cancelled")
}

/// The samples of little-endian 16-bit sound.
fn samples(bytes: &[u8]) -> Result<Vec<i16>, Status> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Status::invalid_argument(format!(
            "audio comes as 16-bit samples, and {} bytes are no whole number of them",
            bytes.len()
        )));
    }
    Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

/// The language of a transcript that does not tell its own.
fn language(slots: &Slots) -> String {
    slots.adapter().language().to_owned()
}

/// What a client may say about its sound; engines use a part of it.
const PROMPT_BYTES: usize = 16 * 1024;
const HOT_WORDS: usize = 1_000;

/// Refuses hints that nobody could use.
fn check_hints(prompt: &str, hot_words: &[String]) -> Result<(), Status> {
    if prompt.len() > PROMPT_BYTES {
        return Err(Status::invalid_argument(format!(
            "initial_prompt has {} bytes; it may have {PROMPT_BYTES}",
            prompt.len()
        )));
    }
    let bytes: usize = hot_words.iter().map(String::len).sum();
    if hot_words.len() > HOT_WORDS || bytes > PROMPT_BYTES {
        return Err(Status::invalid_argument(format!(
            "hot_words are {} with {bytes} bytes; there may be {HOT_WORDS} with {PROMPT_BYTES} bytes",
            hot_words.len()
        )));
    }
    Ok(())
}

/// A transcript's words with their places moved by `by`.
fn words(transcript: &Transcript, by: Duration) -> Vec<wire::Word> {
    let word = |word: &Word| wire::Word {
        word: word.text.clone(),
        start: (word.start + by).as_secs_f32(),
        end: (word.end + by).as_secs_f32(),
        probability: word.probability,
    };
    transcript.words.iter().map(word).collect()
}
