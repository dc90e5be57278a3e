//! The ModelManager: which models are in memory, and who is using them.
//!
//! ```text
//!   Absent ──load──► Fetching ──► Loading ──► Warming ──► Ready (in use: n)
//!      ▲                                                     │ unload, idle too long, room needed
//!      └───────────────────────── Draining ◄─────────────────┘
//! ```
//!
//! A model in use, which is one that a session is open for, is never let go. One that was just loaded stays for a while, so that
//! two callers who want different models do not make the worker load and drop them in turns. Every change is a task of its own:
//! it is completed, and noted, even when whoever asked for it has gone. A load that takes too long is given up, so that others may
//! load; a model that is loaded anew speaks on until its new copy can.

mod error;
mod leaving;
mod limit;
mod loading;
mod state;
mod warm;

use crate::settings::ModelManagerSettings;
use crate::tts::{self, Model, TtsAdapter};
pub use error::Error;
use media::Clock;
pub use state::ModelState;
use state::{Leaving, Resident, Slot, Stage, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::task::TaskTracker;

/// What came of a load: how long it took.
type Loaded = Result<Duration, Error>;

/// What has happened so far, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Account {
    /// Models loaded.
    pub loads: u64,
    /// Models let go because they were idle or room was needed.
    pub evictions: u64,
    /// Time spent loading.
    pub loading: Duration,
    /// Time spent unloading.
    pub unloading: Duration,
    /// Memory that the process no longer held afterwards, in bytes.
    pub freed_bytes: u64,
}

/// What letting a model go has brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// How long it took.
    pub took: Duration,
    /// By how much the process's resident set shrank; none where the system does not tell. What others took meanwhile counts
    /// against it.
    pub bytes: Option<u64>,
}

/// A model and how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The model.
    pub model: Model,
    /// The engine that speaks with it.
    pub family: &'static str,
    /// Where it is on its way into memory and out of it.
    pub state: ModelState,
    /// Why its last load brought nothing, for people; none after one that did.
    pub problem: Option<String>,
}

/// Keeps the models of one worker.
pub struct ModelManager {
    settings: ModelManagerSettings,
    clock: Clock,
    loads: Semaphore,
    state: Mutex<State>,
    tasks: TaskTracker,
}

impl ModelManager {
    /// Manages all models of these adapters. Those that cost nothing are resident from the start. Loads run on `tasks`.
    pub fn new(
        settings: ModelManagerSettings,
        adapters: &[Arc<dyn TtsAdapter>],
        tasks: TaskTracker,
    ) -> Self {
        let clock = Clock::start();
        let slots = adapters.iter().flat_map(|adapter| {
            adapter.models().into_iter().map(|model| {
                let stage = match adapter.is_light() {
                    true => Stage::Ready(Resident::at(clock.now())),
                    false => Stage::Absent,
                };
                let slot = Slot {
                    model,
                    adapter: adapter.clone(),
                    turn: Arc::new(Semaphore::new(1)),
                    stage,
                    coming: None,
                    hangs: false,
                    problem: None,
                };
                (slot.model.id.clone(), slot)
            })
        });
        let state = Mutex::new(State {
            slots: slots.collect(),
            account: Account::default(),
        });
        Self {
            loads: Semaphore::new(settings.max_parallel_loads.max(1)),
            settings,
            clock,
            state,
            tasks,
        }
    }

    /// Every model.
    pub fn models(&self) -> Vec<Listed> {
        let state = self.lock();
        let listed = state.slots.values().map(|slot| Listed {
            model: slot.model.clone(),
            family: slot.adapter.family(),
            state: slot.state(),
            problem: slot.problem.clone(),
        });
        listed.collect()
    }

    /// The names of the resident models.
    pub fn resident(&self) -> Vec<String> {
        let state = self.lock();
        let resident = state
            .slots
            .iter()
            .filter(|(_, slot)| slot.state() == ModelState::Ready);
        resident.map(|(id, _)| id.clone()).collect()
    }

    /// What has happened so far.
    pub fn account(&self) -> Account {
        self.lock().account
    }

    /// How often [`evict`](Self::evict) should be called.
    pub fn evict_interval(&self) -> Duration {
        Duration::from_millis(self.settings.evict_check_interval_ms.max(1))
    }

    /// Makes a model resident, and returns how long that took: nothing if it was. It is loaded once, however many ask.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load(self: &Arc<Self>, id: &str) -> Loaded {
        let mut told = {
            let mut state = self.lock();
            let Some(slot) = state.slots.get_mut(id) else {
                return Err(state.unknown(id));
            };
            if let Some(resident) = slot.resident() {
                resident.last_used = self.clock.now();
                return Ok(Duration::ZERO);
            }
            match &slot.coming {
                Some(coming) => coming.clone(),
                None if slot.hangs => return Err(Error::Hangs(id.to_owned())),
                None => {
                    let (tell, told) = watch::channel(None);
                    slot.coming = Some(told.clone());
                    self.tasks.spawn(self.clone().bring(id.to_owned(), tell));
                    told
                }
            }
        };
        match told.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(Duration::ZERO)),
            Err(_) => Err(self.broken(id)),
        }
    }

    /// Loads a model anew, resident or not. Who is speaking keeps the copy that the clause was begun with; clauses that begin when
    /// the new one is ready are said by that.
    ///
    /// # Errors
    /// See [`Error`]; then the old copy stays.
    pub async fn reload(self: &Arc<Self>, id: &str) -> Loaded {
        if self.lock().resident(id).is_none() {
            return self.load(id).await;
        }
        if self.lock().slots.get(id).is_some_and(|slot| slot.hangs) {
            return Err(Error::Hangs(id.to_owned()));
        }
        let (tell, told) = oneshot::channel();
        let (manager, name) = (self.clone(), id.to_owned());
        self.tasks.spawn(async move {
            // Who asked may have gone.
            let _ = tell.send(manager.clone().renew(&name).await);
        });
        told.await.unwrap_or_else(|_| Err(self.broken(id)))
    }

    /// Takes a model into use, loading it first if it is not resident. It stays until the lease is dropped.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lease(self: &Arc<Self>, id: &str) -> Result<Lease, Error> {
        loop {
            self.load(id).await?;
            let mut state = self.lock();
            // Somebody may have unloaded it since; then it is loaded again.
            if let Some(slot) = state.slots.get_mut(id)
                && let Some(resident) = slot.resident()
            {
                resident.in_use += 1;
                return Ok(Lease {
                    adapter: slot.adapter.clone(),
                    manager: self.clone(),
                    id: id.to_owned(),
                });
            }
        }
    }

    /// Lets a model go, and returns what that has brought; none if it was not resident.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::InUse`] while it speaks, or [`Error::Loading`].
    pub async fn unload(self: &Arc<Self>, id: &str) -> Result<Option<Freed>, Error> {
        let leaving = {
            let mut state = self.lock();
            let Some(slot) = state.slots.get_mut(id) else {
                return Err(state.unknown(id));
            };
            let leaving = match &slot.stage {
                Stage::Absent | Stage::Draining => return Ok(None),
                Stage::Ready(resident) if resident.in_use > 0 => {
                    return Err(Error::InUse(id.to_owned()));
                }
                Stage::Ready(_) => slot.leave(id),
                Stage::Fetching | Stage::Loading | Stage::Warming => None,
            };
            leaving.ok_or_else(|| Error::Loading(id.to_owned()))?
        };
        let (tell, told) = oneshot::channel();
        let manager = self.clone();
        self.tasks.spawn(async move {
            // Who asked may have gone.
            let _ = tell.send(manager.free(leaving).await);
        });
        Ok(Some(told.await.unwrap_or_default()))
    }

    /// Lets go of models that nobody has used for a while; returns which.
    pub async fn evict(&self) -> Vec<(String, Freed)> {
        let now = self.clock.now();
        let ttl = Duration::from_millis(self.settings.ttl_ms);
        let leaving: Vec<Leaving> = {
            let mut state = self.lock();
            let idle = state.evictable(now, self.min_residency());
            idle.into_iter()
                .filter(|(last_used, _)| now.saturating_sub(*last_used) >= ttl)
                .filter_map(|(_, id)| state.slots.get_mut(&id)?.leave(&id))
                .collect()
        };
        let mut gone = Vec::new();
        for leaving in leaving {
            let id = leaving.id.clone();
            gone.push((id, self.evicted(leaving).await));
        }
        gone
    }

    /// The engine of a model.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn adapter(&self, id: &str) -> Result<Arc<dyn TtsAdapter>, Error> {
        Ok(self.slot(id)?.0)
    }

    fn slot(&self, id: &str) -> Result<(Arc<dyn TtsAdapter>, Arc<Semaphore>), Error> {
        let state = self.lock();
        let slot = state.slots.get(id).ok_or_else(|| state.unknown(id))?;
        Ok((slot.adapter.clone(), slot.turn.clone()))
    }

    /// A task that was to tell has ended without a word.
    fn broken(&self, id: &str) -> Error {
        let engine = self.slot(id).map_or("", |(adapter, _)| adapter.family());
        Error::Load {
            id: id.to_owned(),
            source: tts::Error::Stopped(engine),
        }
    }

    fn min_residency(&self) -> Duration {
        Duration::from_millis(self.settings.min_residency_ms)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A model in use.
pub struct Lease {
    adapter: Arc<dyn TtsAdapter>,
    manager: Arc<ModelManager>,
    id: String,
}

impl Lease {
    /// The engine that speaks with the model.
    pub fn adapter(&self) -> &dyn TtsAdapter {
        self.adapter.as_ref()
    }

    /// The same model once more, for somebody else.
    pub fn another(&self) -> Self {
        // In use by this one, so it is resident.
        if let Some(resident) = self.manager.lock().resident(&self.id) {
            resident.in_use += 1;
        }
        Self {
            adapter: self.adapter.clone(),
            manager: self.manager.clone(),
            id: self.id.clone(),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.manager.clock.now();
        let mut state = self.manager.lock();
        if let Some(resident) = state.resident(&self.id) {
            resident.in_use = resident.in_use.saturating_sub(1);
            resident.last_used = now;
        }
    }
}

#[cfg(test)]
mod tests;
