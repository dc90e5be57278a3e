//! A registry of the bench's own: redis-server on a free port of loopback, which keeps nothing on disk.

use crate::cli::Failure;
use anyhow::{Context as _, anyhow};
use media::Clock;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long it may take to begin; it is there in a few hundredths of a second.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether it is there.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// How long it may take to be reached, and to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A Redis server, killed with the value.
pub struct RedisServer {
    port: u16,
    client: redis::Client,
    /// None while it is down.
    running: Option<Child>,
}

impl RedisServer {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not begin.
    pub async fn start() -> Result<Self, Failure> {
        // Free now; whoever takes it before redis-server does is told of below.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))
            .context("an address of our own making")?;
        let mut server = Self {
            port,
            client,
            running: None,
        };
        server.begin().await?;
        Ok(server)
    }

    /// Starts it where it was, empty, and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not begin.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        let spawned = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--notify-keyspace-events", "KA"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let child = spawned.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::Usage("redis-server is missing; type: apt install redis-server".to_owned())
            }
            _ => Failure::Failed(anyhow!("cannot start redis-server: {error}")),
        })?;
        let child = self.running.insert(child);
        let clock = Clock::start();
        while !is_there(&self.client).await {
            let has_ended = child.try_wait()?.is_some();
            if has_ended || clock.now() > BEGINS_WITHIN {
                return Err(anyhow!("redis-server does not begin on port {}", self.port).into());
            }
            clock.until(clock.now() + ASKED_EVERY).await;
        }
        Ok(())
    }

    /// Ends it at once, as a power cut does.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            // What is gone already needs no killing.
            let _ = child.kill().await;
        }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The same as an address of Redis.
    pub fn url(&self) -> String {
        url(self.address())
    }

    /// Asks it something over a connection of its own.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> anyhow::Result<T> {
        ask(&self.client, words).await
    }
}

/// An address of Redis.
pub fn url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

async fn is_there(client: &redis::Client) -> bool {
    ask::<String>(client, &["PING"]).await.is_ok()
}

async fn ask<T: FromRedisValue>(client: &redis::Client, words: &[&str]) -> anyhow::Result<T> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .context("cannot reach redis-server")?;
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    let answer = command.query_async(&mut connection).await;
    answer.context("redis-server refused")
}
