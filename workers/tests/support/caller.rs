//! A client of the services in this process, and what every answer must look like.
#![allow(dead_code, reason = "each test file uses a part of it")]

use futures_util::stream;
use media::FRAME_SAMPLES;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{
    AudioFrame, ControlCommand, ControlRequest, StartSessionRequest, StartSessionResponse,
    TextChunk,
};
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use workers::{Embedded, Settings, SttEngine, TtsEngine};

/// Someone who has things said.
pub struct Caller {
    pub tts: TtsServiceClient<Channel>,
    // Dropping it stops the services.
    _embedded: Embedded,
}

impl Caller {
    pub async fn with(settings: Settings) -> Self {
        let embedded = Embedded::start(settings).await.unwrap();
        Self {
            tts: TtsServiceClient::new(embedded.tts()),
            _embedded: embedded,
        }
    }

    pub async fn of(engine: TtsEngine) -> Self {
        Self::with(settings(engine)).await
    }

    pub async fn start(
        &mut self,
        session: &str,
        model: &str,
        options: &[(&str, &str)],
    ) -> StartSessionResponse {
        let options: HashMap<_, _> = options
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let request = StartSessionRequest {
            session_id: session.into(),
            model_id: model.into(),
            options,
        };
        self.tts.start_session(request).await.unwrap().into_inner()
    }

    /// Starts a session and insists that it starts.
    pub async fn open(&mut self, session: &str, options: &[(&str, &str)]) {
        let started = self.start(session, "", options).await;
        assert!(started.success, "{}", started.message);
    }

    /// Sends chunks and half-closes; the answer is read by whoever called.
    pub async fn begin(&mut self, chunks: Vec<TextChunk>) -> Streaming<AudioFrame> {
        self.tts
            .synthesize(stream::iter(chunks))
            .await
            .unwrap()
            .into_inner()
    }

    /// A synthesis whose chunks are still to come.
    pub async fn talk(&mut self) -> (mpsc::Sender<TextChunk>, Streaming<AudioFrame>) {
        let (chunks, waiting) = mpsc::channel(16);
        let frames = self
            .tts
            .synthesize(ReceiverStream::new(waiting))
            .await
            .unwrap()
            .into_inner();
        (chunks, frames)
    }

    /// Has a text said and returns its frames, which are checked.
    pub async fn say(&mut self, session: &str, text: &str) -> Vec<AudioFrame> {
        let frames = self.begin(vec![chunk(session, text, 1, true)]).await;
        let frames = read(frames).await.unwrap();
        check(session, &frames);
        frames
    }

    /// What it answers to a synthesis that cannot be.
    pub async fn refusal(&mut self, chunks: Vec<TextChunk>) -> (Code, String) {
        let status = read(self.begin(chunks).await).await.unwrap_err();
        (status.code(), status.message().to_owned())
    }

    pub async fn control(&mut self, session: &str, command: ControlCommand) -> bool {
        let request = ControlRequest {
            session_id: session.into(),
            command: command.into(),
        };
        let response = self.tts.control(request).await.unwrap().into_inner();
        assert!(response.timestamp_ms > 1_600_000_000_000);
        assert_eq!(response.success, !response.message.contains("no session"));
        response.success
    }

    pub async fn metric(&mut self, name: &str) -> f64 {
        let response = self
            .tts
            .get_capabilities(proto::tts::GetCapabilitiesRequest {})
            .await
            .unwrap()
            .into_inner();
        response.metrics.get(name).copied().unwrap()
    }
}

/// One engine that speaks, and no recogniser to load.
pub fn settings(engine: TtsEngine) -> Settings {
    let mut settings = Settings::default();
    settings.tts.adapters = vec![engine];
    settings.stt.adapter = SttEngine::Scripted;
    settings
}

pub fn chunk(session: &str, text: &str, number: i64, is_final: bool) -> TextChunk {
    TextChunk {
        session_id: session.into(),
        text: text.into(),
        is_final,
        sequence_number: number,
    }
}

pub async fn read(mut frames: Streaming<AudioFrame>) -> Result<Vec<AudioFrame>, Status> {
    let mut all = Vec::new();
    while let Some(frame) = frames.message().await? {
        all.push(frame);
    }
    Ok(all)
}

/// What holds of the frames of every synthesis.
pub fn check(session: &str, frames: &[AudioFrame]) {
    assert!(!frames.is_empty());
    for (frame, number) in frames.iter().zip(1..) {
        assert_eq!(frame.session_id, session);
        assert_eq!(frame.audio_data.len(), 1_920);
        assert_eq!((frame.sample_rate, frame.frame_duration_ms), (48_000, 20));
        assert_eq!(frame.sequence_number, number);
        assert_eq!(frame.is_final, number == frames.len() as i64);
    }
}

pub fn samples(frames: &[AudioFrame]) -> Vec<i16> {
    let bytes = frames
        .iter()
        .flat_map(|frame| frame.audio_data.as_chunks::<2>().0);
    bytes.map(|pair| i16::from_le_bytes(*pair)).collect()
}

pub fn seconds(frames: &[AudioFrame]) -> f32 {
    (frames.len() * FRAME_SAMPLES) as f32 / 48_000.0
}

/// Whether an engine can be tested here. Missing engines fail where everything must be there, and are told elsewhere.
pub fn is_here(name: &str) -> bool {
    let item = workers::inventory(&workers::Places::default())
        .into_iter()
        .find(|item| item.name == name)
        .unwrap();
    if !item.present {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{}",
            item.note
        );
        eprintln!("left out: {}", item.note);
    }
    item.present
}
