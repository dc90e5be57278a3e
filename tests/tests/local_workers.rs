//! Worker processes that the program starts itself: they speak and listen, and their ends take no call and leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::fleet::{named, program, until_seen};
use e2e::{Caller, Came, PATIENCE, TestServer, config, speech};
use parlor::cluster::local::{Launch, Process};
use parlor::config::LocalWorkers;
use parlor::server::Server;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;
use workers::Kind;

const TEXT: &str = "This is a sentence that takes a while to be said, and here comes another part of it, and a third.";
const SPEAKER: &str = "tts-mock@local-0";
const LISTENER: &str = "stt-scripted@local-0";
/// How often a test looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An agent in this process, whose worker processes are those of the built program.
async fn agent(local: Vec<LocalWorkers>) -> TestServer {
    agent_with(local, &program()).await
}

async fn agent_with(local: Vec<LocalWorkers>, program: &Path) -> TestServer {
    let mut config = config();
    config.cluster.local = local;
    let launch = Launch {
        program: Some(program.to_owned()),
        arguments: Vec::new(),
    };
    TestServer::of(Server::start_with(config, launch).await.unwrap())
}

/// Waits until a process is there that fits, with its model in memory.
async fn up(server: &TestServer, name: &str, fits: impl Fn(u32) -> bool) -> u32 {
    until_seen(&server.app, |seen| {
        named(seen, name).is_some_and(|worker| !worker.record.resident_models.is_empty())
            && pid(server, name).is_some_and(&fits)
    })
    .await;
    pid(server, name).unwrap()
}

/// The number of a process that is up.
fn pid(server: &TestServer, name: &str) -> Option<u32> {
    let processes = server.app.local().seen();
    let process = processes.into_iter().find(|it| it.name == name).unwrap();
    process.pid.filter(|_| process.is_up)
}

/// Waits until somebody has a session open at this worker.
async fn at_work(server: &TestServer, name: &str) {
    until_seen(&server.app, |seen| {
        named(seen, name).is_some_and(|worker| worker.open > 0)
    })
    .await;
}

fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A process' state and group as the system tells them; none if there is no such process, or only what its parent has not asked for
/// yet.
fn running(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.to_owned();
    let group = fields.nth(1)?.parse().ok()?;
    (state != "Z").then_some((state, group))
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
async fn a_process_that_is_killed_in_mid_sentence_takes_no_word_with_it_and_comes_back() {
    let server = agent(vec![LocalWorkers::one(Kind::Tts, "mock")]).await;
    let first = up(&server, SPEAKER, |_| true).await;
    // A Ctrl-C in the program's terminal does not reach it.
    assert_eq!(running(first).unwrap().1, first, "it leads a group");
    let mut call = saying(&server, TEXT).await;
    at_work(&server, SPEAKER).await;
    signal("KILL", first);
    let said = call.until_agent_said().await;
    assert_eq!(said["text"], TEXT);
    assert_ne!(said["interrupted"], true);
    let second = up(&server, SPEAKER, |pid| pid != first).await;
    // It is a new worker to those who choose, with nothing held against it.
    let seen = server.app.cluster().fleet().seen();
    let worker = named(&seen, SPEAKER).unwrap();
    assert!(!worker.is_left_alone && worker.open == 0);
    let mut call = saying(&server, TEXT).await;
    at_work(&server, SPEAKER).await;
    assert_eq!(call.until_agent_said().await["text"], TEXT);
    assert_eq!(pid(&server, SPEAKER), Some(second));
    server.stop().await;
    assert_eq!(running(second), None, "it is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_is_killed_and_replaced() {
    let server = agent(vec![LocalWorkers::one(Kind::Tts, "mock")]).await;
    let first = up(&server, SPEAKER, |_| true).await;
    signal("STOP", first);
    let mut call = saying(&server, TEXT).await;
    assert_eq!(call.until_agent_said().await["text"], TEXT);
    let second = up(&server, SPEAKER, |pid| pid != first).await;
    assert_ne!(first, second);
    assert_eq!(running(first), None);
    server.stop().await;
    assert_eq!(running(second), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_is_recognised_although_the_process_that_listens_is_killed() {
    let server = agent(vec![LocalWorkers::one(Kind::Stt, "scripted")]).await;
    let first = up(&server, LISTENER, |_| true).await;
    let mut call = server.call("/?events=1&binary=1").await;
    call.until_type("session_start").await;
    let speech = speech::say("tell me a long story").await;
    let killed = async {
        at_work(&server, LISTENER).await;
        signal("KILL", first);
    };
    let (seen, ()) = tokio::join!(call.speak_until(&speech, "Speaking"), killed);
    let is_final =
        |value: &&serde_json::Value| value["role"] == "user" && value["is_final"] == true;
    assert_eq!(
        seen.iter().find(is_final).unwrap()["text"],
        "tell me a long story"
    );
    up(&server, LISTENER, |pid| pid != first).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_at_once_takes_no_call_and_is_named() {
    let server = agent_with(
        vec![LocalWorkers::one(Kind::Tts, "mock")],
        Path::new("/bin/false"),
    )
    .await;
    let mut call = saying(&server, "Hello there.").await;
    assert_eq!(call.until_agent_said().await["text"], "Hello there.");
    let down = Process {
        name: SPEAKER.to_owned(),
        pid: None,
        is_up: false,
    };
    let mut looks = 0;
    while server.app.local().seen() != [down.clone()] {
        looks += 1;
        assert!(looks < 500, "{:?}", server.app.local().seen());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ready = reqwest::get(server.url("/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200, "the one inside speaks");
    assert_eq!(
        ready.text().await.unwrap(),
        format!("ready, without {SPEAKER}\n")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_talks_nonsense_is_no_worker_and_ends_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("nonsense");
    let other = r#"{"name":"tts-mock@0","addr":"grpc://127.0.0.1:9"}"#;
    let text = format!("#!/bin/sh\nread settings\necho nonsense\necho '{other}'\nread order\n");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = agent_with(vec![LocalWorkers::one(Kind::Tts, "mock")], &script).await;
    let seen = server.app.cluster().fleet().seen();
    assert!(seen.iter().all(|worker| worker.is_embedded), "{seen:?}");
    let there = loop {
        match server.app.local().seen()[0].pid {
            Some(pid) => break pid,
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    assert!(running(there).is_some());
    server.stop().await;
    assert_eq!(running(there), None);
}

/// `parlor serve` as people start it, with what it and its processes say.
struct Served {
    program: Child,
    /// Ends when the last of the processes has.
    said: Lines<BufReader<ChildStderr>>,
}

fn serve(local: &str, empty: &Path) -> Command {
    let mut command = Command::new(program());
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--set", "webrtc.enabled=false"])
        .args(["--set", "tts.adapters=[mock]"])
        .args(["--set", "stt.adapter=scripted"])
        .args(["--set", &format!("cluster.local={local}")])
        .env("RUST_LOG", "info")
        .env("PARLOR_CACHE", empty)
        .env_remove("PARLOR_CONFIG")
        .env_remove("PARLOR_MODELS")
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("REDIS_URL")
        .current_dir(empty)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Served {
    /// Starts it, and waits until it takes calls and all its processes are up.
    async fn start(local: &str, empty: &Path) -> Self {
        let mut program = serve(local, empty).spawn().unwrap();
        let mut said = BufReader::new(program.stderr.take().unwrap()).lines();
        let url = loop {
            let line = timeout(PATIENCE, said.next_line()).await;
            let line = line.expect("it starts").unwrap().expect("it runs");
            if let Some((_, rest)) = line.split_once("is ready. Open ") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        let is_ready = async {
            while reqwest::get(format!("{url}/readyz"))
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                != "ready\n"
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, is_ready)
            .await
            .expect("its processes start");
        Self { program, said }
    }

    fn signal(&self, name: &str) {
        signal(name, self.program.id().unwrap());
    }

    /// Waits until neither the program nor any process of it is left; the program's exit code.
    async fn all_ended(mut self) -> Option<i32> {
        let all = async {
            let ended = self.program.wait().await.unwrap();
            while self.said.next_line().await.unwrap().is_some() {}
            ended.code()
        };
        timeout(PATIENCE, all).await.expect("all end")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_end_with_the_program_however_it_ends() {
    // No server of this test has done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let empty = tempfile::tempdir().unwrap();
    let local = "[{kind=tts,adapter=mock,count=2},{kind=stt,adapter=scripted}]";
    let killed = Served::start(local, empty.path()).await;
    killed.signal("KILL");
    assert_eq!(killed.all_ended().await, None);

    let told = Served::start(local, empty.path()).await;
    told.signal("TERM");
    assert_eq!(told.all_ended().await, Some(0));
}

/// What a start that fails says.
async fn failing(local: &str) -> (Option<i32>, String) {
    let empty = tempfile::tempdir().unwrap();
    let ran = timeout(PATIENCE, serve(local, empty.path()).output()).await;
    let Output { status, stderr, .. } = ran.expect("it ends").unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_start_as_it_is_asked_to_is_told_of_at_the_start() {
    let (code, said) = failing("[{kind=tts,adapter=festival}]").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cluster.local[0].adapter"), "{said}");

    let (code, said) = failing("[{kind=tts,adapter=mock},{kind=tts,adapter=piper}]").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot start the piper worker"), "{said}");
    assert!(said.contains("worker process tts-piper@local-0"), "{said}");
    assert!(!said.contains("tts-mock@local-0 cannot"), "{said}");
}
