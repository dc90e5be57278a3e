//! Speech on its way from an engine's thread to a session.
//!
//! The engine never waits: it writes a clause as fast as it can into a buffer that no clause can fill, and the session takes
//! from it when it likes. A session on hold therefore holds up nobody.

use super::Error;
use super::engine::Place;
use media::clock::monotonic_ns;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Where a word begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Characters of the clause before the word.
    pub offset_chars: usize,
    /// Characters of the word.
    pub length_chars: usize,
    /// Samples of the clause before the word, at the engine's rate.
    pub at_sample: usize,
}

/// Some of the sound of a clause.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// Samples a second.
    pub rate_hz: u32,
    /// The samples.
    pub samples: Vec<i16>,
    /// Words that begin in this piece or in later ones.
    pub marks: Vec<Mark>,
}

// The samples are somebody's words: debug output must not spill them.
impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Piece({} samples at {} Hz)",
            self.samples.len(),
            self.rate_hz
        )
    }
}

/// What it took an engine to say a clause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// How long the sound lasts.
    pub sound: Duration,
    /// How long the clause waited for its turn.
    pub waited: Duration,
    /// How long the engine worked until its first sound.
    pub first: Duration,
    /// How long the engine worked on all of it.
    pub time: Duration,
}

/// The sound of a clause, while it is being made. Dropping it gives up what has not been made yet.
pub struct Speech {
    source: Source,
    /// Where the clause waits for its turn.
    _place: Option<Place>,
}

enum Source {
    Engine(Arc<Shared>),
    Made(Box<dyn Iterator<Item = Piece> + Send>),
}

impl Speech {
    /// The two ends of a clause: the engine's, and the session's.
    pub fn pair(engine: &'static str) -> (SpeechSink, Self) {
        let shared = Arc::new(Shared::default());
        let sink = SpeechSink {
            shared: shared.clone(),
            engine,
            asked_ns: monotonic_ns(),
            begun_ns: 0,
            first_ns: 0,
            sound: Duration::ZERO,
            ended: false,
        };
        (sink, Self::of(Source::Engine(shared)))
    }

    /// Speech that costs so little that it is made piece by piece as it is taken.
    pub fn made(pieces: impl Iterator<Item = Piece> + Send + 'static) -> Self {
        Self::of(Source::Made(Box::new(pieces)))
    }

    /// The same, of a clause that waits there.
    pub(super) fn with_place(mut self, place: Place) -> Self {
        self._place = Some(place);
        self
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            _place: None,
        }
    }

    /// Waits for more sound; `None` at the clause's end.
    ///
    /// # Errors
    /// Why the engine gave up; nothing follows it.
    pub async fn next(&mut self) -> Option<Result<Piece, Error>> {
        match &mut self.source {
            Source::Made(pieces) => pieces.next().map(Ok),
            Source::Engine(shared) => shared.next().await,
        }
    }

    /// What it took to say the clause; known once an engine has said all of it.
    pub fn took(&self) -> Option<Took> {
        match &self.source {
            Source::Engine(shared) => shared.lock().took,
            Source::Made(_) => None,
        }
    }

    /// How loud the voice is, in LUFS, as far as its engine knows; it is known with the first sound.
    pub fn loudness_lufs(&self) -> Option<f32> {
        match &self.source {
            Source::Engine(shared) => shared.lock().loudness_lufs,
            Source::Made(_) => None,
        }
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        if let Source::Engine(shared) = &self.source {
            shared.unwanted.store(true, Ordering::Release);
        }
    }
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Speech")
    }
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    arrived: Notify,
    unwanted: AtomicBool,
}

#[derive(Default)]
struct Buffer {
    piece: Piece,
    end: Option<Result<(), Error>>,
    took: Option<Took>,
    loudness_lufs: Option<f32>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        // Every change to the buffer is one step, so a panic elsewhere leaves it whole.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Option<Result<Piece, Error>> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.take() {
                return next;
            }
            arrived.await;
        }
    }

    /// What there is now; `None` if that is nothing yet.
    fn take(&self) -> Option<Option<Result<Piece, Error>>> {
        let mut buffer = self.lock();
        if !buffer.piece.samples.is_empty() {
            let rate_hz = buffer.piece.rate_hz;
            let piece = std::mem::take(&mut buffer.piece);
            buffer.piece.rate_hz = rate_hz;
            return Some(Some(Ok(piece)));
        }
        match &mut buffer.end {
            None => None,
            Some(Ok(())) => Some(None),
            // An error is told once.
            Some(end) => Some(std::mem::replace(end, Ok(())).err().map(Err)),
        }
    }
}

/// The engine's end of a clause. Dropping it without [`finish`](Self::finish) tells the session that the engine failed.
pub struct SpeechSink {
    shared: Arc<Shared>,
    engine: &'static str,
    asked_ns: u64,
    begun_ns: u64,
    /// When the first sound came; 0 before.
    first_ns: u64,
    sound: Duration,
    ended: bool,
}

impl SpeechSink {
    /// The engine turns to this clause.
    pub fn begin(&mut self) {
        self.begun_ns = monotonic_ns();
    }

    /// Whether anybody still wants to hear this.
    pub fn is_wanted(&self) -> bool {
        !self.shared.unwanted.load(Ordering::Acquire)
    }

    /// Says how loud the voice is, in LUFS; to be called before its first samples are pushed.
    pub fn loudness(&mut self, lufs: f32) {
        self.shared.lock().loudness_lufs = Some(lufs);
    }

    /// Hands over some samples; breaks when nobody wants more.
    pub fn push(&mut self, rate_hz: u32, samples: &[i16]) -> ControlFlow<()> {
        if !self.is_wanted() {
            return ControlFlow::Break(());
        }
        if !samples.is_empty() {
            if self.first_ns == 0 {
                self.first_ns = monotonic_ns();
            }
            self.sound += Duration::from_secs(samples.len() as u64) / rate_hz.max(1);
            let mut buffer = self.shared.lock();
            buffer.piece.rate_hz = rate_hz;
            buffer.piece.samples.extend_from_slice(samples);
            drop(buffer);
            self.shared.arrived.notify_one();
        }
        ControlFlow::Continue(())
    }

    /// Says where a word begins; to be called before its samples are pushed.
    pub fn mark(&mut self, mark: Mark) {
        self.shared.lock().piece.marks.push(mark);
    }

    /// The clause is complete.
    pub fn finish(mut self) {
        let since = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
        let now = monotonic_ns();
        let first = match self.first_ns {
            0 => now,
            first => first,
        };
        self.shared.lock().took = Some(Took {
            sound: self.sound,
            waited: since(self.asked_ns, self.begun_ns),
            first: since(self.begun_ns, first),
            time: since(self.begun_ns, now),
        });
        self.end(Ok(()));
    }

    /// The engine gives this clause up.
    pub fn fail(mut self, reason: impl Into<String>) {
        let engine = self.engine;
        self.end(Err(Error::Failed {
            engine,
            reason: reason.into(),
        }));
    }

    /// The clause cannot be begun.
    pub(super) fn refuse(mut self, error: Error) {
        self.end(Err(error));
    }

    fn end(&mut self, end: Result<(), Error>) {
        self.ended = true;
        self.shared.lock().end = Some(end);
        self.shared.arrived.notify_one();
    }
}

impl Drop for SpeechSink {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let engine = self.engine;
        // A model that panics takes one clause with it; the engine goes on.
        self.end(Err(match std::thread::panicking() {
            true => Error::Failed {
                engine,
                reason: "it broke off; its model is loaded anew, so try again".to_owned(),
            },
            false => Error::Stopped(engine),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_said_before_a_failure_is_heard_first() {
        let (mut sink, mut speech) = Speech::pair("test");
        assert!(sink.push(16_000, &[1, 2]).is_continue());
        assert!(sink.push(16_000, &[3]).is_continue());
        drop(sink);
        assert_eq!(speech.next().await.unwrap().unwrap().samples, [1, 2, 3]);
        assert_eq!(
            speech.next().await.unwrap().unwrap_err(),
            Error::Stopped("test")
        );
        assert!(speech.next().await.is_none());
    }

    #[test]
    fn an_engine_learns_that_nobody_listens() {
        let (mut sink, speech) = Speech::pair("test");
        drop(speech);
        assert!(!sink.is_wanted());
        assert!(sink.push(16_000, &[1]).is_break());
    }
}
