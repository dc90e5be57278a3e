//! A responder on any server that speaks OpenAI's chat completions API, streaming.

use super::Piece;
use crate::session::conversation::Message;
use crate::session::protocol::Role;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// Said when the server cannot be reached or answers with an error.
const SPOKEN_FAILURE: &str =
    "Sorry, I cannot reach my language model right now. Please try again in a moment.";
/// A line of the event stream longer than this is no answer to us.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Waits between tries double from here.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// What the client needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Up to and including `/v1`.
    pub base_url: String,
    /// Sent as a bearer token, if there is one.
    pub api_key: Option<SecretString>,
    /// The model's name at that server.
    pub model: String,
    /// The system prompt.
    pub prompt: String,
    /// How long the server may take to send its first token, and then each next one.
    pub timeout: Duration,
    /// How often a request that brought nothing yet is tried again.
    pub retries: u32,
}

/// A chat server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    options: Options,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot reach the chat server: {0}")]
    Unreachable(#[source] reqwest::Error),
    #[error("the chat server answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the chat server sent nothing for {0:?}")]
    Timeout(Duration),
    #[error("the chat server's stream broke off")]
    Broken,
}

impl Failure {
    /// Whether the same request may go better a moment later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || *status == reqwest::StatusCode::TOO_MANY_REQUESTS
            }
            Self::Unreachable(_) | Self::Timeout(_) | Self::Broken => true,
        }
    }
}

/// How a stream ended.
enum Streamed {
    Done,
    /// Nobody listens any more.
    Unheard,
    Failed {
        failure: Failure,
        began: bool,
    },
}

impl Client {
    /// Prepares a client; connects only when it is asked.
    ///
    /// # Errors
    /// When the TLS back-end cannot be set up.
    pub fn new(options: Options) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(options.timeout)
            .build()?;
        Ok(Self { http, options })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.options.model
    }

    /// Streams an answer into `out`; a failure is logged once and said once.
    pub async fn respond(&self, history: &[Message], out: &mpsc::Sender<Piece>) {
        let body = self.body(history);
        let mut wait = RETRY_AFTER;
        for attempt in 0..=self.options.retries {
            match self.stream(&body, out).await {
                Streamed::Done | Streamed::Unheard => return,
                Streamed::Failed { failure, began } => {
                    let last = attempt == self.options.retries || began || !failure.is_passing();
                    warn!(attempt, last, error = %failure, "The language model failed.");
                    if last {
                        let _ = out.send(Piece::Failed(SPOKEN_FAILURE)).await;
                        return;
                    }
                }
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    fn body(&self, history: &[Message]) -> serde_json::Value {
        let mut messages = Vec::with_capacity(history.len() + 1);
        if !self.options.prompt.is_empty() {
            messages.push(serde_json::json!({"role": "system", "content": self.options.prompt}));
        }
        for message in history {
            let role = match message.role {
                Role::User => "user",
                Role::Agent => "assistant",
            };
            messages.push(serde_json::json!({"role": role, "content": message.text}));
        }
        serde_json::json!({"model": self.options.model, "messages": messages, "stream": true})
    }

    async fn stream(&self, body: &serde_json::Value, out: &mpsc::Sender<Piece>) -> Streamed {
        let fail = |failure, began| Streamed::Failed { failure, began };
        let url = format!(
            "{}/chat/completions",
            self.options.base_url.trim_end_matches('/')
        );
        let mut request = self.http.post(url).json(body);
        if let Some(key) = &self.options.api_key {
            request = request.bearer_auth(key.expose_secret());
        }
        let patience = self.options.timeout;
        let response = match tokio::time::timeout(patience, request.send()).await {
            Err(_) => return fail(Failure::Timeout(patience), false),
            Ok(Err(error)) => return fail(Failure::Unreachable(error.without_url()), false),
            Ok(Ok(response)) if !response.status().is_success() => {
                return fail(Failure::Status(response.status()), false);
            }
            Ok(Ok(response)) => response,
        };
        let mut bytes = response.bytes_stream();
        let (mut line, mut began) = (Vec::new(), false);
        loop {
            let chunk = tokio::select! {
                () = out.closed() => return Streamed::Unheard,
                chunk = tokio::time::timeout(patience, bytes.next()) => chunk,
            };
            let chunk = match chunk {
                Err(_) => return fail(Failure::Timeout(patience), began),
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(_))) => return fail(Failure::Broken, began),
                // Some servers end without [DONE]; an answer that had begun is complete then.
                Ok(None) if began => return Streamed::Done,
                Ok(None) => return fail(Failure::Broken, began),
            };
            for byte in chunk {
                if byte != b'\n' {
                    if line.len() >= MAX_LINE_BYTES {
                        return fail(Failure::Broken, began);
                    }
                    line.push(byte);
                    continue;
                }
                match event(&line) {
                    Event::Nothing => {}
                    Event::Done => return Streamed::Done,
                    Event::Text(text) => {
                        began = true;
                        if out.send(Piece::Text(text)).await.is_err() {
                            return Streamed::Unheard;
                        }
                    }
                }
                line.clear();
            }
        }
    }
}

enum Event {
    Nothing,
    Text(String),
    Done,
}

/// One line of a `text/event-stream` of chat completion chunks.
fn event(line: &[u8]) -> Event {
    let Some(data) = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.trim().strip_prefix("data:"))
    else {
        return Event::Nothing;
    };
    let data = data.trim();
    if data == "[DONE]" {
        return Event::Done;
    }
    let chunk: serde_json::Value = match serde_json::from_str(data) {
        Ok(chunk) => chunk,
        Err(_) => return Event::Nothing,
    };
    match chunk
        .pointer("/choices/0/delta/content")
        .and_then(serde_json::Value::as_str)
    {
        Some(text) if !text.is_empty() => Event::Text(text.to_owned()),
        _ => Event::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_line_is_text_or_the_end_or_nothing() {
        let text = br#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#;
        assert!(matches!(event(text), Event::Text(text) if text == "Hi"));
        assert!(matches!(event(b"data: [DONE]\r"), Event::Done));
        for nothing in [
            "",
            ": ping",
            "event: x",
            "data: {",
            r#"data: {"choices":[]}"#,
            r#"data: {"choices":[{"delta":{}}]}"#,
        ] {
            assert!(
                matches!(event(nothing.as_bytes()), Event::Nothing),
                "{nothing}"
            );
        }
    }
}
