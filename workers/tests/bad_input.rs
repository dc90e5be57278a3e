//! What clients, files and people may give a worker by mistake or in anger: each gets an answer, and nobody else notices.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;
#[path = "support/onnx.rs"]
mod onnx;
#[path = "support/packs.rs"]
mod packs;

use caller::{Caller, check, chunk, is_here, read, settings};
use proto::tts::{
    EndSessionRequest, GetCapabilitiesRequest, ListModelsRequest, LoadModelRequest,
    UnloadModelRequest,
};
use std::fs;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Code;
use workers::TtsEngine::{Espeak, Flite, Mock, Piper};

/// Frames for as many characters, of the mock.
fn frames_of(characters: usize) -> usize {
    25 + characters.saturating_sub(20)
}

#[tokio::test(start_paused = true)]
async fn any_text_is_said_to_its_end() {
    let mut caller = Caller::of(Mock).await;
    caller.open("a", &[]).await;
    assert_eq!(caller.say("a", "").await.len(), 1);
    for text in [
        "x",
        "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "\u{0}\u{1}\u{7f}\u{9b}\u{feff}\u{202e}",
        "Bom dia, доброе утро, 早上好, صباح الخير, सुप्रभात, guten Morgen.",
    ] {
        let frames = caller.say("a", text).await;
        let characters = text.chars().count();
        assert_eq!(
            frames.len(),
            frames_of(characters),
            "{characters} characters"
        );
    }
    let long = "é".repeat(100_000);
    let mut stream = caller.begin(vec![chunk("a", &long, 1, true)]).await;
    let mut frames = 0;
    while let Some(frame) = stream.message().await.unwrap() {
        frames += 1;
        assert_eq!(frame.sequence_number, frames);
    }
    assert_eq!(frames, frames_of(100_000) as i64);
}

#[tokio::test]
async fn any_text_is_said_to_its_end_by_real_voices() {
    let much =
        "Bom dia, доброе утро, 早上好, صباح الخير, सुप्रभात, guten Morgen, good morning. ".repeat(3);
    for (engine, name) in [(Flite, "flite"), (Espeak, "espeak")] {
        if !is_here(name) {
            continue;
        }
        let mut caller = Caller::of(engine).await;
        caller.open("a", &[]).await;
        for text in [
            "",
            "x",
            "é",
            "😀👩‍👩‍👧‍👦🏳️‍🌈 yes 😀",
            "\u{0}a\u{1}b\u{7f}\u{9b}c\u{feff}\u{202e}\r\n\t",
            "&amp; <speak><break/></speak> %s %n {} \\ \" '",
            &much,
        ] {
            let frames = caller.say("a", text).await;
            assert!(frames.len() < 3_000, "{name}: {} frames", frames.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_voice_session_and_command_are_refused_with_what_there_is() {
    let mut caller = Caller::of(Mock).await;
    let refused = caller.start("a", "whale", &[]).await;
    assert!(!refused.success && refused.message.contains("mock-440hz"));
    let refused = caller.start("a", "", &[("voice", "whale")]).await;
    assert!(!refused.success && refused.message.contains("mock:440hz"));
    let (code, message) = caller.refusal(vec![chunk("a", "hello", 1, true)]).await;
    assert_eq!(code, Code::NotFound);
    assert!(message.contains("start it first"), "{message}");
    let command = proto::tts::ControlRequest {
        session_id: "a".into(),
        command: 17,
    };
    let answer = caller.tts.control(command).await.unwrap().into_inner();
    assert!(!answer.success && answer.message.contains("RELOAD 3"));
    // A name of a megabyte is a name.
    let long = "x".repeat(1 << 20);
    caller.open(&long, &[]).await;
    caller.say(&long, "hello").await;
    let load = LoadModelRequest {
        model_id: "whale".into(),
        preload_only: false,
    };
    let answer = caller.tts.load_model(load).await.unwrap().into_inner();
    assert!(!answer.success && answer.message.contains("mock-440hz"));
}

#[tokio::test(start_paused = true)]
async fn two_streams_on_one_session_are_both_said_and_stopped_together() {
    let mut caller = Caller::of(Mock).await;
    caller.open("a", &[]).await;
    let one = caller.begin(vec![chunk("a", "hello", 1, true)]).await;
    let two = caller
        .begin(vec![chunk("a", &"x".repeat(30), 1, true)])
        .await;
    let (one, two) = tokio::join!(read(one), read(two));
    let (one, two) = (one.unwrap(), two.unwrap());
    check("a", &one);
    check("a", &two);
    assert_eq!((one.len(), two.len()), (25, 35));

    let text = "x".repeat(5_000);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = caller.begin(vec![chunk("a", &text, 1, true)]).await;
        assert!(stream.message().await.unwrap().is_some());
        streams.push(stream);
    }
    assert!(caller.control("a", proto::tts::ControlCommand::Stop).await);
    for stream in streams {
        let rest = read(stream).await.unwrap();
        assert!(rest.len() < 20 && rest.last().unwrap().is_final);
    }
}

#[tokio::test]
async fn frames_that_are_never_read_hold_nothing_once_their_session_has_ended() {
    let mut caller = Caller::of(Mock).await;
    caller.open("a", &[]).await;
    // Held, and never looked at.
    let unread = caller
        .begin(vec![chunk("a", &"x".repeat(100_000), 1, true)])
        .await;
    let mut made = 0.0;
    let unload = || UnloadModelRequest {
        model_id: "mock-440hz".into(),
    };
    // Frames are made until the way to the client is full.
    let filled = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = caller.metric("frames_total").await;
            if now > 0.0 && now == made {
                break;
            }
            made = now;
        }
    };
    timeout(Duration::from_secs(30), filled).await.unwrap();
    assert!(made < 300.0, "{made} frames");
    let refused = caller.tts.unload_model(unload()).await.unwrap();
    assert!(!refused.into_inner().success, "it is in use");
    let end = EndSessionRequest {
        session_id: "a".into(),
    };
    assert!(
        caller
            .tts
            .end_session(end)
            .await
            .unwrap()
            .into_inner()
            .success
    );
    let unloaded = async {
        loop {
            let answer = caller.tts.unload_model(unload()).await.unwrap();
            if answer.into_inner().success {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), unloaded).await.unwrap();
    let told = caller.tts.get_capabilities(GetCapabilitiesRequest {}).await;
    let told = told.unwrap().into_inner();
    assert_eq!(told.metrics["queue_depth"], 0.0);
    assert_eq!(told.metrics["slots_in_use"], 0.0);
    assert!(told.resident_models.is_empty());
    // Whoever looks at last finds an end.
    let frames = read(unread).await.unwrap();
    check("a", &frames);
    assert!(frames.len() < 300);
}

#[tokio::test]
async fn a_corrupt_model_and_a_pack_without_metadata_are_told_and_spoil_no_other() {
    let root = tempfile::tempdir().unwrap();
    let Some(places) = packs::places(root.path()) else {
        return;
    };
    let config = packs::piper_config(22_050, &[]);
    let tone = packs::piper_tone(22_050);
    packs::piper(root.path(), "plain", &tone, &config);
    fs::remove_file(root.path().join("piper/plain/metadata.yaml")).unwrap();
    packs::piper(root.path(), "torn", &tone[..tone.len() / 2], &config);
    let mut settings = settings(Piper);
    settings.places = places;
    settings.tts.default_voice = "piper:plain".into();
    let mut caller = Caller::with(settings).await;
    caller.open("a", &[("voice", "piper:plain")]).await;
    assert!(caller.say("a", "Hello, hello.").await.len() > 5);
    for _ in 0..2 {
        let refused = caller.start("b", "torn", &[]).await;
        assert!(!refused.success && !refused.busy, "{}", refused.message);
        assert!(refused.message.contains("torn"), "{}", refused.message);
    }
    let (code, _) = caller.refusal(vec![chunk("b", "hello", 1, true)]).await;
    assert_eq!(code, Code::NotFound);
    let models = caller.tts.list_models(ListModelsRequest {}).await.unwrap();
    let models = models.into_inner().models;
    let listed = |id: &str| models.iter().find(|model| model.model_id == id).unwrap();
    assert!(listed("plain").is_loaded);
    assert!(!listed("plain").metadata.contains_key("problem"));
    assert!(!listed("torn").is_loaded);
    assert!(listed("torn").metadata["problem"].contains("torn"));
    assert_eq!(listed("torn").metadata["state"], "absent");
    // It takes nobody's place.
    assert_eq!(caller.metric("slots_in_use").await, 1.0);
    caller.say("a", "Still here.").await;
}
