//! What the calls of the service do.

use super::Inner;
use super::catalogue::Choice;
use super::outlet::Item;
use super::sessions::{self, Begun, Flow};
use super::speaker::Speaker;
use crate::connection::Peer;
use crate::metric::{self, End};
use crate::models::{self, Lease};
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
        peer: Option<Peer>,
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
        let place = self
            .sessions
            .keep_place(&session_id, self.clock.now())
            .map_err(|full| NoStart::Busy(full.to_string()))?;
        let lease = self.lease(&choice.voice.model).await;
        let lease = lease.map_err(|error| match &error {
            models::Error::Full { .. } | models::Error::Loading(_) => {
                NoStart::Busy(error.to_string())
            }
            models::Error::Unknown { .. }
            | models::Error::InUse(_)
            | models::Error::Load { .. }
            | models::Error::Late { .. }
            | models::Error::Hangs(_) => NoStart::Refused(error.to_string()),
        })?;
        let voice = choice.id.clone();
        // It may have been told while the model was loaded.
        if self.condition.is_draining() {
            return Err(NoStart::Busy(self.draining()));
        }
        if !place.open(choice, Some(lease), peer, self.clock.now()) {
            let why = "the session was ended before it was open".to_owned();
            return Err(NoStart::Refused(why));
        }
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
        let steer = |flow: Flow, done| match self.sessions.steer(session_id, flow) {
            true => Ok(done),
            false => Err(sessions::unknown(session_id)),
        };
        match command {
            wire::ControlCommand::Pause => steer(Flow::Held, "held"),
            wire::ControlCommand::Resume => steer(Flow::Speaking, "resumed"),
            wire::ControlCommand::Stop => steer(Flow::Stopped, "stopped"),
            wire::ControlCommand::Reload => self.reload(session_id).await,
        }
    }

    /// Loads a session's model anew. What is being said with the old copy, here and in other sessions, is said to its end.
    async fn reload(&self, session_id: &str) -> Result<&'static str, String> {
        let choice = self.sessions.choice(session_id);
        let choice = choice.ok_or_else(|| sessions::unknown(session_id))?;
        match self.models.reload(&choice.voice.model).await {
            Ok(_) => Ok("reloaded"),
            // Nothing is wrong with the copy that is there, so nobody is turned away.
            Err(error) if self.models.resident().contains(&choice.voice.model) => {
                Err(format!("{error}; sessions speak on with the copy before"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Says what comes in; ends when all is said, or when the outlet is gone.
    pub(super) async fn synthesise(
        self: Arc<Self>,
        mut inbound: Streaming<wire::TextChunk>,
        items: mpsc::Sender<Item>,
        peer: Option<Peer>,
    ) {
        let gone = items.clone();
        let end = tokio::select! {
            biased;
            // It was stopped, or the client has gone.
            () = gone.closed() => End::Cancelled,
            end = self.speak(&mut inbound, &items, peer) => match end {
                Ok(end) => end,
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
        peer: Option<Peer>,
    ) -> Result<End, Status> {
        let Some(first) = inbound.message().await? else {
            return Err(Status::invalid_argument(
                "a synthesis needs at least one chunk of text",
            ));
        };
        let session_id = first.session_id.clone();
        let Begun {
            choice,
            lease,
            live,
        } = self
            .sessions
            .begin(&session_id, peer, self.clock.now())
            .map_err(|refusal| refusal.into_status(&session_id))?;
        let adapter = self.models.adapter(&choice.voice.model).map_err(status)?;
        let pace = adapter.pace();
        let stopped = live.stopped();
        // Before anything is waited for: from here on the outlet obeys.
        if items.send(Item::Begin { live, pace }).await.is_err() {
            return Ok(End::Cancelled);
        }
        let said = async {
            let lease = self.session_lease(&session_id, &choice, lease).await?;
            let speaker =
                Speaker::new(choice, lease, items.clone(), self.meter.clone(), self.clock);
            self.say(first, inbound, speaker).await
        };
        tokio::select! {
            biased;
            // The outlet tells the client, when that takes notice; the model is free at once.
            () = stopped => Ok(End::Cancelled),
            said = said => said.map(|()| End::Ok),
        }
    }

    /// The model of a session, which comes back first if the session was forgotten and let it go.
    async fn session_lease(
        &self,
        session_id: &str,
        choice: &Choice,
        lease: Option<Lease>,
    ) -> Result<Lease, Status> {
        if let Some(lease) = lease {
            return Ok(lease);
        }
        let lease = self.lease(&choice.voice.model).await.map_err(status)?;
        self.sessions.hold(session_id, lease.another());
        Ok(lease)
    }

    /// Says the chunks of one synthesis, of which the first has come.
    async fn say(
        &self,
        first: wire::TextChunk,
        inbound: &mut Streaming<wire::TextChunk>,
        mut speaker: Speaker,
    ) -> Result<(), Status> {
        let begun = self.clock.now();
        let session_id = first.session_id.clone();
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
            Ok(took) => {
                if !took.is_zero() {
                    self.condition.engine_works();
                }
                if id == self.catalogue.default_model() {
                    self.condition.default_works();
                }
            }
            Err(error) => self.blame(error),
        }
        end
    }

    /// Takes a model into use, loading it first if need be.
    async fn lease(&self, id: &str) -> Result<Lease, models::Error> {
        self.load(id).await?;
        let lease = self.models.lease(id).await;
        lease.inspect_err(|error| self.blame(error))
    }

    /// Notes that the engine cannot be used, if that is what an error says: one broken model of many does not, unless it is the one
    /// that most callers get.
    fn blame(&self, error: &models::Error) {
        let (id, is_gone) = match error {
            models::Error::Load { id, source } => {
                let is_gone = matches!(source, tts::Error::Stopped(_) | tts::Error::Missing(_));
                (id, is_gone)
            }
            models::Error::Late { id, .. } | models::Error::Hangs(id) => (id, false),
            models::Error::Unknown { .. }
            | models::Error::InUse(_)
            | models::Error::Loading(_)
            | models::Error::Full { .. } => return,
        };
        if id == self.catalogue.default_model() {
            self.condition.default_failed();
        } else if is_gone {
            self.condition.engine_failed();
        }
    }

    /// Why nobody new is taken.
    fn draining(&self) -> String {
        let (open, most) = (self.open(), self.sessions.most());
        format!(
            "the worker is draining: {open} of {most} sessions are open and no more will be; ask another"
        )
    }

    /// Sessions that are open and not forgotten.
    pub(super) fn open(&self) -> usize {
        self.sessions.taken(self.clock.now())
    }

    /// For the metrics.
    pub(super) fn tell_sessions(&self) {
        metrics::gauge!(metric::TTS_ACTIVE_SESSIONS).set(self.open() as f64);
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
        models::Error::Load { .. } | models::Error::Late { .. } | models::Error::Hangs(_) => {
            Status::unavailable(message)
        }
    }
}
