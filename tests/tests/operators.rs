//! What whoever runs parlor sees of its workers and may ask of them: the API, the page's address and the command line, with
//! workers in processes of their own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::fleet::{WorkerProcess, named, program, until_seen};
use e2e::redis::Redis;
use e2e::{Caller, Came, PATIENCE, TestServer, config};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

const WORKERS: &str = "/api/v1/workers";

/// Minutes of speech: who says it is busy until it is told to stop.
fn story() -> String {
    "This is a sentence that takes a while to be said. ".repeat(60)
}

async fn agent(redis: &Redis) -> TestServer {
    let mut config = config();
    config.cluster.redis = Some(redis.url().into());
    TestServer::start(config).await
}

async fn knows(server: &TestServer, name: &str) {
    until_seen(&server.app, |seen| named(seen, name).is_some()).await;
}

/// What the server answers; `null` where it is no JSON.
async fn ask(server: &TestServer, method: Method, path: &str) -> (StatusCode, Value) {
    let response = Client::new()
        .request(method, server.url(path))
        .send()
        .await
        .unwrap();
    let status = response.status();
    (status, response.json().await.unwrap_or(Value::Null))
}

async fn post(server: &TestServer, what: &str) -> (StatusCode, Value) {
    ask(server, Method::POST, &format!("{WORKERS}/{what}")).await
}

/// A refusal's status and code.
async fn refused(server: &TestServer, what: &str) -> (u16, String) {
    let (status, body) = post(server, what).await;
    let error = &body["error"];
    assert!(!error["message"].as_str().unwrap().is_empty());
    (status.as_u16(), error["code"].as_str().unwrap().to_owned())
}

/// A worker as the API tells it.
async fn told(server: &TestServer, name: &str) -> Value {
    let (status, body) = ask(server, Method::GET, WORKERS).await;
    assert_eq!(status, StatusCode::OK);
    let workers = body["workers"].as_array().unwrap();
    let found = workers.iter().find(|worker| worker["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// A call that has a text said, once its first sound has come.
async fn saying(server: &TestServer, text: &str) -> Caller {
    let mut call = server.call("/?events=1&binary=1").await;
    call.until_type("session_start").await;
    call.send(json!({"type": "text", "text": text}).to_string())
        .await;
    while !matches!(call.next().await, Came::Binary(_)) {}
    call
}

async fn until_open(server: &TestServer, name: &str, open: u32) {
    until_seen(&server.app, |seen| {
        named(seen, name).is_some_and(|worker| worker.open == open)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_drained_and_resumed_under_a_call() {
    let Some(redis) = Redis::start() else { return };
    let _one = WorkerProcess::start("tts", "mock", "tts-mock/1", &redis, &[]);
    let name = "tts-mock/1";
    let server = agent(&redis).await;
    knows(&server, name).await;
    let worker = told(&server, name).await;
    assert_eq!(
        (
            &worker["kind"],
            &worker["state"],
            &worker["from"],
            &worker["slots"],
            &worker["voices"]
        ),
        (
            &json!("tts"),
            &json!("ready"),
            &json!("registry"),
            &json!(10),
            &json!(1)
        )
    );
    assert_eq!(
        worker["models"],
        json!([{"id": "mock-440hz", "resident": true}])
    );
    assert_eq!(told(&server, "embedded-tts").await["state"], "embedded");

    let mut call = saying(&server, &story()).await;
    until_open(&server, name, 1).await;
    let (status, state) = post(&server, "tts-mock%2F1/drain").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(state, json!({"draining": true, "open": 1, "idle": false}));
    assert_eq!(told(&server, name).await["state"], "draining");
    let record = redis.command(&["GET", "worker:tts-mock/1"]);
    assert!(record.contains(r#""draining":1.0"#), "{record}");
    // Who is there already is served; who comes now is served by another.
    let mut second = saying(&server, "Hello there.").await;
    second.until_agent_said().await;
    assert!(matches!(call.next().await, Came::Binary(_) | Came::Json(_)));
    let seen = server.app.cluster().fleet().seen();
    assert_eq!(named(&seen, name).unwrap().served, 1);
    assert!(named(&seen, "embedded-tts").unwrap().served >= 1);
    call.send(json!({"type": "hangup"}).to_string()).await;
    until_open(&server, name, 0).await;

    let (status, state) = post(&server, "tts-mock%2F1/resume").await;
    assert_eq!(
        (status, &state["draining"]),
        (StatusCode::OK, &json!(false))
    );
    let mut third = saying(&server, "Hello again.").await;
    third.until_agent_said().await;
    let seen = server.app.cluster().fleet().seen();
    assert_eq!(named(&seen, name).unwrap().served, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_and_let_go_unless_they_speak() {
    let Some(redis) = Redis::start() else { return };
    let _one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let _two = WorkerProcess::start("stt", "scripted", "two", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, "one").await;
    knows(&server, "two").await;
    let models = async || told(&server, "one").await["models"].clone();

    let (status, _) = post(&server, "one/models/mock-440hz/unload").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        models().await,
        json!([{"id": "mock-440hz", "resident": false}])
    );
    let (status, body) = post(&server, "one/models/mock-440hz/load").await;
    assert_eq!((status, &body["resident"]), (StatusCode::OK, &json!(true)));
    assert_eq!(
        models().await,
        json!([{"id": "mock-440hz", "resident": true}])
    );

    let mut call = saying(&server, &story()).await;
    until_open(&server, "one", 1).await;
    let busy = refused(&server, "one/models/mock-440hz/unload").await;
    assert_eq!(busy, (409, "worker_refused".to_owned()));
    call.send(json!({"type": "hangup"}).to_string()).await;

    for (what, status, code) in [
        ("nobody/drain", 404, "no_such_worker"),
        ("nobody/models/mock-440hz/load", 404, "no_such_worker"),
        ("one/models/mock-441hz/load", 404, "no_such_model"),
        ("two/models/scripted/unload", 409, "one_model"),
        ("embedded-tts/drain", 409, "embedded_worker"),
        ("embedded-stt/resume", 409, "embedded_worker"),
        ("%ff/drain", 400, "invalid_path"),
    ] {
        let said = refused(&server, what).await;
        assert_eq!(said, (status, code.to_owned()), "{what}");
    }
    let (status, _) = ask(&server, Method::GET, &format!("{WORKERS}/one/drain")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_gone_or_hangs_is_told_apart() {
    let Some(redis) = Redis::start() else { return };
    let mut one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, "one").await;
    one.signal("STOP");
    let hangs = refused(&server, "one/drain").await;
    assert_eq!(hangs, (504, "worker_timeout".to_owned()));
    one.kill();
    let gone = refused(&server, "one/drain").await;
    assert_eq!(gone, (502, "worker_unreachable".to_owned()));
    redis.command(&["DEL", "worker:one"]);
    until_seen(&server.app, |seen| {
        named(seen, "one").is_some_and(|one| one.missing_for.is_some())
    })
    .await;
    assert_eq!(told(&server, "one").await["state"], "vanished");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_of_the_catalogue_are_told_without_where_their_files_lie() {
    let server = TestServer::start(config()).await;
    let (status, body) = ask(&server, Method::GET, "/api/v1/models").await;
    assert_eq!(status, StatusCode::OK);
    let models = body["models"].as_array().unwrap();
    let silero = models.iter().find(|model| model["id"] == "silero-vad");
    let silero = silero.unwrap().as_object().unwrap();
    let fields: Vec<&str> = silero.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        ["id", "kind", "licence", "present", "size_bytes", "state"]
    );
    assert_eq!(
        (&silero["kind"], &silero["licence"]),
        (&json!("vad"), &json!("MIT"))
    );
    assert_eq!(silero["present"], silero["state"] == "present");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_the_key_and_no_page_of_a_strangers_asks_for_the_workers() {
    let mut config = config();
    config.server.api_key = Some("open-sesame".to_owned().into());
    let server = TestServer::start(config).await;
    let drain = format!("{WORKERS}/embedded-tts/drain");
    for (method, path) in [
        (Method::GET, WORKERS),
        (Method::GET, "/api/v1/models"),
        (Method::POST, drain.as_str()),
    ] {
        let request = || Client::new().request(method.clone(), server.url(path));
        let status =
            async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
        assert_eq!(status(request()).await, StatusCode::UNAUTHORIZED);
        let wrong = request().bearer_auth("open-barley");
        assert_eq!(status(wrong).await, StatusCode::UNAUTHORIZED);
        let right = request().bearer_auth("open-sesame");
        let foreign = right
            .try_clone()
            .unwrap()
            .header("Origin", "https://evil.example");
        assert_eq!(status(foreign).await, StatusCode::FORBIDDEN);
        let expected = match method {
            Method::GET => StatusCode::OK,
            _ => StatusCode::CONFLICT,
        };
        assert_eq!(status(right).await, expected);
    }
    // The page asks for the key itself.
    let page = Client::new()
        .get(server.url("/workers"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers().contains_key("content-security-policy"));
    server.stop().await;
}

/// Runs `parlor workers` with these words.
fn workers(redis: &Redis, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(["workers", "--redis", &redis.url()])
        .args(words)
        .env_remove("PARLOR_CONFIG")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn output(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `parlor workers drain one --wait`, which waits for the one session there.
struct Waiting {
    process: Child,
    said: BufReader<ChildStderr>,
}

impl Waiting {
    async fn until_it_waits(redis: &Redis) -> Self {
        let mut process = workers(redis, &["drain", "one", "--wait"]).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            (line, said)
        });
        let (line, said) = tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(line, "one takes nobody new; 1 session is open.\n");
        Self { process, said }
    }

    /// Its exit code and what it said last, once it has ended.
    async fn end(self) -> (Option<i32>, String) {
        let Self { mut process, said } = self;
        let ending = tokio::task::spawn_blocking(move || {
            let said = std::io::read_to_string(said).unwrap();
            (process.wait().unwrap().code(), said)
        });
        tokio::time::timeout(PATIENCE, ending)
            .await
            .unwrap()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_drains_waits_and_resumes() {
    let Some(redis) = Redis::start() else { return };
    let _one = WorkerProcess::start("tts", "mock", "one", &redis, &[]);
    let server = agent(&redis).await;
    knows(&server, "one").await;
    let mut call = saying(&server, &story()).await;
    until_open(&server, "one", 1).await;

    // Ctrl-C ends the waiting and not the drain.
    let waiting = Waiting::until_it_waits(&redis).await;
    let interrupt = Command::new("kill")
        .args(["-s", "INT", &waiting.process.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let (code, said) = waiting.end().await;
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("goes on draining"), "{said}");
    let listed = output(workers(&redis, &["list"])).await;
    assert!(text(&listed.stdout).contains("\tdraining\t"));

    let waiting = Waiting::until_it_waits(&redis).await;
    call.send(json!({"type": "hangup"}).to_string()).await;
    let (code, said) = waiting.end().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("one is drained"), "{said}");

    let resumed = output(workers(&redis, &["resume", "one"])).await;
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let listed = output(workers(&redis, &["list"])).await;
    assert!(!text(&listed.stdout).contains("\tdraining\t"));
    let unknown = output(workers(&redis, &["drain", "two"])).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there is no worker \"two\""));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_wrote_into_the_registry_steers_no_terminal() {
    let Some(redis) = Redis::start() else { return };
    let name = "evil\u{1b}]0;owned\u{7}\u{9b}2J";
    let record =
        json!({"name": name, "addr": "grpc://127.0.0.1:9", "resident_models": ["a\tb\nc"]});
    redis.command(&["SET", "worker:evil", &record.to_string()]);
    for words in [&["list"][..], &["list", "--json"]] {
        let listed = output(workers(&redis, words)).await;
        let shown = text(&listed.stdout);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        let mut steering = shown
            .chars()
            .filter(|c| c.is_control() && !"\t\n".contains(*c));
        assert_eq!(steering.next(), None, "{shown:?}");
        assert_eq!(shown.lines().count(), 1);
    }
    let listed = output(workers(&redis, &["list", "--json"])).await;
    let records: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(records[0]["name"], name, "the records are what they were");
}
