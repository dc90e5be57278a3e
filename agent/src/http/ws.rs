//! A call over a WebSocket, at `/` and `/ws`.

use super::error::ApiError;
use crate::config::Mode;
use crate::server::App;
use crate::session::protocol::{ErrorCode, ServerMessage};
use crate::session::{CallOptions, Events};
use crate::sessions::{Refused, Transport};
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Sink, Stream};
use media::Clock;
use media::link::websocket::{AudioEncoding, CLOSE_TRY_AGAIN, Options, ReadError, WsMessage};
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::debug;

/// What a caller may ask for in the query.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default)]
pub struct Params {
    /// The rate of the caller's PCM, in Hz.
    pub sample_rate: u32,
    /// Send `state`, `transcript` and `timings`.
    #[serde(deserialize_with = "flag")]
    pub events: bool,
    /// Send speech as binary frames.
    #[serde(deserialize_with = "flag")]
    pub binary: bool,
    /// `duplex`, `mute` or `manual`; the server's where missing.
    pub mode: Option<Mode>,
    /// `adapter:voice`; the server's where missing.
    pub voice: Option<String>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            sample_rate: media::SAMPLE_RATE_HZ,
            events: false,
            binary: false,
            mode: None,
            voice: None,
        }
    }
}

/// `1` and `true` are yes; people write both.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    match &*text {
        "1" | "true" | "" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(serde::de::Error::custom("a flag is 1 or 0")),
    }
}

/// What is read from a socket at a time.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// Takes a call.
pub async fn upgrade(
    State(app): State<App>,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(error) => {
            return ApiError::new(error.status(), "not_a_websocket", error.body_text())
                .into_response();
        }
    };
    let params = match params {
        Ok(Query(params)) => params,
        Err(error) => {
            return ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text())
                .into_response();
        }
    };
    if !(8_000..=96_000).contains(&params.sample_rate) {
        let message = format!(
            "sample_rate must be between 8000 and 96000, got {}",
            params.sample_rate
        );
        return ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", message).into_response();
    }
    if let Some(voice) = &params.voice
        && !app.has_voice(voice)
    {
        return ApiError::new(
            StatusCode::BAD_REQUEST,
            "unknown_voice",
            app.voices_sentence(),
        )
        .into_response();
    }
    let limit = app.config.server.max_message_bytes;
    let tracker = app.sessions.tracker().clone();
    upgrade
        .protocols(["parlor"])
        .max_message_size(limit)
        .max_frame_size(limit)
        // Nothing is buffered here: what a slow caller costs is the link's to bound.
        .write_buffer_size(0)
        // It is cleared for every read, and a caller's 20 ms are a fiftieth of the 128 KiB that it is otherwise.
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_failed_upgrade(|error| debug!(%error, "A WebSocket upgrade failed."))
        // Its task is the HTTP library's own: it is counted, so that a drain waits until the caller has been told.
        .on_upgrade(move |socket| tracker.track_future(call(app, params, socket)))
}

async fn call(app: App, params: Params, socket: WebSocket) {
    let mut socket = Socket(socket);
    let admission = match app.sessions.admit(Transport::WebSocket) {
        Ok(admission) => admission,
        Err(refused) => return refuse(&mut socket, refused).await,
    };
    let audio = if params.binary {
        AudioEncoding::Binary
    } else {
        AudioEncoding::Json
    };
    let options = Options {
        sample_rate_hz: params.sample_rate,
        audio,
    };
    let (link, wire) = media::link::pair();
    let call = CallOptions {
        mode: params.mode.unwrap_or(app.config.turn.mode),
        voice: params.voice,
        events: if params.events {
            Events::All
        } else {
            Events::ContractOnly
        },
    };
    let transport = media::link::websocket::run(wire, socket, options, Clock::start());
    let session = app.start_session(admission, link, call);
    // The session may go first (a hang-up) or the transport (the caller left); each ends the other through the link.
    let (result, _reason) = tokio::join!(transport, session);
    if let Err(error) = result {
        debug!(%error, "A WebSocket call could not start.");
    }
}

async fn refuse(socket: &mut Socket, refused: Refused) {
    use futures_util::SinkExt as _;
    let error = ServerMessage::Error {
        message: refused.to_string(),
        code: ErrorCode::WorkerUnavailable,
    };
    // A caller that is gone already needs no answer.
    let _ = socket.send(WsMessage::Text(error.to_json())).await;
    let _ = socket
        .send(WsMessage::Close {
            code: CLOSE_TRY_AGAIN,
            reason: refused.to_string(),
        })
        .await;
}

/// axum's WebSocket in the link's words.
struct Socket(WebSocket);

impl Stream for Socket {
    type Item = Result<WsMessage, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = match std::task::ready!(Pin::new(&mut self.0).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(read_error(&error)))),
                Some(Ok(message)) => message,
            };
            return Poll::Ready(Some(Ok(match message {
                Message::Text(text) => WsMessage::Text(text.as_str().to_owned()),
                Message::Binary(bytes) => WsMessage::Binary(bytes),
                Message::Close(frame) => {
                    let (code, reason) = frame.map_or((1000, String::new()), |f| {
                        (f.code, f.reason.as_str().to_owned())
                    });
                    WsMessage::Close { code, reason }
                }
                // axum answers pings by itself.
                Message::Ping(_) | Message::Pong(_) => continue,
            })));
        }
    }
}

fn read_error(error: &axum::Error) -> ReadError {
    use std::error::Error as _;
    let capacity = error
        .source()
        .and_then(|source| source.downcast_ref::<tokio_tungstenite::tungstenite::Error>())
        .is_some_and(|error| matches!(error, tokio_tungstenite::tungstenite::Error::Capacity(_)));
    // axum's own copy of the library may be of another version, whose error type is another: its words are the same.
    if capacity || error.to_string().contains("too long") {
        ReadError::TooBig
    } else {
        ReadError::Failed(error.to_string())
    }
}

impl Sink<WsMessage> for Socket {
    type Error = axum::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: WsMessage) -> Result<(), Self::Error> {
        let message = match message {
            WsMessage::Text(text) => Message::Text(text.into()),
            WsMessage::Binary(bytes) => Message::Binary(bytes),
            WsMessage::Close { code, reason } => Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            })),
        };
        Pin::new(&mut self.0).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
