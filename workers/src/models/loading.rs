//! How a model comes into memory.

use super::state::{Resident, Stage};
use super::{Error, Loaded, ModelManager, warm};
use crate::blocking::on_a_thread;
use crate::metric;
use crate::tts::{self, TtsAdapter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

impl ModelManager {
    /// Loads a model that is not resident, and tells all who wait for it.
    pub(super) async fn bring(self: Arc<Self>, id: String, tell: watch::Sender<Option<Loaded>>) {
        let end = self.fetch_and_load(&id).await;
        if let Some(slot) = self.lock().slots.get_mut(&id) {
            slot.coming = None;
        }
        tell.send_replace(Some(end));
    }

    async fn fetch_and_load(&self, id: &str) -> Loaded {
        let (adapter, turn) = self.slot(id)?;
        // An unloading that is under way ends first.
        let _turn = turn.acquire().await;
        let _load = self.loads.acquire().await;
        let begun = self.clock.now();
        self.make_room(id).await?;
        match self.prepare(id, &adapter).await {
            Ok(()) => Ok(self.arrived(id, begun)),
            Err(source) => {
                self.lock().enter(id, Stage::Absent);
                Err(Error::Load {
                    id: id.to_owned(),
                    source,
                })
            }
        }
    }

    /// From files to a model that can speak.
    async fn prepare(&self, id: &str, adapter: &Arc<dyn TtsAdapter>) -> Result<(), tts::Error> {
        if adapter.is_light() {
            return adapter.load(id);
        }
        at_length(adapter, id, |adapter, id| adapter.fetch(id)).await?;
        self.lock().enter(id, Stage::Loading);
        at_length(adapter, id, |adapter, id| adapter.load(id)).await?;
        self.lock().enter(id, Stage::Warming);
        let warm = warm::up(adapter.as_ref(), id).await;
        if warm.is_err() {
            at_length(adapter, id, |adapter, id| {
                adapter.unload(id);
                Ok(())
            })
            .await?;
        }
        warm
    }

    /// Puts a new copy in the place of a resident one.
    pub(super) async fn renew(&self, id: &str) -> Loaded {
        let (adapter, turn) = self.slot(id)?;
        let _turn = turn.acquire().await;
        let _load = self.loads.acquire().await;
        let begun = self.clock.now();
        if self.lock().resident(id).is_none() {
            // Let go meanwhile: the next session loads it anew anyway.
            return Ok(Duration::ZERO);
        }
        let failed = |source| Error::Load {
            id: id.to_owned(),
            source,
        };
        if adapter.is_light() {
            adapter.load(id).map_err(failed)?;
        } else {
            let renewed = at_length(&adapter, id, |adapter, id| adapter.load(id)).await;
            renewed.map_err(failed)?;
            warm::up(adapter.as_ref(), id).await.map_err(failed)?;
        }
        Ok(self.arrived(id, begun))
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

/// Work on a thread of its own: a model may have hundreds of megabytes.
async fn at_length(
    adapter: &Arc<dyn TtsAdapter>,
    id: &str,
    work: impl FnOnce(&dyn TtsAdapter, &str) -> Result<(), tts::Error> + Send + 'static,
) -> Result<(), tts::Error> {
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
