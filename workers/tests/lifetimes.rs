//! How long sessions and models stay, and what of it the worker tells.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/caller.rs"]
mod caller;
#[path = "support/server.rs"]
mod server;

use caller::{check, chunk, read};
use futures_util::stream;
use proto::registry::metric;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::tts_service_server::TtsServiceServer;
use proto::tts::{
    EndSessionRequest, GetCapabilitiesRequest, StartSessionRequest, StartSessionResponse,
    UnloadModelRequest,
};
use server::{ANY_PORT, Served};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Server};
use workers::service::tts::Service;
use workers::tts::{Clause, Error, Gender, Model, Piece, Portion, Speech, TtsAdapter, Voice};
use workers::{ModelManagerSettings, TtsSettings};

type Client = TtsServiceClient<Channel>;

async fn start(tts: &mut Client, session: &str, model: &str) -> StartSessionResponse {
    let request = StartSessionRequest {
        session_id: session.into(),
        model_id: model.into(),
        ..StartSessionRequest::default()
    };
    tts.start_session(request).await.unwrap().into_inner()
}

async fn end(tts: &mut Client, session: &str) -> bool {
    let request = EndSessionRequest {
        session_id: session.into(),
    };
    tts.end_session(request).await.unwrap().into_inner().success
}

async fn unload(tts: &mut Client, model: &str) -> bool {
    let request = UnloadModelRequest {
        model_id: model.into(),
    };
    let answer = tts.unload_model(request).await.unwrap();
    answer.into_inner().success
}

async fn told(tts: &mut Client, name: &str) -> f64 {
    let answer = tts.get_capabilities(GetCapabilitiesRequest {}).await;
    answer
        .unwrap()
        .into_inner()
        .metrics
        .get(name)
        .copied()
        .unwrap()
}

/// Lets time go by, in which everybody does what is due.
async fn passes(time: Duration) {
    tokio::time::pause();
    for _ in 0..time.as_secs() {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
}

#[tokio::test]
async fn the_slots_and_the_model_of_an_agent_that_was_killed_are_free_soon() {
    let worker = Served::mock().await;
    let killed = worker.channel().await;
    let mut tts = TtsServiceClient::new(killed);
    // One that speaks, one that has spoken, and one that never has.
    for session in ["a", "b", "c"] {
        assert!(start(&mut tts, session, "").await.success);
    }
    let text = "x".repeat(5_000);
    let speaking = stream::iter([chunk("a", &text, 1, true)]);
    let mut frames = tts.synthesize(speaking).await.unwrap().into_inner();
    assert!(frames.message().await.unwrap().is_some());
    let spoken = stream::iter([chunk("b", "hello", 1, true)]);
    let spoken = tts.synthesize(spoken).await.unwrap().into_inner();
    check("b", &read(spoken).await.unwrap());
    let mut other = TtsServiceClient::new(worker.channel().await);
    assert!(start(&mut other, "d", "").await.success);
    // Without a goodbye.
    drop((frames, tts));
    passes(Duration::from_secs(10)).await;
    assert_eq!(told(&mut other, metric::SLOTS_IN_USE).await, 4.0);
    passes(Duration::from_secs(10)).await;
    // The one whose client is only quiet stays.
    assert_eq!(told(&mut other, metric::SLOTS_IN_USE).await, 1.0);
    assert_eq!(told(&mut other, metric::QUEUE_DEPTH).await, 0.0);
    assert!(!unload(&mut other, "mock-440hz").await);
    assert!(end(&mut other, "d").await);
    assert!(unload(&mut other, "mock-440hz").await);
    // All places can be had again.
    for session in 0..10 {
        let started = start(&mut other, &format!("new {session}"), "").await;
        assert!(started.success, "{}", started.message);
    }
    drop(other);
    worker.stop().await;
}

#[tokio::test]
async fn a_client_that_lost_its_connection_finds_its_session_again() {
    let worker = Served::mock().await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    assert!(start(&mut tts, "a", "").await.success);
    drop(tts);
    passes(Duration::from_secs(10)).await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    let again = stream::iter([chunk("a", "hello", 1, true)]);
    let again = tts.synthesize(again).await.unwrap().into_inner();
    check("a", &read(again).await.unwrap());
    passes(Duration::from_secs(60)).await;
    assert_eq!(told(&mut tts, metric::SLOTS_IN_USE).await, 1.0);
    drop(tts);
    worker.stop().await;
}

/// An engine with two models, each with a voice of its name that says 20 ms of silence.
struct Two;

impl TtsAdapter for Two {
    fn family(&self) -> &'static str {
        "two"
    }

    fn models(&self) -> Vec<Model> {
        let model = |id: &str| Model {
            id: id.into(),
            languages: Vec::new(),
            metadata: BTreeMap::new(),
        };
        ["one", "two"].map(model).into()
    }

    fn voices(&self) -> Vec<Voice> {
        let voice = |name: &str| Voice {
            name: name.into(),
            title: name.into(),
            language: "en".into(),
            gender: Gender::Unknown,
            model: name.into(),
            loudness_lufs: None,
        };
        ["one", "two"].map(voice).into()
    }

    fn max_sessions(&self) -> u32 {
        10
    }

    fn portion(&self) -> Portion {
        Portion::Chunk
    }

    fn load(&self, _model: &str) -> Result<(), Error> {
        Ok(())
    }

    fn unload(&self, _model: &str) {}

    fn speak(&self, _clause: Clause) -> Result<Speech, Error> {
        let silence = Piece {
            rate_hz: 48_000,
            samples: vec![0; 960],
            marks: Vec::new(),
        };
        Ok(Speech::made(std::iter::once(silence)))
    }
}

/// Serves an engine until the guard is dropped.
async fn serve(models: ModelManagerSettings) -> (Client, DropGuard) {
    let tasks = TaskTracker::new();
    let settings = TtsSettings::default();
    let service =
        Service::new(vec![Arc::new(Two)], &settings, models, None, tasks.clone()).unwrap();
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = Server::builder()
        .add_service(TtsServiceServer::new(service))
        .serve_with_incoming_shutdown(
            TcpListenerStream::new(listener),
            stop.clone().cancelled_owned(),
        );
    tasks.spawn(server);
    let client = TtsServiceClient::connect(format!("http://{address}"));
    (client.await.unwrap(), stop.drop_guard())
}

#[tokio::test]
async fn with_room_for_one_model_an_open_session_keeps_its_own_until_it_ends() {
    let (mut tts, _serving) = serve(ModelManagerSettings {
        resident_cap: 1,
        min_residency_ms: 0,
        ..ModelManagerSettings::default()
    })
    .await;
    assert!(start(&mut tts, "a", "one").await.success);
    // It says nothing just now, and is not pushed out all the same.
    let refused = start(&mut tts, "b", "two").await;
    assert!(refused.busy, "{}", refused.message);
    assert!(!unload(&mut tts, "one").await);
    for _ in 0..3 {
        let text = stream::iter([chunk("a", "hello", 1, true)]);
        let frames = tts.synthesize(text).await.unwrap().into_inner();
        check("a", &read(frames).await.unwrap());
    }
    assert_eq!(told(&mut tts, metric::SLOTS_IN_USE).await, 1.0);
    assert!(end(&mut tts, "a").await);
    let started = start(&mut tts, "b", "two").await;
    assert!(started.success, "{}", started.message);
    let answer = tts.get_capabilities(GetCapabilitiesRequest {}).await;
    assert_eq!(answer.unwrap().into_inner().resident_models, ["two"]);
}
