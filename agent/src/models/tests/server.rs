//! A server on this machine that answers as its script says, and remembers what it was asked.

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, Uri};
use futures_util::stream::{self, StreamExt as _};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the server does about one request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Gives the file, or the part of it that is asked for.
    File(Vec<u8>),
    /// Gives the whole file, whatever is asked for.
    Whole(Vec<u8>),
    /// Begins as [`Answer::File`] does, and breaks off after so many bytes.
    Cut(Vec<u8>, usize),
    /// Begins as [`Answer::File`] does, and sends nothing more after so many bytes.
    Stall(Vec<u8>, usize),
    /// Gives this without saying how long it is.
    Unmeasured(Vec<u8>),
    /// Gives a part that was not asked for.
    OtherRange(Vec<u8>),
    /// Gives nothing but this.
    Status(StatusCode),
    /// Sends the request somewhere else.
    Redirect(String),
}

/// What a request asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
    tag: Option<&'static str>,
}

/// The server; it ends with the value.
pub(super) struct Server {
    pub address: String,
    script: Arc<Mutex<Script>>,
    _serving: DropGuard,
}

impl Server {
    /// A server that gives these answers one after the other, and the last for ever.
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script {
            answers: answers.into_iter().collect(),
            ..Script::default()
        };
        let script = Arc::new(Mutex::new(script));
        let asked = script.clone();
        let app = axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            let answer = asked.lock().unwrap().next(&uri, &headers);
            async move { answer }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio_util::task::TaskTracker::new().spawn(async move {
            tokio::select! {
                served = axum::serve(listener, app) => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        Self {
            address,
            script,
            _serving: stop.drop_guard(),
        }
    }

    /// From now on the file has this tag.
    pub(super) fn tag(&self, tag: &'static str) {
        self.script.lock().unwrap().tag = Some(tag);
    }

    /// What it was asked, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }
}

impl Script {
    fn next(&mut self, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().unwrap().to_owned());
        let (range, if_range) = (text(RANGE), text(IF_RANGE));
        self.asked.push(Asked {
            path: uri.path().to_owned(),
            range: range.clone(),
            if_range: if_range.clone(),
        });
        let answer = match self.answers.len() {
            0 | 1 => self.answers.front().cloned().unwrap(),
            _ => self.answers.pop_front().unwrap(),
        };
        // Of another version of the file, nobody wants a part.
        let is_same = if_range.is_none() || if_range.as_deref() == self.tag;
        let start = range.filter(|_| is_same).map(|range| start(&range));
        let response = Response::builder();
        let response = match self.tag {
            Some(tag) => response.header(ETAG, tag),
            None => response,
        };
        let part = |file: &[u8]| {
            let start = start.unwrap_or(0).min(file.len());
            let response = Response::builder().header(CONTENT_LENGTH, file.len() - start);
            let response = match self.tag {
                Some(tag) => response.header(ETAG, tag),
                None => response,
            };
            let rest = Bytes::copy_from_slice(&file[start..]);
            if start == 0 {
                return (response, rest);
            }
            let range = format!("bytes {start}-{}/{}", file.len() - 1, file.len());
            let response = response.status(StatusCode::PARTIAL_CONTENT);
            (response.header(CONTENT_RANGE, range), rest)
        };
        let built = match answer {
            Answer::File(file) if start.is_some_and(|start| start >= file.len()) => response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .body(Body::empty()),
            Answer::File(file) => {
                let (response, rest) = part(&file);
                response.body(rest.into())
            }
            Answer::Whole(file) => response.body(file.into()),
            Answer::Cut(file, after) => {
                let (response, rest) = part(&file);
                let piece = Ok(rest.slice(..after));
                let broken = async {
                    // While nothing is there to send, what is there is sent.
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("the script breaks off here"))
                };
                let pieces = stream::once(async { piece }).chain(stream::once(broken));
                response.body(Body::from_stream(pieces))
            }
            Answer::Stall(file, after) => {
                let (response, rest) = part(&file);
                let piece = Ok::<_, std::io::Error>(rest.slice(..after));
                let silence = stream::once(async { piece }).chain(stream::pending());
                response.body(Body::from_stream(silence))
            }
            Answer::Unmeasured(file) => {
                let pieces: Vec<_> = file
                    .chunks(1000)
                    .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
                    .collect();
                response.body(Body::from_stream(stream::iter(pieces)))
            }
            Answer::OtherRange(file) => response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes 0-0/{}", file.len()))
                .body(Bytes::copy_from_slice(&file[..1]).into()),
            Answer::Status(status) => response
                .status(status)
                .header(RETRY_AFTER, "0")
                .body(Body::empty()),
            Answer::Redirect(to) => response
                .status(StatusCode::FOUND)
                .header(LOCATION, to)
                .body(Body::empty()),
        };
        built.unwrap()
    }
}

/// The first byte of `bytes=100-`.
fn start(range: &str) -> usize {
    let range = range.strip_prefix("bytes=").unwrap();
    range.strip_suffix('-').unwrap().parse().unwrap()
}
