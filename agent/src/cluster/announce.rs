//! Workers that write themselves into a registry.

use super::registry::{Error, Registry};
use proto::registry::WorkerRecord;
use std::time::Duration;
use workers::{AnnounceError, Announcer, Found};

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

    async fn found(&self, own: &WorkerRecord) -> Result<Found, AnnounceError> {
        let found = self.0.get(&own.name).await.map_err(told)?;
        Ok(Found::of(found, own))
    }

    async fn withdraw(&self, record: &WorkerRecord) -> Result<(), AnnounceError> {
        // Between the two somebody else may write; whoever does looks every two seconds and writes again.
        match self.found(record).await? {
            Found::Own => self.0.remove(&record.name).await.map_err(told),
            Found::Nothing | Found::Another(_) => Ok(()),
        }
    }

    fn is_on_this_host(&self) -> bool {
        self.0.is_on_this_host()
    }
}

fn told(error: Error) -> AnnounceError {
    AnnounceError(error.to_string())
}
