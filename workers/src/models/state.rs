//! What is known of each model.

use super::{Account, Error, Loaded};
use crate::tts::{Model, TtsAdapter};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Where a model is on its way into memory and out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    /// Not in memory; it may be waiting for its turn to be loaded.
    Absent,
    /// Its files are being brought to this machine.
    Fetching,
    /// It is being read.
    Loading,
    /// It says something that nobody hears, so that the first caller finds it quick.
    Warming,
    /// In memory; also while a newer copy of it is being read.
    Ready,
    /// It is being let go.
    Draining,
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Fetching => "fetching",
            Self::Loading => "loading",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Draining => "draining",
        })
    }
}

pub(super) struct State {
    pub slots: BTreeMap<String, Slot>,
    pub account: Account,
}

pub(super) struct Slot {
    pub model: Model,
    pub adapter: Arc<dyn TtsAdapter>,
    /// One change at a time: who loads waits for the unloading before.
    pub turn: Arc<Semaphore>,
    pub stage: Stage,
    /// What comes of the load that was begun; whoever asks meanwhile waits for the same.
    pub coming: Option<watch::Receiver<Option<Loaded>>>,
    /// A load was given up and has not ended yet. It keeps the turn until it does.
    pub hangs: bool,
    /// Why the last load brought nothing.
    pub problem: Option<String>,
}

pub(super) enum Stage {
    Absent,
    Fetching,
    Loading,
    Warming,
    Ready(Resident),
    Draining,
}

pub(super) struct Resident {
    pub since: Duration,
    pub last_used: Duration,
    pub in_use: usize,
}

impl Resident {
    pub(super) fn at(now: Duration) -> Self {
        Self {
            since: now,
            last_used: now,
            in_use: 0,
        }
    }
}

/// A model on its way out. Its turn is taken, so nothing else happens to it meanwhile.
pub(super) struct Leaving {
    pub id: String,
    pub adapter: Arc<dyn TtsAdapter>,
    pub turn: OwnedSemaphorePermit,
}

impl Slot {
    pub(super) fn state(&self) -> ModelState {
        match self.stage {
            Stage::Absent => ModelState::Absent,
            Stage::Fetching => ModelState::Fetching,
            Stage::Loading => ModelState::Loading,
            Stage::Warming => ModelState::Warming,
            // It panicked, and is loaded anew when it is wanted.
            Stage::Ready(_) if self.adapter.has_failed(&self.model.id) => ModelState::Absent,
            Stage::Ready(_) => ModelState::Ready,
            Stage::Draining => ModelState::Draining,
        }
    }

    pub(super) fn resident(&mut self) -> Option<&mut Resident> {
        match &mut self.stage {
            Stage::Ready(resident) => Some(resident),
            Stage::Absent | Stage::Fetching | Stage::Loading | Stage::Warming | Stage::Draining => {
                None
            }
        }
    }

    /// Notes what came of a load.
    pub(super) fn note(&mut self, end: &Loaded) {
        match end {
            Ok(_) => self.problem = None,
            Err(error @ (Error::Load { .. } | Error::Late { .. } | Error::Hangs(_))) => {
                self.problem = Some(error.to_string());
            }
            // Nothing is wrong with the model.
            Err(
                Error::Unknown { .. } | Error::InUse(_) | Error::Loading(_) | Error::Full { .. },
            ) => {}
        }
    }

    /// Sends a model on its way out; none while somebody else changes something about it.
    pub(super) fn leave(&mut self, id: &str) -> Option<Leaving> {
        let turn = self.turn.clone().try_acquire_owned().ok()?;
        self.stage = Stage::Draining;
        Some(Leaving {
            id: id.to_owned(),
            adapter: self.adapter.clone(),
            turn,
        })
    }
}

impl State {
    pub(super) fn unknown(&self, id: &str) -> Error {
        let known: Vec<&str> = self.slots.keys().map(String::as_str).collect();
        Error::Unknown {
            id: id.to_owned(),
            known: known.join(", "),
        }
    }

    pub(super) fn enter(&mut self, id: &str, stage: Stage) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.stage = stage;
        }
    }

    /// The resident model of this name.
    pub(super) fn resident(&mut self, id: &str) -> Option<&mut Resident> {
        self.slots.get_mut(id)?.resident()
    }

    /// Models that are in memory or on their way into it.
    pub(super) fn occupied(&self) -> usize {
        self.slots
            .values()
            .filter(|slot| !matches!(slot.stage, Stage::Absent | Stage::Draining))
            // What costs nothing takes nobody's place.
            .filter(|slot| !slot.adapter.is_light())
            .count()
    }

    /// Models that may be let go, the one used longest ago first.
    pub(super) fn evictable(
        &self,
        now: Duration,
        min_residency: Duration,
    ) -> Vec<(Duration, String)> {
        let mut evictable: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(id, slot)| match &slot.stage {
                Stage::Ready(resident) => Some((id, resident)),
                Stage::Absent
                | Stage::Fetching
                | Stage::Loading
                | Stage::Warming
                | Stage::Draining => None,
            })
            .filter(|(_, resident)| {
                resident.in_use == 0 && now.saturating_sub(resident.since) >= min_residency
            })
            .map(|(id, resident)| (resident.last_used, id.clone()))
            .collect();
        evictable.sort();
        evictable
    }
}
