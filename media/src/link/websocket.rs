//! The WebSocket transport: JSON text and PCM in, paced 20 ms frames out, whatever library carries the socket.
//!
//! A caller that stops reading costs at most [`BACKLOG_FRAMES`] of sound and [`BACKLOG_MESSAGES`] events: the oldest sound is
//! dropped and reported to the session as not heard, and after [`STALL_LIMIT`] the connection is closed with 1013.
//! A caller whose sound comes faster than real time is read until it is [`MAX_LEAD`] ahead, and then as time passes.

mod pace;

pub use pace::MAX_LEAD;

use super::{Closed, Generation, Inbound, Outbound, Wire};
use crate::clock::Clock;
use crate::frame::{AudioFrame, FRAME, FRAME_BYTES, SAMPLE_RATE_HZ};
use crate::framer::Framer;
use crate::resample::Resampler;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use pace::Pace;
use std::collections::VecDeque;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Sound that may wait for a slow caller: one second. Older sound is dropped first.
pub const BACKLOG_FRAMES: usize = 50;
/// Events that may wait for a slow caller before the connection is given up.
pub const BACKLOG_MESSAGES: usize = 512;
/// How long a caller may read nothing at all.
pub const STALL_LIMIT: Duration = Duration::from_secs(5);
/// How long a closing connection may take to deliver its last words.
pub const LINGER: Duration = Duration::from_secs(5);

/// Frames of one message that are handed on before the session gets its turn: half of what its inbox holds.
const FRAMES_AT_A_TIME: u32 = 25;

/// Close code for "try again later": too slow, or the server is full.
pub const CLOSE_TRY_AGAIN: u16 = 1013;
/// Close code for a message over the size limit.
pub const CLOSE_TOO_BIG: u16 = 1009;

/// A WebSocket message, in the words of no particular library. Pings and pongs stay below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WsMessage {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Bytes),
    /// A close frame.
    Close {
        /// The close code, 1000 when the peer gave none.
        code: u16,
        /// The reason given.
        reason: String,
    },
}

/// What reading from the socket can end with.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller sent a message over the size limit.
    #[error("the message is larger than the limit")]
    TooBig,
    /// Anything else; for the log.
    #[error("{0}")]
    Failed(String),
}

/// How a caller wants its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The rate of the microphone audio that the caller sends, 8000 to 96000 Hz.
    pub sample_rate_hz: u32,
    /// Whether speech is sent as binary frames (1920 bytes) rather than base64 in JSON.
    pub audio: AudioEncoding,
}

/// How speech is written to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioEncoding {
    /// `{"type": "audio", "pcm": base64, ...}`.
    Json,
    /// A binary frame of 1920 bytes, signed 16-bit little-endian.
    Binary,
}

/// The caller's sample rate is none that can be resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sample_rate must be between 8000 and 96000, got {0}")]
pub struct UnsupportedRate(pub u32);

/// The `audio` message's sound as it may come from a caller.
#[derive(serde::Deserialize)]
struct AudioMessage {
    pcm: String,
    sample_rate: Option<u32>,
}

#[derive(serde::Deserialize)]
struct Peek {
    r#type: Option<String>,
}

/// Turns a caller's PCM of any rate and chunk size into frames.
struct Microphone {
    rate_hz: u32,
    resampler: Option<Resampler>,
    framer: Framer,
    samples: Vec<i16>,
    resampled: Vec<i16>,
}

impl Microphone {
    fn new(rate_hz: u32) -> Result<Self, UnsupportedRate> {
        let mut microphone = Self {
            rate_hz: SAMPLE_RATE_HZ,
            resampler: None,
            framer: Framer::new(),
            samples: Vec::new(),
            resampled: Vec::new(),
        };
        microphone.set_rate(rate_hz)?;
        Ok(microphone)
    }

    fn set_rate(&mut self, rate_hz: u32) -> Result<(), UnsupportedRate> {
        if !(8_000..=96_000).contains(&rate_hz) {
            return Err(UnsupportedRate(rate_hz));
        }
        if rate_hz != self.rate_hz {
            self.resampler = match rate_hz {
                SAMPLE_RATE_HZ => None,
                _ => Some(
                    Resampler::new(rate_hz, SAMPLE_RATE_HZ)
                        .map_err(|_| UnsupportedRate(rate_hz))?,
                ),
            };
            self.rate_hz = rate_hz;
        }
        Ok(())
    }

    /// Takes a chunk of little-endian 16-bit PCM; an odd length is refused with the words for the caller.
    fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!(
                "audio must be 16-bit PCM: {} bytes is an odd length",
                bytes.len()
            ));
        }
        self.samples.clear();
        self.samples
            .extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
        match &mut self.resampler {
            None => self.framer.push(&self.samples),
            Some(resampler) => {
                self.resampled.clear();
                resampler.process(&self.samples, &mut self.resampled);
                self.framer.push(&self.resampled);
            }
        }
        Ok(())
    }

    /// The next whole frame of what was pushed.
    fn pop(&mut self) -> Option<AudioFrame> {
        self.framer.pop()
    }
}

/// One thing that waits for the caller to read.
#[derive(Debug)]
enum Waiting {
    Audio {
        generation: Generation,
        frame: AudioFrame,
    },
    Message(String),
    Close {
        code: u16,
        reason: String,
    },
}

/// Runs one connection until either side closes it. The session is told of the end by [`Inbound::Closed`].
///
/// `socket` must deliver text, binary and close frames; pings are answered below it.
///
/// # Errors
/// [`UnsupportedRate`] before anything is read.
pub async fn run<S, E>(
    mut wire: Wire,
    socket: S,
    options: Options,
    clock: Clock,
) -> Result<(), UnsupportedRate>
where
    S: Stream<Item = Result<WsMessage, ReadError>> + Sink<WsMessage, Error = E> + Unpin + Send,
    E: Display,
{
    let mut connection = Connection {
        microphone: Microphone::new(options.sample_rate_hz)?,
        socket,
        encoding: options.audio,
        sequence: 0,
        backlog: VecDeque::new(),
        backlog_audio: 0,
        unflushed: false,
        closing: false,
        stalled_since: None,
        pace: Pace::default(),
        clock,
    };
    let closed = connection.run(&mut wire).await;
    wire.inbox.send(Inbound::Closed(closed)).await;
    Ok(())
}

/// What a socket can do next.
enum Ready<E> {
    /// All that was written has left.
    Flushed(Result<(), E>),
    /// One message may be written.
    ToSend(Result<(), E>),
    /// Something came, or nothing ever will.
    Came(Option<Result<WsMessage, ReadError>>),
}

/// Flushes first, then makes room, then reads: a caller that sends without reading is not waited for.
fn poll_socket<S, E>(
    socket: &mut S,
    cx: &mut Context<'_>,
    unflushed: bool,
    waiting: bool,
    reading: bool,
) -> Poll<Ready<E>>
where
    S: Stream<Item = Result<WsMessage, ReadError>> + Sink<WsMessage, Error = E> + Unpin,
{
    if unflushed {
        if let Poll::Ready(flushed) = Pin::new(&mut *socket).poll_flush(cx) {
            return Poll::Ready(Ready::Flushed(flushed));
        }
    } else if waiting && let Poll::Ready(ready) = Pin::new(&mut *socket).poll_ready(cx) {
        return Poll::Ready(Ready::ToSend(ready));
    }
    if !reading {
        return Poll::Pending;
    }
    Pin::new(socket).poll_next(cx).map(Ready::Came)
}

struct Connection<S> {
    socket: S,
    microphone: Microphone,
    encoding: AudioEncoding,
    sequence: u64,
    backlog: VecDeque<Waiting>,
    backlog_audio: usize,
    unflushed: bool,
    /// The session's last words are in the backlog; nothing follows them.
    closing: bool,
    stalled_since: Option<Duration>,
    pace: Pace,
    clock: Clock,
}

impl<S, E> Connection<S>
where
    S: Stream<Item = Result<WsMessage, ReadError>> + Sink<WsMessage, Error = E> + Unpin + Send,
    E: Display,
{
    async fn run(&mut self, wire: &mut Wire) -> Closed {
        loop {
            let stall = self.stalled_since.map(|since| since + STALL_LIMIT);
            let (unflushed, waiting) = (self.unflushed, !self.backlog.is_empty());
            let clock = self.clock;
            let unread_until = self.pace.wait_until().filter(|until| *until > clock.now());
            let reading = unread_until.is_none();
            tokio::select! {
                event = poll_fn(|cx| poll_socket(&mut self.socket, cx, unflushed, waiting, reading)) => match event {
                    Ready::Flushed(Ok(())) => { self.unflushed = false; self.stalled_since = None; }
                    Ready::ToSend(Ok(())) => if let Some(closed) = self.send_next(wire).await { return closed },
                    Ready::Flushed(Err(error)) | Ready::ToSend(Err(error)) => return Closed::Failed(error.to_string()),
                    Ready::Came(message) => if let Some(closed) = self.hear(wire, message).await { return closed },
                },
                from_session = wire.outbound.recv(), if !self.closing => match from_session {
                    Some(Outbound::Message(text)) => self.backlog.push_back(Waiting::Message(text)),
                    Some(Outbound::Audio { generation, frame, .. }) => self.queue_audio(wire, generation, frame).await,
                    // This caller is alone, gets messages, and no Opus.
                    Some(Outbound::Opus { .. } | Outbound::Caption(_) | Outbound::Attributes(_) | Outbound::Data { .. }) => {}
                    Some(Outbound::Close { code, reason }) => self.close_after_backlog(code, reason),
                    // The session went without a word: it was dropped.
                    None => self.close_after_backlog(1001, "the server is going away".to_owned()),
                },
                () = clock.until_some(unread_until) => {}
                () = clock.until_some(stall) => {
                    self.close(CLOSE_TRY_AGAIN, "too slow: audio was not read for 5 s").await;
                    return Closed::TooSlow;
                }
            }
            if self.backlog.len() - self.backlog_audio > BACKLOG_MESSAGES {
                self.close(CLOSE_TRY_AGAIN, "too slow: events were not read")
                    .await;
                return Closed::TooSlow;
            }
            if self.unflushed && self.stalled_since.is_none() {
                self.stalled_since = Some(self.clock.now());
            }
        }
    }

    async fn queue_audio(&mut self, wire: &Wire, generation: Generation, frame: AudioFrame) {
        if self.backlog_audio >= BACKLOG_FRAMES
            && let Some(oldest) = self
                .backlog
                .iter()
                .position(|item| matches!(item, Waiting::Audio { .. }))
            && let Some(Waiting::Audio { generation, .. }) = self.backlog.remove(oldest)
        {
            self.backlog_audio -= 1;
            wire.inbox
                .send(Inbound::Unsent {
                    generation,
                    frames: 1,
                })
                .await;
        }
        self.backlog.push_back(Waiting::Audio { generation, frame });
        self.backlog_audio += 1;
    }

    async fn send_next(&mut self, wire: &Wire) -> Option<Closed> {
        let message = match self.backlog.pop_front()? {
            Waiting::Message(text) => WsMessage::Text(text),
            Waiting::Audio { generation, frame } => {
                self.backlog_audio -= 1;
                if !wire.fence.admits(generation) {
                    wire.inbox
                        .send(Inbound::Unsent {
                            generation,
                            frames: 1,
                        })
                        .await;
                    return None;
                }
                self.sequence += 1;
                encode(&frame, self.encoding, self.sequence)
            }
            Waiting::Close { code, reason } => {
                self.close(code, &reason).await;
                return Some(Closed::ByCaller);
            }
        };
        match Pin::new(&mut self.socket).start_send(message) {
            Ok(()) => {
                self.unflushed = true;
                None
            }
            Err(error) => Some(Closed::Failed(error.to_string())),
        }
    }

    /// What waits still leaves first.
    fn close_after_backlog(&mut self, code: u16, reason: String) {
        self.closing = true;
        self.backlog.push_back(Waiting::Close { code, reason });
    }

    /// Says goodbye and waits, within [`LINGER`], until the caller has said it too.
    async fn close(&mut self, code: u16, reason: &str) {
        let deadline = self.clock.now() + LINGER;
        let goodbye = async {
            if self
                .socket
                .send(WsMessage::Close {
                    code,
                    reason: reason.to_owned(),
                })
                .await
                .is_err()
            {
                return;
            }
            while let Some(Ok(message)) = self.socket.next().await {
                if matches!(message, WsMessage::Close { .. }) {
                    break;
                }
            }
        };
        tokio::select! {
            () = goodbye => {}
            () = self.clock.until(deadline) => {}
        }
    }

    async fn hear(
        &mut self,
        wire: &Wire,
        message: Option<Result<WsMessage, ReadError>>,
    ) -> Option<Closed> {
        match message {
            None | Some(Ok(WsMessage::Close { .. })) => Some(Closed::ByCaller),
            Some(Err(ReadError::TooBig)) => {
                self.close(CLOSE_TOO_BIG, "the message is larger than the limit")
                    .await;
                Some(Closed::ByCaller)
            }
            Some(Err(ReadError::Failed(error))) => Some(Closed::Failed(error)),
            Some(Ok(WsMessage::Binary(bytes))) => {
                if let Err(why) = self.microphone.push(&bytes) {
                    wire.inbox.send(Inbound::Invalid(why)).await;
                }
                self.hand_on(wire).await;
                None
            }
            Some(Ok(WsMessage::Text(text))) => {
                let item = match self.audio_in_text(&text) {
                    None => Inbound::Message(text),
                    Some(Err(why)) => Inbound::Invalid(why),
                    Some(Ok(())) => {
                        self.hand_on(wire).await;
                        return None;
                    }
                };
                wire.inbox.send(item).await;
                None
            }
        }
    }

    /// Gives the session the frames that have come, and its turn now and then: it drops what it has no time to take, and
    /// a whole utterance may have come in one message.
    async fn hand_on(&mut self, wire: &Wire) {
        let mut frames = 0;
        while let Some(frame) = self.microphone.pop() {
            wire.inbox.audio(frame);
            frames += 1;
            if frames % FRAMES_AT_A_TIME == 0 {
                tokio::task::yield_now().await;
            }
        }
        self.pace.take(self.clock.now(), FRAME * frames);
    }

    /// Takes an `audio` message; none if the text is anything else, which the session reads.
    fn audio_in_text(&mut self, text: &str) -> Option<Result<(), String>> {
        // Events are few and short; only sound is worth looking at twice.
        let peek: Peek = serde_json::from_str(text).ok()?;
        if peek.r#type.as_deref() != Some("audio") {
            return None;
        }
        Some(self.take_audio(text))
    }

    fn take_audio(&mut self, text: &str) -> Result<(), String> {
        let message: AudioMessage = serde_json::from_str(text)
            .map_err(|_| "audio needs \"pcm\": base64 of 16-bit PCM".to_owned())?;
        if let Some(rate) = message.sample_rate {
            self.microphone
                .set_rate(rate)
                .map_err(|error| error.to_string())?;
        }
        let bytes = BASE64
            .decode(message.pcm)
            .map_err(|_| "audio's \"pcm\" is not base64".to_owned())?;
        self.microphone.push(&bytes)
    }
}

fn encode(frame: &AudioFrame, encoding: AudioEncoding, sequence: u64) -> WsMessage {
    let bytes = frame.to_le_bytes();
    match encoding {
        AudioEncoding::Binary => WsMessage::Binary(bytes.into()),
        AudioEncoding::Json => {
            let mut text = String::with_capacity(FRAME_BYTES * 4 / 3 + 96);
            text.push_str(r#"{"type":"audio","pcm":""#);
            BASE64.encode_string(bytes, &mut text);
            text.push_str(r#"","sample_rate":48000,"frame_ms":20,"sequence":"#);
            text.push_str(&sequence.to_string());
            text.push('}');
            WsMessage::Text(text)
        }
    }
}
