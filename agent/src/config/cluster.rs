//! The `[cluster]` settings.

use super::{LocalWorkers, masked};
use crate::cluster::credentials::{Access, Certificates};
use crate::cluster::registry::{Registry, redis::Redis};
use anyhow::Context as _;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Workers in processes of their own, on this host or others, found through Redis.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Where workers are found: `redis://[user:password@]host:port[/database]`, `rediss://` with TLS; `REDIS_URL` where
    /// missing. Without it only the engines inside the program speak and listen.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub redis: Option<SecretString>,
    /// How a worker's key begins; its name follows.
    pub prefix: String,
    /// How often a worker renews its key, in seconds.
    pub heartbeat_seconds: u64,
    /// How long the key stays without that, in seconds.
    pub ttl_seconds: u64,
    /// The secret that workers and agents share; `PARLOR_WORKER_TOKEN` where missing.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// Who signs the certificates of workers at `grpcs://`, a PEM file; not set: the usual authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// This program's own certificate for workers that ask for one, a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The key of that certificate, a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Worker processes that `parlor serve` starts, watches and starts again, whether or not there is a registry. In a file
    /// each is a table `[[cluster.local]]` with `kind` and `adapter`, and where wanted `count`, `gpu`, `default_model`,
    /// `preload` and `max_sessions`.
    pub local: Vec<LocalWorkers>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            redis: None,
            prefix: proto::registry::DEFAULT_PREFIX.to_owned(),
            heartbeat_seconds: 10,
            ttl_seconds: 30,
            token: None,
            ca: None,
            certificate: None,
            key: None,
            local: Vec::new(),
        }
    }
}

impl Cluster {
    /// The registry that all hosts share, if one is set.
    ///
    /// # Errors
    /// When its address is none.
    pub fn registry(&self) -> anyhow::Result<Option<Registry>> {
        let Some(url) = &self.redis else {
            return Ok(None);
        };
        let redis = Redis::new(url, &self.prefix).context("cluster.redis")?;
        Ok(Some(Registry::Redis(redis)))
    }

    /// What workers are shown.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn access(&self) -> anyhow::Result<Access> {
        let read = |key: &str, path: &Path| {
            std::fs::read(path).with_context(|| format!("{key}: cannot read {}", path.display()))
        };
        let ca = self
            .ca
            .as_deref()
            .map(|path| read("cluster.ca", path))
            .transpose()?;
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((
                read("cluster.certificate", certificate)?,
                read("cluster.key", key)?,
            )),
            _ => None,
        };
        Ok(Access::new(self.token.as_ref(), Certificates { ca, own })?)
    }

    /// How long a worker's key stays.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }

    pub(super) fn check(&self, must: &mut impl FnMut(bool, &str, &str)) {
        must(
            self.registry().is_ok(),
            "cluster.redis",
            "an address like redis://host:6379",
        );
        must(
            !self.prefix.is_empty(),
            "cluster.prefix",
            "a text that is not empty: all other keys of the database are none of ours",
        );
        must(
            self.token
                .as_ref()
                .is_none_or(|token| !token.expose_secret().is_empty()),
            "cluster.token",
            "a text that is not empty, or not be set",
        );
        must(
            self.heartbeat_seconds >= 1,
            "cluster.heartbeat_seconds",
            "at least 1",
        );
        must(
            self.ttl_seconds > self.heartbeat_seconds,
            "cluster.ttl_seconds",
            "more than cluster.heartbeat_seconds",
        );
        must(
            self.certificate.is_some() == self.key.is_some(),
            "cluster.key",
            "set together with cluster.certificate",
        );
        for (index, workers) in self.local.iter().enumerate() {
            workers.check(&format!("cluster.local[{index}]"), must);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Cluster)) -> Vec<String> {
        let mut settings = Cluster::default();
        change(&mut settings);
        let mut named = Vec::new();
        settings.check(&mut |fits, key, _| {
            if !fits {
                named.push(key.to_owned());
            }
        });
        named
    }

    #[test]
    fn each_mistake_is_named() {
        assert_eq!(problems(|_| ()), [""; 0]);
        let redis = |url: &str| Some(url.to_owned().into());
        assert_eq!(
            problems(|it| it.redis = redis("redis://host:6379/1")),
            [""; 0]
        );
        assert_eq!(problems(|it| it.redis = redis("host")), ["cluster.redis"]);
        assert_eq!(problems(|it| it.token = redis("")), ["cluster.token"]);
        assert_eq!(
            problems(|it| it.heartbeat_seconds = 30),
            ["cluster.ttl_seconds"]
        );
        assert_eq!(
            problems(|it| it.certificate = Some("own.pem".into())),
            ["cluster.key"]
        );
    }
}
