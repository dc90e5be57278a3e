//! The models of one engine that are in memory, each with a thread of its own.

use super::engine::Engine;
use super::{Clause, Error, Speech, SpeechSink};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whoever lets a model go waits so long for its memory; a clause that is under way holds it up.
const LEAVING: Duration = Duration::from_secs(5);

/// The models that are in memory, by name.
pub(super) struct Residents {
    engine: &'static str,
    models: Mutex<HashMap<String, Resident>>,
}

struct Resident {
    engine: Arc<Engine>,
    /// Closed when the thread has ended and the model is gone.
    gone: Receiver<()>,
}

/// A model on its thread, and behind it, so that it is dropped later, what tells that it is gone.
struct Present<S> {
    say: S,
    _gone: SyncSender<()>,
}

impl<S: FnMut(&Clause, SpeechSink)> Present<S> {
    fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        (self.say)(clause, sink);
    }
}

impl Residents {
    /// None yet.
    pub(super) fn new(engine: &'static str) -> Self {
        Self {
            engine,
            models: Mutex::default(),
        }
    }

    /// Starts a thread and on it a model, which takes the place of the one of the same name; what that was told to say it still
    /// says.
    ///
    /// # Errors
    /// What `start` says; then the old one stays.
    pub(super) fn load<S>(
        &self,
        model: &str,
        start: impl FnOnce() -> Result<S, Error> + Send + 'static,
    ) -> Result<(), Error>
    where
        S: FnMut(&Clause, SpeechSink),
    {
        let (tell, gone) = sync_channel(0);
        let engine = Engine::start(self.engine, move || {
            let mut present = Present {
                say: start()?,
                _gone: tell,
            };
            Ok(move |clause: &Clause, sink| present.say(clause, sink))
        })?;
        let resident = Resident {
            engine: Arc::new(engine),
            gone,
        };
        self.lock().insert(model.to_owned(), resident);
        Ok(())
    }

    /// Lets a model go and waits until its memory is free, which is when it has said what it was told.
    pub(super) fn unload(&self, model: &str) {
        let resident = self.lock().remove(model);
        if let Some(Resident { engine, gone }) = resident {
            drop(engine);
            // Nothing is ever sent: it ends when the other side is dropped, or has waited long enough.
            let _ = gone.recv_timeout(LEAVING);
        }
    }

    /// Hands a clause to a model.
    ///
    /// # Errors
    /// That the model is not in memory, or what [`Engine::speak`] says.
    pub(super) fn speak(&self, model: &str, clause: Clause) -> Result<Speech, Error> {
        let engine = self
            .lock()
            .get(model)
            .map(|resident| resident.engine.clone());
        let engine = engine.ok_or_else(|| Error::Failed {
            engine: self.engine,
            reason: format!("the model {model:?} is not loaded; load it first"),
        })?;
        engine.speak(clause)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Resident>> {
        // Every change is one step, so a panic elsewhere leaves the map whole.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts the models that are in memory.
    struct Counted(Arc<AtomicUsize>);

    impl Counted {
        fn new(count: &Arc<AtomicUsize>) -> Self {
            count.fetch_add(1, Ordering::SeqCst);
            Self(count.clone())
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn a_model_is_gone_when_it_was_let_go_and_says_first_what_it_was_told() {
        let count = Arc::new(AtomicUsize::new(0));
        let residents = Residents::new("test");
        let inside = count.clone();
        let load = move || {
            let counted = Counted::new(&inside);
            Ok(move |_: &Clause, mut sink: SpeechSink| {
                let held = counted.0.load(Ordering::SeqCst) as i16;
                let _ = sink.push(8_000, &[held]);
                sink.finish();
            })
        };
        residents.load("m", load).unwrap();
        let clause = Clause {
            text: "one".into(),
            voice: "m".into(),
            speed: 1.0,
        };
        let mut speech = residents.speak("m", clause.clone()).unwrap();
        residents.unload("m");
        assert_eq!(count.load(Ordering::SeqCst), 0);
        assert_eq!(speech.next().await.unwrap().unwrap().samples, [1]);
        assert!(residents.speak("m", clause).is_err());
    }
}
