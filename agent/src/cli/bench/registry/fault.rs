//! What can befall a registry.

use crate::cli::Failure;
use crate::cli::bench::fleet::WorkerProcess;
use crate::cli::bench::partition::Passage;
use crate::cli::bench::redis::RedisServer;
use clap::ValueEnum;
use media::Clock;
use proto::registry::WorkerRecord;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A port on which no Redis server is.
const NOWHERE: &str = "1";
/// How often it is looked whether the workers are there again, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(60);

/// What befalls the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Its process is killed, and started again, empty, when the time is over.
    Kill,
    /// It is emptied, every second.
    Flush,
    /// It can be reached, and nothing comes back: what is sent gets lost.
    Partition,
    /// It takes nothing new: it follows a server that is not there.
    Readonly,
}

/// The registry and the way to it.
pub struct Registry {
    redis: RedisServer,
    passage: Passage,
}

impl Registry {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no redis-server.
    pub async fn start() -> Result<Self, Failure> {
        let redis = RedisServer::start().await?;
        let passage = Passage::open(redis.address()).await?;
        Ok(Self { redis, passage })
    }

    /// Where it is to be reached by those who shall suffer from the fault.
    pub fn url(&self) -> String {
        crate::cli::bench::redis::url(self.passage.address)
    }

    /// The fault begins.
    ///
    /// # Errors
    /// When Redis does not do what makes it.
    pub async fn strike(&mut self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Kill => self.redis.kill().await,
            Fault::Flush => self.redis.ask(&["FLUSHALL"]).await?,
            Fault::Partition => self.passage.sever(),
            Fault::Readonly => {
                let follow = ["REPLICAOF", "127.0.0.1", NOWHERE];
                self.redis.ask(&follow).await?
            }
        }
        Ok(())
    }

    /// What has to be done again and again while the fault lasts, about once a second.
    ///
    /// # Errors
    /// When Redis does not do what makes it.
    pub async fn keep_up(&mut self, fault: Fault) -> Result<(), Failure> {
        if fault == Fault::Flush {
            self.strike(fault).await?;
        }
        Ok(())
    }

    /// The fault ends. When this returns the registry works as before.
    ///
    /// # Errors
    /// When it does not.
    pub async fn heal(&mut self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Kill => self.redis.begin().await?,
            // For the last time: nobody is in it now.
            Fault::Flush => self.strike(fault).await?,
            Fault::Partition => self.passage.heal(),
            Fault::Readonly => self.redis.ask(&["REPLICAOF", "NO", "ONE"]).await?,
        }
        Ok(())
    }

    /// How long it takes from now until all of these workers have written themselves into it anew; none if they do not.
    pub async fn until_written(
        &self,
        prefix: &str,
        workers: impl Iterator<Item = &WorkerProcess> + Clone,
    ) -> Option<Duration> {
        // Records hold the time of day, which is one on this machine.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let clock = Clock::start();
        while clock.now() < LOOK_FOR {
            let mut are_there = true;
            for worker in workers.clone() {
                let key = format!("{prefix}{}", worker.name);
                let entry = self.redis.ask::<Option<Vec<u8>>>(&["GET", &key]).await;
                let record = entry.ok().flatten();
                let record = record.and_then(|json| WorkerRecord::parse(&json).ok());
                are_there &=
                    record.is_some_and(|record| record.last_heartbeat_ts >= since.as_secs_f64());
            }
            if are_there {
                return Some(clock.now());
            }
            clock.until(clock.now() + LOOK_EVERY).await;
        }
        None
    }
}
