//! A reply's session at a speech worker.

use super::credentials::Wire;
use super::error::{Blame, blame, is_sign_of_life};
use super::fleet::{Chosen, Open};
use super::router::{Fit, Wish};
use super::{CONTROL_TIMEOUT, Cluster, Error, LAST_TRY, TRIES, TRY, Voice};
use proto::registry::RecordKind;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{
    AudioFrame, ControlCommand, ControlRequest, EndSessionRequest, GetCapabilitiesRequest,
    LoadModelRequest, StartSessionRequest, TextChunk,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};

/// How long a model may take to be loaded before asking for it is given up.
const LOADED_WITHIN: Duration = Duration::from_secs(300);
/// How long a worker that says nothing may take to show that it is alive.
const SIGN_OF_LIFE_WITHIN: Duration = Duration::from_secs(1);

/// Why one worker did not take a session.
struct NotTaken {
    error: Error,
    blame: Blame,
}

impl Cluster {
    /// Opens a session in which one reply is spoken, at the worker that fits best and takes it; `last` is the one that the
    /// call used before, and those in `tried` are not asked.
    ///
    /// # Errors
    /// [`Error::Refused`] when what is asked for is wrong; [`Error::Full`] and [`Error::Unavailable`] when nobody has a place.
    pub async fn open_speech(
        &self,
        session_id: &str,
        voice: &Voice,
        last: Option<&str>,
        mut tried: BTreeSet<String>,
    ) -> Result<SpeechSession, Error> {
        let wish = Wish {
            kind: RecordKind::Tts,
            voice: voice.id.clone(),
            affinity: last.map(str::to_owned),
            ..Wish::default()
        };
        let mut tries = 0;
        let mut problem = None;
        loop {
            let mut choices = self.fleet().choose(&wish, &tried).into_iter();
            let chosen = match tries < TRIES {
                true => choices.next(),
                false => choices.find(|chosen| chosen.is_embedded),
            };
            let Some(chosen) = chosen else {
                break;
            };
            tried.insert(chosen.name.clone());
            tries += 1;
            let is_last = choices.len() == 0;
            if !self.has_model(&chosen, is_last).await {
                continue;
            }
            match self.start(&chosen, session_id, voice).await {
                Ok(session) => return Ok(session),
                Err(NotTaken { error, blame }) => {
                    if blame == Blame::Worker {
                        self.fleet().failed(&chosen.name, &error.to_string());
                    }
                    // What the best worker says about it matters most.
                    problem.get_or_insert(error);
                }
            }
        }
        Err(problem.unwrap_or_else(|| {
            Error::Unavailable("none is there that can speak; try again in a moment".into())
        }))
    }

    /// Whether a worker has the model that is needed in memory, soon enough. Where it has not, it goes on loading it, for
    /// those who come later.
    async fn has_model(&self, chosen: &Chosen, is_last: bool) -> bool {
        let Some(model) = &chosen.to_load else {
            return true;
        };
        let patience = if is_last || chosen.is_embedded {
            LAST_TRY
        } else {
            TRY
        };
        if !self.fleet().loads(&chosen.name, model) {
            // Somebody's else wait has begun before; whoever has a choice does not join it.
            return is_last;
        }
        let (done, loaded) = oneshot::channel();
        let request = LoadModelRequest {
            model_id: model.clone(),
            preload_only: false,
        };
        let (fleet, name, model) = (self.fleet().clone(), chosen.name.clone(), model.clone());
        let mut tts = TtsServiceClient::new(chosen.wire.clone());
        // It outlives the wait, and ends by itself.
        TaskTracker::new().spawn(async move {
            let answer = timeout(LOADED_WITHIN, tts.load_model(request)).await;
            let is_loaded = matches!(answer, Ok(Ok(answer)) if answer.get_ref().success);
            fleet.loaded(&name, &model, is_loaded);
            // Nobody may wait any more.
            let _ = done.send(is_loaded);
        });
        matches!(timeout(patience, loaded).await, Ok(Ok(true)))
    }

    async fn start(
        &self,
        chosen: &Chosen,
        session_id: &str,
        voice: &Voice,
    ) -> Result<SpeechSession, NotTaken> {
        let mut options = HashMap::new();
        if chosen.fit == Fit::OtherVoice && !voice.is_must {
            // It has no such voice; it has one for the language perhaps.
            let language = self.fleet().language_of(&voice.id);
            if !language.is_empty() {
                options.insert("language".to_owned(), language);
            }
        } else if !voice.id.is_empty() {
            options.insert("voice".to_owned(), voice.id.clone());
        }
        if let Some(speed) = voice.speed {
            options.insert("speed".to_owned(), speed.to_string());
        }
        let request = StartSessionRequest {
            session_id: session_id.to_owned(),
            model_id: String::new(),
            options,
        };
        let patience = if chosen.is_embedded { LAST_TRY } else { TRY };
        let mut tts = TtsServiceClient::new(chosen.wire.clone());
        self.fleet().ask(&chosen.name, patience);
        let mut unanswered = Unanswered {
            session: SpeechSession {
                session_id: session_id.to_owned(),
                tts: tts.clone(),
                open: None,
            },
            is_answered: false,
        };
        // Counted from here on, so that who asks meanwhile asks another.
        let open = self.fleet().opened(&chosen.name);
        let answer = timeout(patience, tts.start_session(request))
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("it did not answer in time")));
        let started = match answer {
            Ok(started) => started.into_inner(),
            Err(status) => {
                return Err(NotTaken {
                    blame: blame(&status),
                    error: status.into(),
                });
            }
        };
        unanswered.is_answered = true;
        match (started.success, started.busy) {
            (true, _) => Ok(SpeechSession {
                session_id: session_id.to_owned(),
                tts,
                open: Some(Arc::new(open)),
            }),
            (false, true) => {
                self.fleet().succeeded(&chosen.name);
                Err(NotTaken {
                    error: Error::Full(started.message),
                    blame: Blame::Busy,
                })
            }
            (false, false) => Err(NotTaken {
                error: Error::Refused(started.message),
                blame: Blame::Asker,
            }),
        }
    }
}

/// A session that was asked for, and of which nobody knows whether it is open: when nobody waits for the answer any more, it
/// is ended, so that it does not hold a slot.
struct Unanswered {
    session: SpeechSession,
    is_answered: bool,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        // Without a runtime the program is ending, and its connections with it.
        if !self.is_answered && Handle::try_current().is_ok() {
            let session = self.session.clone();
            TaskTracker::new().spawn(async move { session.end().await });
        }
    }
}

/// One reply's session at a speech worker. Cheap to clone.
#[derive(Clone)]
pub struct SpeechSession {
    session_id: String,
    tts: TtsServiceClient<Wire>,
    open: Option<Arc<Open>>,
}

impl SpeechSession {
    /// A session that was opened at the worker behind `channel`.
    #[cfg(test)]
    pub(crate) fn at(channel: tonic::transport::Channel) -> Self {
        Self {
            session_id: "test".into(),
            tts: TtsServiceClient::new(super::Access::open(channel)),
            open: None,
        }
    }

    /// The worker's name.
    pub fn worker(&self) -> &str {
        self.open.as_ref().map_or("", |open| open.worker())
    }

    /// Starts to speak what comes through `text`; the frames end with the text.
    ///
    /// # Errors
    /// What the worker says.
    pub async fn synthesize(
        &self,
        text: ReceiverStream<TextChunk>,
    ) -> Result<Streaming<AudioFrame>, Error> {
        Ok(self.tts.clone().synthesize(text).await?.into_inner())
    }

    /// A chunk of text for this session.
    pub fn chunk(&self, text: String, sequence_number: i64) -> TextChunk {
        TextChunk {
            session_id: self.session_id.clone(),
            text,
            is_final: false,
            sequence_number,
        }
    }

    /// Holds, continues or ends the stream of frames.
    ///
    /// # Errors
    /// What the worker says; [`Error::Unavailable`] when it says nothing.
    pub async fn control(&self, command: ControlCommand) -> Result<(), Error> {
        let request = ControlRequest {
            session_id: self.session_id.clone(),
            command: command.into(),
        };
        let mut tts = self.tts.clone();
        let answer = timeout(CONTROL_TIMEOUT, tts.control(request))
            .await
            .map_err(|_| Error::Unavailable("the speech worker did not answer".into()))??
            .into_inner();
        if answer.success {
            Ok(())
        } else {
            Err(Error::Refused(answer.message))
        }
    }

    /// Whether the worker gives a sign of life within a second.
    pub async fn is_alive(&self) -> bool {
        let mut tts = self.tts.clone();
        let asked = tts.get_capabilities(GetCapabilitiesRequest {});
        let answer = timeout(SIGN_OF_LIFE_WITHIN, asked).await;
        answer.is_ok_and(|answer| is_sign_of_life(&answer))
    }

    /// The worker speaks: it is well.
    pub fn sounds(&self) {
        if let Some(open) = &self.open {
            open.succeeded();
        }
    }

    /// The worker failed in the middle: others ask it no more for a while.
    pub fn broke(&self, why: &Error) {
        let is_well = match why {
            // What a worker refuses it refuses well and alive.
            Error::Refused(_) | Error::Full(_) => true,
            Error::Unavailable(_) | Error::Failed(_) => false,
        };
        if let (Some(open), false) = (&self.open, is_well) {
            open.failed(&why.to_string());
        }
    }

    /// Frees the slot.
    pub async fn end(&self) {
        let mut tts = self.tts.clone();
        let request = EndSessionRequest {
            session_id: self.session_id.clone(),
        };
        // A worker that is gone, or says nothing any more, has freed it already.
        let _ = timeout(CONTROL_TIMEOUT, tts.end_session(request)).await;
    }
}
