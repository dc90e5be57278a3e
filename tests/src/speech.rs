//! Speech for callers, made by flite through the program's own worker.

use media::AudioFrame;
use parlor::cluster::{Cluster, Voice};
use parlor::session::responder::Piece;
use parlor::session::speech::{Affinity, Event, Order, speech};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use workers::Embedded;

/// 48 kHz frames of a voice saying `text`.
pub async fn say(text: &str) -> Vec<AudioFrame> {
    let mut settings = workers::Settings::default();
    settings.tts.adapters = vec![workers::TtsEngine::Flite];
    settings.stt.adapter = workers::SttEngine::Scripted;
    let embedded = Embedded::start(settings)
        .await
        .expect("flite is installed; ./just setup installs it");
    let cluster = Cluster::of(&embedded);
    let (words, pieces) = mpsc::channel(1);
    words.send(Piece::Text(text.into())).await.unwrap();
    drop(words);
    let order = Order {
        cluster,
        id: "test".into(),
        voice: Voice {
            id: "flite:slt".into(),
            speed: None,
            is_must: true,
        },
        affinity: Affinity::default(),
    };
    let (mut handle, task) = speech(order, pieces);
    let tasks = TaskTracker::new();
    tasks.spawn(task);
    let mut frames = Vec::new();
    while let Some(event) = handle.events.recv().await {
        match event {
            Event::Frame { frame, .. } => frames.push(frame),
            Event::Clause(_) | Event::Word { .. } => {}
            Event::Broken(_) => panic!("the worker broke"),
            Event::Done => break,
            Event::Failed(error) => panic!("{error}"),
        }
    }
    frames
}
