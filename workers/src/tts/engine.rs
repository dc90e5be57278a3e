//! A thread of its own for a library that bears only one caller in a process.

use super::{Clause, Error, Speech, SpeechSink};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

/// Clauses that may wait. A session has one clause in the engine at a time, so this is more than all sessions need.
const QUEUE_CLAUSES: usize = 512;

/// A named thread that says one clause after the other, for as long as the process lives.
///
/// Sessions share it fairly: each hands in its next clause only when it has taken the one before.
pub struct Engine {
    name: &'static str,
    jobs: SyncSender<Job>,
    queued: Arc<AtomicUsize>,
}

struct Job {
    clause: Clause,
    sink: SpeechSink,
}

impl Engine {
    /// Starts the thread, and on it the library; returns when the library is ready.
    ///
    /// `start` runs on the thread and returns what says a clause there, so nothing of the library needs to be `Send`.
    ///
    /// # Errors
    /// What `start` says, or that there can be no more threads.
    pub fn start<S>(
        name: &'static str,
        start: impl FnOnce() -> Result<S, Error> + Send + 'static,
    ) -> Result<Self, Error>
    where
        S: FnMut(&Clause, SpeechSink),
    {
        let (jobs, waiting) = sync_channel(QUEUE_CLAUSES);
        let (ready, started) = sync_channel(1);
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = queued.clone();
        let spawned = thread::Builder::new()
            .name(format!("parlor-{name}"))
            .spawn(move || match start() {
                Err(error) => drop(ready.send(Err(error))),
                Ok(say) => {
                    // Nobody waiting for the start is no reason not to run.
                    let _ = ready.send(Ok(()));
                    serve(say, &waiting, &counter);
                }
            });
        if let Err(error) = spawned {
            return Err(Error::Start {
                engine: name,
                reason: error.to_string(),
            });
        }
        started.recv().unwrap_or(Err(Error::Stopped(name)))?;
        Ok(Self { name, jobs, queued })
    }

    /// Hands in a clause and returns the speech that will be made of it.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full, [`Error::Stopped`] when the thread has ended.
    pub fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        let (sink, speech) = Speech::pair(self.name);
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(Job { clause, sink }).map_err(|error| {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Error::Busy(self.name),
                TrySendError::Disconnected(_) => Error::Stopped(self.name),
            }
        })?;
        Ok(speech)
    }

    /// Clauses that wait or are being said.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

fn serve(mut say: impl FnMut(&Clause, SpeechSink), jobs: &Receiver<Job>, queued: &AtomicUsize) {
    for Job { clause, mut sink } in jobs {
        if sink.is_wanted() {
            sink.begin();
            say(&clause, sink);
        }
        queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(text: &str) -> Clause {
        Clause {
            text: text.to_owned(),
            voice: String::new(),
            speed: 1.0,
        }
    }

    #[tokio::test]
    async fn a_clause_that_nobody_wants_any_more_is_never_said() {
        let (go, wait) = sync_channel::<()>(0);
        let said = Arc::new(AtomicUsize::new(0));
        let counter = said.clone();
        let engine = Engine::start("test", move || {
            Ok(move |_: &Clause, mut sink: SpeechSink| {
                counter.fetch_add(1, Ordering::Relaxed);
                wait.recv().unwrap();
                let _ = sink.push(8_000, &[1]);
                sink.finish();
            })
        })
        .unwrap();
        let mut first = engine.speak(clause("one")).unwrap();
        drop(engine.speak(clause("two")).unwrap());
        let mut third = engine.speak(clause("three")).unwrap();
        go.send(()).unwrap();
        assert!(first.next().await.unwrap().is_ok());
        go.send(()).unwrap();
        assert!(third.next().await.unwrap().is_ok());
        assert_eq!(said.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_library_that_does_not_start_says_why() {
        let refused = Engine::start("test", || {
            Err::<fn(&Clause, SpeechSink), _>(Error::Start {
                engine: "test",
                reason: "no voices".into(),
            })
        });
        assert_eq!(
            refused.err().unwrap().to_string(),
            "cannot start the test engine: no voices"
        );
    }
}
