//! The participant against the real LiveKit server: who is heard, what is shown, and how a room ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::PATIENCE;
use e2e::livekit::{LiveKitOptions, LiveKitServer};
use e2e::lossy::{Impairment, Lossy};
use media::codec::EncoderSettings;
use media::jitter::JitterSettings;
use media::level::rms;
use media::link::livekit::{JoinError, JoinSettings, Joined, Role, Room};
use media::link::{Closed, Generation, Inbound, Link, Outbound, Speaker};
use media::{AudioFrame, FRAME};
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Louder than anything but the tone.
const LOUD: f32 = 1000.0;

fn settings(url: String, token: SecretString, role: Role) -> JoinSettings {
    JoinSettings {
        url,
        token,
        role,
        agent_name: "parlor".into(),
        stay: Duration::from_secs(1),
        audio: EncoderSettings::default(),
        jitter: JitterSettings::default(),
    }
}

async fn agent(server: &LiveKitServer, tasks: &TaskTracker) -> Joined {
    let token = server.agent_token("room", "agent-1");
    let settings = settings(server.url(), token, Role::Agent);
    Room::join(settings, tasks).await.unwrap()
}

async fn caller(server: &LiveKitServer, identity: &str, tasks: &TaskTracker) -> Joined {
    let token = server.token("room", identity);
    let settings = settings(server.url(), token, Role::Caller);
    Room::join(settings, tasks).await.unwrap()
}

fn tone(tick: u64) -> AudioFrame {
    let mut frame = AudioFrame::silence();
    let start = tick * 960;
    for (at, sample) in (start..).zip(frame.samples_mut()) {
        let phase = at as f32 * 440.0 / 48_000.0;
        *sample = ((phase.fract() * std::f32::consts::TAU).sin() * 8000.0) as i16;
    }
    frame
}

/// Hums until the room is over.
fn hum(link: &Link, tasks: &TaskTracker) {
    let outbound = link.outbound.clone();
    tasks.spawn(async move {
        let mut beat = tokio::time::interval(FRAME);
        for tick in 0.. {
            beat.tick().await;
            let audio = Outbound::Audio {
                generation: Generation(0),
                tick,
                frame: tone(tick),
            };
            if outbound.send(audio).await.is_err() {
                return;
            }
        }
    });
}

/// The next thing from the room that fits.
async fn until<T>(link: &mut Link, mut fit: impl FnMut(Inbound) -> Option<T>) -> T {
    let waiting = async {
        loop {
            let item = link.inbox.recv().await.expect("the room goes on");
            if let Some(found) = fit(item) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it never came")
}

async fn until_loud(link: &mut Link, frames: u32) -> Speaker {
    let mut loud = 0;
    until(link, |item| match item {
        Inbound::Audio { speaker, frame } if rms(frame.samples()) > LOUD => {
            loud += 1;
            (loud >= frames).then_some(speaker)
        }
        _ => None,
    })
    .await
}

async fn until_closed(link: &mut Link) -> Closed {
    until(link, |item| match item {
        Inbound::Closed(closed) => Some(closed),
        _ => None,
    })
    .await
}

async fn until_joined(link: &mut Link) -> (Speaker, String) {
    until(link, |item| match item {
        Inbound::Joined { speaker, person } => Some((speaker, person.identity)),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_heard_and_hear_the_agent() {
    let Some(server) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let mut agent = agent(&server, &tasks).await;
    let mut ana = caller(&server, "ana", &tasks).await;
    let (speaker, identity) = until_joined(&mut agent.link).await;
    assert_eq!(identity, "ana");
    assert_eq!(agent.room.until_heard().await, Ok(()));
    hum(&ana.link, &tasks);
    assert_eq!(until_loud(&mut agent.link, 25).await, speaker);
    hum(&agent.link, &tasks);
    until_loud(&mut ana.link, 25).await;

    let people = server.list_participants("room").await;
    let me = people
        .iter()
        .find(|it| it["identity"] == "agent-1")
        .unwrap();
    assert_eq!(me["kind"], "AGENT");
    assert_eq!(me["attributes"]["lk.agent.name"], "parlor");
    assert_eq!(me["attributes"]["lk.agent.state"], "initializing");
    assert_eq!(me["tracks"][0]["source"], "MICROPHONE");

    // Muted by somebody with authority: nothing leaves, and the session knows.
    let track = me["tracks"][0]["sid"].as_str().unwrap().to_owned();
    server.mute_published_track("room", "agent-1", &track).await;
    until(&mut agent.link, |item| {
        matches!(item, Inbound::Unsent { .. }).then_some(())
    })
    .await;
    server
        .until_participants("room", |people| {
            people.iter().any(|it| it["tracks"][0]["muted"] == true)
        })
        .await;

    // Whoever only listens is not heard.
    let listens = json!({ "parlor.listen_only": "true" });
    server.update_participant("room", "ana", listens).await;
    until(&mut agent.link, |item| {
        matches!(item, Inbound::Left { speaker: left } if left == speaker).then_some(())
    })
    .await;
    let speaks = json!({ "parlor.listen_only": "" });
    server.update_participant("room", "ana", speaks).await;
    assert_eq!(until_joined(&mut agent.link).await.0, speaker);
    until_loud(&mut agent.link, 25).await;

    ana.room.hang_up();
    ana.room.ended().await;
    assert_eq!(until_closed(&mut agent.link).await, Closed::ByCaller);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_a_room_has_its_reason() {
    let Some(server) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let mut removed = agent(&server, &tasks).await;
    server.remove_participant("room", "agent-1").await;
    assert_eq!(until_closed(&mut removed.link).await, Closed::Removed);
    assert_eq!(removed.room.until_heard().await, Err(Closed::Removed));

    let mut first = agent(&server, &tasks).await;
    let mut second = agent(&server, &tasks).await;
    assert_eq!(until_closed(&mut first.link).await, Closed::Replaced);

    server.delete_room("room").await;
    assert_eq!(until_closed(&mut second.link).await, Closed::RoomClosed);
    assert_eq!(second.room.until_heard().await, Err(Closed::RoomClosed));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_join_is_told_why() {
    let Some(mut server) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let join = async |server: &LiveKitServer, url: String, token: SecretString| {
        let _ = server;
        Room::join(settings(url, token, Role::Agent), &tasks)
            .await
            .unwrap_err()
    };
    let good = || server.agent_token("room", "agent-1");
    let error = join(&server, server.url(), "no token".to_owned().into()).await;
    assert!(matches!(error, JoinError::Unauthorized(_)), "{error}");
    let mut forged = server.keys.clone();
    forged.api_secret = "another-secret-0123456789-0123456789".to_owned().into();
    let ttl = Duration::from_secs(60);
    let token = media::link::livekit::token::agent(&forged, "room", "a", "", ttl).unwrap();
    let error = join(&server, server.url(), token).await;
    assert!(matches!(error, JoinError::Unauthorized(_)), "{error}");
    let error = join(&server, "no address".into(), good()).await;
    assert!(matches!(error, JoinError::Address(_)), "{error}");
    let expired = server.expired_token("room", "agent-1");
    let error = join(&server, server.url(), expired).await;
    assert!(
        matches!(&error, JoinError::Unauthorized(why) if why.contains("expired")),
        "{error}"
    );
    let (url, token) = (server.url(), good());
    server.stop();
    let error = join(&server, url, token).await;
    assert!(matches!(error, JoinError::Unreachable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_signalling_connection_is_resumed() {
    let options = LiveKitOptions {
        ice_lite: true,
        ..LiveKitOptions::default()
    };
    let Some(server) = LiveKitServer::start(options).await else {
        return;
    };
    let network = Lossy::livekit(&server, Impairment::default()).await;
    let tasks = TaskTracker::new();
    let token = server.agent_token("room", "agent-1");
    let settings = settings(network.url(), token, Role::Agent);
    let mut agent = Room::join(settings, &tasks).await.unwrap();
    let ana = caller(&server, "ana", &tasks).await;
    hum(&ana.link, &tasks);
    let speaker = until_loud(&mut agent.link, 25).await;
    let before = stay(&server).await;

    network.cut_signalling();
    let expected = |item| matches!(item, Inbound::Back).then_some(());
    until(&mut agent.link, expected).await;
    assert_eq!(until_loud(&mut agent.link, 25).await, speaker);
    assert_eq!(stay(&server).await, before, "the same stay goes on");
    assert_eq!(agent.room.statistics().breaks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_was_cut_off_is_mended() {
    let options = LiveKitOptions {
        ice_lite: true,
        ..LiveKitOptions::default()
    };
    let Some(server) = LiveKitServer::start(options).await else {
        return;
    };
    let network = Lossy::livekit(&server, Impairment::default()).await;
    let tasks = TaskTracker::new();
    let token = server.agent_token("room", "agent-1");
    let settings = settings(network.url(), token, Role::Agent);
    let mut agent = Room::join(settings, &tasks).await.unwrap();
    let mut ana = caller(&server, "ana", &tasks).await;
    hum(&ana.link, &tasks);
    until_loud(&mut agent.link, 25).await;

    network.cut();
    until(&mut agent.link, |item| {
        matches!(item, Inbound::Away).then_some(())
    })
    .await;
    network.heal();
    until(&mut agent.link, |item| {
        matches!(item, Inbound::Back).then_some(())
    })
    .await;
    until_loud(&mut agent.link, 25).await;
    hum(&agent.link, &tasks);
    until_loud(&mut ana.link, 25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_longer_good_ends_the_room_with_that_reason() {
    let Some(mut server) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let mut agent = agent(&server, &tasks).await;
    // With another secret the server knows none of its old tokens.
    server.keys.api_secret = "another-secret-0123456789-0123456789".to_owned().into();
    server.restart().await;
    assert_eq!(until_closed(&mut agent.link).await, Closed::TokenExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_is_joined_anew() {
    let Some(mut server) = LiveKitServer::start(LiveKitOptions::default()).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let mut agent = agent(&server, &tasks).await;
    let mut ana = caller(&server, "ana", &tasks).await;
    hum(&ana.link, &tasks);
    let speaker = until_loud(&mut agent.link, 25).await;
    server.restart().await;
    for link in [&mut agent.link, &mut ana.link] {
        until(link, |item| matches!(item, Inbound::Back).then_some(())).await;
    }
    assert_eq!(until_loud(&mut agent.link, 25).await, speaker);
    hum(&agent.link, &tasks);
    until_loud(&mut ana.link, 25).await;
}

/// What the server calls the agent's present stay in the room.
async fn stay(server: &LiveKitServer) -> String {
    let people = server.list_participants("room").await;
    let me = people.iter().find(|it| it["identity"] == "agent-1");
    me.unwrap()["sid"].as_str().unwrap().to_owned()
}
