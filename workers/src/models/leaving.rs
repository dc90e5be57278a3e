//! How a model leaves memory.

use super::state::{Leaving, Stage};
use super::{Error, Freed, ModelManager};
use crate::blocking::on_a_thread;
use crate::{memory, metric};

impl ModelManager {
    /// Lets go of the models used longest ago until there is room for this one, and takes the room.
    pub(super) async fn make_room(&self, id: &str) -> Result<(), Error> {
        let cap = self.settings.resident_cap.max(1);
        loop {
            let leaving = {
                let mut state = self.lock();
                if state.occupied() < cap {
                    state.enter(id, Stage::Fetching);
                    return Ok(());
                }
                let candidates = state.evictable(self.clock.now(), self.min_residency());
                candidates
                    .into_iter()
                    .find_map(|(_, oldest)| state.slots.get_mut(&oldest)?.leave(&oldest))
            };
            let Some(leaving) = leaving else {
                return Err(Error::Full {
                    id: id.to_owned(),
                    cap,
                });
            };
            self.evicted(leaving).await;
        }
    }

    pub(super) async fn evicted(&self, leaving: Leaving) -> Freed {
        self.lock().account.evictions += 1;
        metrics::counter!(metric::MODEL_EVICTIONS_TOTAL).increment(1);
        self.free(leaving).await
    }

    /// Gives a model's memory back.
    pub(super) async fn free(&self, leaving: Leaving) -> Freed {
        let Leaving { id, adapter, turn } = leaving;
        let begun = self.clock.now();
        let name = id.clone();
        let is_light = adapter.is_light();
        let unload = move || {
            let before = memory::resident_bytes();
            adapter.unload(&name);
            Some(before?.saturating_sub(memory::resident_bytes()?))
        };
        let bytes = match is_light {
            true => unload(),
            // It may give back hundreds of megabytes, page by page.
            false => on_a_thread("parlor-unload", unload).await.unwrap_or(None),
        };
        let took = self.clock.now().saturating_sub(begun);
        let mut state = self.lock();
        state.enter(&id, Stage::Absent);
        state.account.unloading += took;
        state.account.freed_bytes += bytes.unwrap_or(0);
        drop(state);
        drop(turn);
        metrics::histogram!(metric::MODEL_UNLOAD_SECONDS).record(took);
        metrics::counter!(metric::MODEL_FREED_BYTES_TOTAL).increment(bytes.unwrap_or(0));
        Freed { took, bytes }
    }
}
