//! The models of one engine that are in memory, each with a thread of its own: one for each model on each GPU.

use super::engine::{Engine, Say, thread_name};
use super::{Clause, Error, Newcomer, Speech};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whoever lets a model go waits so long for its memory; a clause that is under way holds it up.
const LEAVING: Duration = Duration::from_secs(5);

/// The models that are in memory, by name.
pub(super) struct Residents {
    engine: &'static str,
    gpu: Option<u32>,
    models: Arc<Models>,
}

type Models = Mutex<HashMap<String, Arc<Engine>>>;

/// A model that is to take the place of the one of the same name.
struct Next {
    model: String,
    engine: Engine,
    models: Arc<Models>,
}

impl Newcomer for Next {
    fn speak(&self, clause: Clause) -> Result<Speech, Error> {
        self.engine.speak(clause)
    }

    fn take_over(self: Box<Self>) {
        let Self {
            model,
            engine,
            models,
        } = *self;
        let mut models = models.lock().unwrap_or_else(PoisonError::into_inner);
        models.insert(model, Arc::new(engine));
    }
}

impl Residents {
    /// None yet; they will run on this GPU, or on the processor.
    pub(super) fn new(engine: &'static str, gpu: Option<u32>) -> Self {
        Self {
            engine,
            gpu,
            models: Arc::default(),
        }
    }

    /// Starts a thread and on it a model, which takes the place of the one of the same name; what that was told to say it still
    /// says. `start` is called again when the model has panicked and is wanted.
    ///
    /// # Errors
    /// What `start` says; then the old one stays.
    pub(super) fn load<S: Say>(
        &self,
        model: &str,
        start: impl FnMut() -> Result<S, Error> + Send + 'static,
    ) -> Result<(), Error> {
        Box::new(self.beside(model, start)?).take_over();
        Ok(())
    }

    /// The same, but for the place: the new model takes it when it is told to.
    ///
    /// # Errors
    /// What `start` says.
    pub(super) fn renew<S: Say>(
        &self,
        model: &str,
        start: impl FnMut() -> Result<S, Error> + Send + 'static,
    ) -> Result<Option<Box<dyn Newcomer>>, Error> {
        Ok(Some(Box::new(self.beside(model, start)?)))
    }

    fn beside<S: Say>(
        &self,
        model: &str,
        start: impl FnMut() -> Result<S, Error> + Send + 'static,
    ) -> Result<Next, Error> {
        let thread = thread_name(self.engine, self.gpu, model);
        Ok(Next {
            model: model.to_owned(),
            engine: Engine::start(self.engine, thread, start)?,
            models: self.models.clone(),
        })
    }

    /// Lets a model go and waits until its memory is free, which is when it has said what it was told.
    pub(super) fn unload(&self, model: &str) {
        let engine = self.lock().remove(model);
        // Whoever still holds it is handing in a clause, and lets it go then.
        if let Some(engine) = engine.and_then(Arc::into_inner) {
            engine.end(LEAVING);
        }
    }

    /// Hands a clause to a model.
    ///
    /// # Errors
    /// That the model is not in memory, or what [`Engine::speak`] says.
    pub(super) fn speak(&self, model: &str, clause: Clause) -> Result<Speech, Error> {
        let engine = self.lock().get(model).cloned();
        let engine = engine.ok_or_else(|| Error::Failed {
            engine: self.engine,
            reason: format!("the model {model:?} is not loaded; load it first"),
        })?;
        engine.speak(clause)
    }

    /// Whether a model has panicked and is not yet loaded anew.
    pub(super) fn has_failed(&self, model: &str) -> bool {
        let models = self.lock();
        models.get(model).is_some_and(|engine| engine.has_failed())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Engine>>> {
        // Every change is one step, so a panic elsewhere leaves the map whole.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::{Class, SpeechSink};
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

    fn clause(text: &str) -> Clause {
        Clause {
            text: text.into(),
            voice: "m".into(),
            speed: 1.0,
            class: Class::RealTime,
        }
    }

    /// Models that say how many of them are in memory, and panic when they are told to.
    fn residents(count: &Arc<AtomicUsize>) -> Residents {
        let residents = Residents::new("test", None);
        let inside = count.clone();
        let load = move || {
            let counted = Counted::new(&inside);
            Ok(move |clause: &Clause, mut sink: SpeechSink| {
                assert!(clause.text != "poison", "as if the model had panicked");
                let held = counted.0.load(Ordering::SeqCst) as i16;
                let _ = sink.push(8_000, &[held]);
                sink.finish();
            })
        };
        residents.load("m", load).unwrap();
        residents
    }

    #[tokio::test]
    async fn a_model_is_gone_when_it_was_let_go_and_says_first_what_it_was_told() {
        let count = Arc::new(AtomicUsize::new(0));
        let residents = residents(&count);
        let mut speech = residents.speak("m", clause("one")).unwrap();
        residents.unload("m");
        assert_eq!(count.load(Ordering::SeqCst), 0);
        assert_eq!(speech.next().await.unwrap().unwrap().samples, [1]);
        assert!(residents.speak("m", clause("one")).is_err());
    }

    #[tokio::test]
    async fn a_model_that_panicked_is_dropped_and_comes_back_with_the_next_clause() {
        let count = Arc::new(AtomicUsize::new(0));
        let residents = residents(&count);
        let mut broken = residents.speak("m", clause("poison")).unwrap();
        assert!(broken.next().await.unwrap().is_err());
        let mut speech = residents.speak("m", clause("one")).unwrap();
        assert_eq!(speech.next().await.unwrap().unwrap().samples, [1]);
        assert!(!residents.has_failed("m"));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
