//! Workers that stall, break and are replaced.

use super::*;
use crate::cluster::{Access, Fleet};
use crate::session::speech::worker::Sound;
use futures_util::StreamExt as _;
use tokio_util::task::TaskTracker;

/// A task whose worker sends what `sound` has, and the session's end of it.
fn task(words: mpsc::Receiver<Piece>, sound: Sound) -> (Handle, Task) {
    // Nobody listens there: commands are lost, as on a worker that is gone.
    let nowhere = tonic::transport::Endpoint::from_static("http://127.0.0.1:9").connect_lazy();
    let session = SpeechSession::at(nowhere);
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
    let (mut handle, task) = task(pieces, one_frame_and_no_more());
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
    let (mut handle, task) = task(pieces, one_frame_and_no_more());
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
