//! A registry inside the program.

use media::Clock;
use proto::registry::WorkerRecord;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Records with the time at which each is forgotten. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    clock: Clock,
    records: Mutex<BTreeMap<String, (Duration, WorkerRecord)>>,
    changes: watch::Sender<()>,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Inner {
            clock: Clock::start(),
            records: Mutex::default(),
            changes: watch::Sender::new(()),
        }))
    }
}

impl Memory {
    pub(super) fn list(&self) -> Vec<WorkerRecord> {
        let now = self.0.clock.now();
        let mut records = self.lock();
        records.retain(|_, (until, _)| *until > now);
        records.values().map(|(_, record)| record.clone()).collect()
    }

    pub(super) fn put(&self, record: WorkerRecord, ttl: Duration) {
        let until = self.0.clock.now() + ttl;
        self.lock().insert(record.name.clone(), (until, record));
        self.0.changes.send_replace(());
    }

    pub(super) fn get(&self, name: &str) -> Option<WorkerRecord> {
        let now = self.0.clock.now();
        let records = self.lock();
        let (until, record) = records.get(name)?;
        (*until > now).then(|| record.clone())
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
        self.0.changes.send_replace(());
    }

    pub(super) async fn changed(&self) {
        // The sender lives as long as this does.
        let _ = self.0.changes.subscribe().changed().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Duration, WorkerRecord)>> {
        // Every change is one step, so a panic elsewhere leaves the records whole.
        self.0
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
