//! A worker that is taken out of service and back, over TCP.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/caller.rs"]
mod caller;
#[path = "support/server.rs"]
mod server;

use caller::{check, chunk, read};
use futures_util::stream;
use proto::registry::WorkerRecord;
use proto::tts::StartSessionRequest;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::worker::admin_client::AdminClient;
use proto::worker::{DrainRequest, GetStateRequest, ResumeRequest, State};
use server::Served;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use workers::{AnnounceError, Announcer, Found, Kind, Options, Rhythm, Settings};

const NEVER: Duration = Duration::from_secs(3_600);

/// A registry that holds one record.
struct Registry(watch::Sender<Option<WorkerRecord>>);

#[tonic::async_trait]
impl Announcer for Registry {
    async fn announce(&self, record: &WorkerRecord, _ttl: Duration) -> Result<(), AnnounceError> {
        self.0.send_replace(Some(record.clone()));
        Ok(())
    }

    async fn found(&self, _own: &WorkerRecord) -> Result<Found, AnnounceError> {
        Ok(Found::Own)
    }

    async fn withdraw(&self, _record: &WorkerRecord) -> Result<(), AnnounceError> {
        self.0.send_replace(None);
        Ok(())
    }
}

fn start(session: &str) -> StartSessionRequest {
    StartSessionRequest {
        session_id: session.into(),
        ..StartSessionRequest::default()
    }
}

async fn until_health(channel: &Channel, wanted: ServingStatus) {
    let mut probe = HealthClient::new(channel.clone());
    loop {
        let request = HealthCheckRequest {
            service: "tts.TTSService".into(),
        };
        if probe.check(request).await.unwrap().into_inner().status() == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drained_worker_ends_what_it_says_stays_up_and_takes_callers_again() {
    let (records, mut told) = watch::channel(None);
    let options = Options {
        announcer: Some(Arc::new(Registry(records))),
        // What is told in time is told because something happened, and not because somebody looked.
        rhythm: Rhythm {
            heartbeat: NEVER,
            ttl: NEVER,
            look: NEVER,
            retry: NEVER,
        },
        ..Options::default()
    };
    let worker = Served::start(Kind::Tts, "mock", Settings::default(), options).await;
    let channel = worker.channel().await;
    let (mut admin, mut tts) = (
        AdminClient::new(channel.clone()),
        TtsServiceClient::new(channel.clone()),
    );
    let is = |draining| {
        move |record: &Option<WorkerRecord>| {
            record
                .as_ref()
                .is_some_and(|it| it.is_draining() == draining)
        }
    };
    told.wait_for(is(false)).await.unwrap();
    tts.start_session(start("a")).await.unwrap();
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", &"x".repeat(200), 1, true)]))
        .await
        .unwrap()
        .into_inner();
    let first = frames.message().await.unwrap().unwrap();

    let busy = State {
        draining: true,
        open: 1,
        idle: false,
    };
    let state = admin.drain(DrainRequest {}).await.unwrap().into_inner();
    assert_eq!(state, busy);
    told.wait_for(is(true)).await.unwrap();
    until_health(&channel, ServingStatus::NotServing).await;
    let refused = tts.start_session(start("b")).await.unwrap().into_inner();
    assert!(!refused.success && refused.busy, "{}", refused.message);
    // To ask twice is no mistake.
    assert_eq!(
        admin.drain(DrainRequest {}).await.unwrap().into_inner(),
        busy
    );
    let mut all = vec![first];
    all.extend(read(frames).await.unwrap());
    check("a", &all);
    while !admin
        .get_state(GetStateRequest {})
        .await
        .unwrap()
        .into_inner()
        .idle
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let state = admin.resume(ResumeRequest {}).await.unwrap().into_inner();
    assert!(!state.draining);
    told.wait_for(is(false)).await.unwrap();
    until_health(&channel, ServingStatus::Serving).await;
    assert!(
        tts.start_session(start("b"))
            .await
            .unwrap()
            .into_inner()
            .success
    );
    drop((tts, admin));
    worker.stop().await;
}

#[tokio::test]
async fn who_was_told_to_end_is_not_resumed() {
    let worker = Served::mock().await;
    let channel = worker.channel().await;
    let (mut admin, mut tts) = (
        AdminClient::new(channel.clone()),
        TtsServiceClient::new(channel.clone()),
    );
    tts.start_session(start("a")).await.unwrap();
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", &"x".repeat(400), 1, true)]))
        .await
        .unwrap()
        .into_inner();
    assert!(frames.message().await.unwrap().is_some());
    let served = worker.end();
    until_health(&channel, ServingStatus::NotServing).await;
    let refused = admin.resume(ResumeRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let state = admin
        .get_state(GetStateRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(state.draining);
    assert!(read(frames).await.is_ok());
    drop((tts, admin));
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn only_who_knows_the_token_drains_a_worker() {
    let options = Options {
        token: Some("secret-word".to_owned().into()),
        ..Options::default()
    };
    let settings = Settings::default();
    let worker = Served::start(Kind::Stt, "scripted", settings, options).await;
    let mut admin = AdminClient::new(worker.channel().await);
    let refused = admin.drain(DrainRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut request = Request::new(DrainRequest {});
    let token = "Bearer secret-word".parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let state = admin.drain(request).await.unwrap().into_inner();
    // A recogniser is drained in the same way.
    assert_eq!((state.draining, state.open, state.idle), (true, 0, true));
    drop(admin);
    worker.stop().await;
}
