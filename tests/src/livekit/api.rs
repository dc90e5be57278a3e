//! The server's API, as Twirp speaks it: JSON in a POST.

use super::{ASKED_EVERY, LiveKitServer, TTL};
use crate::PATIENCE;
use base64::Engine as _;
use media::link::livekit::token;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// What the server answered instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// Twirp's word for it, like `not_found`.
    pub code: String,
}

impl LiveKitServer {
    /// Calls a method with authority over `room`.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn twirp(
        &self,
        service: &str,
        method: &str,
        room: &str,
        body: Value,
    ) -> Result<Value, Refused> {
        let token = token::administrator(&self.keys, room, TTL).expect("there are keys");
        let address = self.signal_address();
        let response = self
            .http
            .post(format!("http://{address}/twirp/livekit.{service}/{method}"))
            .bearer_auth(token.expose_secret())
            .json(&body)
            .send()
            .await
            .expect("the LiveKit server answers");
        let status = response.status();
        let answer: Value = response.json().await.expect("JSON");
        if status.is_success() {
            return Ok(answer);
        }
        Err(Refused {
            status: status.as_u16(),
            code: answer["code"].as_str().unwrap_or_default().into(),
        })
    }

    async fn room_service(&self, method: &str, room: &str, body: Value) -> Value {
        self.twirp("RoomService", method, room, body)
            .await
            .unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    /// Who is in a room, as `livekit.ParticipantInfo`; nobody where there is no room.
    pub async fn list_participants(&self, room: &str) -> Vec<Value> {
        let body = json!({ "room": room });
        match self
            .twirp("RoomService", "ListParticipants", room, body)
            .await
        {
            Ok(answer) => answer["participants"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            Err(refused) if refused.code == "not_found" => Vec::new(),
            Err(refused) => panic!("ListParticipants: {refused:?}"),
        }
    }

    /// Waits until the people in a room fit, and answers them.
    ///
    /// # Panics
    /// When they never do.
    pub async fn until_participants(
        &self,
        room: &str,
        fit: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let mut last = Vec::new();
        let waiting = async {
            loop {
                last = self.list_participants(room).await;
                if fit(&last) {
                    return;
                }
                tokio::time::sleep(ASKED_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("the people of {room} never fit: {last:?}");
        }
        last
    }

    /// Asks an agent into a room, which need not be there yet.
    pub async fn create_dispatch(&self, room: &str, agent_name: &str, metadata: &str) -> Value {
        let body = json!({ "room": room, "agent_name": agent_name, "metadata": metadata });
        self.twirp("AgentDispatchService", "CreateDispatch", room, body)
            .await
            .unwrap_or_else(|refused| panic!("CreateDispatch: {refused:?}"))
    }

    /// Takes somebody out of a room.
    pub async fn remove_participant(&self, room: &str, identity: &str) {
        let body = json!({ "room": room, "identity": identity });
        self.room_service("RemoveParticipant", room, body).await;
    }

    /// Ends a room.
    pub async fn delete_room(&self, room: &str) {
        let body = json!({ "room": room });
        self.room_service("DeleteRoom", room, body).await;
    }

    /// Sends a message to everybody in a room, reliably.
    pub async fn send_data(&self, room: &str, topic: &str, data: &[u8]) {
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        let body = json!({ "room": room, "topic": topic, "data": data, "kind": "RELIABLE" });
        self.room_service("SendData", room, body).await;
    }

    /// Mutes somebody's track; a server does not unmute.
    pub async fn mute_published_track(&self, room: &str, identity: &str, track: &str) {
        let body = json!({ "room": room, "identity": identity, "track_sid": track, "muted": true });
        self.room_service("MutePublishedTrack", room, body).await;
    }

    /// Sets some of somebody's attributes.
    pub async fn update_participant(&self, room: &str, identity: &str, attributes: Value) {
        let body = json!({ "room": room, "identity": identity, "attributes": attributes });
        self.room_service("UpdateParticipant", room, body).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::LiveKitOptions;
    use super::*;

    #[tokio::test]
    async fn two_servers_start_side_by_side_and_one_again_where_it_was() {
        let both = tokio::join!(
            LiveKitServer::start(LiveKitOptions::default()),
            LiveKitServer::start(LiveKitOptions::default())
        );
        let (Some(mut one), Some(other)) = both else {
            return;
        };
        assert_ne!(one.signal_address(), other.signal_address());
        assert_ne!(one.media_address(), other.media_address());
        let url = one.url();
        one.stop();
        let answer = one.http.get(url.replace("ws:", "http:")).send().await;
        assert!(answer.is_err(), "a server that was ended does not answer");
        one.start_again().await;
        assert_eq!(one.url(), url);
        assert_eq!(one.list_participants("kitchen").await, Vec::<Value>::new());
    }

    #[tokio::test]
    async fn the_api_obeys_those_with_authority() {
        let Some(server) = LiveKitServer::start(LiveKitOptions::default()).await else {
            return;
        };
        let dispatch = server.create_dispatch("kitchen", "cook", "{}").await;
        assert_eq!(dispatch["agent_name"], "cook");
        assert_eq!(dispatch["room"], "kitchen");
        server.delete_room("kitchen").await;
        let body = json!({ "room": "kitchen", "identity": "ada" });
        let refused = server
            .twirp("RoomService", "RemoveParticipant", "kitchen", body.clone())
            .await
            .unwrap_err();
        assert_eq!(refused.code, "not_found");
        // The authority is over one room.
        let refused = server
            .twirp("RoomService", "RemoveParticipant", "cellar", body)
            .await
            .unwrap_err();
        assert_eq!(refused.status, 401);
    }
}
