//! Whole replies: greeted, muted, not to be interrupted, resumed, and asked for again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::{Came, TestServer, config, speech};
use serde_json::{Value, json};

/// The states among these messages, as `Speaking/playing` or `Listening`.
fn states(seen: &[Value]) -> Vec<String> {
    let states = seen.iter().filter(|v| v["type"] == "state");
    states
        .map(|v| {
            let state = v["state"].as_str().unwrap();
            let phase = v["phase"].as_str();
            phase.map_or_else(|| state.to_owned(), |phase| format!("{state}/{phase}"))
        })
        .collect()
}

fn ask(text: &str) -> String {
    json!({"type": "ask", "text": text}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_comes_first_and_starts_before_its_sound() {
    let mut config = config();
    config.turn.greeting = "Welcome to the test.".into();
    let server = TestServer::start(config).await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    let mut playing = false;
    loop {
        match caller.next().await {
            Came::Json(v) => playing |= v["phase"] == "playing",
            Came::Binary(_) => break assert!(playing, "sound came before the state"),
            Came::Closed(code) => panic!("the call was closed ({code:?})"),
        }
    }
    let said = caller.until_agent_said().await;
    assert_eq!(said["text"], "Welcome to the test.");
    caller.until_state("WaitingForInput").await;
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_mute_mode_nobody_is_heard_over_a_reply_and_everybody_after_it() {
    let server = TestServer::start(config()).await;
    let words = speech::say("tell me a long story").await;
    let mut caller = server.call("/ws?events=1&binary=1&mode=mute").await;
    caller.until_state("WaitingForInput").await;
    let lines = "Nobody may say a word before this long sentence has come to its end.";
    caller
        .send(json!({"type": "text", "text": lines}).to_string())
        .await;
    caller.until_state("Speaking/playing").await;
    // Over the reply and past its end, without a pause: what is still said then is heard.
    let talk = [words.clone(), words.clone(), words].concat();
    let seen = caller.speak_until(&talk, "Listening").await;
    assert_eq!(states(&seen), ["WaitingForInput", "Listening"], "{seen:?}");
    let said = seen
        .iter()
        .find(|v| v["role"] == "agent" && v["is_final"] == true)
        .unwrap();
    assert_eq!(
        (&said["text"], &said["interrupted"]),
        (&json!(lines), &Value::Null)
    );
    assert!(!seen.iter().any(|v| v["role"] == "user"), "{seen:?}");
    let seen = caller.speak_until(&[], "Speaking/playing").await;
    assert!(
        seen.iter()
            .any(|v| v["role"] == "user" && v["text"] == "tell me a long story"),
        "{seen:?}"
    );
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_over_an_uninterruptible_reply_is_the_next_turn() {
    let mut config = config();
    config.turn.replies_interruptible = false;
    config.stt.script = vec!["count to three".into()];
    let server = TestServer::start(config).await;
    let words = speech::say("count to three").await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller.until_state("WaitingForInput").await;
    let sentence =
        "this sentence is so long that somebody can say something else while it is being said";
    caller
        .send(ask(&format!("repeat after me {sentence}")))
        .await;
    caller.until_state("Speaking/playing").await;
    let seen = caller.speak_until(&words, "Speaking/preparing").await;
    assert_eq!(
        states(&seen),
        ["Listening", "Speaking/preparing"],
        "{seen:?}"
    );
    let said = seen
        .iter()
        .find(|v| v["role"] == "agent" && v["is_final"] == true)
        .unwrap();
    assert!(
        said["text"].as_str().unwrap().ends_with("being said."),
        "{said}"
    );
    assert_eq!(said["interrupted"], Value::Null);
    assert_eq!(caller.until_agent_said().await["text"], "1, 2, 3.");
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_of_listening_holds_a_reply_and_lets_it_go_on() {
    let mut config = config();
    config.stt.script = vec!["uh-huh".into()];
    let server = TestServer::start(config).await;
    let murmur = speech::say("oh really").await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    caller.until_state("WaitingForInput").await;
    caller.send(ask("tell me a long story")).await;
    caller.until_state("Speaking/playing").await;
    // Half a second of voice: with the silence that the ear waits for, more than the overlap that cancels.
    let seen = caller.speak_until(&murmur[..30], "BargedIn").await;
    assert_eq!(states(&seen), ["BargedIn"]);
    let seen = caller.speak_until(&murmur[..20], "Speaking/playing").await;
    assert_eq!(states(&seen), ["Speaking/playing"], "{seen:?}");
    // The sound goes on, and so does the story.
    let before = caller.until(|v| v["role"] == "agent").await;
    let after = caller.until(|v| v["role"] == "agent").await;
    let (before, after) = (
        before["text"].as_str().unwrap(),
        after["text"].as_str().unwrap(),
    );
    assert!(
        after.starts_with(before) && after.len() > before.len(),
        "{before} / {after}"
    );
    drop(caller);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_caller_is_asked_once_more_and_then_told_goodbye() {
    let mut config = config();
    config.turn.greeting = "Hello.".into();
    config.turn.reprompt = "Is anybody there?".into();
    config.turn.goodbye = "Goodbye then.".into();
    config.turn.reprompt_after_ms = 300;
    config.turn.reprompts = 1;
    let server = TestServer::start(config).await;
    let mut caller = server.call("/ws?events=1&binary=1").await;
    for words in ["Hello.", "Is anybody there?", "Goodbye then."] {
        assert_eq!(caller.until_agent_said().await["text"], words);
    }
    assert_eq!(caller.until_type("session_end").await["reason"], "silence");
    assert_eq!(caller.until_closed().await, Some(1000));
    drop(caller);
    server.stop().await;
}
