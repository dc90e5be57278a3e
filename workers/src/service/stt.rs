//! `stt.STTService`: utterances in, words out.

mod file;
mod stream;

use crate::stt::slots::{Slots, State};
use crate::stt::{Error, SttAdapter, Transcript, Word};
use crate::{library::Missing, settings::SttSettings};
use proto::stt as wire;
use proto::stt::stt_service_server::SttService;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
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
    tasks: TaskTracker,
}

/// What listens, or why nothing does.
enum Engine {
    Present(Slots),
    Missing(Error),
}

impl Service {
    /// Listens with this engine. Without one the service stands and says what is missing. Tasks run on `tasks`.
    pub fn new(
        adapter: Result<Arc<dyn SttAdapter>, Error>,
        settings: &SttSettings,
        tasks: TaskTracker,
    ) -> Self {
        let engine = match adapter {
            Ok(adapter) => Engine::Present(Slots::new(
                adapter,
                settings.slots,
                Duration::from_millis(settings.wait_ms),
            )),
            Err(error) => Engine::Missing(error),
        };
        Self(Arc::new(Inner {
            engine,
            running: Running::default(),
            files: Semaphore::new(FILES),
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

    /// Stops everything that is being transcribed.
    pub fn stop_all(&self) {
        self.0.running.stop_all();
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
        let slots = self.0.slots()?;
        let run = self.0.running.begin(&request.request_id, "");
        tokio::select! {
            biased;
            () = run.token.cancelled() => Err(Status::cancelled("the transcription was cancelled")),
            response = async {
                let _place = self.0.files.acquire().await;
                file::transcribe(slots, request).await
            } => response.map(Response::new),
        }
    }

    async fn transcribe_stream(
        &self,
        request: Request<Streaming<wire::AudioFrame>>,
    ) -> Result<Response<Events>, Status> {
        self.0.slots()?;
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
        Ok(Response::new(self.0.health()))
    }
}

impl Inner {
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
        tokio::select! {
            biased;
            () = run.token.cancelled() => Err(Status::cancelled("the transcription was cancelled")),
            end = stream::transcribe(self.slots()?, first, inbound, events) => end,
        }
    }

    fn health(&self) -> wire::HealthResponse {
        let slots = match &self.engine {
            Engine::Present(slots) => slots,
            Engine::Missing(error) => {
                return wire::HealthResponse {
                    status: "error".to_owned(),
                    metadata: HashMap::from([("message".to_owned(), error.to_string())]),
                    ..Default::default()
                };
            }
        };
        let mut metadata = HashMap::from([
            ("slots".to_owned(), slots.most().to_string()),
            ("slots_in_use".to_owned(), slots.in_use().to_string()),
            (
                "languages".to_owned(),
                slots.adapter().languages().join(","),
            ),
        ]);
        let status = match slots.state() {
            State::Loading => "loading",
            State::Ready => "ok",
            State::Failed(error) => {
                metadata.insert("message".to_owned(), error.to_string());
                "error"
            }
        };
        wire::HealthResponse {
            status: status.to_owned(),
            model_name: slots.adapter().model(),
            engine: slots.adapter().engine().to_owned(),
            metadata,
        }
    }
}

/// What is being transcribed, so that it can be cancelled by name.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    next: u64,
    running: HashMap<u64, Named>,
}

struct Named {
    request_id: String,
    session_id: String,
    token: CancellationToken,
}

impl Running {
    fn begin(&self, request_id: &str, session_id: &str) -> Run {
        let token = CancellationToken::new();
        let named = Named {
            request_id: request_id.to_owned(),
            session_id: session_id.to_owned(),
            token: token.clone(),
        };
        let mut runs = self.lock();
        let number = runs.next;
        runs.next += 1;
        runs.running.insert(number, named);
        drop(runs);
        Run {
            number,
            token,
            running: self.clone(),
        }
    }

    /// Stops all that bears one of the names; whether there was any. An empty name is nobody's.
    fn cancel(&self, request_id: &str, session_id: &str) -> bool {
        let is = |name: &str, asked: &str| !asked.is_empty() && name == asked;
        let mut found = false;
        for named in self.lock().running.values() {
            if is(&named.request_id, request_id) || is(&named.session_id, session_id) {
                named.token.cancel();
                found = true;
            }
        }
        found
    }

    fn stop_all(&self) {
        self.lock()
            .running
            .values()
            .for_each(|named| named.token.cancel());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Runs> {
        // Every change is one step, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is being transcribed, until it is dropped.
struct Run {
    number: u64,
    token: CancellationToken,
    running: Running,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.lock().running.remove(&self.number);
    }
}

/// What a client is told.
fn status(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::NoneFree { .. } => Status::resource_exhausted(message),
        Error::Missing(Missing { .. }) | Error::Start { .. } | Error::Stopped(_) => {
            Status::unavailable(message)
        }
    }
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

/// The language that a transcript is in: the one the engine knows, or English.
fn language(slots: &Slots) -> String {
    slots
        .adapter()
        .languages()
        .first()
        .copied()
        .unwrap_or("en")
        .to_owned()
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
