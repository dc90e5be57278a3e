//! Access tokens: who may join which room, and do what there.

use livekit_token::{AccessToken, Claims, VideoGrants};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How the identity of an agent begins, as LiveKit's own server names them; no person may be called so.
pub const AGENT_IDENTITY_PREFIX: &str = "agent-";
/// What a person may publish: a voice, and neither a camera nor a screen.
const CALLER_SOURCES: [&str; 1] = ["microphone"];
/// The longest that a token may be good for. Who needs longer asks for another.
pub const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The key to a LiveKit server's API, which signs tokens.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Its name; it is in every token.
    pub api_key: String,
    /// What signs. It is a secret.
    pub api_secret: SecretString,
}

/// What a person gets a token for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The only room that they may join; it need not be there yet.
    pub room: String,
    /// What the room knows them by; unique in it.
    pub identity: String,
    /// What they want to be called; may be empty.
    pub name: String,
    /// What the page tells about them, in its own words; may be empty.
    pub metadata: String,
    /// The same by key.
    pub attributes: BTreeMap<String, String>,
    /// The agents that are to come when the room is made.
    pub agents: Vec<Dispatch>,
    /// How long the token is good for joining, at most [`LONGEST_TTL`]. Who has joined stays.
    pub ttl: Duration,
}

/// An agent that is to come into a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dispatch {
    /// The name under which its workers are registered; empty for those without one.
    pub agent_name: String,
    /// What it is told; may be empty.
    pub metadata: String,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The key or its secret is empty.
    #[error(
        "a token needs a LiveKit API key and its secret; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
    )]
    NoKeys,
    /// A token lets one person into one room.
    #[error("a token needs a room and an identity")]
    Nobody,
    /// The identity is an agent's.
    #[error(
        "an identity that begins with \"{AGENT_IDENTITY_PREFIX}\" is an agent's; choose another"
    )]
    AgentsIdentity,
    /// The token could not be written.
    #[error("the token could not be signed")]
    Unsigned,
}

/// A token for a person: joins one room, speaks, hears, and tells about itself.
///
/// # Errors
/// [`TokenError`] when keys, room or identity are missing, or the identity is an agent's.
pub fn caller(keys: &Keys, grant: &Grant) -> Result<SecretString, TokenError> {
    if grant.identity.starts_with(AGENT_IDENTITY_PREFIX) {
        return Err(TokenError::AgentsIdentity);
    }
    let grants = VideoGrants {
        can_publish_sources: CALLER_SOURCES.map(str::to_owned).to_vec(),
        ..participant(&grant.room)
    };
    let mut token = token(keys, grant.ttl)
        .with_identity(&grant.identity)
        .with_name(&grant.name)
        .with_metadata(&grant.metadata)
        .with_attributes(grant.attributes.iter())
        .with_grants(grants);
    if !grant.agents.is_empty() {
        let agents = grant.agents.iter().map(Dispatch::to_protocol).collect();
        token = token.with_room_config(livekit_protocol::RoomConfiguration {
            agents,
            ..Default::default()
        });
    }
    sign(keys, token)
}

/// A token for the agent itself, whom everybody in the room sees as one.
///
/// # Errors
/// [`TokenError`] when keys, room or identity are missing.
pub fn agent(
    keys: &Keys,
    room: &str,
    identity: &str,
    name: &str,
    ttl: Duration,
) -> Result<SecretString, TokenError> {
    let grants = VideoGrants {
        agent: true,
        ..participant(room)
    };
    let token = token(keys, ttl)
        .with_identity(identity)
        .with_name(name)
        .with_kind("agent")
        .with_grants(grants);
    sign(keys, token)
}

/// A token for the worker's own connection, over which it is given rooms.
///
/// # Errors
/// [`TokenError::NoKeys`] when the keys are missing.
pub fn worker(keys: &Keys, ttl: Duration) -> Result<SecretString, TokenError> {
    let grants = VideoGrants {
        agent: true,
        ..VideoGrants::default()
    };
    sign(keys, token(keys, ttl).with_grants(grants))
}

/// A token with authority over a room: lists, mutes and removes its people, asks agents into it, ends it.
///
/// # Errors
/// [`TokenError::NoKeys`] when the keys are missing.
pub fn administrator(keys: &Keys, room: &str, ttl: Duration) -> Result<SecretString, TokenError> {
    let grants = VideoGrants {
        room_admin: true,
        room_create: true,
        room: room.to_owned(),
        ..VideoGrants::default()
    };
    sign(keys, token(keys, ttl).with_grants(grants))
}

/// A token that may list rooms and nothing else: it shows whether a server accepts the keys.
///
/// # Errors
/// [`TokenError::NoKeys`] when the keys are missing.
pub fn rooms(keys: &Keys, ttl: Duration) -> Result<SecretString, TokenError> {
    let grants = VideoGrants {
        room_list: true,
        ..VideoGrants::default()
    };
    sign(keys, token(keys, ttl).with_grants(grants))
}

/// When a token is no longer good for joining, as it says itself; its signature is not checked.
pub fn expires_at(token: &str) -> Option<SystemTime> {
    let claims = Claims::from_unverified(token).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(claims.exp).ok()?))
}

/// What everybody in a room may do, said outright: a grant that is missing is the server's to guess.
fn participant(room: &str) -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: room.to_owned(),
        can_publish: Some(true),
        can_subscribe: Some(true),
        can_publish_data: Some(true),
        can_update_own_metadata: Some(true),
        ..VideoGrants::default()
    }
}

fn token(keys: &Keys, ttl: Duration) -> AccessToken {
    AccessToken::with_api_key(&keys.api_key, keys.api_secret.expose_secret())
        .with_ttl(ttl.min(LONGEST_TTL))
}

fn sign(keys: &Keys, token: AccessToken) -> Result<SecretString, TokenError> {
    if keys.api_key.is_empty() || keys.api_secret.expose_secret().is_empty() {
        return Err(TokenError::NoKeys);
    }
    // What the library says is not passed on: nobody promises that it quotes nothing.
    match token.to_jwt() {
        Ok(token) => Ok(SecretString::from(token)),
        Err(livekit_token::AccessTokenError::InvalidClaims(_)) => Err(TokenError::Nobody),
        Err(_) => Err(TokenError::Unsigned),
    }
}

impl Dispatch {
    fn to_protocol(&self) -> livekit_protocol::RoomAgentDispatch {
        livekit_protocol::RoomAgentDispatch {
            agent_name: self.agent_name.clone(),
            metadata: self.metadata.clone(),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_token::TokenVerifier;

    const TTL: Duration = Duration::from_secs(600);

    fn keys() -> Keys {
        Keys {
            api_key: "devkey".into(),
            api_secret: "very-secret-and-long-enough-for-hmac".to_owned().into(),
        }
    }

    fn claims(token: &SecretString) -> Claims {
        TokenVerifier::with_api_key("devkey", "very-secret-and-long-enough-for-hmac")
            .verify(token.expose_secret())
            .unwrap()
    }

    fn grant() -> Grant {
        Grant {
            room: "kitchen".into(),
            identity: "ada".into(),
            name: "Ada".into(),
            metadata: "likes tea".into(),
            attributes: BTreeMap::from([("language".into(), "en".into())]),
            agents: vec![Dispatch {
                agent_name: "parlor".into(),
                metadata: "{}".into(),
            }],
            ttl: TTL,
        }
    }

    #[test]
    fn a_caller_may_speak_in_one_room_and_no_more() {
        let claims = claims(&caller(&keys(), &grant()).unwrap());
        assert_eq!(
            claims.video,
            VideoGrants {
                room_join: true,
                room: "kitchen".into(),
                can_publish: Some(true),
                can_subscribe: Some(true),
                can_publish_data: Some(true),
                can_update_own_metadata: Some(true),
                can_publish_sources: vec!["microphone".into()],
                ..VideoGrants::default()
            }
        );
        assert_eq!((claims.sub.as_str(), claims.name.as_str()), ("ada", "Ada"));
        assert_eq!(
            (claims.kind.as_str(), claims.metadata.as_str()),
            ("", "likes tea")
        );
        assert_eq!(claims.attributes["language"], "en");
        let agents = claims.room_config.unwrap().agents;
        assert_eq!(agents.len(), 1);
        assert_eq!(
            (agents[0].agent_name.as_str(), agents[0].metadata.as_str()),
            ("parlor", "{}")
        );
        assert_eq!(claims.exp - claims.nbf, 600);
    }

    #[test]
    fn a_token_without_agents_says_nothing_about_the_room() {
        let grant = Grant {
            agents: Vec::new(),
            ..grant()
        };
        assert_eq!(claims(&caller(&keys(), &grant).unwrap()).room_config, None);
    }

    #[test]
    fn an_agent_is_one_for_the_server_and_for_the_people() {
        let claims = claims(&agent(&keys(), "kitchen", "agent-1", "parlor", TTL).unwrap());
        assert_eq!(claims.kind, "agent");
        assert!(claims.video.agent && claims.video.room_join);
        assert_eq!(claims.video.room, "kitchen");
        assert_eq!(claims.video.can_publish_sources, Vec::<String>::new());
        assert!(!claims.video.room_admin && !claims.video.hidden);
    }

    #[test]
    fn a_worker_joins_no_room() {
        let claims = claims(&worker(&keys(), TTL).unwrap());
        let only_agent = VideoGrants {
            agent: true,
            ..VideoGrants::default()
        };
        assert_eq!(claims.video, only_agent);
    }

    #[test]
    fn an_administrator_has_one_room_and_joins_none() {
        let claims = claims(&administrator(&keys(), "kitchen", TTL).unwrap());
        let only_authority = VideoGrants {
            room_admin: true,
            room_create: true,
            room: "kitchen".into(),
            ..VideoGrants::default()
        };
        assert_eq!(claims.video, only_authority);
    }

    #[test]
    fn nobody_gets_a_token_without_keys_room_and_identity_of_their_own() {
        let with = |identity: &str, room: &str| Grant {
            room: room.into(),
            identity: identity.into(),
            ..grant()
        };
        let refused = |grant| caller(&keys(), &grant).unwrap_err();
        assert_eq!(refused(with("", "kitchen")), TokenError::Nobody);
        assert_eq!(refused(with("ada", "")), TokenError::Nobody);
        assert_eq!(
            refused(with("agent-7", "kitchen")),
            TokenError::AgentsIdentity
        );
        let none = Keys {
            api_key: "devkey".into(),
            api_secret: String::new().into(),
        };
        assert_eq!(caller(&none, &grant()).unwrap_err(), TokenError::NoKeys);
        assert!(!format!("{:?}", keys()).contains("very-secret"));
    }

    #[test]
    fn a_token_says_when_it_ends() {
        let before = SystemTime::now();
        let token = worker(&keys(), TTL).unwrap();
        let end = expires_at(token.expose_secret()).unwrap();
        let left = end.duration_since(before).unwrap();
        assert!((TTL.as_secs() - 1..=TTL.as_secs() + 60).contains(&left.as_secs()));
        assert_eq!(expires_at("no.token.atall"), None);
        let long = worker(&keys(), Duration::MAX).unwrap();
        assert!(expires_at(long.expose_secret()).unwrap() <= SystemTime::now() + LONGEST_TTL);
    }
}
