//! Workers in processes of their own: found through a real Redis, lost without losing the call.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::fleet::{WorkerProcess, named, until_seen};
use e2e::redis::Redis;
use e2e::{Caller, Came, TestServer, config, speech};
use serde_json::{Value, json};

const TEXT: &str = "This is a sentence that takes a while to be said, and here comes another part of it, and a third.";

async fn agent(redis: &Redis) -> TestServer {
    let mut config = config();
    config.cluster.redis = Some(redis.url().into());
    TestServer::start(config).await
}

/// Waits until the agent knows these workers.
async fn knows(server: &TestServer, names: &[&str]) {
    until_seen(&server.app, |seen| {
        names.iter().all(|name| named(seen, name).is_some())
    })
    .await;
}

/// Whom a call's reply is being spoken by.
async fn speaker(server: &TestServer, names: &[&str]) -> String {
    let seen = until_seen(&server.app, |seen| {
        names
            .iter()
            .any(|name| named(seen, name).is_some_and(|worker| worker.open > 0))
    })
    .await;
    let open = names
        .iter()
        .find(|name| named(&seen, name).is_some_and(|worker| worker.open > 0));
    (*open.unwrap()).to_owned()
}

/// Frames until the agent's words are final; the words, and how many frames of sound came.
async fn hear_out(call: &mut Caller) -> (Value, usize) {
    let mut frames = 0;
    loop {
        match call.next().await {
            Came::Binary(_) => frames += 1,
            Came::Json(value) if value["type"] == "error" => panic!("{value}"),
            Came::Json(value)
                if value["type"] == "transcript"
                    && value["role"] == "agent"
                    && value["is_final"] == true =>
            {
                return (value, frames);
            }
            Came::Json(_) => {}
            Came::Closed(code) => panic!("the call was closed ({code:?})"),
        }
    }
}

/// A call that says a text, once its first sound has come.
async fn saying(server: &TestServer, text: &str) -> Caller {
    let mut call = server.call("/?events=1&binary=1").await;
    call.until_type("session_start").await;
    call.send(json!({"type": "text", "text": text}).to_string())
        .await;
    while !matches!(call.next().await, Came::Binary(_)) {}
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_mid_sentence_is_replaced_and_every_word_is_said() {
    let Some(redis) = Redis::start() else { return };
    let mut one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let mut two = WorkerProcess::start("tts", "mock", "two", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, &["one", "two"]).await;
    for round in 0..2 {
        let mut call = saying(&server, TEXT).await;
        let broken = speaker(&server, &["one", "two"]).await;
        match broken.as_str() {
            "one" => one.kill(),
            _ => two.kill(),
        }
        let (said, frames) = hear_out(&mut call).await;
        assert_eq!(said["text"], TEXT, "round {round}");
        assert_ne!(said["interrupted"], true);
        // The mock takes 500 ms for a clause and 20 ms for each character past 20: the whole text takes about as long.
        assert!(frames >= 75, "{frames} frames");
        call.send(json!({"type": "hangup"}).to_string()).await;
        // The last of them gone, the engine inside the program says the rest.
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_costs_a_deadline_and_no_call() {
    let Some(redis) = Redis::start() else { return };
    let one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, &["one"]).await;
    let mut call = saying(&server, TEXT).await;
    one.signal("STOP");
    let (said, _) = hear_out(&mut call).await;
    assert_eq!(said["text"], TEXT);
    // It is left alone, and the next reply does not wait for it.
    call.send(json!({"type": "text", "text": "Once more."}).to_string())
        .await;
    assert_eq!(hear_out(&mut call).await.0["text"], "Once more.");
    one.signal("CONT");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_is_recognised_although_its_recogniser_is_killed() {
    let Some(redis) = Redis::start() else { return };
    let script = ["--set", r#"stt.script=["tell me a long story"]"#];
    let mut one = WorkerProcess::start("stt", "scripted", "one", &redis, &script);
    let server = agent(&redis).await;
    knows(&server, &["one"]).await;
    let mut call = server.call("/?events=1&binary=1").await;
    call.until_type("session_start").await;
    let speech = speech::say("tell me a long story").await;
    let killed = async {
        speaker(&server, &["one"]).await;
        one.kill();
    };
    let (seen, ()) = tokio::join!(call.speak_until(&speech, "Speaking"), killed);
    let words = |value: &Value| value["role"] == "user" && value["is_final"] == true;
    let said = seen.iter().find(|value| words(value)).unwrap();
    assert_eq!(said["text"], "tell me a long story");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_lost_emptied_or_read_only_drops_no_call_and_is_filled_again() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let _one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, &["one"]).await;
    let is_there = |redis: &Redis| redis.command(&["EXISTS", "worker:one"]).starts_with(":1");

    redis.command(&["FLUSHALL"]);
    while !is_there(&redis) {
        tokio::task::yield_now().await;
    }
    let mut call = saying(&server, TEXT).await;
    redis.stop();
    // The worker that is known goes on, for this call and for a new one.
    let served = |seen: &[parlor::cluster::Seen]| named(seen, "one").map_or(0, |one| one.served);
    let before = served(&server.app.cluster().fleet().seen());
    assert_eq!(hear_out(&mut call).await.0["text"], TEXT);
    let mut second = saying(&server, "Hello there.").await;
    assert_eq!(hear_out(&mut second).await.0["text"], "Hello there.");
    assert!(served(&server.app.cluster().fleet().seen()) > before);

    assert!(redis.restart());
    while !is_there(&redis) {
        tokio::task::yield_now().await;
    }
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(
        hear_out(&mut saying(&server, TEXT).await).await.0["text"],
        TEXT
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_does_not_parse_is_left_out_and_the_others_are_found() {
    let Some(redis) = Redis::start() else { return };
    redis.command(&["SET", "worker:broken", "{not json"]);
    redis.command(&["SET", "worker:empty", ""]);
    redis.command(&["LPUSH", "worker:list", "x"]);
    redis.command(&[
        "SET",
        "worker:nowhere",
        r#"{"name":"nowhere","addr":"ftp://x"}"#,
    ]);
    redis.command(&[
        "SET",
        "worker:dead",
        r#"{"name":"dead","addr":"grpc://127.0.0.1:9"}"#,
    ]);
    let _one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, &["one", "dead"]).await;
    let seen = server.app.cluster().fleet().seen();
    assert!(named(&seen, "nowhere").is_none() && named(&seen, "broken").is_none());
    let mut call = saying(&server, TEXT).await;
    assert_eq!(hear_out(&mut call).await.0["text"], TEXT);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_lets_its_reply_end_and_gets_no_other() {
    let Some(redis) = Redis::start() else { return };
    let one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, &["one"]).await;
    let mut call = saying(&server, TEXT).await;
    one.signal("TERM");
    assert_eq!(hear_out(&mut call).await.0["text"], TEXT);
    until_seen(&server.app, |seen| named(seen, "one").is_none()).await;
    server.stop().await;
}
