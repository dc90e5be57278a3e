//! One reply on its way from words to sound: responder, clauses, synthesis, in a task of its own beside the call.
//!
//! ```text
//!   words (responder | verbatim) ──► clauses ──► worker ──► frames ──► session
//!                                                  ▲ PAUSE / RESUME / STOP, in the order given
//! ```
//! The session takes events only while its pacer has room (2 s), so a fast responder or worker is held back by this queue, the
//! worker's own and HTTP/2's window, and never fills memory.

use super::clauses::Clauses;
use super::responder::Piece;
use crate::cluster::{Cluster, Error, SpeechSession, Voice};
use futures_util::{Stream, StreamExt as _};
use media::AudioFrame;
use proto::tts::ControlCommand;
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Events between a reply's task and the session: 80 ms of frames are enough to hide a task switch.
const EVENTS: usize = 4;
/// Clauses on their way to the worker.
const TEXTS: usize = 8;
/// PAUSE, RESUME and STOP that wait for the worker; the newest decides, so a few are plenty.
const CONTROLS: usize = 8;
/// How long a worker that has begun to speak may send nothing while it owes sound and nobody holds it.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// What a reply's task tells the session.
#[derive(Debug)]
pub enum Event {
    /// A clause was handed to synthesis; clauses are numbered from 1 in this order.
    Clause(String),
    /// 20 ms of the reply.
    Frame {
        /// The clause that it speaks, 0 if the worker did not say.
        chunk: u64,
        /// The sound.
        frame: AudioFrame,
    },
    /// The whole reply has been handed over.
    Done,
    /// The reply breaks off here.
    Failed(Error),
}

/// The session's end of a reply's task. Dropping it ends the task and frees the worker's slot.
#[derive(Debug)]
pub struct Handle {
    /// What the task tells.
    pub events: mpsc::Receiver<Event>,
    control: mpsc::Sender<ControlCommand>,
}

impl Handle {
    /// The session's end of a task that tells through `events` and obeys `control`.
    pub(super) fn new(
        events: mpsc::Receiver<Event>,
        control: mpsc::Sender<ControlCommand>,
    ) -> Self {
        Self { events, control }
    }

    /// Passes a command on to the worker, after those before it.
    pub fn control(&self, command: ControlCommand) {
        // Full only if the worker has answered none of eight commands: it is gone, and the stream will say so.
        let _ = self.control.try_send(command);
    }
}

/// Makes a reply's task, to be spawned by the caller.
pub fn speech(
    cluster: Cluster,
    id: String,
    voice: Voice,
    words: mpsc::Receiver<Piece>,
) -> (Handle, impl Future<Output = ()> + Send + 'static) {
    let (events_in, events) = mpsc::channel(EVENTS);
    let (control, control_out) = mpsc::channel(CONTROLS);
    let task = async move {
        match cluster.open_speech(id, &voice).await {
            Ok(session) => {
                let (text, texts) = mpsc::channel(TEXTS);
                let opening = open(session.clone(), ReceiverStream::new(texts));
                let task = Task::new(
                    session.clone(),
                    words,
                    (text, Box::pin(opening)),
                    (events_in, control_out),
                );
                task.run().await;
                session.end().await;
            }
            Err(error) => {
                let _ = events_in.send(Event::Failed(error)).await;
            }
        }
    };
    (Handle::new(events, control), task)
}

type Sound = Pin<Box<dyn Stream<Item = Result<proto::tts::AudioFrame, Error>> + Send>>;
type Opening = Pin<Box<dyn Future<Output = Result<Sound, Error>> + Send>>;

async fn open(
    session: SpeechSession,
    texts: ReceiverStream<proto::tts::TextChunk>,
) -> Result<Sound, Error> {
    let frames = session.synthesize(texts).await?;
    Ok(Box::pin(frames.map(|frame| frame.map_err(Error::from))))
}

/// The worker's answer stream: it opens only when the first text has arrived there.
enum Frames {
    Opening(Opening),
    Open(Sound),
    Ended,
}

/// Whether sound is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing came yet; how long that may last is the dialog's to decide.
    Beginning,
    /// It has begun.
    Sounding,
    /// The session holds it.
    Held,
}

struct Task {
    session: SpeechSession,
    words: Option<mpsc::Receiver<Piece>>,
    clauses: Clauses,
    /// Where clauses go to; dropped (half-closed) after the last one.
    text: Option<mpsc::Sender<proto::tts::TextChunk>>,
    /// The next clause for the worker, while its queue is full.
    next_clause: Option<proto::tts::TextChunk>,
    sequence: i64,
    frames: Frames,
    flow: Flow,
    /// Waits for the session to take it; nothing new is read while something waits.
    waiting: VecDeque<Event>,
    events: mpsc::Sender<Event>,
    control: mpsc::Receiver<ControlCommand>,
}

impl Task {
    fn new(
        session: SpeechSession,
        words: mpsc::Receiver<Piece>,
        (text, opening): (mpsc::Sender<proto::tts::TextChunk>, Opening),
        (events, control): (mpsc::Sender<Event>, mpsc::Receiver<ControlCommand>),
    ) -> Self {
        Self {
            session,
            words: Some(words),
            clauses: Clauses::default(),
            text: Some(text),
            next_clause: None,
            sequence: 0,
            frames: Frames::Opening(opening),
            flow: Flow::Beginning,
            waiting: VecDeque::new(),
            events,
            control,
        }
    }

    async fn run(mut self) {
        // Permits are taken from clones, so that the arms below may change the task while one is held.
        let events = self.events.clone();
        loop {
            self.cut_clause();
            let text = self.text.clone();
            let idle = self.waiting.is_empty();
            if idle && matches!(self.frames, Frames::Ended) {
                return;
            }
            tokio::select! {
                biased;
                command = self.control.recv() => match command {
                    Some(command) => self.on_control(command).await,
                    // The session let go of this reply: what is not spoken yet never will be.
                    None => return self.abandon().await,
                },
                permit = events.reserve(), if !idle => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.waiting.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => return self.abandon().await,
                },
                permit = reserve(&text), if self.next_clause.is_some() => {
                    if let (Some(permit), Some(chunk)) = (permit, self.next_clause.take()) {
                        permit.send(chunk);
                    }
                }
                frame = next(&mut self.frames), if idle => self.on_frame(frame),
                piece = next_piece(&mut self.words), if idle && self.next_clause.is_none() => self.on_piece(piece),
                // Whatever else happens begins the wait anew.
                () = tokio::time::sleep(STALLED_AFTER), if idle && self.owes_sound() => {
                    let seconds = STALLED_AFTER.as_secs();
                    self.fail(Error::Failed(format!("no sound came for {seconds} s")));
                }
            }
        }
    }

    async fn on_control(&mut self, command: ControlCommand) {
        self.flow = match (self.flow, command) {
            (Flow::Beginning, _) => Flow::Beginning,
            (Flow::Sounding | Flow::Held, ControlCommand::Pause) => Flow::Held,
            (
                Flow::Sounding | Flow::Held,
                ControlCommand::Resume | ControlCommand::Stop | ControlCommand::Reload,
            ) => Flow::Sounding,
        };
        // A worker that no longer knows the session says so on the stream.
        let _ = self.session.control(command).await;
    }

    /// Whether it is the worker that the reply waits for, and not the responder, the session or the caller.
    fn owes_sound(&self) -> bool {
        self.flow == Flow::Sounding && (self.text.is_none() || self.next_clause.is_some())
    }

    async fn abandon(self) {
        let _ = self.session.control(ControlCommand::Stop).await;
    }

    fn on_frame(&mut self, frame: Result<Option<proto::tts::AudioFrame>, Error>) {
        match frame {
            // The stream has just opened.
            Ok(None) if matches!(self.frames, Frames::Open(_)) => {}
            Ok(None) => self.waiting.push_back(Event::Done),
            Ok(Some(frame)) => {
                let (is_final, chunk) = (frame.is_final, u64::try_from(frame.chunk).unwrap_or(0));
                if !frame.audio_data.is_empty() {
                    match AudioFrame::from_le_bytes(&frame.audio_data) {
                        Ok(frame) => {
                            if self.flow == Flow::Beginning {
                                self.flow = Flow::Sounding;
                            }
                            self.waiting.push_back(Event::Frame { chunk, frame });
                        }
                        Err(error) => {
                            return self.fail(Error::Failed(format!("a bad frame came: {error}")));
                        }
                    }
                } else if !is_final {
                    return self.fail(Error::Failed("an empty frame came before the end".into()));
                }
                if is_final {
                    self.frames = Frames::Ended;
                    self.waiting.push_back(Event::Done);
                }
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.frames = Frames::Ended;
        self.waiting.push_back(Event::Failed(error));
    }

    fn on_piece(&mut self, piece: Option<Piece>) {
        match piece {
            Some(Piece::Text(text)) => self.clauses.push(&text),
            Some(Piece::Failed(words)) => {
                self.clauses.push(" ");
                self.clauses.push(words);
            }
            None => self.words = None,
        }
    }

    /// Takes the next clause out of the text, one at a time, so that a whole book waits as text and not as a queue.
    fn cut_clause(&mut self) {
        if self.next_clause.is_some() || self.text.is_none() {
            return;
        }
        let clause = match self.clauses.pop() {
            Some(clause) => clause,
            None if self.words.is_some() => return,
            None => match self.clauses.flush() {
                Some(rest) => rest,
                // A reply without a word is still a reply that must end: the worker answers with one silent frame.
                None if self.sequence == 0 => " ".into(),
                None => {
                    self.text = None;
                    return;
                }
            },
        };
        self.sequence += 1;
        self.next_clause = Some(self.session.chunk(clause.clone(), self.sequence));
        self.waiting.push_back(Event::Clause(clause));
    }
}

async fn reserve(
    text: &Option<mpsc::Sender<proto::tts::TextChunk>>,
) -> Option<mpsc::Permit<'_, proto::tts::TextChunk>> {
    match text {
        Some(text) => text.reserve().await.ok(),
        None => None,
    }
}

/// The next frame; `Ok(None)` when the stream has just opened, or has ended.
async fn next(frames: &mut Frames) -> Result<Option<proto::tts::AudioFrame>, Error> {
    match frames {
        Frames::Opening(opening) => {
            let stream = opening.await?;
            *frames = Frames::Open(stream);
            Ok(None)
        }
        Frames::Open(stream) => match stream.next().await {
            Some(frame) => frame.map(Some),
            None => {
                *frames = Frames::Ended;
                Ok(None)
            }
        },
        Frames::Ended => std::future::pending().await,
    }
}

async fn next_piece(words: &mut Option<mpsc::Receiver<Piece>>) -> Option<Piece> {
    match words {
        Some(words) => words.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::task::TaskTracker;

    /// A task whose worker sends what `sound` has, and the session's end of it.
    fn task(words: mpsc::Receiver<Piece>, sound: Sound) -> (Handle, Task) {
        // Nobody listens there: commands are lost, as on a worker that is gone.
        let nowhere = tonic::transport::Endpoint::from_static("http://127.0.0.1:9").connect_lazy();
        let session = SpeechSession::at(nowhere);
        let (text, texts) = mpsc::channel(TEXTS);
        let opening = Box::pin(async move {
            // The texts stay open as long as the sound.
            let sound: Sound = Box::pin(sound.inspect(move |_| {
                let _ = &texts;
            }));
            Ok(sound)
        });
        let (events_in, events) = mpsc::channel(EVENTS);
        let (control, control_out) = mpsc::channel(CONTROLS);
        let task = Task::new(session, words, (text, opening), (events_in, control_out));
        (Handle::new(events, control), task)
    }

    fn one_frame_and_no_more() -> Sound {
        let frame = proto::tts::AudioFrame {
            audio_data: AudioFrame::silence().to_le_bytes().to_vec().into(),
            ..Default::default()
        };
        Box::pin(futures_util::stream::iter([Ok(frame)]).chain(futures_util::stream::pending()))
    }

    async fn take(handle: &mut Handle) -> Event {
        let patience = Duration::from_secs(3600);
        tokio::time::timeout(patience, handle.events.recv())
            .await
            .expect("something is told")
            .expect("the task goes on")
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_stalls_after_its_first_frame_has_failed() {
        let clock = media::Clock::start();
        let (words, pieces) = mpsc::channel(1);
        let (mut handle, task) = task(pieces, one_frame_and_no_more());
        let tasks = TaskTracker::new();
        tasks.spawn(task.run());
        words
            .send(Piece::Text("Hello there, my fr".into()))
            .await
            .unwrap();
        // A responder that takes its time is not the worker's fault.
        let patience = Duration::from_secs(60);
        let mut told = Vec::new();
        while let Ok(event) = tokio::time::timeout(patience, handle.events.recv()).await {
            told.push(event.expect("the task goes on"));
        }
        assert!(
            matches!(
                told.as_slice(),
                [Event::Frame { .. }, Event::Clause(_)] | [Event::Clause(_), Event::Frame { .. }]
            ),
            "{told:?}"
        );
        drop(words);
        let since = clock.now();
        assert!(matches!(take(&mut handle).await, Event::Clause(rest) if rest == "my fr"));
        let event = take(&mut handle).await;
        assert!(
            matches!(event, Event::Failed(Error::Failed(_))),
            "{event:?}"
        );
        let waited = clock.now() - since;
        assert!(waited <= 2 * STALLED_AFTER, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_held_has_not_stalled() {
        let (words, pieces) = mpsc::channel(1);
        let (mut handle, task) = task(pieces, one_frame_and_no_more());
        let tasks = TaskTracker::new();
        tasks.spawn(task.run());
        words
            .send(Piece::Text("Hello there.".into()))
            .await
            .unwrap();
        drop(words);
        take(&mut handle).await;
        take(&mut handle).await;
        handle.control(ControlCommand::Pause);
        let held = tokio::time::timeout(Duration::from_secs(600), handle.events.recv()).await;
        assert!(held.is_err(), "{held:?}");
        handle.control(ControlCommand::Resume);
        assert!(matches!(take(&mut handle).await, Event::Failed(_)));
    }
}
