//! Workers that write themselves into a registry.

use super::registry::{Error, Registry};
use proto::registry::WorkerRecord;
use std::time::Duration;
use workers::{AnnounceError, Announcer};

/// The registry as workers see it: they know no Redis.
#[derive(Clone)]
pub struct RegistryAnnouncer(Registry);

impl RegistryAnnouncer {
    /// Writes into this registry.
    pub fn new(registry: Registry) -> Self {
        Self(registry)
    }
}

#[tonic::async_trait]
impl Announcer for RegistryAnnouncer {
    async fn announce(&self, record: &WorkerRecord, ttl: Duration) -> Result<(), AnnounceError> {
        self.0.put(record, ttl).await.map_err(told)
    }

    async fn is_known(&self, name: &str) -> Result<bool, AnnounceError> {
        self.0.has(name).await.map_err(told)
    }

    async fn withdraw(&self, name: &str) -> Result<(), AnnounceError> {
        self.0.remove(name).await.map_err(told)
    }
}

fn told(error: Error) -> AnnounceError {
    AnnounceError(error.to_string())
}
