//! `parlor join`.

use super::{Failure, Global, interrupted, out};
use crate::rooms;
use crate::server::App;
use crate::sessions::Transport;
use crate::telemetry;
use anyhow::anyhow;
use clap::Args;
use media::Clock;
use media::link::livekit::JoinError;
use media::link::livekit::token::{self, AGENT_IDENTITY_PREFIX};
use std::pin::pin;
use std::time::Duration;

/// How long the token lets the agent in. Once it is in, the server keeps it.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// How long goodbye may take after Ctrl-C.
const GOODBYE: Duration = Duration::from_secs(10);

/// Joins one LiveKit room and talks there until it ends; Ctrl-C leaves it.
#[derive(Debug, Args)]
pub struct Join {
    /// The room; the server makes it if there is none of that name.
    #[arg(long)]
    room: String,
    /// What the room knows the agent by; must be unique in it (default: agent- and a random number).
    #[arg(long)]
    identity: Option<String>,
    /// What people see (default: the agent's name, or parlor).
    #[arg(long)]
    name: Option<String>,
    /// The LiveKit server, like ws://localhost:7880 (default: livekit.url or LIVEKIT_URL).
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Join {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let flags = self
            .url
            .iter()
            .map(|url| ("livekit.url".to_owned(), format!("{url:?}")))
            .collect();
        let config = global.load(flags)?;
        telemetry::init(&config.telemetry, global.verbose);
        let livekit = &config.livekit;
        let Some(keys) = livekit.keys().filter(|_| livekit.is_configured()) else {
            return Err(Failure::Usage(
                "no LiveKit server is configured: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, \
                 or url, api_key and api_secret under [livekit]"
                    .into(),
            ));
        };
        if !rooms::is_address(&livekit.url) {
            return Err(failure(
                JoinError::Address(livekit.url.clone()),
                &livekit.url,
            ));
        }
        let identity = self
            .identity
            .unwrap_or_else(|| format!("{AGENT_IDENTITY_PREFIX}{:08x}", rand::random::<u32>()));
        let name = self
            .name
            .unwrap_or_else(|| rooms::called(&livekit.agent_name).to_owned());
        let token = token::agent(&keys, &self.room, &identity, &name, TOKEN_TTL)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let url = livekit.url.clone();
        let asked = Clock::start();
        let app = App::open(config, global.launch()).await?;
        let admission = app
            .sessions
            .admit(Transport::LiveKit)
            .map_err(|refused| Failure::Failed(refused.into()))?;
        let (session, options) = (admission.id.clone(), rooms::options(&app.config));
        let call = async {
            let joined = rooms::enter(&app, &admission, None, token)
                .await
                .map_err(|error| failure(error, &url))?;
            let Some(joined) = joined else {
                return Ok("hung-up".to_owned());
            };
            if !global.quiet {
                out::note(&format!(
                    "In the room {} as {}. Ctrl-C leaves it.",
                    joined.room.name, joined.room.identity
                ));
            }
            Ok(rooms::talk(&app, admission, joined, options, asked).await)
        };
        let mut call = pin!(call);
        let ended: Result<String, Failure> = tokio::select! {
            ended = &mut call => ended,
            () = interrupted() => {
                app.sessions.hang_up(&session);
                tokio::time::timeout(GOODBYE, call)
                    .await
                    .unwrap_or_else(|_| Ok("hung-up".to_owned()))
            }
        };
        app.local().stop().await;
        let reason = ended?;
        if !global.quiet {
            out::note(&format!("The call is over: {reason}."));
        }
        Ok(())
    }
}

/// A wrong address or key is the settings' mistake; a server that is not there may come yet.
fn failure(error: JoinError, url: &str) -> Failure {
    match error {
        JoinError::Address(_) => Failure::Usage(format!("livekit.url: {error}")),
        JoinError::Unauthorized(_) => Failure::Usage(format!(
            "{error}; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET as the server at {url} has them"
        )),
        JoinError::Unreachable(_) => {
            Failure::Unreachable(anyhow!(error).context(format!("cannot reach {url}")))
        }
        JoinError::Refused(_) | JoinError::NoMedia(_) => Failure::Failed(error.into()),
    }
}
