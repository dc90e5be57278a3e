//! The caller's end of parlor's WebSocket.

use anyhow::{Context as _, anyhow};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use media::AudioFrame;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a server sends.
#[derive(Debug)]
pub enum Event {
    /// 20 ms of speech.
    Audio(AudioFrame),
    /// A JSON message.
    Message(Value),
    /// The server closed the connection, with these words.
    Closed(String),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Caller {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
}

impl Caller {
    /// Connects, asking for events and binary audio.
    ///
    /// # Errors
    /// What kept the server from answering, with what to try.
    pub async fn connect(
        url: &str,
        query: &[(&str, String)],
        api_key: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut full = url.to_owned();
        full.push(if url.contains('?') { '&' } else { '?' });
        full.push_str("events=1&binary=1");
        for (key, value) in query {
            full.push_str(&format!("&{key}={}", escape(value)));
        }
        let mut request = full
            .into_client_request()
            .with_context(|| format!("{url} is no WebSocket address"))?;
        if let Some(key) = api_key {
            let value = format!("Bearer {key}")
                .parse()
                .map_err(|_| anyhow!("the API key cannot be sent in a header"))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let (socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .map_err(|error| describe(url, error))?;
        let (sink, stream) = socket.split();
        Ok(Self { sink, stream })
    }

    /// Sends 20 ms of the caller's voice.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_audio(&mut self, frame: &AudioFrame) -> anyhow::Result<()> {
        self.deliver(Message::Binary(frame.to_le_bytes().into()))
            .await
    }

    /// Sends a JSON message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.deliver(Message::Text(message.to_string().into()))
            .await
    }

    async fn deliver(&mut self, message: Message) -> anyhow::Result<()> {
        match self.sink.send(message).await {
            // The stream tells why the server closed; that is the better error.
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                Ok(())
            }
            Err(Error::Io(error))
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error).context("the connection broke"),
        }
    }

    /// The next thing from the server; `None` once the connection is gone. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            return Some(match self.stream.next().await? {
                Ok(Message::Binary(bytes)) => match AudioFrame::from_le_bytes(&bytes) {
                    Ok(frame) => Event::Audio(frame),
                    Err(error) => Event::Closed(format!("the server sent a bad frame: {error}")),
                },
                Ok(Message::Text(text)) => match serde_json::from_str(text.as_str()) {
                    Ok(message) => Event::Message(message),
                    Err(_) => Event::Closed("the server sent something that is not JSON".into()),
                },
                Ok(Message::Close(frame)) => {
                    Event::Closed(frame.map_or_else(String::new, |frame| {
                        format!("{} ({})", frame.reason, frame.code)
                    }))
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Err(error) => Event::Closed(error.to_string()),
            });
        }
    }
}

fn describe(url: &str, error: Error) -> anyhow::Error {
    match error {
        Error::Http(response) => {
            let said = response
                .body()
                .as_deref()
                .and_then(|body| serde_json::from_slice::<Value>(body).ok());
            let message = said
                .as_ref()
                .and_then(|value| value.pointer("/error/message")?.as_str())
                .unwrap_or("no reason given");
            anyhow!(
                "{url} refused the call with {}: {message}",
                response.status()
            )
        }
        error => anyhow::Error::new(error).context(format!(
            "cannot reach {url}; is `parlor serve` running there?"
        )),
    }
}

/// Percent-encodes a query value.
fn escape(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
