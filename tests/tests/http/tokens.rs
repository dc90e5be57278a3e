//! Tokens for LiveKit rooms, as LiveKit's own pages ask for them, and the list of calls.

use super::code;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use e2e::{TestServer, config};
use parlor::config::Config;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const TOKEN: &str = "/api/token";
const DETAILS: &str = "/api/connection-details";
const SESSIONS: &str = "/api/v1/sessions";

fn with_livekit() -> Config {
    let mut config = config();
    config.livekit.url = "ws://127.0.0.1:7880".into();
    config.livekit.api_key = "devkey".into();
    config.livekit.api_secret = Some("a secret that nobody else has".to_owned().into());
    // No server is there to give this one rooms.
    config.livekit.dispatch = false;
    config
}

fn asking(server: &TestServer, path: &str, request: &Value) -> RequestBuilder {
    Client::new().post(server.url(path)).json(request)
}

async fn ask(server: &TestServer, path: &str, request: &Value) -> Response {
    asking(server, path, request).send().await.unwrap()
}

async fn get(server: &TestServer, path: &str) -> Response {
    Client::new().get(server.url(path)).send().await.unwrap()
}

/// What a token says. Whether its signature is right is the business of those who accept it.
fn claims(token: &Value) -> Value {
    let mut parts = token.as_str().unwrap().split('.');
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(parts.nth(1).unwrap())
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_source_gets_a_token_for_what_it_asks_and_no_more() {
    let mut config = with_livekit();
    config.livekit.public_url = "wss://rooms.example".into();
    config.livekit.agent_name = "parlor".into();
    config.livekit.token_seconds = 300;
    let server = TestServer::start(config).await;
    // As livekit-client writes it, with a wish for more in it.
    let request = json!({
        "room_name": "kitchen",
        "participant_name": "Ada",
        "participant_identity": "ada",
        "participant_metadata": "m",
        "participant_attributes": {"language": "en"},
        "room_config": {"agents": [{"metadata": "n"}], "egress": {"room": {}}},
        "video": {"roomAdmin": true},
    });
    let response = ask(&server, TOKEN, &request).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["server_url"], "wss://rooms.example");
    let claims = claims(&body["participant_token"]);
    assert_eq!(
        claims["video"],
        json!({
            "roomJoin": true, "room": "kitchen", "canPublish": true, "canSubscribe": true, "canPublishData": true,
            "canPublishSources": ["microphone"], "canUpdateOwnMetadata": true,
        })
    );
    assert_eq!(
        (&claims["sub"], &claims["name"]),
        (&"ada".into(), &"Ada".into())
    );
    assert_eq!(claims["iss"], "devkey");
    assert_eq!(claims["metadata"], "m");
    assert_eq!(claims["attributes"], json!({"language": "en"}));
    assert!(claims.get("kind").is_none(), "{claims}");
    assert_eq!(
        claims["roomConfig"],
        json!({"agents": [{"agentName": "parlor", "metadata": "n"}]})
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = claims["exp"].as_u64().unwrap() - now.as_secs();
    assert!((200..=300).contains(&left), "{left}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_starter_kit_gets_a_room_of_its_own_each_time() {
    let server = TestServer::start(with_livekit()).await;
    let mut rooms = Vec::new();
    let request = json!({"room_config": {"agents": [{"agent_name": "other"}]}});
    for response in [
        ask(&server, DETAILS, &request).await,
        ask(&server, DETAILS, &json!({})).await,
        Client::new()
            .post(server.url(DETAILS))
            .send()
            .await
            .unwrap(),
        get(&server, DETAILS).await,
    ] {
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["serverUrl"], "ws://127.0.0.1:7880");
        let claims = claims(&body["participantToken"]);
        assert_eq!(claims["video"]["room"], body["roomName"]);
        assert_eq!(claims["sub"], body["participantName"]);
        rooms.push((body["roomName"].clone(), claims["sub"].clone()));
        if rooms.len() == 1 {
            let agents = &claims["roomConfig"]["agents"];
            assert_eq!(agents[0]["agentName"], "other");
        } else {
            assert!(claims.get("roomConfig").is_none(), "{claims}");
        }
    }
    rooms.sort_by_key(|(room, _)| room.to_string());
    rooms.dedup_by(|a, b| a.0 == b.0 || a.1 == b.1);
    assert_eq!(rooms.len(), 4);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_tokens_only_where_livekit_is_set_and_the_page_is_told() {
    let told = async |config: Config| {
        let server = TestServer::start(config).await;
        let info: Value = get(&server, "/api/v1/info").await.json().await.unwrap();
        let page = get(&server, "/").await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(
            policy.contains(" https://rooms.example;"),
            info["livekit"].is_object()
        );
        let refused = ask(&server, TOKEN, &json!({})).await;
        let answer = match refused.status().as_u16() {
            404 => Some(code(refused).await),
            201 => None,
            status => panic!("{status}"),
        };
        server.stop().await;
        (info["livekit"].clone(), answer)
    };
    let plain = config();
    assert_eq!(told(plain).await, (Value::Null, Some("livekit_off".into())));
    let mut off = with_livekit();
    off.livekit.tokens = false;
    assert_eq!(told(off).await, (Value::Null, Some("tokens_off".into())));
    let mut on = with_livekit();
    on.livekit.public_url = "wss://rooms.example".into();
    let told = told(on).await;
    assert_eq!(told.0["url"], "wss://rooms.example");
    assert_eq!(told.1, None);
    assert!(!told.0.to_string().contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_for_those_who_may_ask_and_ask_rightly() {
    let mut config = with_livekit();
    config.server.api_key = Some("correct horse".to_owned().into());
    // Those who are refused use none of them up.
    config.livekit.tokens_per_minute = 1;
    let server = TestServer::start(config).await;
    let refused = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), code(response).await)
    };
    let because = |status, code: &str| (status, code.to_owned());
    for path in [TOKEN, DETAILS] {
        assert_eq!(
            refused(asking(&server, path, &json!({}))).await,
            because(401, "invalid_api_key")
        );
        let foreign = asking(&server, path, &json!({})).header("Origin", "https://evil.example");
        assert_eq!(
            refused(foreign.bearer_auth("correct horse")).await,
            because(403, "origin_not_allowed")
        );
        for wrong in [
            json!({"room_name": "a".repeat(129)}),
            json!({"participant_identity": "agent-7"}),
            json!({"participant_metadata": "a".repeat(5000)}),
            json!({"participant_attributes": {"a": 1}}),
        ] {
            let request = asking(&server, path, &wrong).bearer_auth("correct horse");
            assert_eq!(
                refused(request).await,
                because(400, "invalid_token_request"),
                "{wrong}"
            );
        }
        let huge = json!({"participant_metadata": "a".repeat(70_000)});
        let huge = asking(&server, path, &huge).bearer_auth("correct horse");
        assert_eq!(refused(huge).await, because(413, "invalid_body"));
    }
    let right = || asking(&server, TOKEN, &json!({})).bearer_auth("correct horse");
    assert_eq!(right().send().await.unwrap().status(), 201);
    let refused = right().send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds = refused.headers()["retry-after"].to_str().unwrap();
    assert!((1..=60).contains(&seconds.parse::<u64>().unwrap()));
    assert_eq!(code(refused).await, "too_many_tokens");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_are_listed_and_can_be_ended() {
    let server = TestServer::start(config()).await;
    let listed = async || {
        let list: Value = get(&server, SESSIONS).await.json().await.unwrap();
        assert_eq!(list["max"], server.app.sessions.max());
        list["sessions"].as_array().unwrap().clone()
    };
    assert!(listed().await.is_empty());
    let mut caller = server.call("/ws").await;
    let start = caller.until_type("session_start").await;
    let sessions = listed().await;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["id"], start["session_id"]);
    assert_eq!(sessions[0]["transport"], "websocket");
    assert_eq!(sessions[0]["room"], Value::Null);
    assert_eq!(sessions[0]["ending"], false);
    assert!(sessions[0]["age_seconds"].is_u64());
    let one = format!("{SESSIONS}/{}", start["session_id"].as_str().unwrap());
    assert_eq!(super::delete(&server, &one).await, 204);
    let end = caller.until_type("session_end").await;
    assert_eq!(end["reason"], "hung-up");
    assert_eq!(caller.until_closed().await, Some(1000));
    assert_eq!(super::delete(&server, &one).await, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_calls_is_not_for_everybody() {
    let mut config = config();
    config.server.api_key = Some("correct horse".to_owned().into());
    let server = TestServer::start(config).await;
    assert_eq!(code(get(&server, SESSIONS).await).await, "invalid_api_key");
    let nobody = format!("{SESSIONS}/nobody");
    assert_eq!(super::delete(&server, &nobody).await, 401);
    server.stop().await;
}
