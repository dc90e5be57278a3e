//! One reply on its way from words to sound: responder, clauses, synthesis, in a task of its own beside the call.
//!
//! ```text
//!   words (responder | verbatim) ──► clauses ──► worker ──► frames ──► session
//!                                      ▲            ▲ PAUSE / RESUME / STOP, in the order given
//!                                      │            │ breaks, or gives no sign of life
//!                                      └── rest ◄───┴── session: cut where a word begins, and the next worker goes on
//! ```
//! The session takes events only while its pacer has room (2 s), so a fast responder or worker is held back by this queue, the
//! worker's own and HTTP/2's window, and never fills memory.

mod failover;
mod orders;
mod watch;
mod worker;

use super::captions::Rest;
use super::clauses::Clauses;
use super::responder::Piece;
use crate::cluster::{Cluster, Error, SpeechSession, Voice};
use media::{AudioFrame, Clock};
use orders::{Orders, Pulse};
use proto::tts::ControlCommand;
use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use watch::QUIET_FOR;
use worker::{Came, Worker};

/// Events between a reply's task and the session: 80 ms of frames are enough to hide a task switch.
const EVENTS: usize = 4;
/// PAUSE, RESUME and STOP on their way to the task, which takes each at once.
const CONTROLS: usize = 8;
/// What a reply's task tells the session.
#[derive(Debug)]
pub enum Event {
    /// A clause was handed to synthesis; clauses are numbered from 1 in this order.
    Clause(String),
    /// A word begins.
    Word {
        /// The number of its clause.
        clause: u64,
        /// Where in the clause's text, in characters.
        offset_chars: usize,
        /// Where in the reply's sound, in samples.
        at_sample: u64,
    },
    /// 20 ms of the reply.
    Frame {
        /// The number of the clause that it speaks, 0 if the worker did not say.
        clause: u64,
        /// The sound.
        frame: AudioFrame,
    },
    /// The worker broke. The answer says where the reply is to go on.
    Broken(oneshot::Sender<Rest>),
    /// The whole reply has been handed over.
    Done,
    /// The reply breaks off here.
    Failed(Error),
}

/// The worker that a call used last, so that it uses it again. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Affinity(Arc<Mutex<Option<String>>>);

impl Affinity {
    fn get(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn set(&self, worker: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker.to_owned());
    }
}

/// How a reply is to be spoken.
#[derive(Clone)]
pub struct Order {
    /// Who can speak.
    pub cluster: Cluster,
    /// Names the reply to the worker; unique.
    pub id: String,
    /// The voice.
    pub voice: Voice,
    /// Whom the call used last.
    pub affinity: Affinity,
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
        // Full only if the task has ended.
        let _ = self.control.try_send(command);
    }
}

/// Makes a reply's task, to be spawned by the caller.
pub fn speech(
    order: Order,
    words: mpsc::Receiver<Piece>,
) -> (Handle, impl Future<Output = ()> + Send + 'static) {
    let (events_in, events) = mpsc::channel(EVENTS);
    let (control, control_out) = mpsc::channel(CONTROLS);
    let task = Task::new(order, words, (events_in, control_out));
    (Handle::new(events, control), task.run())
}

/// Whether sound is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing came yet.
    Beginning,
    /// It has begun.
    Sounding,
    /// The session holds it.
    Held,
}

type Opening = Pin<Box<dyn Future<Output = Result<SpeechSession, Error>> + Send>>;

/// Where the sound comes from.
enum Source {
    /// A worker is being found.
    Opening(Opening),
    /// It speaks.
    Open(Box<Worker>),
    /// It broke, and the session says where to go on.
    Cut(oneshot::Receiver<Rest>),
    /// There is no more.
    Ended,
}

/// What the source brings.
enum News {
    Opened(Result<SpeechSession, Error>),
    Came(Result<Came, Error>),
    Rest(Option<Rest>),
}

/// A clause whose sound is not complete, as far as is known.
struct Clause {
    /// Its number, from 1.
    number: u64,
    text: String,
}

struct Task {
    order: Order,
    clock: Clock,
    words: Option<mpsc::Receiver<Piece>>,
    clauses: Clauses,
    /// The number of the last clause. One that was cut in two counts twice.
    last: u64,
    /// There are no more clauses to come.
    is_whole: bool,
    /// Clauses that are not known to be spoken, and how many of them the worker has.
    open: VecDeque<Clause>,
    handed: usize,
    source: Source,
    /// Where the present worker's sound begins, in samples of the reply.
    from_sample: u64,
    flow: Flow,
    orders: Orders,
    pulse: Pulse,
    /// Since when something waits for the session, which meanwhile takes nothing of the worker.
    waits_since: Option<Duration>,
    /// Workers that had no place for the reply although they had one for its session.
    full: BTreeSet<String>,
    /// Since when the worker has shown no sign of life.
    quiet_since: Duration,
    /// Since when it owes sound.
    silent_since: Duration,
    breaks: u32,
    /// The session wants no more of it.
    is_stopped: bool,
    /// Waits for the session to take it; nothing new is read while something waits.
    waiting: VecDeque<Event>,
    events: mpsc::Sender<Event>,
    control: mpsc::Receiver<ControlCommand>,
}

impl Task {
    fn new(
        order: Order,
        words: mpsc::Receiver<Piece>,
        (events, control): (mpsc::Sender<Event>, mpsc::Receiver<ControlCommand>),
    ) -> Self {
        let clock = Clock::start();
        let mut task = Self {
            order,
            clock,
            words: Some(words),
            clauses: Clauses::default(),
            last: 0,
            is_whole: false,
            open: VecDeque::new(),
            handed: 0,
            source: Source::Ended,
            from_sample: 0,
            flow: Flow::Beginning,
            orders: Orders::default(),
            pulse: Pulse::default(),
            waits_since: None,
            full: BTreeSet::new(),
            quiet_since: clock.now(),
            silent_since: clock.now(),
            breaks: 0,
            is_stopped: false,
            waiting: VecDeque::new(),
            events,
            control,
        };
        task.find_worker();
        task
    }

    /// Looks for a worker that takes the reply, or what is left of it.
    fn find_worker(&mut self) {
        let Order {
            cluster,
            id,
            voice,
            affinity,
        } = self.order.clone();
        // A worker that is still there may not have noticed yet that the session before broke.
        let id = match self.breaks {
            0 => id,
            breaks => format!("{id}-{breaks}"),
        };
        let last = affinity.get();
        let full = self.full.clone();
        self.source = Source::Opening(Box::pin(async move {
            let last = last.as_deref();
            cluster.open_speech(&id, &voice, last, full).await
        }));
    }

    async fn run(mut self) {
        self.work().await;
        if let Source::Open(worker) = &self.source {
            worker.session().end().await;
        }
    }

    async fn work(&mut self) {
        // Permits are taken from clones, so that the arms below may change the task while one is held.
        let events = self.events.clone();
        loop {
            self.cut_clause();
            let idle = self.waiting.is_empty();
            if idle && matches!(self.source, Source::Ended) {
                return;
            }
            let text = self.text();
            let wants_piece = idle && !self.is_whole && self.handed == self.open.len();
            self.watch(idle);
            let is_quiet = idle && self.is_watched() && !self.pulse.is_asked();
            tokio::select! {
                biased;
                command = self.control.recv() => match command {
                    Some(command) => self.on_control(command),
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
                () = self.orders.obeyed() => self.on_obeyed(),
                permit = worker::reserve(&text), if text.is_some() => self.hand(permit),
                news = next(&mut self.source), if idle => self.on_news(news),
                piece = next_piece(&mut self.words), if wants_piece => self.on_piece(piece),
                (asked, is_alive) = self.pulse.answered() => self.on_pulse(asked, is_alive),
                () = self.clock.until(self.quiet_since + QUIET_FOR), if is_quiet => self.on_quiet(),
            }
        }
    }

    fn worker(&self) -> Option<&Worker> {
        match &self.source {
            Source::Open(worker) => Some(worker),
            Source::Opening(_) | Source::Cut(_) | Source::Ended => None,
        }
    }

    fn on_control(&mut self, command: ControlCommand) {
        self.flow = match (self.flow, command) {
            (Flow::Beginning, _) => Flow::Beginning,
            (Flow::Sounding | Flow::Held, ControlCommand::Pause) => Flow::Held,
            (
                Flow::Sounding | Flow::Held,
                ControlCommand::Resume | ControlCommand::Stop | ControlCommand::Reload,
            ) => Flow::Sounding,
        };
        self.is_stopped |= command == ControlCommand::Stop;
        if let Source::Open(worker) = &self.source {
            self.orders.give(worker.session(), command);
        }
    }

    fn on_obeyed(&mut self) {
        let session = match &self.source {
            Source::Open(worker) => Some(worker.session()),
            Source::Opening(_) | Source::Cut(_) | Source::Ended => None,
        };
        self.orders.go_on(session);
    }

    async fn abandon(&mut self) {
        if let Some(worker) = self.worker() {
            let _ = worker.session().control(ControlCommand::Stop).await;
        }
    }

    /// Takes the next clause out of the text, one at a time, so that a whole book waits as text and not as a queue.
    fn cut_clause(&mut self) {
        if self.handed < self.open.len() || self.is_whole {
            return;
        }
        let clause = match self.clauses.pop() {
            Some(clause) => clause,
            None if self.words.is_some() => return,
            None => match self.clauses.flush() {
                Some(rest) => rest,
                // A reply without a word is still a reply that must end: the worker answers with one silent frame.
                None if self.last == 0 => " ".into(),
                None => {
                    self.is_whole = true;
                    return self.close_text();
                }
            },
        };
        self.last += 1;
        self.open.push_back(Clause {
            number: self.last,
            text: clause.clone(),
        });
        self.waiting.push_back(Event::Clause(clause));
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

    /// Where the next clause goes, if there is one and a worker for it.
    fn text(&self) -> Option<mpsc::Sender<proto::tts::TextChunk>> {
        self.open.get(self.handed)?;
        self.worker()?.text()
    }

    /// Hands the next clause over. Without a permit the worker takes no more, and says why on the other way.
    fn hand(&mut self, permit: Option<mpsc::Permit<'_, proto::tts::TextChunk>>) {
        let (Some(clause), Source::Open(worker)) = (self.open.get(self.handed), &mut self.source)
        else {
            return;
        };
        match permit {
            Some(permit) => {
                permit.send(worker.chunk(clause.number, clause.text.clone()));
                self.handed += 1;
                self.close_text();
            }
            None => worker.close_text(),
        }
    }

    /// Tells the worker that it has all, once it has.
    fn close_text(&mut self) {
        if self.is_whole
            && self.handed == self.open.len()
            && let Source::Open(worker) = &mut self.source
        {
            worker.close_text();
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Opened(Ok(session)) => {
                self.order.affinity.set(session.worker());
                self.source = Source::Open(Box::new(Worker::new(session, self.from_sample)));
                self.handed = 0;
                self.close_text();
            }
            News::Opened(Err(error)) => self.end(Event::Failed(error)),
            News::Came(came) => self.on_came(came),
            News::Rest(rest) => self.on_rest(rest),
        }
    }

    fn on_came(&mut self, came: Result<Came, Error>) {
        self.quiet_since = self.clock.now();
        self.silent_since = self.quiet_since;
        match came {
            Ok(Came::Opened) => {}
            Ok(Came::Ended) => self.on_end(),
            Ok(Came::Frame {
                clause,
                frame,
                words,
                is_final,
            }) => {
                while self.open.front().is_some_and(|open| open.number < clause) {
                    self.open.pop_front();
                    self.handed = self.handed.saturating_sub(1);
                }
                if let Some(frame) = frame {
                    self.waiting.push_back(Event::Frame { clause, frame });
                    self.on_sound();
                }
                self.waiting.extend(words);
                if is_final {
                    self.on_end();
                }
            }
            Err(error) => self.on_break(error),
        }
    }

    fn on_sound(&mut self) {
        if self.flow == Flow::Beginning {
            self.flow = Flow::Sounding;
        }
        let is_held = self.flow == Flow::Held;
        if let Source::Open(worker) = &mut self.source
            && worker.sounds_first()
        {
            worker.session().sounds();
            if !is_held {
                return;
            }
            // It took over from one that was held, and knows nothing of that.
            self.orders.give(worker.session(), ControlCommand::Pause);
        }
    }

    /// The worker's stream has ended: with the reply, or before it had all words.
    fn on_end(&mut self) {
        let has_all = self.worker().is_some_and(|worker| worker.text().is_none());
        if has_all || self.is_stopped {
            self.end(Event::Done);
        } else {
            self.on_break(Error::Failed("it ended in the middle".into()));
        }
    }

    /// Nothing more comes.
    fn end(&mut self, last: Event) {
        self.pulse = Pulse::default();
        if let Source::Open(worker) = std::mem::replace(&mut self.source, Source::Ended) {
            worker.leave();
        }
        self.waiting.push_back(last);
    }
}

async fn next(source: &mut Source) -> News {
    match source {
        Source::Opening(opening) => News::Opened(opening.await),
        Source::Open(worker) => News::Came(worker.next().await),
        Source::Cut(rest) => News::Rest(rest.await.ok()),
        Source::Ended => std::future::pending().await,
    }
}

async fn next_piece(words: &mut Option<mpsc::Receiver<Piece>>) -> Option<Piece> {
    match words {
        Some(words) => words.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
