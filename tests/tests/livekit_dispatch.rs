//! Rooms that the real LiveKit server gives to the program, and one that `parlor join` chooses.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::livekit::{LiveKitOptions, LiveKitServer};
use e2e::{PATIENCE, TestServer, config};
use media::codec::EncoderSettings;
use media::jitter::JitterSettings;
use media::level;
use media::link::Inbound;
use media::link::livekit::{JoinSettings, Joined, Role, Room};
use parlor::config::Config;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_util::task::TaskTracker;

/// Louder than any silence.
const SOUND_RMS: f32 = 200.0;

fn settings(livekit: &LiveKitServer, agent_name: &str) -> Config {
    let mut config = config();
    livekit.configure(&mut config);
    config.livekit.agent_name = agent_name.into();
    config.livekit.stay_seconds = 1;
    config.turn.greeting = "good evening to you".into();
    config
}

async fn caller(livekit: &LiveKitServer, room: &str, tasks: &TaskTracker) -> Joined {
    let settings = JoinSettings {
        url: livekit.url(),
        token: livekit.token(room, "ada"),
        role: Role::Caller,
        agent_name: String::new(),
        stay: Duration::ZERO,
        audio: EncoderSettings::default(),
        jitter: JitterSettings::default(),
    };
    let joined = tokio::time::timeout(PATIENCE, Room::join(settings, tasks));
    joined.await.unwrap().unwrap()
}

/// Waits until the caller hears something.
async fn until_sound(caller: &mut Joined) {
    let sound = async {
        loop {
            match caller.link.inbox.recv().await {
                Some(Inbound::Audio { frame, .. }) if level::rms(frame.samples()) > SOUND_RMS => {
                    return;
                }
                Some(Inbound::Closed(why)) => panic!("the room is over: {why:?}"),
                Some(_) => {}
                None => panic!("the room is over"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, sound).await.expect("sound");
}

fn agents(people: &[Value]) -> Vec<&Value> {
    people
        .iter()
        .filter(|person| person["kind"] == "AGENT")
        .collect()
}

/// Waits until so many calls go on.
async fn until_calls(server: &TestServer, calls: usize) {
    let waiting = async {
        while server.app.sessions.len() != calls {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{} calls, not {calls}", server.app.sessions.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_a_name_comes_into_every_room_and_speaks_until_the_room_is_closed() {
    let Some(livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let server = TestServer::start(settings(&livekit, "")).await;
    let tasks = TaskTracker::new();
    for room in ["kitchen", "cellar"] {
        let mut ada = caller(&livekit, room, &tasks).await;
        until_sound(&mut ada).await;
        let people = livekit.list_participants(room).await;
        let [agent] = agents(&people)[..] else {
            panic!("{people:?}");
        };
        assert!(agent["identity"].as_str().unwrap().starts_with("agent-"));
        assert_eq!(agent["name"], "parlor");
        assert!(agent["attributes"]["lk.agent.state"].is_string());
        assert_eq!(server.app.sessions.len(), 1);
        livekit.delete_room(room).await;
        until_calls(&server, 0).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_name_comes_where_it_is_asked_for_even_after_a_restart() {
    let Some(mut livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let server = TestServer::start(settings(&livekit, "waiter")).await;
    let tasks = TaskTracker::new();
    let mut ada = caller(&livekit, "kitchen", &tasks).await;
    // The worker may still be on its way: a dispatch waits for none.
    let asked = async |livekit: &LiveKitServer, room: &str| {
        let waiting = async {
            while server.app.sessions.is_empty() {
                livekit.create_dispatch(room, "waiter", "{}").await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("an agent");
    };
    asked(&livekit, "cellar").await;
    livekit
        .until_participants("cellar", |people| !agents(people).is_empty())
        .await;
    assert!(
        agents(&livekit.list_participants("kitchen").await).is_empty(),
        "nobody asked for it there"
    );
    livekit.delete_room("cellar").await;
    until_calls(&server, 0).await;
    asked(&livekit, "kitchen").await;
    until_sound(&mut ada).await;
    drop(ada);

    livekit.restart().await;
    until_calls(&server, 0).await;
    asked(&livekit, "attic").await;
    livekit
        .until_participants("attic", |people| !agents(people).is_empty())
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_survives_a_restart_of_the_server_and_no_second_agent_comes() {
    let Some(mut livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let mut config = settings(&livekit, "");
    // Whoever is slow to come back finds it there.
    config.livekit.stay_seconds = 60;
    let server = TestServer::start(config).await;
    let tasks = TaskTracker::new();
    let mut ada = caller(&livekit, "kitchen", &tasks).await;
    until_sound(&mut ada).await;
    let call = server.app.sessions.list()[0].id.clone();

    livekit.restart().await;
    let back = async { while !matches!(ada.link.inbox.recv().await, Some(Inbound::Back)) {} };
    tokio::time::timeout(PATIENCE, back)
        .await
        .expect("ada is back");
    let both = |people: &[Value]| people.len() == 2 && agents(people).len() == 1;
    livekit.until_participants("kitchen", both).await;
    // Registered again, as another room shows; the dispatch of the first is long decided then.
    let mut bo = caller(&livekit, "cellar", &tasks).await;
    until_sound(&mut bo).await;
    let people = livekit.list_participants("kitchen").await;
    assert_eq!(agents(&people).len(), 1, "{people:?}");
    assert_eq!(server.app.sessions.len(), 2);
    let calls = server.app.sessions.list();
    assert!(calls.iter().any(|one| one.id == call), "the call goes on");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_rooms_at_once_as_many_get_the_agent_as_it_has_places() {
    let Some(livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let mut config = settings(&livekit, "waiter");
    config.server.max_sessions = 3;
    let server = TestServer::start(config).await;
    let tasks = TaskTracker::new();
    let rooms: Vec<String> = (0..50).map(|n| format!("room-{n}")).collect();
    // Registered, as one room shows.
    let waiting = async {
        while server.app.sessions.is_empty() {
            livekit.create_dispatch("first", "waiter", "{}").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    livekit.delete_room("first").await;
    until_calls(&server, 0).await;

    let asking = rooms
        .iter()
        .map(|room| livekit.create_dispatch(room, "waiter", "{}"));
    futures_util::future::join_all(asking).await;
    until_calls(&server, 3).await;
    let taken = async {
        loop {
            let mut taken = Vec::new();
            for room in &rooms {
                if !agents(&livekit.list_participants(room).await).is_empty() {
                    taken.push(room.clone());
                }
            }
            if taken.len() == 3 {
                return taken;
            }
        }
    };
    let taken = tokio::time::timeout(PATIENCE, taken).await.unwrap();
    // It is a whole agent in each of them.
    let mut ada = caller(&livekit, &taken[2], &tasks).await;
    until_sound(&mut ada).await;
    assert_eq!(server.app.sessions.len(), 3);
    server.stop().await;
}

/// `parlor join`, with its settings in the environment.
fn join(livekit: &LiveKitServer, secret: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let program: PathBuf = test.parent().unwrap().parent().unwrap().join("parlor");
    let mut command = Command::new(program);
    command
        .args(["join", "--room", "kitchen"])
        .args(arguments)
        .args([
            "--set",
            "stt.adapter=scripted",
            "--set",
            r#"tts.adapters=["mock"]"#,
            "--set",
            "turn.greeting=good evening to you",
        ])
        .env_clear()
        .env("LIVEKIT_URL", livekit.url())
        .env("LIVEKIT_API_KEY", &livekit.keys.api_key)
        .env("LIVEKIT_API_SECRET", secret)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Waits for a line of its remarks.
async fn until_line(child: &mut Child, fits: impl Fn(&str) -> bool) -> String {
    let mut remarks = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let waiting = async {
        while let Some(line) = remarks.next_line().await.unwrap() {
            if fits(&line) {
                return line;
            }
        }
        panic!("it has ended");
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

/// Its exit code and its last remarks.
async fn end(mut child: Child) -> (Option<i32>, String) {
    let mut remarks = String::new();
    let mut from = child.stderr.take().unwrap();
    let ending = async {
        from.read_to_string(&mut remarks).await.unwrap();
        child.wait().await.unwrap().code()
    };
    let code = tokio::time::timeout(PATIENCE, ending).await.unwrap();
    (code, remarks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parlor_join_talks_in_the_room_it_is_told_and_leaves_it_by_ctrl_c() {
    let Some(livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let secret = secrecy::ExposeSecret::expose_secret(&livekit.keys.api_secret).to_owned();
    let tasks = TaskTracker::new();
    let mut ada = caller(&livekit, "kitchen", &tasks).await;
    let arguments = ["--identity", "cook", "--name", "The cook"];
    let mut child = join(&livekit, &secret, &arguments).spawn().unwrap();
    let line = until_line(&mut child, |line| line.starts_with("In the room")).await;
    assert!(line.contains("kitchen") && line.contains("cook"), "{line}");
    let people = livekit.list_participants("kitchen").await;
    let [agent] = agents(&people)[..] else {
        panic!("{people:?}");
    };
    assert_eq!(
        (&agent["identity"], &agent["name"]),
        (&"cook".into(), &"The cook".into())
    );
    until_sound(&mut ada).await;
    let pid = child.id().unwrap().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.await.unwrap().success());
    let (code, remarks) = end(child).await;
    assert_eq!(code, Some(0), "{remarks}");
    assert!(remarks.contains("The call is over: hung-up."), "{remarks}");
    livekit
        .until_participants("kitchen", |people| agents(people).is_empty())
        .await;

    // Another one ends with the room.
    let mut child = join(&livekit, &secret, &[]).spawn().unwrap();
    until_line(&mut child, |line| line.starts_with("In the room")).await;
    livekit.delete_room("kitchen").await;
    let (code, remarks) = end(child).await;
    assert_eq!(code, Some(0), "{remarks}");
    assert!(
        remarks.contains("The call is over: room-closed."),
        "{remarks}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parlor_join_says_what_is_wrong_and_ends_with_its_code() {
    let Some(livekit) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let wrong = "not-the-secret-of-this-server-0123456789";
    let child = join(&livekit, wrong, &[]).spawn().unwrap();
    let (code, remarks) = end(child).await;
    assert_eq!(code, Some(2), "{remarks}");
    assert!(
        remarks.contains("LIVEKIT_API_SECRET") && !remarks.contains(wrong),
        "{remarks}"
    );

    let nobody = ["--url", "ws://127.0.0.1:9"];
    let child = join(&livekit, wrong, &nobody).spawn().unwrap();
    let (code, remarks) = end(child).await;
    assert_eq!(code, Some(3), "{remarks}");
    assert!(remarks.contains("ws://127.0.0.1:9"), "{remarks}");

    let mut unconfigured = join(&livekit, wrong, &[]);
    unconfigured.env_remove("LIVEKIT_API_KEY");
    let (code, remarks) = end(unconfigured.spawn().unwrap()).await;
    assert_eq!(code, Some(2), "{remarks}");
    assert!(remarks.contains("LIVEKIT_API_KEY"), "{remarks}");
}
