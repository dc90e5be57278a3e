//! A server and callers for whole calls on loopback.
//!
//! Nothing here waits for a time to pass: every wait is for an event, and its limit only turns a hang into a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

pub mod fleet;
pub mod livekit;
pub mod lossy;
pub mod peers;
pub mod redis;
mod set_up;
pub mod speech;
pub mod webrtc;

use futures_util::{SinkExt as _, StreamExt as _};
use media::{AudioFrame, FRAME};
use parlor::config::Config;
use parlor::server::{App, Server};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longer than anything here takes on a busy machine; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for tests: a free port, mock voice, scripted recognition.
pub fn config() -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.drain_seconds = 0;
    config.tts.adapters = vec![workers::TtsEngine::Mock];
    config.stt.adapter = workers::SttEngine::Scripted;
    config.stt.script = vec!["tell me a long story".into(), "stop".into()];
    config
}

/// A server on loopback; it ends with the value.
pub struct TestServer {
    /// Where it answers.
    pub address: SocketAddr,
    /// Its parts.
    pub app: App,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl TestServer {
    /// Starts one.
    pub async fn start(config: Config) -> Self {
        Self::of(Server::start(config).await.expect("the server starts"))
    }

    /// Runs one that is bound.
    pub fn of(server: Server) -> Self {
        let (address, app) = (server.address, server.app.clone());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        tasks.spawn(async move {
            server
                .run(stopped.cancelled_owned())
                .await
                .expect("the server runs")
        });
        Self {
            address,
            app,
            stop,
            tasks,
        }
    }

    /// Ends it and waits until every call of it is gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait())
            .await
            .expect("the server ends");
    }

    /// An HTTP address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A WebSocket call to it.
    pub async fn call(&self, path: &str) -> Caller {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{}{path}", self.address))
            .await
            .expect("the call is taken");
        Caller { socket }
    }
}

/// A WebSocket caller.
pub struct Caller {
    /// The raw socket.
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came to a caller.
#[derive(Debug)]
pub enum Came {
    /// A JSON message.
    Json(Value),
    /// A binary frame.
    Binary(Vec<u8>),
    /// The server closed with this code.
    Closed(Option<u16>),
}

impl Caller {
    /// Sends text as it stands.
    pub async fn send(&mut self, text: impl Into<String>) {
        self.socket
            .send(Message::Text(text.into().into()))
            .await
            .expect("the message is sent");
    }

    /// Sends bytes as they stand.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket
            .send(Message::Binary(bytes.into()))
            .await
            .expect("the bytes are sent");
    }

    /// The next thing that comes.
    pub async fn next(&mut self) -> Came {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .expect("something comes");
            return match message {
                Some(Ok(Message::Text(text))) => {
                    Came::Json(serde_json::from_str(text.as_str()).expect("JSON"))
                }
                Some(Ok(Message::Binary(bytes))) => Came::Binary(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    Came::Closed(frame.map(|frame| frame.code.into()))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Came::Closed(None),
            };
        }
    }

    /// The next JSON message that fits; everything before it is skipped.
    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Came::Json(value) if fits(&value) => return value,
                Came::Closed(code) => panic!("the call was closed ({code:?})"),
                Came::Json(_) | Came::Binary(_) => {}
            }
        }
    }

    /// The next message of a type.
    pub async fn until_type(&mut self, kind: &str) -> Value {
        self.until(|value| value["type"] == kind).await
    }

    /// Waits for a state, as `Speaking/playing` or `Listening`.
    pub async fn until_state(&mut self, state: &str) -> Value {
        let (state, phase) = state
            .split_once('/')
            .map_or((state, None), |(state, phase)| (state, Some(phase)));
        self.until(|v| {
            v["type"] == "state" && v["state"] == state && phase.is_none_or(|p| v["phase"] == p)
        })
        .await
    }

    /// The agent's next words that will not change any more.
    pub async fn until_agent_said(&mut self) -> Value {
        self.until(|v| v["type"] == "transcript" && v["role"] == "agent" && v["is_final"] == true)
            .await
    }

    /// Sends speech in real time, then silence, until the caller is told `state`; what was told on the way.
    pub async fn speak_until(&mut self, speech: &[AudioFrame], state: &str) -> Vec<Value> {
        let (state, phase) = state
            .split_once('/')
            .map_or((state, None), |(state, phase)| (state, Some(phase)));
        let mut frames = speech.iter();
        let silence = AudioFrame::silence();
        let mut ticks = tokio::time::interval(FRAME);
        let mut seen = Vec::new();
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let frame = frames.next().unwrap_or(&silence);
                    self.send_bytes(frame.to_le_bytes()).await;
                }
                message = self.socket.next() => if let Some(Ok(Message::Text(text))) = message {
                    let value: Value = serde_json::from_str(text.as_str()).expect("JSON");
                    let reached = value["type"] == "state" && value["state"] == state && phase.is_none_or(|p| value["phase"] == p);
                    seen.push(value);
                    if reached { return seen }
                },
                () = &mut deadline => panic!("{state} never came; {seen:?}"),
            }
        }
    }

    /// The code with which the server closes; whatever comes before is skipped.
    pub async fn until_closed(&mut self) -> Option<u16> {
        loop {
            if let Came::Closed(code) = self.next().await {
                return code;
            }
        }
    }
}
