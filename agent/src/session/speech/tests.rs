//! Workers that stall, break and are replaced.

use super::*;
use crate::cluster::{Access, Fleet};
use crate::session::speech::watch::STALLED_AFTER;
use crate::session::speech::worker::Sound;
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use workers::Embedded;
use workers::settings::Settings;

/// A worker that answers, but knows nothing of the session.
async fn alive() -> Embedded {
    let mut settings = Settings::default();
    settings.tts.adapters = vec![workers::TtsEngine::Mock];
    settings.stt.adapter = workers::SttEngine::Scripted;
    Embedded::start(settings).await.unwrap()
}

/// A worker that hangs: it can be connected, and answers nothing.
fn hung() -> Channel {
    let connector = tower::service_fn(|_: tonic::transport::Uri| async {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        TaskTracker::new().spawn(async move {
            let _open = theirs;
            std::future::pending::<()>().await;
        });
        Ok::<_, std::io::Error>(TokioIo::new(ours))
    });
    Endpoint::from_static("http://hung").connect_with_connector_lazy(connector)
}

/// A task whose worker sends what `sound` has, and the session's end of it.
fn task(worker: Channel, words: mpsc::Receiver<Piece>, sound: Sound) -> (Handle, Task) {
    let session = SpeechSession::at(worker);
    let (text, texts) = mpsc::channel(8);
    let opening = Box::pin(async move {
        // The texts stay open as long as the sound.
        let sound: Sound = Box::pin(sound.inspect(move |_| {
            let _ = &texts;
        }));
        Ok(sound)
    });
    let (events_in, events) = mpsc::channel(EVENTS);
    let (control, control_out) = mpsc::channel(CONTROLS);
    let order = Order {
        cluster: Cluster::new(Fleet::new(String::new(), Access::default())),
        id: "test".into(),
        voice: Voice::default(),
        affinity: Affinity::default(),
    };
    let mut task = Task::new(order, words, (events_in, control_out));
    task.source = Source::Open(Box::new(Worker::with(session, 0, text, opening)));
    (Handle::new(events, control), task)
}

fn one_frame_and_no_more() -> Sound {
    let frame = proto::tts::AudioFrame {
        audio_data: AudioFrame::silence().to_le_bytes().to_vec().into(),
        ..Default::default()
    };
    Box::pin(futures_util::stream::iter([Ok(frame)]).chain(futures_util::stream::pending()))
}

async fn take(handle: &mut Handle) -> Event {
    let patience = Duration::from_secs(3600);
    tokio::time::timeout(patience, handle.events.recv())
        .await
        .expect("something is told")
        .expect("the task goes on")
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stalls_after_its_first_frame_has_failed() {
    let clock = media::Clock::start();
    let (words, pieces) = mpsc::channel(1);
    let worker = alive().await;
    let (mut handle, task) = task(worker.tts(), pieces, one_frame_and_no_more());
    let tasks = TaskTracker::new();
    tasks.spawn(task.run());
    words
        .send(Piece::Text("Hello there, my fr".into()))
        .await
        .unwrap();
    // A responder that takes its time is not the worker's fault.
    let patience = Duration::from_secs(60);
    let mut told = Vec::new();
    while let Ok(event) = tokio::time::timeout(patience, handle.events.recv()).await {
        told.push(event.expect("the task goes on"));
    }
    assert!(
        matches!(
            told.as_slice(),
            [Event::Frame { .. }, Event::Clause(_)] | [Event::Clause(_), Event::Frame { .. }]
        ),
        "{told:?}"
    );
    drop(words);
    let since = clock.now();
    assert!(matches!(take(&mut handle).await, Event::Clause(rest) if rest == "my fr"));
    let Event::Broken(answer) = take(&mut handle).await else {
        panic!("the session is asked where to go on");
    };
    let rest = Rest {
        was: 2,
        clause: 2,
        text: "my fr".into(),
        from_sample: 960,
    };
    answer.send(rest).unwrap();
    let event = take(&mut handle).await;
    assert!(
        matches!(event, Event::Failed(Error::Unavailable(_))),
        "there is no other: {event:?}"
    );
    let waited = clock.now() - since;
    assert!(waited <= 2 * STALLED_AFTER, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_held_has_not_stalled() {
    let (words, pieces) = mpsc::channel(1);
    let worker = alive().await;
    let (mut handle, task) = task(worker.tts(), pieces, one_frame_and_no_more());
    let tasks = TaskTracker::new();
    tasks.spawn(task.run());
    words
        .send(Piece::Text("Hello there.".into()))
        .await
        .unwrap();
    drop(words);
    take(&mut handle).await;
    take(&mut handle).await;
    handle.control(ControlCommand::Pause);
    let held = tokio::time::timeout(Duration::from_secs(600), handle.events.recv()).await;
    assert!(held.is_err(), "{held:?}");
    handle.control(ControlCommand::Resume);
    assert!(matches!(take(&mut handle).await, Event::Broken(_)));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_while_the_responder_still_writes_is_found_out() {
    let (words, pieces) = mpsc::channel(1);
    let (mut handle, task) = task(hung(), pieces, one_frame_and_no_more());
    let tasks = TaskTracker::new();
    tasks.spawn(task.run());
    words
        .send(Piece::Text("Hello there, my fr".into()))
        .await
        .unwrap();
    let clock = media::Clock::start();
    take(&mut handle).await;
    take(&mut handle).await;
    assert!(matches!(take(&mut handle).await, Event::Broken(_)));
    let waited = clock.now();
    assert!(waited <= Duration::from_millis(2_100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_keeps_no_command_from_being_obeyed_by_the_task() {
    let (words, pieces) = mpsc::channel(1);
    let (mut handle, task) = task(hung(), pieces, one_frame_and_no_more());
    let tasks = TaskTracker::new();
    tasks.spawn(task.run());
    words
        .send(Piece::Text("Hello there, my fr".into()))
        .await
        .unwrap();
    take(&mut handle).await;
    take(&mut handle).await;
    // More than its queue has room for, each of which the worker leaves without an answer.
    for _ in 0..5 * CONTROLS {
        handle.control(ControlCommand::Resume);
        handle.control(ControlCommand::Pause);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    // It is held, so nobody expects anything of it.
    let held = tokio::time::timeout(Duration::from_secs(600), handle.events.recv()).await;
    assert!(held.is_err(), "{held:?}");
    handle.control(ControlCommand::Resume);
    let clock = media::Clock::start();
    assert!(matches!(take(&mut handle).await, Event::Broken(_)));
    assert!(clock.now() <= Duration::from_millis(2_100));
}

#[tokio::test(start_paused = true)]
async fn clauses_that_go_on_coming_do_not_hide_that_the_worker_hangs() {
    let (words, pieces) = mpsc::channel(1);
    let (mut handle, task) = task(hung(), pieces, one_frame_and_no_more());
    let tasks = TaskTracker::new();
    tasks.spawn(task.run());
    tasks.spawn(async move {
        // The responder writes faster than anybody speaks; the connection takes it all.
        while words
            .send(Piece::Text("And so it went on. ".into()))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    });
    let clock = media::Clock::start();
    let broken = loop {
        match take(&mut handle).await {
            Event::Broken(_) => break clock.now(),
            Event::Clause(_) | Event::Frame { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(broken <= Duration::from_millis(2_500), "{broken:?}");
}
