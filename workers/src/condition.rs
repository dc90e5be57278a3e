//! Whether a worker takes anybody: what its health tells, and what it refuses new callers with.

use std::sync::Arc;
use tokio::sync::watch;

/// A worker's condition. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Arc<watch::Sender<Now>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Now {
    is_draining: bool,
    has_failed: bool,
    /// The model that most callers get cannot be loaded. Whatever else works, this stays until that model is there.
    lacks_default: bool,
}

impl Default for Condition {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Now::default())))
    }
}

impl Condition {
    /// From now on nobody new is taken.
    pub(crate) fn drain(&self) {
        self.change(|now| now.is_draining = true);
    }

    /// Callers are taken again.
    pub(crate) fn resume(&self) {
        self.change(|now| now.is_draining = false);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.borrow().is_draining
    }

    /// The engine cannot work at all.
    pub(crate) fn engine_failed(&self) {
        self.change(|now| now.has_failed = true);
    }

    /// The engine has done its work.
    pub(crate) fn engine_works(&self) {
        self.change(|now| now.has_failed = false);
    }

    /// The model of callers who ask for none cannot be loaded.
    pub(crate) fn default_failed(&self) {
        self.change(|now| now.lacks_default = true);
    }

    /// That model is there.
    pub(crate) fn default_works(&self) {
        self.change(|now| now.lacks_default = false);
    }

    /// Waits until that model cannot be loaded; returns at once while it cannot. Cancel-safe.
    pub(crate) async fn lacks_default(&self) {
        let mut changes = self.0.subscribe();
        if changes.wait_for(|now| now.lacks_default).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether it takes somebody, its engine works, and the model is there that most callers get.
    pub(crate) fn is_well(&self) -> bool {
        *self.0.borrow() == Now::default()
    }

    /// To wait for changes with.
    pub(crate) fn subscribe(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        self.0.send_if_modified(|now| {
            let before = *now;
            change(now);
            *now != before
        });
    }
}

/// The changes of a condition, each seen at least once.
pub(crate) struct Changes(watch::Receiver<Now>);

impl Changes {
    /// Waits for the next change; for ever once nobody can change it. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
