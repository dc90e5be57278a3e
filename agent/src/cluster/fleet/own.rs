//! Workers in processes that this program has started: they come and go with their processes, whatever a registry says.

use super::{Fleet, Worker};
use crate::cluster::credentials::Wire;
use proto::registry::{RecordKind, WorkerRecord};

impl Fleet {
    /// Adds a worker that this program has started, or renews what it says. `true` if its voices are to be asked for.
    pub fn settle(&self, record: WorkerRecord, wire: &Wire) -> bool {
        let now = self.0.clock.now();
        let mut workers = self.lock();
        if let Some(worker) = workers.get_mut(&record.name)
            && worker.is_own
            && worker.record.addr == record.addr
        {
            let is_changed = worker.record.capabilities.voices != record.capabilities.voices;
            if is_changed {
                worker.voices = None;
            }
            worker.record = record;
            worker.seen = now;
            is_changed
        } else {
            let mut worker = Worker::new(self.number(), record.clone(), wire.clone(), false);
            worker.is_own = true;
            worker.seen = now;
            // Otherwise it would get all calls until it has caught up.
            let others = workers.values().filter(|other| !other.is_embedded);
            worker.served = others.map(|other| other.served).min().unwrap_or(0);
            workers.insert(record.name.clone(), worker);
            record.capabilities.kind == RecordKind::Tts
        }
    }

    /// A worker that this program has started is gone.
    pub fn remove(&self, name: &str) {
        let mut workers = self.lock();
        if workers.get(name).is_some_and(|worker| worker.is_own) {
            workers.remove(name);
        }
    }

    /// Whether anybody is there who can do that.
    pub fn has_any(&self, kind: RecordKind) -> bool {
        self.lock().values().any(|worker| {
            let record = &worker.record;
            let can = &record.capabilities;
            // Without its engine a worker has no model at all.
            let has_engine = !can.models.is_empty() || !record.resident_models.is_empty();
            can.kind == kind && has_engine && !record.is_draining()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Access;

    fn record(name: &str, addr: &str) -> WorkerRecord {
        WorkerRecord {
            name: name.into(),
            addr: addr.into(),
            resident_models: vec!["m".into()],
            ..WorkerRecord::default()
        }
    }

    fn names(fleet: &Fleet) -> Vec<String> {
        let seen = fleet.seen().into_iter();
        seen.map(|seen| seen.record.name).collect()
    }

    #[tokio::test]
    async fn a_registry_neither_removes_nor_replaces_a_worker_of_one_s_own() {
        let fleet = Fleet::new("here".into(), Access::default());
        let wire = Access::default().reach("grpc://127.0.0.1:1").unwrap();
        assert!(fleet.settle(record("own", "grpc://127.0.0.1:1"), &wire));
        fleet.merge(vec![
            record("own", "grpc://elsewhere:1"),
            record("other", "grpc://elsewhere:2"),
        ]);
        fleet.merge(Vec::new());
        assert_eq!(names(&fleet), ["other", "own"]);
        let seen = fleet.seen();
        let own = seen.iter().find(|seen| seen.record.name == "own").unwrap();
        assert_eq!(own.record.addr, "grpc://127.0.0.1:1");
        assert!(own.missing_for.is_none());
        // Nor does the end of its process remove one of a registry.
        fleet.remove("other");
        fleet.remove("own");
        assert_eq!(names(&fleet), ["other"]);
    }

    #[tokio::test]
    async fn a_process_that_is_started_again_is_another_worker() {
        let fleet = Fleet::new("here".into(), Access::default());
        let wire = Access::default().reach("grpc://127.0.0.1:1").unwrap();
        fleet.settle(record("own", "grpc://127.0.0.1:1"), &wire);
        assert!(fleet.has_any(RecordKind::Tts));
        assert!(!fleet.has_any(RecordKind::Stt));
        let open = fleet.opened("own");
        assert!(
            !fleet.settle(record("own", "grpc://127.0.0.1:1"), &wire),
            "nothing new"
        );
        assert_eq!(fleet.seen()[0].open, 1);
        fleet.remove("own");
        fleet.settle(record("own", "grpc://127.0.0.1:2"), &wire);
        open.failed("its process was killed");
        drop(open);
        assert_eq!(fleet.seen()[0].open, 0);
        assert!(!fleet.seen()[0].is_left_alone);
    }
}
