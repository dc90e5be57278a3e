use super::*;
use crate::tts::{Clause, Error, Gender, Model, Piece, Portion, Speech, Voice};
use proto::tts::ControlCommand::{Pause, Resume, Stop};
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::tts_service_server::TtsServiceServer;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Server};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An engine with one model and one voice, which says 100 ms of silence. Its first loads may fail, and each waits at the gate if
/// there is one.
struct Slow {
    failures: AtomicU32,
    loads: AtomicU32,
    gate: Option<Mutex<Receiver<()>>>,
}

impl TtsAdapter for Slow {
    fn family(&self) -> &'static str {
        "slow"
    }

    fn models(&self) -> Vec<Model> {
        vec![Model {
            id: "m".into(),
            languages: Vec::new(),
            metadata: BTreeMap::new(),
        }]
    }

    fn voices(&self) -> Vec<Voice> {
        vec![Voice {
            name: "v".into(),
            title: "V".into(),
            language: "en".into(),
            gender: Gender::Unknown,
            model: "m".into(),
            loudness_lufs: None,
        }]
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn portion(&self) -> Portion {
        Portion::Chunk
    }

    fn load(&self, _model: &str) -> Result<(), Error> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.lock().unwrap().recv().unwrap();
        }
        let failures = self.failures.load(Ordering::SeqCst);
        self.failures
            .store(failures.saturating_sub(1), Ordering::SeqCst);
        match failures {
            0 => Ok(()),
            _ => Err(Error::Start {
                engine: "slow",
                reason: "no memory".into(),
            }),
        }
    }

    fn unload(&self, _model: &str) {}

    fn speak(&self, _clause: Clause) -> Result<Speech, Error> {
        let silence = Piece {
            rate_hz: 48_000,
            samples: vec![0; 4_800],
            marks: Vec::new(),
        };
        Ok(Speech::made(std::iter::once(silence)))
    }
}

impl Slow {
    /// One that fails so often.
    fn failing(failures: u32) -> Arc<Self> {
        Arc::new(Self {
            failures: failures.into(),
            loads: AtomicU32::new(0),
            gate: None,
        })
    }

    /// One whose loads wait for the test.
    fn gated() -> (Arc<Self>, SyncSender<()>) {
        let (go, gate) = sync_channel(8);
        let slow = Self {
            failures: AtomicU32::new(0),
            loads: AtomicU32::new(0),
            gate: Some(Mutex::new(gate)),
        };
        (Arc::new(slow), go)
    }
}

fn service(engine: Arc<Slow>, tasks: &TaskTracker) -> Service {
    let models = ModelManagerSettings {
        ttl_ms: 1,
        min_residency_ms: 0,
        ..ModelManagerSettings::default()
    };
    Service::new(
        vec![engine],
        &TtsSettings::default(),
        models,
        None,
        tasks.clone(),
    )
    .unwrap()
}

async fn client(service: Service, tasks: &TaskTracker) -> TtsServiceClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(TtsServiceServer::new(service))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tasks.spawn(server);
    let client = TtsServiceClient::connect(format!("http://{address}"));
    client.await.unwrap()
}

async fn control(tts: &mut TtsServiceClient<Channel>, command: wire::ControlCommand) -> bool {
    let request = wire::ControlRequest {
        session_id: "a".into(),
        command: command.into(),
    };
    tts.control(request).await.unwrap().into_inner().success
}

#[tokio::test]
async fn commands_are_obeyed_while_a_model_is_on_its_way() {
    let tasks = TaskTracker::new();
    let (slow, go) = Slow::gated();
    let service = service(slow.clone(), &tasks);
    let mut tts = client(service.clone(), &tasks).await;
    go.send(()).unwrap();
    let start = wire::StartSessionRequest {
        session_id: "a".into(),
        ..wire::StartSessionRequest::default()
    };
    let started = tts.start_session(start).await.unwrap().into_inner();
    assert!(started.success, "{}", started.message);
    // Nobody has used the session for long: it has let its model go.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(700)).await;
    tokio::time::resume();
    service.0.sessions.sweep(service.0.clock.now());
    assert_eq!(service.0.open(), 0);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(service.models().evict().await.len(), 1);

    let say = |text: &str| {
        futures_util::stream::iter([wire::TextChunk {
            session_id: "a".into(),
            text: text.into(),
            is_final: true,
            sequence_number: 1,
        }])
    };
    let mut stopped = tts.synthesize(say("one")).await.unwrap().into_inner();
    while slow.loads.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(control(&mut tts, Stop).await);
    let last = timeout(PATIENCE, stopped.message()).await;
    let last = last.expect("it waits for the model").unwrap().unwrap();
    assert!(last.is_final);
    assert_eq!(last.audio_data.len(), 1_920);

    let mut held = tts.synthesize(say("two")).await.unwrap().into_inner();
    // It is known as soon as its first chunk has come.
    while service.0.sessions.are_idle(Duration::from_secs(10_000)) {
        tokio::task::yield_now().await;
    }
    assert!(control(&mut tts, Pause).await);
    go.send(()).unwrap();
    let quiet = timeout(Duration::from_millis(200), held.message()).await;
    assert!(quiet.is_err(), "a frame left while on hold");
    assert!(control(&mut tts, Resume).await);
    let mut frames = 0;
    while let Some(frame) = timeout(PATIENCE, held.message()).await.unwrap().unwrap() {
        frames += 1;
        assert_eq!(frame.is_final, frames == 5);
    }
    assert_eq!(frames, 5);
    // The session has its model again, and keeps it.
    assert!(service.models().unload("m").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_default_model_that_failed_is_tried_again_and_nobody_is_sent_there_meanwhile() {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let slow = Slow::failing(4);
    let service = service(slow.clone(), &tasks);
    assert!(service.load("m").await.is_err());
    assert!(!service.is_well());
    let clock = Clock::start();
    let (kept, end) = (service.clone(), stop.clone());
    let kept = tasks.spawn(async move { kept.keep_default(end).await });
    let mut changes = service.changes();
    // Every change of its condition is a change for the better.
    changes.next().await;
    assert!(service.is_well());
    assert_eq!(slow.loads.load(Ordering::SeqCst), 5);
    // After one second, two, four and eight.
    assert_eq!(clock.now().as_secs(), 15);
    // Something else that works says nothing of this model.
    service.0.condition.default_failed();
    service.0.condition.engine_works();
    assert!(!service.is_well());
    stop.cancel();
    kept.await.unwrap();
}
