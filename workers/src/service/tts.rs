//! `tts.TTSService`: sessions, and what is being said in each.
//!
//! ```text
//!   chunks ──► Speaker: clauses ──► engine ──► level, 48 kHz, frames ──► 50 frames ──► Outlet ──► client
//!                                                                                      ▲
//!                                                             PAUSE, RESUME, STOP ─────┘
//! ```
//!
//! Control acts at the outlet, where frames leave, so it takes effect at the next frame whatever the engine is doing. What the
//! client does not take stays in the 50 frames, and then the engine is not asked for more.

mod catalogue;
mod meter;
mod outlet;
mod record;
mod sessions;
mod speaker;
mod upkeep;
mod work;

use crate::condition::{Changes, Condition};
use crate::connection::Peer;
use crate::metric;
use crate::models::{self, Freed, ModelManager, ModelState};
use crate::service::unix;
use crate::settings::{ModelManagerSettings, TtsSettings};
use crate::tts::TtsAdapter;
use catalogue::Catalogue;
pub use catalogue::Refusal;
use media::Clock;
use meter::Meter;
use outlet::Outlet;
use proto::tts as wire;
use proto::tts::tts_service_server::TtsService;
use sessions::Sessions;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use work::NoStart;

/// Frames that wait for a client: one second. The engine is far faster than speech, so more would only be memory.
const FRAMES_AHEAD: usize = 50;

/// Synthesis over gRPC.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    catalogue: Catalogue,
    models: Arc<ModelManager>,
    sessions: Arc<Sessions>,
    meter: Arc<Meter>,
    condition: Condition,
    gpu: Option<u32>,
    clock: Clock,
    tasks: TaskTracker,
}

impl Service {
    /// Speaks with these engines, the preferred one first, on this GPU or on the processor. Tasks run on `tasks`, so that a drain
    /// can wait for them.
    ///
    /// # Errors
    /// [`Refusal`] when the default voice or model is none of theirs.
    pub fn new(
        adapters: Vec<Arc<dyn TtsAdapter>>,
        settings: &TtsSettings,
        models: ModelManagerSettings,
        gpu: Option<u32>,
        tasks: TaskTracker,
    ) -> Result<Self, Refusal> {
        let most = adapters
            .iter()
            .map(|adapter| adapter.max_sessions())
            .max()
            .unwrap_or(0);
        let most = settings.max_sessions.unwrap_or(most);
        let catalogue =
            Catalogue::new(&adapters, &settings.default_voice, &models.default_model_id)?;
        let clock = Clock::start();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Self(Arc::new(Inner {
            catalogue,
            models: Arc::new(ModelManager::new(models, &adapters, tasks.clone())),
            sessions: Arc::new(Sessions::new(most, clock)),
            meter: Arc::default(),
            condition: Condition::default(),
            gpu,
            clock,
            tasks,
        })))
    }

    /// The models it keeps.
    pub fn models(&self) -> &Arc<ModelManager> {
        &self.0.models
    }

    /// The model that a session gets which asks for nothing.
    pub fn default_model(&self) -> &str {
        self.0.catalogue.default_model()
    }

    /// Makes a model resident, and notes whether the engine can be used at all.
    ///
    /// # Errors
    /// See [`models::Error`].
    pub async fn load(&self, id: &str) -> Result<Duration, models::Error> {
        self.0.load(id).await
    }

    /// From now on no session is opened; those that are open go on.
    pub fn drain(&self) {
        self.0.condition.drain();
    }

    /// Takes callers again after a drain.
    pub fn resume(&self) {
        self.0.condition.resume();
    }

    /// Whether nothing is being said, and nobody is between two things to say.
    pub fn is_idle(&self) -> bool {
        self.0.sessions.are_idle(self.0.clock.now())
    }

    /// Ends everything that is being said, each with its final frame.
    pub fn stop_all(&self) {
        self.0.sessions.stop_all();
    }

    /// Whether it opens sessions and its engine works.
    pub(crate) fn is_well(&self) -> bool {
        self.0.condition.is_well()
    }

    /// To wait for that to change with.
    pub(crate) fn changes(&self) -> Changes {
        self.0.condition.subscribe()
    }
}

type Frames = Pin<Box<dyn futures_util::Stream<Item = Result<wire::AudioFrame, Status>> + Send>>;

#[tonic::async_trait]
impl TtsService for Service {
    type SynthesizeStream = Frames;

    async fn start_session(
        &self,
        request: Request<wire::StartSessionRequest>,
    ) -> Result<Response<wire::StartSessionResponse>, Status> {
        let peer = peer(&request);
        let request = request.into_inner();
        let (success, message, busy) = match self.0.start(request, peer).await {
            Ok(message) => (true, message, false),
            Err(NoStart::Refused(message)) => (false, message, false),
            Err(NoStart::Busy(message)) => {
                metric::refused("tts");
                (false, message, true)
            }
        };
        self.0.tell_sessions();
        Ok(Response::new(wire::StartSessionResponse {
            success,
            message,
            busy,
        }))
    }

    async fn end_session(
        &self,
        request: Request<wire::EndSessionRequest>,
    ) -> Result<Response<wire::EndSessionResponse>, Status> {
        let success = self.0.sessions.end(&request.into_inner().session_id);
        self.0.tell_sessions();
        Ok(Response::new(wire::EndSessionResponse { success }))
    }

    async fn synthesize(
        &self,
        request: Request<Streaming<wire::TextChunk>>,
    ) -> Result<Response<Frames>, Status> {
        let (items, waiting) = mpsc::channel(FRAMES_AHEAD);
        let peer = peer(&request);
        // Nothing is awaited before the answer: a client may wait for it before it sends its first chunk.
        self.0
            .tasks
            .spawn(self.0.clone().synthesise(request.into_inner(), items, peer));
        Ok(Response::new(
            Outlet::new(waiting, self.0.clock).into_stream(),
        ))
    }

    async fn control(
        &self,
        request: Request<wire::ControlRequest>,
    ) -> Result<Response<wire::ControlResponse>, Status> {
        let wire::ControlRequest {
            session_id,
            command,
        } = request.into_inner();
        let (success, message) = match self.0.control(&session_id, command).await {
            Ok(message) => (true, message.to_owned()),
            Err(message) => (false, message),
        };
        Ok(Response::new(wire::ControlResponse {
            success,
            message,
            timestamp_ms: unix_ms(),
        }))
    }

    async fn list_models(
        &self,
        _request: Request<wire::ListModelsRequest>,
    ) -> Result<Response<wire::ListModelsResponse>, Status> {
        let models = self.0.models.models().into_iter().map(|listed| {
            let state = ("state".to_owned(), listed.state.to_string());
            let problem = listed
                .problem
                .map(|problem| ("problem".to_owned(), problem));
            let more = [state].into_iter().chain(problem);
            wire::ModelInfo {
                model_id: listed.model.id,
                family: listed.family.to_owned(),
                is_loaded: listed.state == ModelState::Ready,
                languages: listed.model.languages,
                metadata: listed.model.metadata.into_iter().chain(more).collect(),
            }
        });
        Ok(Response::new(wire::ListModelsResponse {
            models: models.collect(),
        }))
    }

    async fn load_model(
        &self,
        request: Request<wire::LoadModelRequest>,
    ) -> Result<Response<wire::LoadModelResponse>, Status> {
        let id = request.into_inner().model_id;
        let response = match self.0.load(&id).await {
            Ok(took) => wire::LoadModelResponse {
                success: true,
                message: format!("the model {id:?} is loaded"),
                load_duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            },
            Err(error) => wire::LoadModelResponse {
                success: false,
                message: error.to_string(),
                load_duration_ms: 0,
            },
        };
        Ok(Response::new(response))
    }

    async fn unload_model(
        &self,
        request: Request<wire::UnloadModelRequest>,
    ) -> Result<Response<wire::UnloadModelResponse>, Status> {
        let id = request.into_inner().model_id;
        let (success, message) = match self.0.models.unload(&id).await {
            Ok(Some(freed)) => (
                true,
                format!("the model {id:?} is unloaded: {}", brought(freed)),
            ),
            Ok(None) => (true, format!("the model {id:?} was not loaded")),
            Err(error) => (false, error.to_string()),
        };
        Ok(Response::new(wire::UnloadModelResponse {
            success,
            message,
        }))
    }

    async fn get_capabilities(
        &self,
        _request: Request<wire::GetCapabilitiesRequest>,
    ) -> Result<Response<wire::GetCapabilitiesResponse>, Status> {
        // What the registry is told, with the place for it that this answer has.
        let record = self.record("", "");
        let able = record.capabilities;
        let capabilities = wire::Capabilities {
            streaming: able.streaming,
            zero_shot: able.zero_shot,
            lora: able.lora,
            cpu_ok: able.cpu_ok,
            languages: able.languages,
            emotive_zero_prompt: able.emotive_zero_prompt,
            max_concurrent_sessions: i32::try_from(self.0.sessions.most()).unwrap_or(i32::MAX),
        };
        Ok(Response::new(wire::GetCapabilitiesResponse {
            capabilities: Some(capabilities),
            resident_models: record.resident_models,
            metrics: record.metrics.into_iter().collect(),
        }))
    }

    async fn list_voices(
        &self,
        _request: Request<wire::ListVoicesRequest>,
    ) -> Result<Response<wire::ListVoicesResponse>, Status> {
        let voices = self
            .0
            .catalogue
            .voices()
            .map(|(voice_id, voice)| wire::VoiceInfo {
                voice_id: voice_id.to_owned(),
                name: voice.title.clone(),
                language: voice.language.clone(),
                gender: voice.gender.word().to_owned(),
            });
        Ok(Response::new(wire::ListVoicesResponse {
            voices: voices.collect(),
        }))
    }
}

/// Who asks; none where that is not a connection of its own.
fn peer<T>(request: &Request<T>) -> Option<Peer> {
    request.extensions().get().cloned()
}

/// What unloading a model has brought, for people.
fn brought(freed: Freed) -> String {
    let took = freed.took.as_millis();
    match freed.bytes {
        Some(bytes) => {
            let mib = bytes as f64 / f64::from(1 << 20);
            format!("{mib:.1} MiB of memory were freed in {took} ms")
        }
        None => format!("it took {took} ms"),
    }
}

fn unix_ms() -> i64 {
    i64::try_from(unix().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
