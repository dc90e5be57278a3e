//! A worker on its own, over TCP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;
#[path = "support/server.rs"]
mod server;

use caller::{check, chunk, read};
use futures_util::stream;
use media::Clock;
use proto::registry::{RecordKind, WorkerRecord, metric};
use proto::stt::stt_service_client::SttServiceClient;
use proto::stt::{AudioFrame, HealthRequest, TranscribeFileRequest};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{EndSessionRequest, ListModelsRequest, StartSessionRequest};
use server::{ANY_PORT, Served};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use workers::{
    AnnounceError, Announcer, Error, Found, Kind, Options, Rhythm, Settings, TlsFiles, Worker,
};

/// So long may a refusal take.
const AT_ONCE: Duration = Duration::from_millis(10);

fn start(session: &str) -> StartSessionRequest {
    StartSessionRequest {
        session_id: session.into(),
        ..StartSessionRequest::default()
    }
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let answer = HealthClient::new(channel.clone()).check(request).await?;
    Ok(answer.into_inner().status())
}

/// The quickest of many: what else runs on the machine is none of the worker's slowness.
async fn quickest(mut attempt: impl AsyncFnMut()) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..20 {
        let clock = Clock::start();
        attempt().await;
        quickest = quickest.min(clock.now());
    }
    quickest
}

/// A registry in memory.
#[derive(Default)]
struct Registry(Mutex<BTreeMap<String, WorkerRecord>>);

impl Registry {
    fn get(&self, name: &str) -> Option<WorkerRecord> {
        self.0.lock().unwrap().get(name).cloned()
    }

    /// Waits for a worker's record to be as wanted.
    async fn until(&self, name: &str, wanted: impl Fn(&WorkerRecord) -> bool) -> WorkerRecord {
        loop {
            match self.get(name) {
                Some(record) if wanted(&record) => return record,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

#[tonic::async_trait]
impl Announcer for Registry {
    async fn announce(&self, record: &WorkerRecord, _ttl: Duration) -> Result<(), AnnounceError> {
        let mut records = self.0.lock().unwrap();
        records.insert(record.name.clone(), record.clone());
        Ok(())
    }

    async fn found(&self, own: &WorkerRecord) -> Result<Found, AnnounceError> {
        Ok(Found::of(self.get(&own.name), own))
    }

    async fn withdraw(&self, record: &WorkerRecord) -> Result<(), AnnounceError> {
        let mut records = self.0.lock().unwrap();
        records.retain(|_, found| found.name != record.name || found.addr != record.addr);
        Ok(())
    }
}

fn announced(registry: &Arc<Registry>) -> Options {
    Options {
        announcer: Some(registry.clone()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_worker_speaks_over_tcp_and_ends_what_it_says_before_it_stops() {
    let worker = Served::mock().await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    let started = tts.start_session(start("a")).await.unwrap();
    assert!(started.into_inner().success);
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", "hello", 1, true)]))
        .await
        .unwrap()
        .into_inner();
    let first = frames.message().await.unwrap().unwrap();
    let served = worker.end();
    let mut all = vec![first];
    all.extend(read(frames).await.unwrap());
    check("a", &all);
    assert_eq!(all.len(), 25);
    drop(tts);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_recogniser_answers_over_tcp_and_tells_how_busy_it_is() {
    let settings = Settings::default();
    let worker = Served::start(Kind::Stt, "scripted", settings, Options::default()).await;
    let mut stt = SttServiceClient::new(worker.channel().await);
    let health = stt.health(HealthRequest {}).await.unwrap().into_inner();
    assert_eq!(health.status, "ok");
    for name in [
        metric::SLOTS_IN_USE,
        metric::QUEUE_DEPTH,
        metric::DRAINING,
        metric::P50_MS,
        metric::RTF,
    ] {
        assert_eq!(health.metadata[name], "0", "{name}");
    }
    drop(stt);
    worker.stop().await;
}

#[tokio::test]
async fn probes_learn_whether_it_serves_and_when_it_drains() {
    let worker = Served::mock().await;
    let channel = worker.channel().await;
    for service in ["", "tts.TTSService"] {
        let status = health(&channel, service).await.unwrap();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    let unknown = health(&channel, "stt.STTService").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let mut tts = TtsServiceClient::new(channel.clone());
    tts.start_session(start("a")).await.unwrap();
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", &"x".repeat(200), 1, true)]))
        .await
        .unwrap()
        .into_inner();
    assert!(frames.message().await.unwrap().is_some());
    let served = worker.end();
    while health(&channel, "").await.unwrap() == ServingStatus::Serving {
        tokio::task::yield_now().await;
    }
    let status = health(&channel, "tts.TTSService").await.unwrap();
    assert_eq!(status, ServingStatus::NotServing);
    // Nobody new is taken, and who is there may say another thing.
    let refused = tts.start_session(start("b")).await.unwrap().into_inner();
    assert!(!refused.success && refused.busy, "{}", refused.message);
    assert!(
        refused.message.contains("draining: 1 of 10"),
        "{}",
        refused.message
    );
    let more = tts
        .synthesize(stream::iter([chunk("a", "hello", 1, true)]))
        .await
        .unwrap();
    check("a", &read(more.into_inner()).await.unwrap());
    assert!(read(frames).await.unwrap().last().unwrap().is_final);
    // A watcher that never leaves holds up no end.
    let mut probe = HealthClient::new(channel.clone());
    let watched = probe.watch(HealthCheckRequest::default()).await;
    let mut watched = watched.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_by_itself_is_broken_off_by_a_drain_so_that_another_says_the_rest() {
    let worker = Served::mock().await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    tts.start_session(start("a")).await.unwrap();
    // Minutes of sound.
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", &"x".repeat(20_000), 1, true)]))
        .await
        .unwrap()
        .into_inner();
    assert!(frames.message().await.unwrap().is_some());
    let clock = Clock::start();
    let served = worker.end();
    let broken = read(frames).await.unwrap_err();
    assert_eq!(broken.code(), Code::Unavailable, "{broken}");
    drop(tts);
    served.await.unwrap().unwrap();
    let took = clock.now().as_secs_f32();
    assert!((9.0..14.0).contains(&took), "{took} s");
}

#[tokio::test]
async fn reflection_lists_its_services_and_knows_their_messages() {
    let worker = Served::mock().await;
    let mut reflection = ServerReflectionClient::new(worker.channel().await);
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "tts.AudioFrame".into(),
        )),
    ];
    let answers = reflection
        .server_reflection_info(stream::iter(questions))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers
        .map(|answer| answer.unwrap().message_response.unwrap())
        .collect()
        .await;
    let MessageResponse::ListServicesResponse(list) = &answers[0] else {
        panic!("{answers:?}");
    };
    let mut names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "parlor.worker.v1.Admin",
            "tts.TTSService"
        ]
    );
    let MessageResponse::FileDescriptorResponse(files) = &answers[1] else {
        panic!("{answers:?}");
    };
    assert!(!files.file_descriptor_proto[0].is_empty());
    drop(reflection);
    worker.stop().await;
}

#[tokio::test]
async fn a_full_worker_refuses_at_once_and_says_its_load() {
    let worker = Served::mock().await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    for session in 0..10 {
        let request = start(&session.to_string());
        let started = tts.start_session(request).await.unwrap().into_inner();
        assert!(started.success, "{}", started.message);
    }
    let took = quickest(async || {
        let refused = tts.start_session(start("10")).await.unwrap().into_inner();
        assert!(!refused.success && refused.busy);
        assert!(
            refused.message.contains("10 of 10 sessions are open"),
            "{}",
            refused.message
        );
    })
    .await;
    assert!(took < AT_ONCE, "{took:?}");
    let ended = tts.end_session(EndSessionRequest {
        session_id: "3".into(),
    });
    assert!(ended.await.unwrap().into_inner().success);
    let started = tts.start_session(start("10")).await.unwrap().into_inner();
    assert!(started.success, "{}", started.message);
    drop(tts);
    worker.stop().await;
}

/// Opens an utterance, and returns when a recogniser has it.
async fn occupy(stt: &mut SttServiceClient<Channel>) -> mpsc::Sender<AudioFrame> {
    let (frames, waiting) = mpsc::channel(4);
    let frame = AudioFrame {
        session_id: "first".into(),
        data: [0x40; 32_000].to_vec().into(),
        ..AudioFrame::default()
    };
    frames.send(frame).await.unwrap();
    let mut events = stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await
        .unwrap()
        .into_inner();
    assert!(events.message().await.unwrap().is_some());
    // The utterance lives as long as its sender; its events need not be read.
    tokio_util::task::TaskTracker::new()
        .spawn(async move { while let Ok(Some(_)) = events.message().await {} });
    frames
}

#[tokio::test]
async fn a_worker_in_a_registry_refuses_an_utterance_at_once_that_another_could_hear() {
    let registry = Arc::new(Registry::default());
    let mut settings = Settings::default();
    settings.stt.slots = 1;
    let worker = Served::start(Kind::Stt, "scripted", settings, announced(&registry)).await;
    let mut stt = SttServiceClient::new(worker.channel().await);
    let first = occupy(&mut stt).await;
    let took = quickest(async || {
        let frame = AudioFrame {
            session_id: "second".into(),
            data: vec![0; 640].into(),
            is_last: true,
            ..AudioFrame::default()
        };
        let events = stt.transcribe_stream(stream::iter([frame])).await.unwrap();
        let refused = events.into_inner().message().await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(
            refused.message().contains("1 of 1"),
            "{}",
            refused.message()
        );
    })
    .await;
    assert!(took < AT_ONCE, "{took:?}");
    let file = TranscribeFileRequest {
        audio_data: vec![0x40; 32_000].into(),
        ..TranscribeFileRequest::default()
    };
    let refused = stt.transcribe_file(file.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(
        refused.message().contains("1 of 1"),
        "{}",
        refused.message()
    );
    drop(first);
    // The place is free as soon as the first utterance has its transcript.
    while stt.transcribe_file(file.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(stt);
    worker.stop().await;
}

#[tokio::test]
async fn a_draining_recogniser_takes_no_utterance() {
    let settings = Settings::default();
    let worker = Served::start(Kind::Stt, "scripted", settings, Options::default()).await;
    let channel = worker.channel().await;
    let mut stt = SttServiceClient::new(channel.clone());
    let first = occupy(&mut stt).await;
    let served = worker.end();
    while health(&channel, "stt.STTService").await.unwrap() == ServingStatus::Serving {
        tokio::task::yield_now().await;
    }
    let refused = stt
        .transcribe_stream(stream::iter([AudioFrame::default()]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(
        refused.message().contains("draining"),
        "{}",
        refused.message()
    );
    drop(first);
    drop(stt);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_registry_has_a_worker_as_long_as_it_lives_and_knows_that_it_drains() {
    let registry = Arc::new(Registry::default());
    let options = Options {
        name: Some("tts-mock@0".into()),
        advertise: Some("gpu-1.lan".into()),
        gpu: Some(1),
        ..announced(&registry)
    };
    let worker = Served::start(Kind::Tts, "mock", Settings::default(), options).await;
    let record = registry.until("tts-mock@0", |_| true).await;
    assert_eq!(record.addr, worker.advertised);
    assert_eq!(
        record.addr,
        format!("grpc://gpu-1.lan:{}", worker.address.port())
    );
    let able = &record.capabilities;
    assert_eq!((able.kind, able.gpu), (RecordKind::Tts, Some(1)));
    assert_eq!((able.streaming, able.cpu_ok), (true, true));
    assert_eq!(able.languages, ["en"]);
    assert_eq!(able.models, ["mock-440hz"]);
    assert_eq!(able.voices["mock:440hz"], "mock-440hz");
    assert!(!able.version.is_empty());
    assert_eq!(record.resident_models, ["mock-440hz"]);
    assert_eq!(record.metric(metric::SLOTS), 10.0);
    assert!(record.last_heartbeat_ts > 1.6e9);

    let mut tts = TtsServiceClient::new(worker.channel().await);
    tts.start_session(start("a")).await.unwrap();
    let mut frames = tts
        .synthesize(stream::iter([chunk("a", &"x".repeat(300), 1, true)]))
        .await
        .unwrap()
        .into_inner();
    assert!(frames.message().await.unwrap().is_some());
    let name = worker.name.clone();
    let served = worker.end();
    let record = registry.until(&name, WorkerRecord::is_draining).await;
    assert_eq!(record.metric(metric::SLOTS_IN_USE), 1.0);
    drop(frames);
    drop(tts);
    served.await.unwrap().unwrap();
    assert_eq!(registry.get(&name), None);
}

#[tokio::test]
async fn what_cannot_be_served_is_told_before_anything_starts() {
    let bind = async |kind, adapter, listen: &str, options: Options| {
        let listen = listen.parse().unwrap();
        Worker::bind(kind, adapter, listen, Settings::default(), options)
            .await
            .err()
            .unwrap()
    };
    let plain = Options::default;
    assert!(matches!(
        bind(Kind::Tts, "pocketsphinx", ANY_PORT, plain()).await,
        Error::Name(_)
    ));
    assert!(matches!(
        bind(Kind::Stt, "mock", ANY_PORT, plain()).await,
        Error::Name(_)
    ));
    let taken = tokio::net::TcpListener::bind(ANY_PORT).await.unwrap();
    let address = taken.local_addr().unwrap();
    let refused = bind(Kind::Tts, "mock", &address.to_string(), plain()).await;
    assert!(refused.to_string().contains("--listen"), "{refused}");
    let default = Options {
        default_model: Some("kokoro".into()),
        ..Options::default()
    };
    let preload = Options {
        preload: vec!["mock-440hz".into(), "kokoro".into()],
        ..Options::default()
    };
    for options in [default, preload] {
        let refused = bind(Kind::Tts, "mock", ANY_PORT, options).await.to_string();
        assert!(
            refused.contains("kokoro") && refused.contains("mock-440hz"),
            "{refused}"
        );
    }
    let name = Options {
        name: Some("two words".into()),
        ..Options::default()
    };
    let refused = bind(Kind::Tts, "mock", ANY_PORT, name).await;
    assert!(matches!(refused, Error::BadName(_)));
    let tls = Options {
        tls: Some(TlsFiles {
            certificate: "/nowhere/worker.pem".into(),
            key: "/nowhere/worker.key".into(),
            client_ca: None,
        }),
        ..Options::default()
    };
    let refused = bind(Kind::Tts, "mock", ANY_PORT, tls).await.to_string();
    assert!(refused.contains("/nowhere/worker.pem"), "{refused}");
}

#[tokio::test]
async fn a_default_meant_for_another_engine_stops_no_worker() {
    let mut settings = Settings::default();
    settings.tts.default_voice = "flite:slt".into();
    settings.model_manager.default_model_id = "flite".into();
    settings.model_manager.preload_model_ids = vec!["flite".into()];
    let worker = Served::start(Kind::Tts, "mock", settings, Options::default()).await;
    let mut tts = TtsServiceClient::new(worker.channel().await);
    let models = tts.list_models(ListModelsRequest {}).await.unwrap();
    assert_eq!(models.into_inner().models.len(), 1);
    drop(tts);
    worker.stop().await;
}

#[tokio::test]
async fn a_second_worker_of_a_name_does_not_start_while_the_first_is_alive() {
    let registry = Arc::new(Registry::default());
    let options = || Options {
        name: Some("tts-mock@0".into()),
        rhythm: Rhythm {
            heartbeat: Duration::from_millis(100),
            ttl: Duration::from_secs(5),
            look: Duration::from_millis(20),
            retry: Duration::from_millis(20),
        },
        ..announced(&registry)
    };
    let first = Served::start(Kind::Tts, "mock", Settings::default(), options()).await;
    registry.until("tts-mock@0", |_| true).await;
    let second = Served::start(Kind::Tts, "mock", Settings::default(), options()).await;
    let refused = second.ended().await.unwrap_err();
    assert!(matches!(refused, Error::NameTaken { .. }), "{refused}");
    let told = refused.to_string();
    assert!(
        told.contains(&first.advertised) && told.contains("--name"),
        "{told}"
    );
    let record = registry.get("tts-mock@0").unwrap();
    assert_eq!(record.addr, first.advertised);
    first.stop().await;
    // Now it is free; and also where a worker died without a word.
    let mut dead = record;
    dead.addr = "grpc://127.0.0.1:1".into();
    let ttl = Duration::from_secs(5);
    registry.announce(&dead, ttl).await.unwrap();
    let third = Served::start(Kind::Tts, "mock", Settings::default(), options()).await;
    let taken = |record: &WorkerRecord| record.addr == third.advertised;
    registry.until("tts-mock@0", taken).await;
    third.stop().await;
    assert_eq!(registry.get("tts-mock@0"), None);
}
