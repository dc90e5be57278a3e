//! `parlor sessions`.

use super::{Failure, Global, out};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use reqwest::{Client, Method, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Shows and ends the calls of a server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor sessions list
  parlor sessions list --json | jq -r '.[].room'
  parlor sessions end 5f0c1b9a7d4e4c0d8a3b2c1d0e9f8a7b
  parlor sessions end --all --url https://voice.example.org --api-key KEY")]
pub struct Sessions {
    #[command(subcommand)]
    action: Action,
    /// The server's address.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The server's key, if it wants one.
    #[arg(
        long,
        global = true,
        env = "PARLOR_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints a line a call: its id, transport, room and how long it has been going on.
    List {
        /// Prints the calls as one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Ends calls.
    End {
        /// The calls' ids, as the list shows them.
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// Ends every call.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// A call, as the server tells of it.
#[derive(Debug, Serialize, Deserialize)]
struct Session {
    id: String,
    transport: String,
    room: Option<String>,
    age_seconds: u64,
    ending: bool,
}

#[derive(Debug, Deserialize)]
struct Listed {
    sessions: Vec<Session>,
}

impl Sessions {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let server = Server::at(&self.url, self.api_key)?;
        match self.action {
            Action::List { json } => {
                let sessions = server.list().await?;
                if json {
                    out::json(&sessions)?;
                    return Ok(());
                }
                for session in &sessions {
                    out::line(&line(session))?;
                }
                if sessions.is_empty() && !global.quiet {
                    out::note("No call is going on.");
                }
                Ok(())
            }
            Action::End { ids, all } => {
                let ids = if all {
                    let sessions = server.list().await?;
                    sessions.into_iter().map(|session| session.id).collect()
                } else {
                    ids
                };
                let mut gone = Vec::new();
                for id in &ids {
                    if server.end(id).await? == Ended::Gone {
                        gone.push(id.as_str());
                    }
                }
                // What ended by itself after it was listed is as it should be.
                if !all && !gone.is_empty() {
                    return Err(Failure::Failed(anyhow!(
                        "there is no such call: {}; type parlor sessions list",
                        gone.join(", ")
                    )));
                }
                if !global.quiet {
                    let ended = ids.len().saturating_sub(gone.len());
                    let s = if ended == 1 { "" } else { "s" };
                    out::note(&format!("Ended {ended} call{s}."));
                }
                Ok(())
            }
        }
    }
}

fn line(session: &Session) -> String {
    let Session {
        id,
        transport,
        room,
        age_seconds,
        ending,
    } = session;
    let room = room.as_deref().unwrap_or("-");
    let ending = if *ending { "\tending" } else { "" };
    format!("{id}\t{transport}\t{room}\t{age_seconds} s{ending}")
}

/// What became of a call that was to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was told to.
    Now,
    /// There is none of that id, or it is ending already.
    Gone,
}

/// A server's list of calls.
#[derive(Debug)]
struct Server {
    list: Url,
    api_key: Option<String>,
    client: Client,
}

impl Server {
    fn at(url: &str, api_key: Option<String>) -> Result<Self, Failure> {
        let list = Url::parse(&format!("{}/api/v1/sessions", url.trim_end_matches('/')))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "--url {url}: write the server's address, as in http://127.0.0.1:8080"
                ))
            })?;
        // Twice is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .context("cannot set up an HTTP client")?;
        Ok(Self {
            list,
            api_key,
            client,
        })
    }

    async fn list(&self) -> Result<Vec<Session>, Failure> {
        let response = self.ask(Method::GET, self.list.clone()).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let listed: Listed = response
            .json()
            .await
            .with_context(|| format!("{} does not list calls: is it parlor?", self.list))?;
        Ok(listed.sessions)
    }

    async fn end(&self, id: &str) -> Result<Ended, Failure> {
        let mut url = self.list.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        let response = self.ask(Method::DELETE, url).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(Ended::Gone),
            status if status.is_success() => Ok(Ended::Now),
            _ => Err(refusal(response).await),
        }
    }

    async fn ask(&self, method: Method, url: Url) -> Result<reqwest::Response, Failure> {
        let mut request = self.client.request(method, url);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key);
        }
        request.send().await.map_err(|error| {
            let origin = self.list.origin().ascii_serialization();
            let error = anyhow::Error::new(error.without_url());
            Failure::Unreachable(error.context(format!(
                "nobody answers at {origin}; is parlor serve running there?"
            )))
        })
    }
}

/// Why a server does not do it, in its own words.
async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status();
    let body: serde_json::Value = response.json().await.unwrap_or_default();
    let said = body.pointer("/error/message");
    Failure::Failed(match said.and_then(serde_json::Value::as_str) {
        Some(message) => anyhow!("the server refuses ({status}): {message}"),
        None => anyhow!("the server answers {status}: is it parlor?"),
    })
}
