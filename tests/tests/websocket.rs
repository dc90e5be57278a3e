//! Whole calls over a WebSocket: the contract, bad input, and interruption.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use base64::Engine as _;
use e2e::{Came, TestServer, config, speech};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const FRAME_BYTES: usize = 1920;

fn pcm(message: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(message["pcm"].as_str().unwrap())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_client_gets_what_the_contract_says_and_nothing_else() {
    let server = TestServer::start(config()).await;
    for path in ["/", "/ws"] {
        let mut caller = server.call(path).await;
        let Came::Json(start) = caller.next().await else {
            panic!("the first message is JSON")
        };
        assert_eq!(start["type"], "session_start");
        assert_eq!(start.as_object().unwrap().len(), 2);
        // 500 ms a chunk: 25 frames of mock voice, exactly.
        caller.send(r#"{"type":"text","text":"Hello."}"#).await;
        let mut silent = 0;
        for sequence in 1..=25 {
            let Came::Json(audio) = caller.next().await else {
                panic!("audio is JSON unless binary=1")
            };
            assert_eq!(audio["type"], "audio", "{audio}");
            assert_eq!(audio["sequence"], sequence);
            assert_eq!(
                (&audio["sample_rate"], &audio["frame_ms"]),
                (&json!(48_000), &json!(20))
            );
            assert_eq!(pcm(&audio).len(), FRAME_BYTES);
            silent += usize::from(pcm(&audio).iter().all(|byte| *byte == 0));
        }
        assert!(silent <= 1);
        // The sequence never restarts.
        caller.send(r#"{"type":"text","text":"Again."}"#).await;
        let next = caller.until_type("audio").await;
        assert_eq!(next["sequence"], 26);
        caller.send(r#"{"type":"hangup"}"#).await;
        let end = caller.until_type("session_end").await;
        assert_eq!(end["session_id"], start["session_id"]);
        assert_eq!(end["reason"], "completed");
        assert_eq!(caller.until_closed().await, Some(1000));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_resume_and_stop_act_on_what_is_spoken() {
    let server = TestServer::start(config()).await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller
        .send(json!({"type": "text", "text": "a long text ".repeat(20)}).to_string())
        .await;
    caller.until_state("Speaking/playing").await;
    caller.send(r#"{"type":"control","command":"PAUSE"}"#).await;
    caller.until_state("BargedIn").await;
    caller
        .send(r#"{"type":"control","command":"RESUME"}"#)
        .await;
    caller.until_state("Speaking/playing").await;
    caller.send(r#"{"type":"control","command":"STOP"}"#).await;
    caller.until_state("WaitingForInput").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_text_is_spoken_as_it_comes_and_stop_forgets_the_rest() {
    let server = TestServer::start(config()).await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    let piece = |text: &str| json!({"type": "text", "text": text, "is_final": false}).to_string();
    caller.send(piece("Hello to every")).await;
    caller
        .send(piece("one here. How do you do? And what"))
        .await;
    // Its end has not come, and never will.
    caller.until_state("Speaking/playing").await;
    let heard = caller.until_agent_said().await;
    assert_eq!(heard["text"], "Hello to everyone here. How do you do?");
    caller.send(r#"{"type":"control","command":"STOP"}"#).await;
    caller
        .send(json!({"type": "text", "text": "Good night."}).to_string())
        .await;
    assert_eq!(caller.until_agent_said().await["text"], "Good night.");
    // Pieces, a blank between them, and the end in a message of its own.
    for text in ["One thing", " ", "more"] {
        caller.send(piece(text)).await;
    }
    caller
        .send(json!({"type": "text", "text": " "}).to_string())
        .await;
    assert_eq!(caller.until_agent_said().await["text"], "One thing more");
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_speech_worker_is_said_to_be_one() {
    let mut config = config();
    config.tts.max_sessions = Some(1);
    let server = TestServer::start(config).await;
    let mut first = server.call("/ws?events=1&binary=1").await;
    first
        .send(r#"{"type":"ask","text":"tell me a long story"}"#)
        .await;
    first.until_state("Speaking/playing").await;
    let mut second = server.call("/ws?events=1&binary=1").await;
    second
        .send(r#"{"type":"ask","text":"what time is it"}"#)
        .await;
    let error = second.until_type("error").await;
    assert_eq!(error["code"], "WORKER_UNAVAILABLE", "{error}");
    second.until_state("WaitingForInput").await;
    drop((first, second));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_chat_server_is_apologised_for() {
    // It takes the question and says nothing.
    let chat = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.responder.kind = parlor::config::ResponderKind::OpenAi;
    config.responder.base_url = format!("http://{}/v1", chat.local_addr().unwrap());
    config.responder.model = "mute".into();
    config.turn.prepare_timeout_ms = 300;
    let server = TestServer::start(config).await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller
        .send(r#"{"type":"ask","text":"are you there"}"#)
        .await;
    caller.until_state("Speaking/preparing").await;
    let error = caller.until_type("error").await;
    assert_eq!(error["code"], "INTERNAL_ERROR", "{error}");
    let said = caller.until_agent_said().await;
    assert!(
        said["text"].as_str().unwrap().starts_with("Sorry"),
        "{said}"
    );
    caller.until_state("WaitingForInput").await;
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_stops_sending_in_mid_speech_is_answered() {
    let server = TestServer::start(config()).await;
    let question = speech::say("tell me a long story").await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller.until_state("WaitingForInput").await;
    for frame in question.iter().take(50) {
        caller.send_bytes(frame.to_le_bytes()).await;
    }
    // Not a sample more.
    let heard = caller
        .until(|v| v["type"] == "transcript" && v["role"] == "user" && v["is_final"] == true)
        .await;
    assert_eq!(heard["text"], "tell me a long story");
    caller.until_state("Speaking/playing").await;
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_mid_speech_makes_a_turn_of_what_was_said() {
    let mut config = config();
    // A turn that waited for the end of speech would be given up.
    config.vad.min_silence_duration_ms = 10_000;
    let server = TestServer::start(config).await;
    let question = speech::say("tell me a long story").await;
    let mut caller = server.call("/ws?events=1&binary=1&mode=manual").await;
    caller.until_state("WaitingForInput").await;
    caller.speak_until(&question, "Listening").await;
    caller.send(r#"{"type":"commit"}"#).await;
    let heard = caller
        .until(|v| v["type"] == "transcript" && v["role"] == "user" && v["is_final"] == true)
        .await;
    assert_eq!(heard["text"], "tell me a long story");
    caller.until_state("Speaking/playing").await;
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_get_an_error_and_the_call_goes_on() {
    let server = TestServer::start(config()).await;
    let mut other = server.call("/ws").await;
    other.until_type("session_start").await;
    let mut caller = server.call("/ws").await;
    caller.until_type("session_start").await;
    let long = json!({"type": "text", "text": "x".repeat(100_001)}).to_string();
    let deep = "[".repeat(100_000);
    let odd_audio = json!({"type": "audio", "pcm": "AAAA"}).to_string();
    let bad = [
        "not json",
        "",
        "{}",
        "[]",
        "null",
        "7",
        r#"{"type":null}"#,
        r#"{"type":"dance"}"#,
        r#"{"type":"text"}"#,
        r#"{"type":"text","text":""}"#,
        r#"{"type":"text","text":5}"#,
        r#"{"type":"text","text":" \n "}"#,
        r#"{"type":"text","text":" ","is_final":false}"#,
        r#"{"type":"ask","text":"  \t"}"#,
        r#"{"type":"ask","text":["a"]}"#,
        r#"{"type":"control","command":"JUMP"}"#,
        r#"{"type":"audio"}"#,
        r#"{"type":"audio","pcm":"%%%"}"#,
        r#"{"type":"audio","pcm":"AAA=","sample_rate":3}"#,
        &odd_audio,
        &long,
        &deep,
    ];
    for message in bad {
        caller.send(message).await;
        let error = caller.until_type("error").await;
        assert_eq!(error["code"], "INVALID_MESSAGE", "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    caller.send_bytes(vec![0; 1921]).await;
    assert_eq!(caller.until_type("error").await["code"], "INVALID_MESSAGE");
    // Both calls still speak.
    for call in [&mut caller, &mut other] {
        call.send(r#"{"type":"text","text":"Still here."}"#).await;
        call.until_type("audio").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_limit_closes_with_1009() {
    let server = TestServer::start(config()).await;
    let mut other = server.call("/ws").await;
    let mut caller = server.call("/ws").await;
    caller.until_type("session_start").await;
    // The server may close before it has read all of it.
    let _ = caller
        .socket
        .send(Message::Text("x".repeat(10 << 20).into()))
        .await;
    assert_eq!(caller.until_closed().await, Some(1009));
    other.send(r#"{"type":"text","text":"Still here."}"#).await;
    other.until_type("audio").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_says_so_and_closes_with_1013() {
    let mut config = config();
    config.server.max_sessions = 1;
    let server = TestServer::start(config).await;
    let mut first = server.call("/ws").await;
    first.until_type("session_start").await;
    let mut second = server.call("/ws").await;
    let error = second.until_type("error").await;
    assert_eq!(error["code"], "WORKER_UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().contains("full"));
    assert_eq!(second.until_closed().await, Some(1013));
    first.send(r#"{"type":"hangup"}"#).await;
    first.until_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_query_is_refused_before_the_call() {
    let server = TestServer::start(config()).await;
    for query in [
        "sample_rate=7",
        "sample_rate=many",
        "events=perhaps",
        "mode=sing",
        "voice=nobody",
    ] {
        let url = format!("ws://{}/ws?{query}", server.address);
        match tokio_tungstenite::connect_async(&url).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), 400, "{query}")
            }
            other => panic!("{query}: {other:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speech_is_answered_and_an_interruption_stops_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config();
    config.recorder.directory = directory.path().to_owned();
    let server = TestServer::start(config).await;
    let question = speech::say("tell me a long story").await;
    let interruption = speech::say("stop it now please").await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller.until_state("WaitingForInput").await;
    let seen = caller.speak_until(&question, "Speaking/playing").await;
    assert!(seen.iter().any(|v| v["type"] == "transcript"
        && v["role"] == "user"
        && v["text"] == "tell me a long story"));
    // Let it talk for a while, then speak over it.
    for _ in 0..50 {
        while !matches!(caller.next().await, Came::Binary(_)) {}
    }
    let seen = caller.speak_until(&interruption, "Listening").await;
    let states: Vec<_> = seen
        .iter()
        .filter(|v| v["type"] == "state")
        .map(|v| v["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["BargedIn", "Listening"], "{seen:?}");
    let cut = seen
        .iter()
        .find(|v| v["type"] == "transcript" && v["role"] == "agent" && v["is_final"] == true)
        .unwrap();
    assert_eq!(cut["interrupted"], true);
    assert!(
        cut["text"]
            .as_str()
            .unwrap()
            .starts_with("Once upon a time")
    );
    // The turn goes on with what was said over the story.
    let seen = caller.speak_until(&[], "Speaking/playing").await;
    assert!(
        seen.iter()
            .any(|v| v["type"] == "transcript" && v["role"] == "user" && v["text"] == "stop")
    );
    caller.send(r#"{"type":"hangup"}"#).await;
    caller.until_closed().await;
    server.stop().await;
    // The recording of this call replays, and holds none of its words.
    let file = std::fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains("story"), "{text}");
    let call = dialog::call::CallFile::parse(&text).unwrap();
    dialog::call::replay(&call).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_page_may_not_connect_and_a_key_is_asked_for() {
    let mut config = config();
    config.server.api_key = Some("correct horse".to_owned().into());
    let server = TestServer::start(config).await;
    let http = reqwest::Client::new();
    let calls = server.url("/v1/realtime/calls");
    let post = |key: Option<&str>, origin: Option<&str>| {
        let mut request = http
            .post(&calls)
            .header("Content-Type", "application/sdp")
            .body("garbage");
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(post(None, None).await, 401);
    assert_eq!(post(Some("wrong"), None).await, 401);
    assert_eq!(
        post(Some("correct horse"), Some("https://evil.example")).await,
        403
    );
    assert_eq!(post(Some("correct horse"), None).await, 400);
    assert_eq!(
        post(
            Some("correct horse"),
            Some(&format!("http://{}", server.address))
        )
        .await,
        400
    );
    // Health and the page need no key.
    assert_eq!(
        http.get(server.url("/healthz"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16(),
        200
    );
    assert_eq!(
        http.get(server.url("/"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16(),
        200
    );
    server.stop().await;
}
