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
mod sessions;
mod speaker;

use crate::models::{self, ModelManager};
use crate::settings::{ModelManagerSettings, TtsSettings};
use crate::tts::TtsAdapter;
use catalogue::Catalogue;
pub use catalogue::Refusal;
use media::Clock;
use meter::Meter;
use outlet::{Item, Outlet};
use proto::tts as wire;
use proto::tts::tts_service_server::TtsService;
use sessions::{Flow, Sessions};
use speaker::Speaker;
use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

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
    clock: Clock,
    tasks: TaskTracker,
}

impl Service {
    /// Speaks with these engines, the preferred one first. Tasks run on `tasks`, so that a drain can wait for them.
    ///
    /// # Errors
    /// [`Refusal`] when the default voice or model is none of theirs.
    pub fn new(
        adapters: Vec<Arc<dyn TtsAdapter>>,
        settings: &TtsSettings,
        models: ModelManagerSettings,
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
        Ok(Self(Arc::new(Inner {
            catalogue,
            models: Arc::new(ModelManager::new(models, &adapters)),
            sessions: Arc::new(Sessions::new(usize::try_from(most).unwrap_or(usize::MAX))),
            meter: Arc::default(),
            clock: Clock::start(),
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

    /// Ends everything that is being said, each with its final frame.
    pub fn stop_all(&self) {
        self.0.sessions.stop_all();
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
        let request = request.into_inner();
        let (success, message, busy) = match self.0.start(request).await {
            Ok(message) => (true, message, false),
            Err(NoStart::Refused(message)) => (false, message, false),
            Err(NoStart::Busy(message)) => (false, message, true),
        };
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
        Ok(Response::new(wire::EndSessionResponse { success }))
    }

    async fn synthesize(
        &self,
        request: Request<Streaming<wire::TextChunk>>,
    ) -> Result<Response<Frames>, Status> {
        let (items, waiting) = mpsc::channel(FRAMES_AHEAD);
        // Nothing is awaited before the answer: a client may wait for it before it sends its first chunk.
        self.0
            .tasks
            .spawn(self.0.clone().synthesise(request.into_inner(), items));
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
        let models = self
            .0
            .models
            .models()
            .into_iter()
            .map(|(model, family, is_loaded)| wire::ModelInfo {
                model_id: model.id,
                family: family.to_owned(),
                is_loaded,
                languages: model.languages,
                metadata: model.metadata.into_iter().collect(),
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
        let response = match self.0.models.load(&id).await {
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
        let (success, message) = match self.0.models.unload(&id) {
            Ok(true) => (true, format!("the model {id:?} is unloaded")),
            Ok(false) => (true, format!("the model {id:?} was not loaded")),
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
        let models = self.0.models.models();
        let languages: BTreeSet<String> = models
            .into_iter()
            .flat_map(|(model, _, _)| model.languages)
            .collect();
        let capabilities = wire::Capabilities {
            streaming: true,
            zero_shot: false,
            lora: false,
            cpu_ok: true,
            languages: languages.into_iter().collect(),
            emotive_zero_prompt: false,
            max_concurrent_sessions: i32::try_from(self.0.sessions.most()).unwrap_or(i32::MAX),
        };
        Ok(Response::new(wire::GetCapabilitiesResponse {
            capabilities: Some(capabilities),
            resident_models: self.0.models.resident(),
            metrics: self.0.metrics(),
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

/// Why no session was opened, for people.
enum NoStart {
    /// It never will be, as it was asked for.
    Refused(String),
    /// It may be a moment later, or at another worker.
    Busy(String),
}

impl Inner {
    /// Opens a session; the answer is for people either way.
    async fn start(&self, request: wire::StartSessionRequest) -> Result<String, NoStart> {
        let wire::StartSessionRequest {
            session_id,
            model_id,
            options,
        } = request;
        if session_id.is_empty() {
            return Err(NoStart::Refused("a session needs a session_id".to_owned()));
        }
        let choice = self
            .catalogue
            .choose(&model_id, &options)
            .map_err(|refusal| NoStart::Refused(refusal.to_string()))?;
        self.models
            .load(&choice.voice.model)
            .await
            .map_err(|error| match &error {
                models::Error::Full { .. } => NoStart::Busy(error.to_string()),
                _ => NoStart::Refused(error.to_string()),
            })?;
        let voice = choice.id.clone();
        self.sessions
            .start(session_id, choice, self.clock.now())
            .map_err(|full| NoStart::Busy(full.to_string()))?;
        Ok(format!("the session speaks with the voice {voice}"))
    }

    async fn control(&self, session_id: &str, command: i32) -> Result<&'static str, String> {
        let command = wire::ControlCommand::try_from(command).map_err(|_| {
            format!(
                "there is no command {command}; there is PAUSE 0, RESUME 1, STOP 2 and RELOAD 3"
            )
        })?;
        let unknown = || sessions::unknown(session_id);
        match command {
            wire::ControlCommand::Pause => {
                self.sessions
                    .steer(session_id, Flow::Held)
                    .ok_or_else(unknown)?;
                Ok("held")
            }
            wire::ControlCommand::Resume => {
                self.sessions
                    .steer(session_id, Flow::Speaking)
                    .ok_or_else(unknown)?;
                Ok("resumed")
            }
            wire::ControlCommand::Stop => {
                self.sessions
                    .steer(session_id, Flow::Stopped)
                    .ok_or_else(unknown)?;
                Ok("stopped")
            }
            wire::ControlCommand::Reload => {
                let choice = self
                    .sessions
                    .steer(session_id, Flow::Stopped)
                    .ok_or_else(unknown)?;
                self.models
                    .reload(&choice.voice.model)
                    .await
                    .map_err(|error| error.to_string())?;
                Ok("reloaded")
            }
        }
    }

    /// Says what comes in; ends when all is said, or when the outlet is gone.
    async fn synthesise(
        self: Arc<Self>,
        mut inbound: Streaming<wire::TextChunk>,
        items: mpsc::Sender<Item>,
    ) {
        let gone = items.clone();
        tokio::select! {
            biased;
            () = gone.closed() => {}
            end = self.speak(&mut inbound, &items) => if let Err(status) = end {
                self.meter.failed();
                // The outlet may have gone meanwhile; then nobody needs to know.
                let _ = items.send(Item::Failed(status)).await;
            }
        }
    }

    async fn speak(
        &self,
        inbound: &mut Streaming<wire::TextChunk>,
        items: &mpsc::Sender<Item>,
    ) -> Result<(), Status> {
        let Some(first) = inbound.message().await? else {
            return Err(Status::invalid_argument(
                "a synthesis needs at least one chunk of text",
            ));
        };
        let session_id = first.session_id.clone();
        let (choice, live) = self
            .sessions
            .begin(&session_id, self.clock.now())
            .map_err(|refusal| refusal.into_status(&session_id))?;
        let lease = self
            .models
            .lease(&choice.voice.model)
            .await
            .map_err(status)?;
        let pace = lease.adapter().pace();
        if items.send(Item::Begin { live, pace }).await.is_err() {
            return Ok(());
        }
        let mut speaker =
            Speaker::new(choice, lease, items.clone(), self.meter.clone(), self.clock);
        let mut next = Some(first);
        while let Some(chunk) = next {
            if !chunk.session_id.is_empty() && chunk.session_id != session_id {
                return Err(Status::invalid_argument(
                    "all chunks of a synthesis belong to one session",
                ));
            }
            speaker.speak(&chunk).await?;
            if chunk.is_final {
                break;
            }
            next = inbound.message().await?;
        }
        speaker.finish().await
    }

    fn metrics(&self) -> HashMap<String, f64> {
        let account = self.models.account();
        let mut metrics = self.meter.metrics();
        let open = self.sessions.open() as f64;
        metrics.extend([
            ("active_sessions".to_owned(), open),
            ("slots".to_owned(), self.sessions.most() as f64),
            ("slots_in_use".to_owned(), open),
            ("queue_depth".to_owned(), self.meter.queue_depth()),
            ("model_loads_total".to_owned(), account.loads as f64),
            (
                "model_load_seconds_total".to_owned(),
                account.loading.as_secs_f64(),
            ),
            (
                "model_unload_seconds_total".to_owned(),
                account.unloading.as_secs_f64(),
            ),
            ("evictions_total".to_owned(), account.evictions as f64),
        ]);
        metrics
    }
}

/// What a client is told when there is no model to speak with.
fn status(error: models::Error) -> Status {
    let message = error.to_string();
    match error {
        models::Error::Unknown { .. } => Status::not_found(message),
        models::Error::InUse(_) => Status::failed_precondition(message),
        models::Error::Full { .. } => Status::resource_exhausted(message),
        models::Error::Load { .. } => Status::unavailable(message),
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
