//! What a page asks a token for, within bounds.

use media::link::livekit::token::Dispatch;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest name of a room, a person or an agent, in letters.
const NAME_LETTERS: usize = 128;
/// All metadata and attributes together. A token travels in an address, many servers take none that is longer than 8 KiB,
/// and base 64 makes four bytes of three.
const TOLD_BYTES: usize = 4096;
/// Agents that may be called into one room.
const AGENTS: usize = 4;

/// A request for a token that keeps the bounds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TokenRequest {
    pub room: Option<String>,
    pub identity: Option<String>,
    pub name: Option<String>,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
    pub agents: Vec<Dispatch>,
}

/// The request as it came. LiveKit's pages write its fields in either of the ways in which protobuf may be JSON, and leave
/// out or write as `null` what they have not. What else may stand there has no say in what is granted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    #[serde(alias = "roomName")]
    room_name: Option<String>,
    #[serde(alias = "participantName")]
    participant_name: Option<String>,
    #[serde(alias = "participantIdentity")]
    participant_identity: Option<String>,
    #[serde(alias = "participantMetadata")]
    participant_metadata: Option<String>,
    #[serde(alias = "participantAttributes")]
    participant_attributes: Option<BTreeMap<String, String>>,
    #[serde(alias = "roomConfig")]
    room_config: Option<RoomConfig>,
}

/// Of a room's configuration only the agents are a caller's to choose: others would record it, or keep it open.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoomConfig {
    agents: Option<Vec<Agent>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Agent {
    #[serde(alias = "agentName")]
    agent_name: Option<String>,
    metadata: Option<String>,
}

impl TokenRequest {
    /// Reads a request's body; an empty one asks for nothing in particular. The error is a sentence for who asked.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let given = if body.trim_ascii().is_empty() {
            Given::default()
        } else {
            serde_json::from_slice(body)
                .map_err(|error| format!("the request is wrong: {error}"))?
        };
        let agents = given
            .room_config
            .and_then(|config| config.agents)
            .unwrap_or_default();
        if agents.len() > AGENTS {
            return Err(format!("at most {AGENTS} agents may be called into a room"));
        }
        let agents: Result<_, String> = agents
            .into_iter()
            .map(|agent| {
                Ok(Dispatch {
                    agent_name: name("agent_name", agent.agent_name)?.unwrap_or_default(),
                    metadata: agent.metadata.unwrap_or_default(),
                })
            })
            .collect();
        let asked = Self {
            room: name("room_name", given.room_name)?,
            identity: name("participant_identity", given.participant_identity)?,
            name: name("participant_name", given.participant_name)?,
            metadata: given.participant_metadata.unwrap_or_default(),
            attributes: given.participant_attributes.unwrap_or_default(),
            agents: agents?,
        };
        if asked.told_bytes() > TOLD_BYTES {
            return Err(format!(
                "metadata and participant_attributes must have at most {TOLD_BYTES} bytes together"
            ));
        }
        Ok(asked)
    }

    fn told_bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        let agents = self.agents.iter().map(|agent| agent.metadata.len());
        self.metadata.len()
            + attributes
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>()
            + agents.sum::<usize>()
    }
}

/// A name, if there is one: protobuf writes one that is not set as an empty text.
fn name(field: &str, given: Option<String>) -> Result<Option<String>, String> {
    let Some(name) = given.filter(|name| !name.trim().is_empty()) else {
        return Ok(None);
    };
    if name.chars().count() > NAME_LETTERS {
        return Err(format!("{field} must have at most {NAME_LETTERS} letters"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{field} must not have control characters"));
    }
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(request: &Value) -> Result<TokenRequest, String> {
        TokenRequest::parse(request.to_string().as_bytes())
    }

    #[test]
    fn both_ways_of_writing_protobuf_as_json_mean_the_same() {
        let snake = json!({
            "room_name": "kitchen",
            "participant_name": "Ada",
            "participant_identity": "ada",
            "participant_metadata": "m",
            "participant_attributes": {"a": "b"},
            "room_config": {"agents": [{"agent_name": "parlor", "metadata": "n"}], "empty_timeout": 3},
        });
        let camel = json!({
            "roomName": "kitchen",
            "participantName": "Ada",
            "participantIdentity": "ada",
            "participantMetadata": "m",
            "participantAttributes": {"a": "b"},
            "roomConfig": {"agents": [{"agentName": "parlor", "metadata": "n"}]},
            "somethingNew": true,
        });
        let asked = parse(&snake).unwrap();
        assert_eq!(asked, parse(&camel).unwrap());
        assert_eq!(asked.room.as_deref(), Some("kitchen"));
        assert_eq!(asked.agents[0].agent_name, "parlor");
    }

    #[test]
    fn nothing_null_and_empty_are_all_not_given() {
        let nulls = json!({
            "room_name": null, "participant_identity": " ", "participant_name": "",
            "participant_metadata": null, "participant_attributes": null, "room_config": null,
        });
        for request in [b"".to_vec(), b"{}".to_vec(), nulls.to_string().into_bytes()] {
            assert_eq!(
                TokenRequest::parse(&request).unwrap(),
                TokenRequest::default()
            );
        }
        assert_eq!(
            parse(&json!({"room_config": {"agents": null}})).unwrap(),
            TokenRequest::default()
        );
    }

    #[test]
    fn what_is_too_long_or_of_the_wrong_kind_is_named() {
        let longest = "ä".repeat(NAME_LETTERS);
        assert!(parse(&json!({"room_name": longest})).is_ok());
        let long = "a".repeat(TOLD_BYTES + 1);
        let half = "a".repeat(TOLD_BYTES / 2);
        let agent = json!({"agent_name": "x"});
        for (request, named) in [
            (json!({"room_name": format!("{longest}b")}), "room_name"),
            (
                json!({"participant_identity": "a\nb"}),
                "participant_identity",
            ),
            (json!({"participant_metadata": long}), "4096 bytes"),
            (json!({"participant_attributes": {"a": long}}), "4096 bytes"),
            (
                json!({"room_config": {"agents": [{"metadata": long}]}}),
                "4096 bytes",
            ),
            (
                json!({"participant_metadata": half, "participant_attributes": {"a": half}}),
                "together",
            ),
            (
                json!({"room_config": {"agents": vec![agent; AGENTS + 1]}}),
                "4 agents",
            ),
            (json!({"room_name": 7}), "string"),
            (json!("kitchen"), "wrong"),
        ] {
            let why = parse(&request).unwrap_err();
            assert!(why.contains(named), "{named}: {why}");
        }
        assert!(TokenRequest::parse(b"{").is_err());
    }
}
