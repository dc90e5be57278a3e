//! A thread of its own for a library or a model that bears only one caller at a time.
//!
//! ```text
//!   speak ──► Line (who is next: queue.rs) ──► thread "parlor-flite": one turn after the other ──► SpeechSink ──► session
//!               ▲ a Speech that is dropped gives up its place
//! ```
//!
//! A turn that panics takes its model with it and nothing else: the next clause finds the thread loading the model anew.

mod line;
mod name;
mod queue;

use super::{Clause, Error, Speech, SpeechSink};
use line::Line;
pub(super) use line::Place;
pub(crate) use name::thread_name;
pub use queue::TOGETHER;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use tracing::error;

/// What says clauses on an engine's thread.
pub trait Say {
    /// Says a clause into its sink.
    fn say(&mut self, clause: &Clause, sink: SpeechSink);

    /// How many clauses it says in less time together than one after the other, 8 at most; 1: it gains nothing by that, so none
    /// is made to wait for others.
    fn together(&self) -> usize {
        1
    }

    /// Says clauses of one voice and speed, each into its own sink.
    fn say_batch(&mut self, jobs: Vec<Job>) {
        for Job { clause, sink } in jobs {
            if sink.is_wanted() {
                self.say(&clause, sink);
            }
        }
    }
}

impl<F: FnMut(&Clause, SpeechSink)> Say for F {
    fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        self(clause, sink);
    }
}

/// A clause, and where its sound goes.
pub struct Job {
    /// What is to be said.
    pub clause: Clause,
    /// Who hears it.
    pub sink: SpeechSink,
}

/// A named thread that says one turn after the other. It ends when the engine is dropped and all is said.
pub struct Engine {
    name: &'static str,
    line: Arc<Line>,
}

impl Engine {
    /// Starts the thread, and on it the library or model; returns when that is ready.
    ///
    /// `start` runs on the thread and returns what says a clause there, so nothing of the library needs to be `Send`. It runs
    /// again, when there is something to say, after what it returned has panicked.
    ///
    /// # Errors
    /// What `start` says, or that there can be no more threads.
    pub fn start<S: Say>(
        name: &'static str,
        thread: String,
        mut start: impl FnMut() -> Result<S, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let (ready, started) = sync_channel(1);
        let line = Arc::new(Line::new(name));
        let waiting = line.clone();
        let spawned = thread::Builder::new().name(thread).spawn(move || {
            // Whatever ends the thread, nobody is left waiting for it.
            let line = Closing(waiting);
            match attempt(name, &mut start) {
                Err(error) => drop(ready.send(Err(error))),
                Ok(say) => {
                    // Nobody waiting for the start is no reason not to run.
                    let _ = ready.send(Ok(()));
                    serve(name, &line.0, start, say);
                }
            }
        });
        if let Err(error) = spawned {
            return Err(Error::Start {
                engine: name,
                reason: error.to_string(),
            });
        }
        let engine = Self { name, line };
        started.recv().unwrap_or(Err(Error::Stopped(name)))?;
        Ok(engine)
    }

    /// Hands in a clause and returns the speech that will be made of it. Dropping the speech takes the clause out of the queue,
    /// or ends it at the engine's next step.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full, [`Error::Stopped`] when the thread has ended.
    pub fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        let (sink, speech) = Speech::pair(self.name);
        let place = self.line.join(Job { clause, sink })?;
        Ok(speech.with_place(place))
    }

    /// Clauses that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// Whether its model has panicked and is not yet loaded anew.
    pub fn has_failed(&self) -> bool {
        self.line.has_failed()
    }

    /// Takes no more, and waits at most so long until all is said and the model is gone.
    pub(super) fn end(self, most: Duration) {
        let line = self.line.clone();
        drop(self);
        line.wait_for_end(most);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.line.close();
    }
}

/// Tells, when it is dropped, that the thread has ended.
struct Closing(Arc<Line>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Says what comes until the engine is gone.
fn serve<S: Say>(
    name: &'static str,
    line: &Line,
    mut start: impl FnMut() -> Result<S, Error>,
    say: S,
) {
    line.say_together(say.together());
    let mut present = Some(say);
    while let Some(mut turn) = line.next_turn() {
        turn.retain(|job| job.sink.is_wanted());
        if turn.is_empty() {
            continue;
        }
        if present.is_none() {
            match attempt(name, &mut start) {
                Ok(say) => {
                    line.say_together(say.together());
                    line.note_failed(false);
                    present = Some(say);
                }
                Err(error) => {
                    for job in turn {
                        job.sink.refuse(error.clone());
                    }
                    continue;
                }
            }
        }
        let Some(say) = &mut present else {
            continue;
        };
        if !is_said(say, turn) {
            // What is left of the model cannot be trusted, and its end may panic too.
            let broken = present.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
            line.note_failed(true);
            error!(
                engine = name,
                "An engine broke off; its model is loaded anew when it is wanted."
            );
        }
    }
}

/// Says a turn; `false` when the model panicked.
fn is_said(say: &mut impl Say, mut turn: Vec<Job>) -> bool {
    for job in &mut turn {
        job.sink.begin();
    }
    let said = catch_unwind(AssertUnwindSafe(|| match turn.len() {
        1 => {
            for Job { clause, sink } in turn {
                say.say(&clause, sink);
            }
        }
        _ => say.say_batch(turn),
    }));
    said.is_ok()
}

fn attempt<S>(
    name: &'static str,
    start: &mut impl FnMut() -> Result<S, Error>,
) -> Result<S, Error> {
    catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| {
        Err(Error::Start {
            engine: name,
            reason: "it broke off while it was loaded".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests;
