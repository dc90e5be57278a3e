//! A responder on any server that speaks OpenAI's chat completions API, streaming.

use super::{APOLOGY, Piece};
use crate::session::conversation::Message;
use crate::session::protocol::Role;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// A line of the event stream longer than this is no answer to us.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Waits between tries double from here.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long a server may be silent, with all its tries, before the client says that it failed.
pub fn patience(timeout: Duration, retries: u32) -> Duration {
    timeout
        .saturating_mul(retries.saturating_add(1))
        .saturating_add(LONGEST_WAIT.saturating_mul(retries))
}

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
    #[error("the chat server sent no text for {0:?}")]
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
        // Already installed is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
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
                        let _ = out.send(Piece::Failed(APOLOGY)).await;
                        return;
                    }
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
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
            let content = match &message.who {
                Some(who) => format!("{who}: {}", message.text),
                None => message.text.clone(),
            };
            messages.push(serde_json::json!({"role": role, "content": content}));
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
        let too_late = tokio::time::sleep(patience);
        tokio::pin!(too_late);
        let response = tokio::select! {
            () = out.closed() => return Streamed::Unheard,
            () = &mut too_late => return fail(Failure::Timeout(patience), false),
            response = request.send() => response,
        };
        let response = match response {
            Err(error) => return fail(Failure::Unreachable(error.without_url()), false),
            Ok(response) if !response.status().is_success() => {
                return fail(Failure::Status(response.status()), false);
            }
            Ok(response) => response,
        };
        let mut bytes = response.bytes_stream();
        let (mut line, mut began) = (Vec::new(), false);
        loop {
            let chunk = tokio::select! {
                () = out.closed() => return Streamed::Unheard,
                () = &mut too_late => return fail(Failure::Timeout(patience), began),
                chunk = bytes.next() => chunk,
            };
            let chunk = match chunk {
                Some(Ok(chunk)) => chunk,
                Some(Err(_)) => return fail(Failure::Broken, began),
                // Some servers end without [DONE]; an answer that had begun is complete then.
                None if began => return Streamed::Done,
                None => return fail(Failure::Broken, began),
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
                        // Whoever takes the text may be slow; the server's time begins only now.
                        too_late.set(tokio::time::sleep(patience));
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
    use axum::body::Body;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::post;
    use axum::{Json, Router};
    use futures_util::stream;
    use std::collections::VecDeque;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tokio::sync::Notify;
    use tokio_util::sync::{CancellationToken, DropGuard};
    use tokio_util::task::TaskTracker;
    use tracing::instrument::WithSubscriber as _;

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

    #[test]
    fn a_name_leads_what_one_of_several_people_said() {
        let client = Client::new(Options {
            base_url: "http://127.0.0.1:9/v1".into(),
            api_key: None,
            model: "m".into(),
            prompt: String::new(),
            timeout: IMPATIENT,
            retries: 0,
        })
        .unwrap();
        let said = |role, who: Option<&str>, text: &str| Message {
            role,
            who: who.map(Into::into),
            text: text.into(),
        };
        let body = client.body(&[
            said(Role::User, Some("Ana"), "what time is it"),
            said(Role::Agent, None, "Three."),
            said(Role::User, None, "thanks"),
        ]);
        let contents: Vec<_> = (0..3).map(|at| &body["messages"][at]["content"]).collect();
        assert_eq!(contents, ["Ana: what time is it", "Three.", "thanks"]);
    }

    /// What a scripted chat server does with one request.
    enum Act {
        /// Answers with an error.
        Status(u16),
        /// Streams these lines.
        Lines(&'static [&'static str]),
        /// Streams these lines, and then the connection breaks.
        Break(&'static [&'static str]),
        /// Streams these lines and then says nothing more; without any it does not even answer.
        Hang(&'static [&'static str]),
    }

    /// The key that came with a question, and the question.
    type Asked = (Option<String>, serde_json::Value);

    /// A chat server on loopback; it ends with the value.
    struct Chat {
        address: std::net::SocketAddr,
        asked: Arc<Mutex<Vec<Asked>>>,
        /// Told for every piece of text that arrived.
        arrived: Arc<Notify>,
        _tasks: DropGuard,
    }

    const KEY: &str = "sk-correct-horse-battery";
    const HI: &str = r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#;
    const THERE: &str = r#"data: {"choices":[{"delta":{"content":" there."}}]}"#;
    const DONE: &str = "data: [DONE]";

    impl Chat {
        async fn start(script: Vec<Act>) -> Self {
            let script = Arc::new(Mutex::new(VecDeque::from(script)));
            let asked = Arc::new(Mutex::new(Vec::new()));
            let log = asked.clone();
            let arrived = Arc::new(Notify::new());
            let told = arrived.clone();
            let answer = move |headers: HeaderMap, body: Json<serde_json::Value>| {
                let key = headers
                    .get("authorization")
                    .map(|value| value.to_str().unwrap().to_owned());
                log.lock().unwrap().push((key, body.0));
                let act = script.lock().unwrap().pop_front();
                let act = act.expect("no more requests than the script has");
                act_out(act, told.clone())
            };
            let router = Router::new().route("/v1/chat/completions", post(answer));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let stopped = stop.clone();
            TaskTracker::new().spawn(async move {
                tokio::select! {
                    _ = axum::serve(listener, router).into_future() => {}
                    () = stopped.cancelled() => {}
                }
            });
            Self {
                address,
                asked,
                arrived,
                _tasks: stop.drop_guard(),
            }
        }

        fn client(&self, timeout: Duration, retries: u32) -> Client {
            Client::new(Options {
                base_url: format!("http://{}/v1/", self.address),
                api_key: Some(SecretString::from(KEY)),
                model: "parrot".into(),
                prompt: "Be brief.".into(),
                timeout,
                retries,
            })
            .unwrap()
        }

        fn requests(&self) -> usize {
            self.asked.lock().unwrap().len()
        }
    }

    async fn act_out(act: Act, arrived: Arc<Notify>) -> Response {
        let (lines, then) = match act {
            Act::Status(status) => {
                return StatusCode::from_u16(status).unwrap().into_response();
            }
            Act::Hang([]) => std::future::pending().await,
            Act::Lines(lines) => (lines, None),
            Act::Break(lines) => {
                // The connection breaks only when the client has got what came before.
                let broken = async move {
                    if !lines.is_empty() {
                        arrived.notified().await;
                    }
                    Err(io::Error::other("gone"))
                };
                (lines, Some(stream::once(broken).boxed()))
            }
            Act::Hang(lines) => (lines, Some(stream::pending().boxed())),
        };
        let lines = lines.iter().map(|line| Ok(format!("{line}\n\n")));
        let rest = then.unwrap_or_else(|| stream::empty().boxed());
        Body::from_stream(stream::iter(lines).chain(rest)).into_response()
    }

    /// Long enough for any machine to answer on loopback.
    const PATIENT: Duration = Duration::from_secs(30);
    const IMPATIENT: Duration = Duration::from_millis(200);

    async fn answer(chat: &Chat, client: &Client) -> Vec<Piece> {
        let (out, mut pieces) = mpsc::channel(1);
        let history = [Message {
            role: Role::User,
            who: None,
            text: "hello".into(),
        }];
        let respond = async move { client.respond(&history, &out).await };
        let listen = async {
            let mut all = Vec::new();
            while let Some(piece) = pieces.recv().await {
                all.push(piece);
                chat.arrived.notify_one();
            }
            all
        };
        tokio::join!(respond, listen).1
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    #[tokio::test]
    async fn an_answer_streams_in_and_the_question_went_out_whole() {
        let chat = Chat::start(vec![Act::Lines(&[": hello", HI, THERE, DONE])]).await;
        let pieces = answer(&chat, &chat.client(PATIENT, 0)).await;
        assert_eq!(pieces, [text("Hi"), text(" there.")]);
        let asked = chat.asked.lock().unwrap();
        let (key, body) = &asked[0];
        assert_eq!(key.as_deref(), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(
            *body,
            serde_json::json!({
                "model": "parrot",
                "stream": true,
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "hello"},
                ],
            })
        );
    }

    #[tokio::test]
    async fn a_server_that_is_busy_is_asked_again() {
        let script = vec![Act::Status(500), Act::Status(429), Act::Lines(&[HI, DONE])];
        let chat = Chat::start(script).await;
        assert_eq!(answer(&chat, &chat.client(PATIENT, 2)).await, [text("Hi")]);
        assert_eq!(chat.requests(), 3);
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_said_aloud() {
        let chat = Chat::start(vec![Act::Status(401)]).await;
        let pieces = answer(&chat, &chat.client(PATIENT, 3)).await;
        assert_eq!(pieces, [Piece::Failed(APOLOGY)]);
        assert_eq!(chat.requests(), 1);
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up_after_its_tries() {
        for script in [
            vec![Act::Hang(&[]), Act::Hang(&[])],
            // Headers and signs of life are no text.
            vec![Act::Hang(&[": still thinking"]), Act::Hang(&[])],
        ] {
            let chat = Chat::start(script).await;
            let pieces =
                tokio::time::timeout(PATIENT, answer(&chat, &chat.client(IMPATIENT, 1))).await;
            assert_eq!(pieces.unwrap(), [Piece::Failed(APOLOGY)]);
            assert_eq!(chat.requests(), 2);
        }
        assert!(patience(IMPATIENT, 1) > IMPATIENT * 2);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_begun_again() {
        for act in [Act::Break(&[HI]), Act::Hang(&[HI])] {
            let chat = Chat::start(vec![act]).await;
            let timeout = Duration::from_secs(2);
            let pieces = answer(&chat, &chat.client(timeout, 3)).await;
            assert_eq!(pieces, [text("Hi"), Piece::Failed(APOLOGY)]);
            assert_eq!(chat.requests(), 1);
        }
        // Without a word of it, it may be.
        let chat = Chat::start(vec![Act::Break(&[]), Act::Lines(&[HI])]).await;
        assert_eq!(answer(&chat, &chat.client(PATIENT, 1)).await, [text("Hi")]);
    }

    #[tokio::test]
    async fn nobody_there_is_said_aloud() {
        let chat = Chat::start(vec![]).await;
        let client = Client::new(Options {
            base_url: "http://127.0.0.1:1/v1".into(),
            ..chat.client(PATIENT, 0).options
        });
        assert_eq!(
            answer(&chat, &client.unwrap()).await,
            [Piece::Failed(APOLOGY)]
        );
    }

    /// Everything that was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn neither_key_nor_words_are_logged() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let chat = Chat::start(vec![Act::Status(503), Act::Break(&[HI])]).await;
        let client = chat.client(PATIENT, 1);
        let pieces = async {
            tracing::debug!(?client, "A client.");
            answer(&chat, &client).await
        };
        let pieces = pieces.with_subscriber(subscriber).await;
        assert_eq!(pieces, [text("Hi"), Piece::Failed(APOLOGY)]);
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("The language model failed."), "{logged}");
        assert!(logged.contains("A client."), "{logged}");
        for secret in [KEY, "hello", "there."] {
            assert!(!logged.contains(secret), "{secret} in {logged}");
        }
    }
}
