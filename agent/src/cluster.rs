//! Where the model workers are and how a call reaches them. Always gRPC: in memory here, over the network elsewhere.

use proto::stt::stt_service_client::SttServiceClient;
use proto::stt::{AudioFrame as SttFrame, TranscriptEvent};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{
    AudioFrame, ControlCommand, ControlRequest, EndSessionRequest, StartSessionRequest, TextChunk,
    VoiceInfo,
};
use std::collections::HashMap;
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

const MAX: usize = proto::MAX_MESSAGE_BYTES;
/// How long a worker may take to accept a session.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a worker may take to obey: it is to do so in 50 ms.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);

/// How a reply shall sound.
#[derive(Debug, Clone, Default)]
pub struct Voice {
    /// `adapter:voice`, as in `flite:slt`; empty for the worker's default.
    pub id: String,
    /// 0.25 to 4.0 times the voice's own speed; none for 1.0.
    pub speed: Option<f32>,
}

/// What can go wrong between a call and its worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No worker, or none with a free slot.
    #[error("no worker is available: {0}")]
    Unavailable(String),
    /// The worker refused what was asked of it.
    #[error("{0}")]
    Refused(String),
    /// The worker failed.
    #[error("the worker failed: {0}")]
    Failed(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => {
                Self::Unavailable(message)
            }
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => {
                Self::Refused(message)
            }
            _ => Self::Failed(message),
        }
    }
}

/// The workers of this program; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cluster {
    tts: TtsServiceClient<Channel>,
    stt: SttServiceClient<Channel>,
}

impl Cluster {
    /// Workers behind these two connections.
    pub fn new(tts: Channel, stt: Channel) -> Self {
        Self {
            tts: TtsServiceClient::new(tts),
            stt: SttServiceClient::new(stt)
                .max_encoding_message_size(MAX)
                .max_decoding_message_size(MAX),
        }
    }

    /// Opens a session in which one reply is spoken.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown voice; [`Error::Unavailable`] when no slot is free.
    pub async fn open_speech(
        &self,
        session_id: String,
        voice: &Voice,
    ) -> Result<SpeechSession, Error> {
        let mut options = HashMap::new();
        if !voice.id.is_empty() {
            options.insert("voice".to_owned(), voice.id.clone());
        }
        if let Some(speed) = voice.speed {
            options.insert("speed".to_owned(), speed.to_string());
        }
        let mut tts = self.tts.clone();
        let request = StartSessionRequest {
            session_id: session_id.clone(),
            model_id: String::new(),
            options,
        };
        let started = tokio::time::timeout(ACCEPT_TIMEOUT, tts.start_session(request))
            .await
            .map_err(|_| Error::Unavailable("the speech worker did not answer".into()))??
            .into_inner();
        if !started.success {
            return Err(if started.busy {
                Error::Unavailable(started.message)
            } else {
                Error::Refused(started.message)
            });
        }
        Ok(SpeechSession { session_id, tts })
    }

    /// Transcribes one utterance: 16 kHz samples from `audio` until it closes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no recogniser is free.
    pub async fn transcribe(
        &self,
        frames: ReceiverStream<SttFrame>,
    ) -> Result<Streaming<TranscriptEvent>, Error> {
        Ok(self
            .stt
            .clone()
            .transcribe_stream(frames)
            .await?
            .into_inner())
    }

    /// Transcribes a whole file's bytes (WAV, FLAC or OGG).
    ///
    /// # Errors
    /// [`Error::Refused`] when the bytes hold no sound that can be read.
    pub async fn transcribe_file(
        &self,
        audio_data: Vec<u8>,
    ) -> Result<proto::stt::TranscribeFileResponse, Error> {
        let request = proto::stt::TranscribeFileRequest {
            audio_data: audio_data.into(),
            ..Default::default()
        };
        Ok(self
            .stt
            .clone()
            .transcribe_file(request)
            .await?
            .into_inner())
    }

    /// The voices that can be asked for.
    ///
    /// # Errors
    /// When the worker does not answer.
    pub async fn voices(&self) -> Result<Vec<VoiceInfo>, Error> {
        Ok(self
            .tts
            .clone()
            .list_voices(proto::tts::ListVoicesRequest {})
            .await?
            .into_inner()
            .voices)
    }
}

/// One reply's session at a speech worker.
#[derive(Debug, Clone)]
pub struct SpeechSession {
    session_id: String,
    tts: TtsServiceClient<Channel>,
}

impl SpeechSession {
    /// A session that was opened at the worker behind `channel`.
    #[cfg(test)]
    pub(crate) fn at(channel: Channel) -> Self {
        Self {
            session_id: "test".into(),
            tts: TtsServiceClient::new(channel),
        }
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
        let answer = tokio::time::timeout(CONTROL_TIMEOUT, tts.control(request))
            .await
            .map_err(|_| Error::Unavailable("the speech worker did not answer".into()))??
            .into_inner();
        if answer.success {
            Ok(())
        } else {
            Err(Error::Refused(answer.message))
        }
    }

    /// Frees the slot.
    pub async fn end(&self) {
        let mut tts = self.tts.clone();
        let request = EndSessionRequest {
            session_id: self.session_id.clone(),
        };
        // A worker that is gone, or says nothing any more, has freed it already.
        let _ = tokio::time::timeout(CONTROL_TIMEOUT, tts.end_session(request)).await;
    }
}
