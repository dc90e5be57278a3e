//! What the calls of the service do.

use super::Inner;
use super::outlet::Item;
use super::sessions::{self, Flow};
use super::speaker::Speaker;
use crate::metric::{self, End};
use crate::models;
use crate::tts;
use proto::tts as wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

/// Why no session was opened, for people.
pub(super) enum NoStart {
    /// It never will be, as it was asked for.
    Refused(String),
    /// It may be a moment later, or at another worker.
    Busy(String),
}

impl Inner {
    /// Opens a session; the answer is for people either way.
    pub(super) async fn start(
        &self,
        request: wire::StartSessionRequest,
    ) -> Result<String, NoStart> {
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
        if self.condition.is_draining() {
            return Err(NoStart::Busy(self.draining()));
        }
        // Before the model is loaded: who cannot have a place is told at once.
        self.sessions
            .check(&session_id, self.clock.now())
            .map_err(|full| NoStart::Busy(full.to_string()))?;
        self.load(&choice.voice.model)
            .await
            .map_err(|error| match &error {
                models::Error::Full { .. } | models::Error::Loading(_) => {
                    NoStart::Busy(error.to_string())
                }
                models::Error::Unknown { .. }
                | models::Error::InUse(_)
                | models::Error::Load { .. } => NoStart::Refused(error.to_string()),
            })?;
        let voice = choice.id.clone();
        self.sessions
            .start(session_id, choice, self.clock.now())
            .map_err(|full| NoStart::Busy(full.to_string()))?;
        Ok(format!("the session speaks with the voice {voice}"))
    }

    pub(super) async fn control(
        &self,
        session_id: &str,
        command: i32,
    ) -> Result<&'static str, String> {
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
    pub(super) async fn synthesise(
        self: Arc<Self>,
        mut inbound: Streaming<wire::TextChunk>,
        items: mpsc::Sender<Item>,
    ) {
        let gone = items.clone();
        let end = tokio::select! {
            biased;
            // It was stopped, or the client has gone.
            () = gone.closed() => End::Cancelled,
            end = self.speak(&mut inbound, &items) => match end {
                Ok(()) => End::Ok,
                Err(status) => {
                    self.meter.failed();
                    // The outlet may have gone meanwhile; then nobody needs to know.
                    let _ = items.send(Item::Failed(status)).await;
                    End::Error
                }
            }
        };
        metrics::counter!(metric::TTS_REQUESTS_TOTAL, "status" => end.word()).increment(1);
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
        let begun = self.clock.now();
        let session_id = first.session_id.clone();
        let (choice, live) = self
            .sessions
            .begin(&session_id, self.clock.now())
            .map_err(|refusal| refusal.into_status(&session_id))?;
        let lease = self.models.lease(&choice.voice.model).await;
        let lease = lease.map_err(|error| {
            self.blame(&error);
            status(error)
        })?;
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
            speaker.speak(&chunk).await.inspect_err(|status| {
                if status.code() == Code::Unavailable {
                    self.condition.engine_failed();
                }
            })?;
            if chunk.is_final {
                break;
            }
            next = inbound.message().await?;
        }
        speaker.finish().await?;
        self.condition.engine_works();
        let took = self.clock.now().saturating_sub(begun);
        metrics::histogram!(metric::TTS_SYNTHESIS_DURATION_SECONDS).record(took);
        Ok(())
    }

    pub(super) async fn load(&self, id: &str) -> Result<Duration, models::Error> {
        let end = self.models.load(id).await;
        match &end {
            Ok(took) if !took.is_zero() => self.condition.engine_works(),
            Ok(_) => {}
            Err(error) => self.blame(error),
        }
        end
    }

    /// Notes that the engine cannot be used, if that is what an error says: one broken model of many does not.
    fn blame(&self, error: &models::Error) {
        let models::Error::Load { id, source } = error else {
            return;
        };
        let is_gone = matches!(source, tts::Error::Stopped(_) | tts::Error::Missing(_));
        if is_gone || id == self.catalogue.default_model() {
            self.condition.engine_failed();
        }
    }

    /// Why nobody new is taken.
    fn draining(&self) -> String {
        let (open, most) = (self.sessions.open(), self.sessions.most());
        format!(
            "the worker is draining: {open} of {most} sessions are open and no more will be; ask another"
        )
    }

    /// For the metrics.
    pub(super) fn tell_sessions(&self) {
        metrics::gauge!(metric::TTS_ACTIVE_SESSIONS).set(self.sessions.open() as f64);
    }
}

/// What a client is told when there is no model to speak with.
fn status(error: models::Error) -> Status {
    let message = error.to_string();
    match error {
        models::Error::Unknown { .. } => Status::not_found(message),
        models::Error::InUse(_) => Status::failed_precondition(message),
        models::Error::Loading(_) => Status::resource_exhausted(message),
        models::Error::Full { .. } => Status::resource_exhausted(message),
        models::Error::Load { .. } => Status::unavailable(message),
    }
}
