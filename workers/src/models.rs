//! The ModelManager: which models are in memory, and who is using them.
//!
//! ```text
//!   absent ──load──► resident (in use: n) ──unload, idle too long, room needed──► absent
//! ```
//!
//! A model in use is never let go. One that was just loaded stays for a while, so that two callers who want different models do
//! not make the worker load and drop them in turns.

use crate::blocking::on_a_thread;
use crate::settings::ModelManagerSettings;
use crate::tts::{self, Model, TtsAdapter};
use media::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Why a model is not available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody knows it.
    #[error("there is no model {id:?}; there is {known}")]
    Unknown {
        /// What was asked for.
        id: String,
        /// What there is.
        known: String,
    },
    /// It is speaking.
    #[error("the model {0:?} is speaking; stop its sessions first")]
    InUse(String),
    /// Other models fill the memory and none of them can go yet.
    #[error(
        "cannot load model {id:?}: {cap} models are loaded and none can be let go yet; try again later or unload one"
    )]
    Full {
        /// What was asked for.
        id: String,
        /// How many may be loaded.
        cap: usize,
    },
    /// Its engine refused.
    #[error("cannot load model {id:?}: {source}")]
    Load {
        /// What was asked for.
        id: String,
        /// Why.
        source: tts::Error,
    },
}

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
}

/// Keeps the models of one worker.
pub struct ModelManager {
    settings: ModelManagerSettings,
    clock: Clock,
    loads: Semaphore,
    state: Mutex<State>,
}

struct State {
    slots: BTreeMap<String, Slot>,
    account: Account,
}

struct Slot {
    model: Model,
    adapter: Arc<dyn TtsAdapter>,
    /// One load of this model at a time; the others wait and find it loaded.
    turn: Arc<Semaphore>,
    resident: Option<Resident>,
}

struct Resident {
    since: Duration,
    last_used: Duration,
    in_use: usize,
}

impl ModelManager {
    /// Manages all models of these adapters. Those that cost nothing are resident from the start.
    pub fn new(settings: ModelManagerSettings, adapters: &[Arc<dyn TtsAdapter>]) -> Self {
        let clock = Clock::start();
        let slots = adapters.iter().flat_map(|adapter| {
            adapter.models().into_iter().map(|model| {
                let resident = adapter.is_light().then(|| Resident {
                    since: clock.now(),
                    last_used: clock.now(),
                    in_use: 0,
                });
                let turn = Arc::new(Semaphore::new(1));
                (
                    model.id.clone(),
                    Slot {
                        model,
                        adapter: adapter.clone(),
                        turn,
                        resident,
                    },
                )
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
        }
    }

    /// Every model, with its engine and whether it is resident.
    pub fn models(&self) -> Vec<(Model, &'static str, bool)> {
        let state = self.lock();
        state
            .slots
            .values()
            .map(|slot| {
                (
                    slot.model.clone(),
                    slot.adapter.family(),
                    slot.resident.is_some(),
                )
            })
            .collect()
    }

    /// The names of the resident models.
    pub fn resident(&self) -> Vec<String> {
        let state = self.lock();
        state
            .slots
            .iter()
            .filter(|(_, slot)| slot.resident.is_some())
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// What has happened so far.
    pub fn account(&self) -> Account {
        self.lock().account
    }

    /// How often [`evict`](Self::evict) should be called.
    pub fn evict_interval(&self) -> Duration {
        Duration::from_millis(self.settings.evict_check_interval_ms.max(1))
    }

    /// Makes a model resident, and returns how long that took: nothing if it was.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load(&self, id: &str) -> Result<Duration, Error> {
        let (adapter, turn) = {
            let state = self.lock();
            let slot = state.slots.get(id).ok_or_else(|| state.unknown(id))?;
            (slot.adapter.clone(), slot.turn.clone())
        };
        let begun = self.clock.now();
        let _turn = turn.acquire().await;
        if self.lock().touch(id, self.clock.now()) {
            return Ok(Duration::ZERO);
        }
        let _load = self.loads.acquire().await;
        self.make_room(&mut self.lock(), id)?;
        load(adapter, id).await?;
        Ok(self.arrived(id, begun))
    }

    /// Loads a model anew, resident or not. Those who are speaking keep the one they have.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reload(&self, id: &str) -> Result<Duration, Error> {
        if self.load(id).await? > Duration::ZERO {
            return Ok(Duration::ZERO);
        }
        let adapter = {
            let state = self.lock();
            state
                .slots
                .get(id)
                .ok_or_else(|| state.unknown(id))?
                .adapter
                .clone()
        };
        let begun = self.clock.now();
        load(adapter, id).await?;
        Ok(self.arrived(id, begun))
    }

    /// Notes that a model was loaded, and returns how long that took.
    fn arrived(&self, id: &str, begun: Duration) -> Duration {
        let now = self.clock.now();
        let took = now.saturating_sub(begun);
        let mut state = self.lock();
        if let Some(slot) = state.slots.get_mut(id) {
            let in_use = slot.resident.as_ref().map_or(0, |resident| resident.in_use);
            slot.resident = Some(Resident {
                since: now,
                last_used: now,
                in_use,
            });
        }
        state.account.loads += 1;
        state.account.loading += took;
        took
    }

    /// Takes a model into use, loading it first if it is not resident. It stays until the lease is dropped.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lease(self: &Arc<Self>, id: &str) -> Result<Lease, Error> {
        loop {
            self.load(id).await?;
            let mut state = self.lock();
            let slot = state.slots.get_mut(id);
            // Somebody may have unloaded it since; then it is loaded again.
            if let Some(Slot {
                adapter,
                resident: Some(resident),
                ..
            }) = slot
            {
                resident.in_use += 1;
                return Ok(Lease {
                    adapter: adapter.clone(),
                    manager: self.clone(),
                    id: id.to_owned(),
                });
            }
        }
    }

    /// Lets a model go; `false` if it was not resident.
    ///
    /// # Errors
    /// [`Error::Unknown`], or [`Error::InUse`] while it speaks.
    pub fn unload(&self, id: &str) -> Result<bool, Error> {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(id) else {
            return Err(state.unknown(id));
        };
        match &slot.resident {
            None => Ok(false),
            Some(resident) if resident.in_use > 0 => Err(Error::InUse(id.to_owned())),
            Some(_) => {
                self.let_go(&mut state, id);
                Ok(true)
            }
        }
    }

    /// Lets go of models that nobody has used for a while; returns which.
    pub fn evict(&self) -> Vec<String> {
        let now = self.clock.now();
        let ttl = Duration::from_millis(self.settings.ttl_ms);
        let mut state = self.lock();
        let idle: Vec<String> = state
            .evictable(now, Duration::from_millis(self.settings.min_residency_ms))
            .into_iter()
            .filter(|(last_used, _)| now.saturating_sub(*last_used) >= ttl)
            .map(|(_, id)| id)
            .collect();
        for id in &idle {
            self.let_go(&mut state, id);
            state.account.evictions += 1;
        }
        idle
    }

    /// Lets go of the models used longest ago, until there is room for one more.
    fn make_room(&self, state: &mut State, id: &str) -> Result<(), Error> {
        let cap = self.settings.resident_cap.max(1);
        let now = self.clock.now();
        let mut oldest = state
            .evictable(now, Duration::from_millis(self.settings.min_residency_ms))
            .into_iter();
        // Whoever else is loading needs room too.
        let permits = self.settings.max_parallel_loads.max(1);
        let others = permits.saturating_sub(self.loads.available_permits() + 1);
        while state
            .slots
            .values()
            .filter(|slot| slot.resident.is_some())
            .count()
            + others
            >= cap
        {
            let Some((_, oldest)) = oldest.next() else {
                return Err(Error::Full {
                    id: id.to_owned(),
                    cap,
                });
            };
            self.let_go(state, &oldest);
            state.account.evictions += 1;
        }
        Ok(())
    }

    fn let_go(&self, state: &mut State, id: &str) {
        let begun = self.clock.now();
        if let Some(slot) = state.slots.get_mut(id) {
            slot.resident = None;
            slot.adapter.unload(id);
        }
        state.account.unloading += self.clock.now().saturating_sub(begun);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unknown(&self, id: &str) -> Error {
        let known: Vec<&str> = self.slots.keys().map(String::as_str).collect();
        Error::Unknown {
            id: id.to_owned(),
            known: known.join(", "),
        }
    }

    /// Notes that a resident model was used; `false` if it is not resident.
    fn touch(&mut self, id: &str, now: Duration) -> bool {
        match self
            .slots
            .get_mut(id)
            .and_then(|slot| slot.resident.as_mut())
        {
            Some(resident) => {
                resident.last_used = now;
                true
            }
            None => false,
        }
    }

    /// Models that may be let go, the one used longest ago first.
    fn evictable(&self, now: Duration, min_residency: Duration) -> Vec<(Duration, String)> {
        let mut evictable: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(id, slot)| Some((id, slot.resident.as_ref()?)))
            .filter(|(_, resident)| {
                resident.in_use == 0 && now.saturating_sub(resident.since) >= min_residency
            })
            .map(|(id, resident)| (resident.last_used, id.clone()))
            .collect();
        evictable.sort();
        evictable
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
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.manager.clock.now();
        let mut state = self.manager.lock();
        if let Some(resident) = state
            .slots
            .get_mut(&self.id)
            .and_then(|slot| slot.resident.as_mut())
        {
            resident.in_use = resident.in_use.saturating_sub(1);
            resident.last_used = now;
        }
    }
}

/// Loads a model on a thread of its own: it may read hundreds of megabytes.
async fn load(adapter: Arc<dyn TtsAdapter>, id: &str) -> Result<(), Error> {
    let engine = adapter.family();
    let model = id.to_owned();
    let loaded = if adapter.is_light() {
        adapter.load(id)
    } else {
        on_a_thread("parlor-load", move || adapter.load(&model))
            .await
            .unwrap_or_else(|error| {
                Err(tts::Error::Start {
                    engine,
                    reason: error.to_string(),
                })
            })
    };
    loaded.map_err(|source| Error::Load {
        id: id.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
