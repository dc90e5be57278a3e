//! The WebSocket link against a socket whose caller reads, or does not, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking, and asks virtual time"
)]

use bytes::Bytes;
use futures_util::{Sink, Stream};
use media::link::websocket::{
    AudioEncoding, BACKLOG_FRAMES, CLOSE_TOO_BIG, CLOSE_TRY_AGAIN, Options, ReadError, WsMessage,
    run,
};
use media::link::{Closed, Generation, Inbound, Link, Outbound, pair};
use media::{AudioFrame, Clock, FRAME};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Default)]
struct State {
    from_caller: VecDeque<Result<WsMessage, ReadError>>,
    left: bool,
    to_caller: Vec<WsMessage>,
    /// What was written and not yet read.
    written: Option<WsMessage>,
    reads: bool,
    wakers: Vec<Waker>,
}

/// A socket that holds one message until its caller reads.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<State>>);

impl Socket {
    fn reading() -> Self {
        let socket = Self::default();
        socket.reads(true);
        socket
    }

    fn reads(&self, reads: bool) {
        let mut state = self.0.lock().unwrap();
        state.reads = reads;
        state.wakers.drain(..).for_each(Waker::wake);
    }

    fn says(&self, message: Result<WsMessage, ReadError>) {
        let mut state = self.0.lock().unwrap();
        state.from_caller.push_back(message);
        state.wakers.drain(..).for_each(Waker::wake);
    }

    fn heard(&self) -> Vec<WsMessage> {
        std::mem::take(&mut self.0.lock().unwrap().to_caller)
    }
}

impl Stream for Socket {
    type Item = Result<WsMessage, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock().unwrap();
        match state.from_caller.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None if state.left => Poll::Ready(None),
            None => {
                state.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<WsMessage> for Socket {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: WsMessage) -> Result<(), Infallible> {
        assert!(
            self.0.lock().unwrap().written.replace(message).is_none(),
            "one message at a time"
        );
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let mut state = self.0.lock().unwrap();
        if !state.reads && state.written.is_some() {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(message) = state.written.take() {
            if matches!(message, WsMessage::Close { .. }) {
                state.left = true;
            }
            state.to_caller.push(message);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_flush(cx)
    }
}

const OPTIONS: Options = Options {
    sample_rate_hz: 48_000,
    audio: AudioEncoding::Binary,
};

fn connect(socket: &Socket, options: Options) -> (Link, impl Future<Output = ()>) {
    let (link, wire) = pair();
    let running = run(wire, socket.clone(), options, Clock::start());
    (link, async move { running.await.unwrap() })
}

fn frame(generation: u32) -> Outbound {
    Outbound::Audio {
        generation: Generation(generation),
        tick: 0,
        frame: AudioFrame::silence(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_reading_loses_old_sound_and_then_the_call() {
    let socket = Socket::default();
    let (mut link, running) = connect(&socket, OPTIONS);
    let session = async {
        let mut unsent = 0;
        let mut ticks = tokio::time::interval(FRAME);
        let mut spoken = 0;
        loop {
            tokio::select! {
                // Six seconds of speech that nobody reads.
                _ = ticks.tick(), if spoken < 300 => {
                    spoken += 1;
                    let _ = link.outbound.try_send(frame(1));
                    if spoken == 300 {
                        socket.reads(true);
                    }
                }
                item = link.inbox.recv() => match item {
                    Some(Inbound::Unsent { frames, .. }) => unsent += frames,
                    Some(Inbound::Closed(closed)) => return (unsent, closed),
                    other => panic!("{other:?}"),
                },
            }
        }
    };
    let ((unsent, closed), ()) = tokio::join!(session, running);
    assert_eq!(closed, Closed::TooSlow);
    // One frame lay in the socket and a second's worth waited; five seconds went by before the limit.
    let lost = usize::try_from(unsent).unwrap();
    assert!(
        (250 - BACKLOG_FRAMES - 3..=250 - BACKLOG_FRAMES).contains(&lost),
        "{lost}"
    );
    let heard = socket.heard();
    assert!(
        matches!(
            heard.last(),
            Some(WsMessage::Close {
                code: CLOSE_TRY_AGAIN,
                ..
            })
        ),
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_frame_below_the_fence_leaves_and_messages_do() {
    let socket = Socket::reading();
    let (mut link, running) = connect(&socket, OPTIONS);
    link.outbound.send(frame(1)).await.unwrap();
    link.outbound
        .send(Outbound::Message("{}".into()))
        .await
        .unwrap();
    link.outbound.send(frame(2)).await.unwrap();
    link.outbound
        .send(Outbound::Close {
            code: 1000,
            reason: "done".into(),
        })
        .await
        .unwrap();
    link.fence.raise(Generation(2));
    running.await;
    let heard = socket.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard[0], WsMessage::Text("{}".into()));
    assert!(matches!(heard[1], WsMessage::Binary(_)));
    assert!(matches!(
        link.inbox.recv().await,
        Some(Inbound::Unsent {
            generation: Generation(1),
            frames: 1
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn any_rate_and_chunk_becomes_frames_and_an_odd_length_is_refused() {
    let socket = Socket::reading();
    let (mut link, running) = connect(
        &socket,
        Options {
            sample_rate_hz: 16_000,
            ..OPTIONS
        },
    );
    // 400 ms in chunks of 7 ms.
    for _ in 0..57 {
        socket.says(Ok(WsMessage::Binary(Bytes::from(vec![0; 224]))));
    }
    socket.says(Ok(WsMessage::Binary(Bytes::from(vec![0; 3]))));
    socket.says(Ok(WsMessage::Text(r#"{"type":"ask","text":"hm"}"#.into())));
    socket.says(Ok(WsMessage::Close {
        code: 1000,
        reason: String::new(),
    }));
    running.await;
    let mut frames = 0;
    let mut others = Vec::new();
    while let Some(item) = link.inbox.recv().await {
        match item {
            Inbound::Audio { .. } => frames += 1,
            other => others.push(other),
        }
    }
    assert!((18..=20).contains(&frames), "{frames}");
    assert!(matches!(&others[0], Inbound::Invalid(why) if why.contains('3')));
    assert!(matches!(&others[1], Inbound::Message(text) if text.contains("ask")));
    assert!(matches!(&others[2], Inbound::Closed(Closed::ByCaller)));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_closes_with_1009() {
    let socket = Socket::reading();
    let (_link, running) = connect(&socket, OPTIONS);
    socket.says(Err(ReadError::TooBig));
    running.await;
    assert!(matches!(
        socket.heard().last(),
        Some(WsMessage::Close {
            code: CLOSE_TOO_BIG,
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_never_answers_a_close_is_left_after_a_while() {
    let socket = Socket::default();
    let (link, running) = connect(&socket, OPTIONS);
    link.outbound
        .send(Outbound::Close {
            code: 1000,
            reason: "bye".into(),
        })
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    running.await;
    assert!(began.elapsed() >= Duration::from_secs(5) && began.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn an_utterance_in_one_message_is_heard_whole_and_hours_of_sound_in_real_time() {
    const UTTERANCE: usize = 3 * 50;
    let socket = Socket::reading();
    let (mut link, running) = connect(&socket, OPTIONS);
    let started = tokio::time::Instant::now();
    for _ in 0..10 {
        socket.says(Ok(WsMessage::Binary(Bytes::from(vec![
            0;
            UTTERANCE * 1920
        ]))));
    }
    socket.says(Ok(WsMessage::Close {
        code: 1000,
        reason: String::new(),
    }));
    let session = async {
        let mut frames = 0;
        while let Some(Inbound::Audio { .. }) = link.inbox.recv().await {
            frames += 1;
        }
        frames
    };
    let (frames, ()) = tokio::join!(session, running);
    assert_eq!(frames, 10 * UTTERANCE);
    assert_eq!(link.inbox.dropped(), 0);
    // Thirty seconds of sound, of which ten may come early.
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(19)..Duration::from_secs(21)).contains(&took),
        "{took:?}"
    );
}
