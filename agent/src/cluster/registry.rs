//! Where workers write what they are, and agents read it: Redis, or this program's own memory.

pub mod memory;
pub mod redis;

use proto::registry::WorkerRecord;
use std::time::Duration;

/// Why the registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{0}; a registry's address is redis://[user:password@]host:port[/database]")]
    Address(String),
    /// It cannot be reached, or does not answer in time.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(String),
    /// It answered, and refused.
    #[error("the registry refused: {0}")]
    Refused(String),
}

/// A registry. Cheap to clone.
#[derive(Clone)]
pub enum Registry {
    /// For the workers that this program starts itself.
    Memory(memory::Memory),
    /// Shared by all hosts.
    Redis(redis::Redis),
}

impl Registry {
    /// Every worker that is known. Entries that do not parse are left out, with a warning.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn list(&self) -> Result<Vec<WorkerRecord>, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.list()),
            Self::Redis(redis) => redis.list().await,
        }
    }

    /// Writes a record that is forgotten after `ttl` (whole seconds) unless it is written again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(&self, record: &WorkerRecord, ttl: Duration) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.put(record.clone(), ttl);
                Ok(())
            }
            Self::Redis(redis) => redis.put(record, ttl).await,
        }
    }

    /// The record under a worker's name; none too where what is there is no record.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn get(&self, name: &str) -> Result<Option<WorkerRecord>, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.get(name)),
            Self::Redis(redis) => redis.get(name).await,
        }
    }

    /// Whether it is on this host, as far as its address tells. Then workers may well be found at loopback.
    pub fn is_on_this_host(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis(redis) => redis.is_on_this_host(),
        }
    }

    /// Removes a worker's record.
    ///
    /// # Errors
    /// When it cannot be removed; it is forgotten in time.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.remove(name);
                Ok(())
            }
            Self::Redis(redis) => redis.remove(name).await,
        }
    }

    /// Waits until something may have changed. For ever where the registry does not tell: ask now and then all the same.
    /// Cancel-safe, but what happens between two waits may be missed.
    pub async fn changed(&self) {
        match self {
            Self::Memory(memory) => memory.changed().await,
            Self::Redis(redis) => redis.changed().await,
        }
    }
}
