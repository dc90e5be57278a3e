//! Tokens for LiveKit rooms, in the two shapes that LiveKit's own pages ask for them.

mod request;

use super::error::ApiError;
use super::rate::Rate;
use crate::server::App;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use media::Clock;
use media::link::livekit::token::{self, Dispatch, Grant, Keys};
use request::TokenRequest;
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// How long a request may take to arrive.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// What a request may hold: more than all of its fields at their longest.
const REQUEST_BYTES: usize = 64 << 10;

/// What bounds the tokens of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    rate: Arc<Mutex<Rate>>,
    clock: Clock,
}

impl Limits {
    /// So many tokens a minute for each address.
    pub fn per_minute(per_minute: u32) -> Self {
        Self {
            rate: Arc::new(Mutex::new(Rate::per_minute(per_minute))),
            clock: Clock::start(),
        }
    }

    /// The largest body that a request for a token may have.
    pub fn body() -> DefaultBodyLimit {
        DefaultBodyLimit::max(REQUEST_BYTES)
    }

    fn take(&self, address: SocketAddr) -> Result<(), ApiError> {
        // A bucket is changed in one step: a panic elsewhere cannot leave it half changed.
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take(self.clock.now(), address.ip()).map_err(|wait| {
            let seconds = wait.as_millis().div_ceil(1000);
            ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_tokens",
                "this address asked for too many tokens; try again in a moment",
            )
            .retry_after(u16::try_from(seconds).unwrap_or(u16::MAX))
        })
    }
}

/// A token, and what a page must know beside it.
struct Issued {
    room: String,
    identity: String,
    name: String,
    token: String,
}

/// `POST /api/token`: what `TokenSource.endpoint` of LiveKit's pages asks; answers 201 with server and token.
pub async fn token(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(limits): Extension<Limits>,
    request: Request,
) -> Result<Response, ApiError> {
    let issued = issue(&app, &limits, address, request).await?;
    let body = json!({
        "server_url": app.config.livekit.page_url(),
        "participant_token": issued.token,
    });
    Ok(private(StatusCode::CREATED, body))
}

/// `/api/connection-details`: the same in the words of LiveKit's starter kit.
pub async fn connection_details(
    State(app): State<App>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(limits): Extension<Limits>,
    request: Request,
) -> Result<Response, ApiError> {
    let issued = issue(&app, &limits, address, request).await?;
    let name = if issued.name.is_empty() {
        &issued.identity
    } else {
        &issued.name
    };
    let body = json!({
        "serverUrl": app.config.livekit.page_url(),
        "roomName": issued.room,
        "participantName": name,
        "participantToken": issued.token,
    });
    Ok(private(StatusCode::OK, body))
}

/// An answer that no cache keeps: a token is for one person.
fn private(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn issue(
    app: &App,
    limits: &Limits,
    address: SocketAddr,
    request: Request,
) -> Result<Issued, ApiError> {
    let livekit = &app.config.livekit;
    let keys = keys(app)?;
    let body = tokio::time::timeout(REQUEST_WITHIN, Bytes::from_request(request, &()))
        .await
        .map_err(|_| {
            let message = format!("the request did not arrive within {REQUEST_WITHIN:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
        })?
        .map_err(|error| ApiError::new(error.status(), "invalid_body", error.body_text()))?;
    let invalid =
        |why: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_token_request", why);
    let request = TokenRequest::parse(&body).map_err(invalid)?;
    let grant = Grant {
        ttl: Duration::from_secs(livekit.token_seconds),
        ..grant(request, &livekit.agent_name).map_err(invalid)?
    };
    // What is refused costs nothing; the limit is on what is handed out.
    limits.take(address)?;
    let token = token::caller(&keys, &grant).map_err(|error| {
        warn!(%error, "A token could not be signed.");
        let message = "the token could not be signed; the server's log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "token_failed", message)
    })?;
    Ok(Issued {
        room: grant.room,
        identity: grant.identity,
        name: grant.name,
        token: token.expose_secret().to_owned(),
    })
}

fn keys(app: &App) -> Result<Keys, ApiError> {
    let livekit = &app.config.livekit;
    let absent = |code, message| ApiError::new(StatusCode::NOT_FOUND, code, message);
    if !livekit.tokens {
        return Err(absent(
            "tokens_off",
            "this server hands out no tokens (livekit.tokens)",
        ));
    }
    livekit
        .keys()
        .filter(|_| livekit.is_configured())
        .ok_or_else(|| {
            absent(
                "livekit_off",
                "no LiveKit server is set here; set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
            )
        })
}

/// What is granted for a request: names that nobody can guess where it has none, and our agent where it names no other.
fn grant(request: TokenRequest, agent_name: &str) -> Result<Grant, String> {
    let TokenRequest {
        room,
        identity,
        name,
        metadata,
        attributes,
        mut agents,
    } = request;
    if let Some(identity) = &identity
        && identity.starts_with(token::AGENT_IDENTITY_PREFIX)
    {
        return Err(token::TokenError::AgentsIdentity.to_string());
    }
    if !agent_name.is_empty() {
        if agents.is_empty() {
            agents.push(Dispatch::default());
        }
        for agent in agents
            .iter_mut()
            .filter(|agent| agent.agent_name.is_empty())
        {
            agent_name.clone_into(&mut agent.agent_name);
        }
    }
    let unguessable = || uuid::Uuid::new_v4().simple().to_string();
    Ok(Grant {
        room: room.unwrap_or_else(|| format!("parlor-{}", unguessable())),
        identity: identity.unwrap_or_else(|| format!("caller-{}", unguessable())),
        name: name.unwrap_or_default(),
        metadata,
        attributes,
        agents,
        ttl: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(json: &str, agent_name: &str) -> Grant {
        let request = TokenRequest::parse(json.as_bytes()).unwrap();
        grant(request, agent_name).unwrap()
    }

    fn called(agents: &[Dispatch]) -> Vec<(&str, &str)> {
        let mut called = Vec::new();
        for agent in agents {
            called.push((agent.agent_name.as_str(), agent.metadata.as_str()));
        }
        called
    }

    #[test]
    fn who_names_nothing_gets_a_room_and_an_identity_of_their_own() {
        let (one, other) = (granted("", ""), granted("{}", ""));
        assert!(one.room.len() > 32 && one.room != other.room);
        assert!(one.identity.len() > 32 && one.identity != other.identity);
        assert_eq!((one.name.as_str(), one.agents.len()), ("", 0));
    }

    #[test]
    fn our_agent_comes_where_no_other_is_named() {
        let with = |json| granted(json, "parlor").agents;
        assert_eq!(called(&with("")), [("parlor", "")]);
        assert_eq!(
            called(&with(r#"{"room_config":{"agents":[]}}"#)),
            [("parlor", "")]
        );
        // A page that has something to tell the agent but does not know its name.
        assert_eq!(
            called(&with(r#"{"room_config":{"agents":[{"metadata":"m"}]}}"#)),
            [("parlor", "m")]
        );
        assert_eq!(
            called(&with(
                r#"{"room_config":{"agents":[{"agent_name":"other"}]}}"#
            )),
            [("other", "")]
        );
    }

    #[test]
    fn no_person_is_called_like_an_agent() {
        let request = TokenRequest::parse(br#"{"participant_identity":"agent-1"}"#).unwrap();
        assert!(grant(request, "").unwrap_err().contains("agent-"));
    }
}
