//! A registry in Redis: a key a worker, which expires unless the worker writes it again.

use super::Error;
use futures_util::{FutureExt as _, StreamExt as _};
use proto::registry::WorkerRecord;
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{AsyncCommands as _, AsyncConnectionConfig, ConnectionAddr, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::warn;

/// How long Redis may take to be reached, and to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Keys looked at in one step of a scan.
const SCAN_STEP: usize = 512;
/// Workers that are read; more is no registry of ours, or somebody fills it.
const MOST: usize = 4096;

/// A connection to Redis, made when it is needed and made anew when it broke. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: redis::Client,
    database: i64,
    prefix: String,
    connection: Mutex<Option<MultiplexedConnection>>,
    events: Mutex<Option<PubSubStream>>,
    /// Entries that do not parse and were told of, so that each is told of once.
    warned: Plain<BTreeSet<String>>,
}

impl Redis {
    /// A registry at `url` whose keys begin with `prefix`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Address`] when the address is none; what it holds is not repeated, since it may hold a password.
    pub fn new(url: &SecretString, prefix: &str) -> Result<Self, Error> {
        let client = redis::Client::open(url.expose_secret())
            .map_err(|_| Error::Address("the address cannot be read".to_owned()))?;
        let database = client.get_connection_info().redis_settings().db();
        Ok(Self(Arc::new(Inner {
            client,
            database,
            prefix: prefix.to_owned(),
            connection: Mutex::default(),
            events: Mutex::default(),
            warned: Plain::default(),
        })))
    }

    pub(super) async fn list(&self) -> Result<Vec<WorkerRecord>, Error> {
        let mut connection = self.connection().await?;
        let listed = self.read(&mut connection).await;
        let entries = self.checked(listed).await?;
        let records = entries
            .into_iter()
            .filter_map(|(key, json)| self.parsed(&key, &json));
        Ok(records.collect())
    }

    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<(String, Vec<u8>)>, RedisError> {
        let pattern = format!("{}*", escaped(&self.0.prefix));
        let mut keys = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let (next, found): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(SCAN_STEP)
                .query_async(connection)
                .await?;
            keys.extend(found);
            if next == 0 || keys.len() >= MOST {
                break;
            }
            cursor = next;
        }
        let keys: Vec<String> = keys.into_iter().take(MOST).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // A key may have expired since; one of another type is none of ours.
        let values: Vec<Option<Vec<u8>>> = connection.mget(&keys).await?;
        let entries = keys.into_iter().zip(values);
        Ok(entries
            .filter_map(|(key, value)| Some((key, value?)))
            .collect())
    }

    fn parsed(&self, key: &str, json: &[u8]) -> Option<WorkerRecord> {
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        match WorkerRecord::parse(json) {
            Ok(record) => {
                warned.remove(key);
                Some(record)
            }
            Err(error) => {
                if warned.len() < MOST && warned.insert(key.to_owned()) {
                    warn!(key, %error, "An entry of the registry is left out.");
                }
                None
            }
        }
    }

    pub(super) async fn put(&self, record: &WorkerRecord, ttl: Duration) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let key = self.key(&record.name);
        let written = connection
            .set_ex::<_, _, ()>(key, record.to_json(), ttl.as_secs().max(1))
            .await;
        self.checked(written).await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<WorkerRecord>, Error> {
        let mut connection = self.connection().await?;
        let key = self.key(name);
        // Asked for as one of a list, a value of another type is none and no error.
        let values: Result<Vec<Option<Vec<u8>>>, RedisError> = connection.mget(&[&key]).await;
        let json = self.checked(values).await?.into_iter().next().flatten();
        Ok(json.and_then(|json| self.parsed(&key, &json)))
    }

    pub(super) fn is_on_this_host(&self) -> bool {
        match self.0.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => is_here(host),
            // A socket in the file system, and whatever else there may be that is not a host.
            _ => true,
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let removed = connection.del::<_, ()>(self.key(name)).await;
        self.checked(removed).await
    }

    /// Waits for Redis to tell of a key; for ever where it tells of none.
    pub(super) async fn changed(&self) {
        let mut events = self.0.events.lock().await;
        if events.is_none() {
            let Ok(Ok(stream)) = timeout(PATIENCE, self.subscribe()).await else {
                return std::future::pending().await;
            };
            *events = Some(stream);
        }
        let told = match events.as_mut() {
            Some(stream) => {
                let told = stream.next().await.is_some();
                // Whoever asks now learns of all of them.
                while let Some(Some(_)) = stream.next().now_or_never() {}
                told
            }
            None => false,
        };
        if !told {
            // The connection is gone; the next to wait makes another.
            *events = None;
            std::future::pending().await
        }
    }

    async fn subscribe(&self) -> Result<PubSubStream, RedisError> {
        let mut subscription = self.0.client.get_async_pubsub().await?;
        let (database, prefix) = (self.0.database, escaped(&self.0.prefix));
        subscription
            .psubscribe(format!("__keyspace@{database}__:{prefix}*"))
            .await?;
        Ok(subscription.into_on_message())
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0.prefix)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Error> {
        let mut connection = self.0.connection.lock().await;
        if let Some(connection) = connection.as_ref() {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let made = self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(told)?;
        *connection = Some(made.clone());
        Ok(made)
    }

    /// A connection that failed is not used again.
    async fn checked<T>(&self, result: Result<T, RedisError>) -> Result<T, Error> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                // A replica takes nothing, and the address may lead to the new primary by now.
                let is_replica = matches!(
                    error.kind(),
                    redis::ErrorKind::Server(redis::ServerErrorKind::ReadOnly)
                );
                if is_replica || !matches!(told_kind(&error), Told::Refused) {
                    *self.0.connection.lock().await = None;
                }
                Err(told(error))
            }
        }
    }
}

enum Told {
    Refused,
    Unreachable,
}

/// A refusal came over a connection that works.
fn told_kind(error: &RedisError) -> Told {
    match error.kind() {
        redis::ErrorKind::Server(_) => Told::Refused,
        _ => Told::Unreachable,
    }
}

fn told(error: RedisError) -> Error {
    match told_kind(&error) {
        Told::Refused => Error::Refused(error.to_string()),
        Told::Unreachable => Error::Unreachable(error.to_string()),
    }
}

/// Whether a host's name or address is this host's own, as far as can be told without asking anybody.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        // An address that can be bound is one of this host's.
        Ok(ip) => UdpSocket::bind((ip, 0)).is_ok(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host == workers::options::host_name(),
    }
}

/// A text in which no character stands for others in a pattern of Redis.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_letter_by_letter() {
        assert_eq!(escaped("worker:"), "worker:");
        assert_eq!(escaped("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }

    #[test]
    fn a_registry_on_another_host_is_known_as_such() {
        let is_on_this_host = |url: &str| {
            let redis = Redis::new(&url.to_owned().into(), "worker:").unwrap();
            redis.is_on_this_host()
        };
        for url in ["redis://127.0.0.1:6379", "redis://localhost"] {
            assert!(is_on_this_host(url), "{url}");
        }
        // Documentation's addresses, which no host has.
        for url in ["redis://192.0.2.7:6379", "rediss://registry.example:6379"] {
            assert!(!is_on_this_host(url), "{url}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_told_without_its_password() {
        for url in ["", "http://host", "redis://:secret-word@", "secret-word"] {
            let error = Redis::new(&url.to_owned().into(), "worker:").err();
            if let Some(error) = error {
                assert!(!error.to_string().contains("secret-word"), "{error}");
                assert!(error.to_string().contains("redis://"), "{error}");
            }
        }
        assert!(Redis::new(&"http://host".to_owned().into(), "worker:").is_err());
    }
}
