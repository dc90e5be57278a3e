//! `parlor token`.

use super::{Failure, Global, out};
use clap::Args;
use jiff::SignedDuration;
use media::link::livekit::token::{self, Dispatch, Grant, TokenError};
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::time::Duration;

/// The shortest that a token is good for: who is given it must still come to use it.
const SHORTEST_TTL: Duration = Duration::from_secs(10);

/// Makes a token with which a person joins a LiveKit room; it goes to standard output and nothing else does.
#[derive(Debug, Args)]
#[command(after_help = "\
The key and its secret are LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or the settings livekit.api_key and livekit.api_secret.

Examples:
  parlor token --room kitchen --identity ada
  parlor token --room kitchen --identity ada --name Ada --agent parlor --ttl 1h --json")]
pub struct Token {
    /// The room that it is for; it need not be there yet.
    #[arg(long)]
    room: String,
    /// What the room is to know the person by; unique in it.
    #[arg(long)]
    identity: String,
    /// What the person is called.
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The agent that is to come when the room is made (default: livekit.agent_name).
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// How long it is good for joining, 10s to 24h, as in 90s, 10m or 1h (default: livekit.token_seconds).
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<Duration>,
    /// Prints one JSON object with the server's address beside it.
    #[arg(long)]
    json: bool,
}

fn ttl(text: &str) -> Result<Duration, String> {
    let given: Option<SignedDuration> = text.parse().ok();
    given
        .and_then(|given| Duration::try_from(given).ok())
        .filter(|given| (SHORTEST_TTL..=token::LONGEST_TTL).contains(given))
        .ok_or_else(|| "write a time from 10s to 24h, as in 90s, 10m or 1h".into())
}

impl Token {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        let livekit = global.load(Vec::new())?.livekit;
        let keys = livekit
            .keys()
            .ok_or_else(|| Failure::Usage(TokenError::NoKeys.to_string()))?;
        let agent_name = self.agent.unwrap_or(livekit.agent_name.clone());
        let agents = match agent_name.is_empty() {
            true => Vec::new(),
            false => vec![Dispatch {
                agent_name,
                ..Dispatch::default()
            }],
        };
        let grant = Grant {
            room: self.room,
            identity: self.identity,
            name: self.name,
            agents,
            ttl: self
                .ttl
                .unwrap_or(Duration::from_secs(livekit.token_seconds)),
            ..Grant::default()
        };
        let signed = token::caller(&keys, &grant).map_err(|error| match error {
            TokenError::NoKeys | TokenError::Nobody | TokenError::AgentsIdentity => {
                Failure::Usage(error.to_string())
            }
            TokenError::Unsigned => Failure::Failed(error.into()),
        })?;
        let signed = signed.expose_secret();
        if self.json {
            out::json(&json!({
                "server_url": livekit.url,
                "room_name": grant.room,
                "participant_identity": grant.identity,
                "participant_token": signed,
                "good_for_seconds": grant.ttl.as_secs(),
            }))?;
        } else {
            out::line(signed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_write_it_and_bounded() {
        assert_eq!(ttl("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(ttl("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(ttl("24h"), Ok(token::LONGEST_TTL));
        for wrong in ["", "10", "9s", "25h", "-10m", "1d", "soon"] {
            assert!(ttl(wrong).unwrap_err().contains("10m"), "{wrong}");
        }
    }
}
