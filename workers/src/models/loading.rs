//! How a model comes into memory.
//!
//! ```text
//!   turn of the model ──► one of the loads at a time ──► room ──► fetch, load, warm up ──in time──► Ready
//!                                                                      │
//!                                                                      └─too long─► Absent; what hangs keeps the turn until it ends
//! ```

use super::limit::Limit;
use super::state::{Resident, Stage};
use super::{Error, Loaded, ModelManager, warm};
use crate::blocking::on_a_thread;
use crate::metric;
use crate::tts::{self, Newcomer, TtsAdapter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Some of the work of a load, and what came of it.
type Work<T> = JoinHandle<Result<T, tts::Error>>;

impl ModelManager {
    /// Loads a model that is not resident, and tells all who wait for it.
    pub(super) async fn bring(self: Arc<Self>, id: String, tell: watch::Sender<Option<Loaded>>) {
        let end = self.fetch_and_load(&id).await;
        if let Some(slot) = self.lock().slots.get_mut(&id) {
            slot.coming = None;
            slot.note(&end);
        }
        tell.send_replace(Some(end));
    }

    async fn fetch_and_load(self: &Arc<Self>, id: &str) -> Loaded {
        let (adapter, turn) = self.slot(id)?;
        // An unloading that is under way ends first.
        let turn = self.turn(id, turn).await?;
        let _load = self.loads.acquire().await;
        let begun = self.clock.now();
        self.make_room(id).await?;
        let done = if adapter.is_light() {
            adapter.load(id)
        } else {
            let work = self.clone().prepare(id.to_owned(), adapter.clone());
            match self.in_time(adapter.family(), work).await {
                Ok(done) => done,
                Err(work) => return Err(self.give_up(id, turn, work, Some(adapter))),
            }
        };
        match done {
            Ok(()) => Ok(self.arrived(id, begun)),
            Err(source) => {
                self.lock().enter(id, Stage::Absent);
                Err(refused(id, source))
            }
        }
    }

    /// From files to a model that can speak.
    async fn prepare(
        self: Arc<Self>,
        id: String,
        adapter: Arc<dyn TtsAdapter>,
    ) -> Result<(), tts::Error> {
        at_length(&adapter, &id, |adapter, id| adapter.fetch(id)).await?;
        self.proceed(&id, adapter.family(), Stage::Loading)?;
        at_length(&adapter, &id, |adapter, id| adapter.load(id)).await?;
        self.proceed(&id, adapter.family(), Stage::Warming)?;
        let warm = match warm::clause(adapter.as_ref(), &id).map(|clause| adapter.speak(clause)) {
            Some(Ok(speech)) => warm::hear(speech).await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        if warm.is_err() {
            let_go(&adapter, &id).await;
        }
        warm
    }

    /// Enters the next stage of a load, unless it was given up meanwhile.
    fn proceed(&self, id: &str, engine: &'static str, stage: Stage) -> Result<(), tts::Error> {
        match self.lock().slots.get_mut(id) {
            Some(slot) if !slot.hangs => {
                slot.stage = stage;
                Ok(())
            }
            _ => Err(tts::Error::Stopped(engine)),
        }
    }

    /// Puts a new copy in the place of a resident one, once it has shown that it can speak.
    pub(super) async fn renew(self: Arc<Self>, id: &str) -> Loaded {
        let end = self.load_beside(id).await;
        if let Some(slot) = self.lock().slots.get_mut(id) {
            slot.note(&end);
        }
        end
    }

    async fn load_beside(self: &Arc<Self>, id: &str) -> Loaded {
        let (adapter, turn) = self.slot(id)?;
        let turn = self.turn(id, turn).await?;
        let _load = self.loads.acquire().await;
        let begun = self.clock.now();
        if self.lock().resident(id).is_none() {
            // Let go meanwhile: the next session loads it anew anyway.
            return Ok(Duration::ZERO);
        }
        let tried = if adapter.is_light() {
            adapter.load(id).map(|()| None)
        } else {
            let work = try_out(id.to_owned(), adapter.clone());
            match self.in_time(adapter.family(), work).await {
                Ok(tried) => tried,
                Err(work) => return Err(self.give_up(id, turn, work, None)),
            }
        };
        if let Some(newcomer) = tried.map_err(|source| refused(id, source))? {
            newcomer.take_over();
        }
        Ok(self.arrived(id, begun))
    }

    /// The right to change something about a model, when nobody else does.
    async fn turn(&self, id: &str, turn: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(turn) = turn.clone().try_acquire_owned() {
            return Ok(turn);
        }
        let hangs = || Error::Hangs(id.to_owned());
        let mut limit = Limit::start(self.load_timeout());
        tokio::select! {
            biased;
            turn = turn.acquire_owned() => turn.map_err(|_| hangs()),
            () = limit.over() => Err(hangs()),
        }
    }

    /// Does the work of a load, as long as one may take; returns what is still at work otherwise.
    async fn in_time<T: Send + 'static>(
        &self,
        engine: &'static str,
        work: impl Future<Output = Result<T, tts::Error>> + Send + 'static,
    ) -> Result<Result<T, tts::Error>, Work<T>> {
        // On a tracker of its own: no drain waits for what hangs.
        let mut work = TaskTracker::new().spawn(work);
        let mut limit = Limit::start(self.load_timeout());
        tokio::select! {
            biased;
            done = &mut work => Ok(done.unwrap_or(Err(tts::Error::Stopped(engine)))),
            () = limit.over() => Err(work),
        }
    }

    /// Lets others load while something hangs that cannot be ended from outside. If it ends by itself after all, what it brought
    /// is let go (`adapter`, where it put it into the engine), and the model may be tried again.
    fn give_up<T: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        turn: OwnedSemaphorePermit,
        work: Work<T>,
        adapter: Option<Arc<dyn TtsAdapter>>,
    ) -> Error {
        if let Some(slot) = self.lock().slots.get_mut(id) {
            slot.hangs = true;
            if slot.resident().is_none() {
                slot.stage = Stage::Absent;
            }
        }
        let (manager, name) = (self.clone(), id.to_owned());
        TaskTracker::new().spawn(async move {
            // However it ends, nobody wants it any more.
            drop(work.await);
            if let Some(adapter) = adapter {
                let_go(&adapter, &name).await;
            }
            if let Some(slot) = manager.lock().slots.get_mut(&name) {
                slot.hangs = false;
            }
            drop(turn);
        });
        Error::Late {
            id: id.to_owned(),
            limit: self.load_timeout(),
        }
    }

    fn load_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.load_timeout_ms)
    }

    /// Notes that a model was loaded, and returns how long that took.
    fn arrived(&self, id: &str, begun: Duration) -> Duration {
        let now = self.clock.now();
        let took = now.saturating_sub(begun);
        let mut state = self.lock();
        let in_use = state.resident(id).map_or(0, |resident| resident.in_use);
        let resident = Resident {
            in_use,
            ..Resident::at(now)
        };
        state.enter(id, Stage::Ready(resident));
        state.account.loads += 1;
        state.account.loading += took;
        metrics::histogram!(metric::MODEL_LOAD_SECONDS).record(took);
        took
    }
}

/// Loads a copy beside the one that speaks, and has it speak where nobody hears it.
async fn try_out(
    id: String,
    adapter: Arc<dyn TtsAdapter>,
) -> Result<Option<Box<dyn Newcomer>>, tts::Error> {
    let newcomer = at_length(&adapter, &id, |adapter, id| adapter.renew(id)).await?;
    if let Some(clause) = warm::clause(adapter.as_ref(), &id) {
        let speech = match &newcomer {
            Some(newcomer) => newcomer.speak(clause)?,
            None => adapter.speak(clause)?,
        };
        warm::hear(speech).await?;
    }
    Ok(newcomer)
}

fn refused(id: &str, source: tts::Error) -> Error {
    Error::Load {
        id: id.to_owned(),
        source,
    }
}

async fn let_go(adapter: &Arc<dyn TtsAdapter>, id: &str) {
    // Without a thread there is nobody to do it; the next load of the model takes the place of what is left.
    let _ = at_length(adapter, id, |adapter, id| {
        adapter.unload(id);
        Ok(())
    })
    .await;
}

/// Work on a thread of its own: a model may have hundreds of megabytes.
async fn at_length<T: Send + 'static>(
    adapter: &Arc<dyn TtsAdapter>,
    id: &str,
    work: impl FnOnce(&dyn TtsAdapter, &str) -> Result<T, tts::Error> + Send + 'static,
) -> Result<T, tts::Error> {
    let engine = adapter.family();
    let (adapter, id) = (adapter.clone(), id.to_owned());
    let done = on_a_thread("parlor-load", move || work(adapter.as_ref(), &id)).await;
    done.unwrap_or_else(|error| {
        Err(tts::Error::Start {
            engine,
            reason: error.to_string(),
        })
    })
}
