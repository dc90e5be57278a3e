//! A worker on its own, over TCP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;

use caller::{check, chunk, read};
use futures_util::stream;
use proto::stt::HealthRequest;
use proto::stt::stt_service_client::SttServiceClient;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{ListModelsRequest, StartSessionRequest};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use workers::{Error, Kind, Settings, Worker};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_worker_speaks_over_tcp_and_ends_what_it_says_before_it_stops() {
    let worker = Worker::bind(
        Kind::Tts,
        "mock",
        ANY_PORT.parse().unwrap(),
        Settings::default(),
    )
    .await
    .unwrap();
    let address = worker.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let tasks = TaskTracker::new();
    let served = tasks.spawn(worker.run(async { stopped.await.unwrap_or(()) }));
    let mut tts = TtsServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let start = StartSessionRequest {
        session_id: "a".into(),
        ..StartSessionRequest::default()
    };
    assert!(tts.start_session(start).await.unwrap().into_inner().success);
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", "hello", 1, true)]))
        .await
        .unwrap()
        .into_inner();
    let first = frames.message().await.unwrap().unwrap();
    stop.send(()).unwrap();
    let mut all = vec![first];
    all.extend(read(frames).await.unwrap());
    check("a", &all);
    assert_eq!(all.len(), 25);
    drop(tts);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_recogniser_answers_over_tcp() {
    let worker = Worker::bind(
        Kind::Stt,
        "scripted",
        ANY_PORT.parse().unwrap(),
        Settings::default(),
    )
    .await
    .unwrap();
    let address = worker.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let tasks = TaskTracker::new();
    let served = tasks.spawn(worker.run(async { stopped.await.unwrap_or(()) }));
    let mut stt = SttServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    assert_eq!(
        stt.health(HealthRequest {})
            .await
            .unwrap()
            .into_inner()
            .status,
        "ok"
    );
    drop(stt);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_served_is_told_before_anything_starts() {
    let bind = async |kind, adapter, listen: &str| {
        Worker::bind(kind, adapter, listen.parse().unwrap(), Settings::default())
            .await
            .err()
            .unwrap()
    };
    assert!(matches!(
        bind(Kind::Tts, "pocketsphinx", ANY_PORT).await,
        Error::Name(_)
    ));
    assert!(matches!(
        bind(Kind::Stt, "mock", ANY_PORT).await,
        Error::Name(_)
    ));
    let taken = tokio::net::TcpListener::bind(ANY_PORT).await.unwrap();
    let address = taken.local_addr().unwrap();
    let refused = bind(Kind::Tts, "mock", &address.to_string()).await;
    assert!(refused.to_string().contains("--listen"), "{refused}");
}

#[tokio::test]
async fn a_default_meant_for_another_engine_stops_no_worker() {
    let mut settings = Settings::default();
    settings.tts.default_voice = "flite:slt".into();
    settings.model_manager.default_model_id = "flite".into();
    settings.model_manager.preload_model_ids = vec!["flite".into()];
    let worker = Worker::bind(Kind::Tts, "mock", ANY_PORT.parse().unwrap(), settings)
        .await
        .unwrap();
    let address = worker.address();
    let tasks = TaskTracker::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tasks.spawn(worker.run(async { stopped.await.unwrap_or(()) }));
    let mut tts = TtsServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let models = tts
        .list_models(ListModelsRequest {})
        .await
        .unwrap()
        .into_inner()
        .models;
    assert_eq!(models.len(), 1);
    drop(tts);
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
