//! What every client of `stt.STTService` may rely on, tried over the connection that the program itself uses.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;

use caller::{is_here, samples};
use futures_util::stream;
use media::resample::Resampler;
use media::wav;
use proto::registry::metric;
use proto::stt::stt_service_client::SttServiceClient;
use proto::stt::{
    AudioFrame, CancelRequest, HealthRequest, TranscribeFileRequest, TranscriptEvent,
};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use workers::{Embedded, Settings, SttEngine, TtsEngine};

/// 20 ms at 16 kHz.
const STEP: usize = 320;

struct Listener {
    stt: SttServiceClient<Channel>,
    // Dropping it stops the services.
    _embedded: Embedded,
}

impl Listener {
    async fn with(settings: Settings) -> Self {
        let embedded = Embedded::start(settings).await.unwrap();
        Self {
            stt: SttServiceClient::new(embedded.stt()),
            _embedded: embedded,
        }
    }

    async fn scripted(script: &[&str]) -> Self {
        let mut settings = caller::settings(TtsEngine::Mock);
        settings.stt.script = script.iter().map(|line| line.to_string()).collect();
        Self::with(settings).await
    }

    async fn pocketsphinx(slots: usize) -> Self {
        let mut settings = caller::settings(TtsEngine::Mock);
        settings.stt.adapter = SttEngine::Pocketsphinx;
        settings.stt.slots = slots;
        Self::with(settings).await
    }

    async fn begin(&mut self, frames: Vec<AudioFrame>) -> Streaming<TranscriptEvent> {
        self.stt
            .transcribe_stream(stream::iter(frames))
            .await
            .unwrap()
            .into_inner()
    }

    /// All events of one utterance; the last one is its final.
    async fn transcribe(&mut self, session: &str, sound: &[i16]) -> Vec<TranscriptEvent> {
        let events = read(self.begin(utterance(session, sound)).await)
            .await
            .unwrap();
        let last = events.last().unwrap();
        assert_eq!(
            events
                .iter()
                .filter(|event| event.event_type == "final")
                .count(),
            1
        );
        assert_eq!(
            (last.event_type.as_str(), last.session_id.as_str()),
            ("final", session)
        );
        events
    }
}

fn frame(session: &str, samples: &[i16], is_last: bool) -> AudioFrame {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    AudioFrame {
        session_id: session.into(),
        data: data.into(),
        is_last,
        ..AudioFrame::default()
    }
}

/// An utterance in steps of 20 ms, the last one marked.
fn utterance(session: &str, sound: &[i16]) -> Vec<AudioFrame> {
    let mut frames: Vec<_> = sound
        .chunks(STEP)
        .map(|step| frame(session, step, false))
        .collect();
    frames.push(frame(session, &[], true));
    frames
}

async fn read(mut events: Streaming<TranscriptEvent>) -> Result<Vec<TranscriptEvent>, Status> {
    let mut all = Vec::new();
    while let Some(event) = events.message().await? {
        all.push(event);
    }
    Ok(all)
}

#[tokio::test]
async fn words_appear_while_they_are_spoken_and_the_final_has_them_all() {
    let mut listener = Listener::scripted(&["tell me a story"]).await;
    let events = listener.transcribe("a", &[2_000; 16_000 / 2]).await;
    let texts: Vec<_> = events.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(texts, ["tell", "tell me", "tell me a story"]);
    assert!(
        events[..2]
            .iter()
            .all(|event| event.event_type == "partial")
    );
    let last = &events[2];
    assert_eq!((last.segment_id, last.start_ms, last.end_ms), (0, 0, 500));
    assert_eq!(
        (last.language.as_str(), last.confidence, last.words.len()),
        ("en", 1.0, 4)
    );
    assert_eq!(last.words[1].word, "me");
}

#[tokio::test]
async fn a_stream_may_hold_several_utterances_and_a_session_several_streams() {
    let mut listener = Listener::scripted(&["one", "two", "three"]).await;
    let mut frames = utterance("a", &[2_000; 8_000]);
    frames.extend(utterance("a", &[2_000; 8_000]));
    let events = read(listener.begin(frames).await).await.unwrap();
    let finals: Vec<_> = events
        .iter()
        .filter(|event| event.event_type == "final")
        .collect();
    assert_eq!(
        (
            finals[0].text.as_str(),
            finals[0].segment_id,
            finals[0].start_ms
        ),
        ("one", 0, 0)
    );
    assert_eq!(
        (
            finals[1].text.as_str(),
            finals[1].segment_id,
            finals[1].start_ms
        ),
        ("two", 1, 500)
    );
    let last = |events: Vec<TranscriptEvent>| events.last().unwrap().text.clone();
    assert_eq!(last(listener.transcribe("a", &[2_000; 800]).await), "three");
    assert_eq!(last(listener.transcribe("b", &[2_000; 800]).await), "one");
    assert_eq!(last(listener.transcribe("a", &[2_000; 800]).await), "one");
}

#[tokio::test]
async fn a_half_close_ends_an_utterance_and_no_sound_is_no_words() {
    let mut listener = Listener::scripted(&["one"]).await;
    let events = read(
        listener
            .begin(vec![frame("a", &[2_000; 1_600], false)])
            .await,
    )
    .await
    .unwrap();
    assert_eq!(events.last().map(|event| event.text.as_str()), Some("one"));
    let events = read(listener.begin(vec![frame("b", &[], true)]).await)
        .await
        .unwrap();
    assert_eq!(
        (
            events.len(),
            events[0].event_type.as_str(),
            events[0].text.as_str()
        ),
        (1, "final", "")
    );
    assert!(read(listener.begin(vec![]).await).await.unwrap().is_empty());
}

#[tokio::test]
async fn bad_sound_is_refused_and_others_are_heard() {
    let mut listener = Listener::scripted(&["one"]).await;
    let odd = AudioFrame {
        session_id: "a".into(),
        data: vec![0; 3].into(),
        ..AudioFrame::default()
    };
    let refused = read(listener.begin(vec![odd]).await).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let mixed = vec![frame("a", &[0; 320], false), frame("b", &[0; 320], true)];
    assert_eq!(
        read(listener.begin(mixed).await).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        listener
            .transcribe("c", &[2_000; 800])
            .await
            .last()
            .unwrap()
            .text,
        "one"
    );
}

#[tokio::test]
async fn what_is_cancelled_ends_and_what_is_unknown_cannot_be() {
    let mut listener = Listener::scripted(&["tell me a story"]).await;
    let (frames, waiting) = mpsc::channel(16);
    let mut events = listener
        .stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await
        .unwrap()
        .into_inner();
    frames
        .send(frame("a", &[2_000; 3_200], false))
        .await
        .unwrap();
    assert_eq!(events.message().await.unwrap().unwrap().text, "tell");
    let cancel = |request: &str, session: &str| CancelRequest {
        request_id: request.into(),
        session_id: session.into(),
    };
    for unknown in [cancel("", ""), cancel("a", ""), cancel("", "b")] {
        assert!(
            !listener
                .stt
                .cancel(unknown)
                .await
                .unwrap()
                .into_inner()
                .acknowledged
        );
    }
    assert!(
        listener
            .stt
            .cancel(cancel("", "a"))
            .await
            .unwrap()
            .into_inner()
            .acknowledged
    );
    assert_eq!(events.message().await.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn who_forgets_to_end_an_utterance_holds_no_recogniser_for_ever() {
    let mut listener = Listener::scripted(&["one two", "three"]).await;
    let (frames, waiting) = mpsc::channel(16);
    let mut events = listener
        .stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await
        .unwrap()
        .into_inner();
    let clock = media::Clock::start();
    // Frames without sound are a sign of life too.
    for data in [&[2_000; 6_400][..], &[]] {
        frames.send(frame("a", data, false)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let mut texts = Vec::new();
    let last = loop {
        let event = events.message().await.unwrap().unwrap();
        if event.event_type == "final" {
            break event;
        }
        texts.push(event.text);
    };
    assert_eq!(texts, ["one", "one two"]);
    assert_eq!(last.text, "one two");
    let after = clock.now().as_secs();
    assert!((50..=51).contains(&after), "after {after} s");
    let health = listener.stt.health(HealthRequest {}).await.unwrap();
    assert_eq!(health.into_inner().metadata["slots_in_use"], "0");
    // The stream goes on with the next utterance, however much later.
    tokio::time::sleep(Duration::from_secs(600)).await;
    frames
        .send(frame("a", &[2_000; 3_200], true))
        .await
        .unwrap();
    drop(frames);
    let events = read(events).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.text.as_str(), last.segment_id), ("three", 1));
}

#[tokio::test]
async fn hints_that_nobody_could_use_are_refused() {
    let mut listener = Listener::scripted(&["one"]).await;
    let request = TranscribeFileRequest {
        audio_data: vec![0; 3_200].into(),
        ..Default::default()
    };
    let long = "a ".repeat(10_000);
    for refused in [
        TranscribeFileRequest {
            temperature: 1.5,
            ..request.clone()
        },
        TranscribeFileRequest {
            temperature: f32::NAN,
            ..request.clone()
        },
        TranscribeFileRequest {
            initial_prompt: long.clone(),
            ..request.clone()
        },
        TranscribeFileRequest {
            hot_words: vec!["a".into(); 1_001],
            ..request.clone()
        },
    ] {
        let refused = listener.stt.transcribe_file(refused).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let frames = vec![AudioFrame {
        initial_prompt: long,
        ..frame("a", &[2_000; 800], true)
    }];
    let refused = read(listener.begin(frames).await).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let frames = vec![AudioFrame {
        initial_prompt: "names".into(),
        hot_words: vec!["one".into()],
        ..frame("a", &[2_000; 800], true)
    }];
    let events = read(listener.begin(frames).await).await.unwrap();
    assert_eq!(events.last().unwrap().text, "one");
}

#[tokio::test]
async fn a_file_may_be_a_container_or_bare_samples_and_a_damaged_one_is_told() {
    let mut listener = Listener::scripted(&["one two"]).await;
    let request = |data: Vec<u8>| TranscribeFileRequest {
        audio_data: data.into(),
        ..Default::default()
    };
    let bare: Vec<u8> = [2_000_i16; 16_000]
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let heard = listener
        .stt
        .transcribe_file(request(bare.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (heard.text.as_str(), heard.duration, heard.language.as_str()),
        ("one two", 1.0, "en")
    );
    assert_eq!((heard.segments.len(), heard.words.len()), (1, 2));
    let wanted = TranscribeFileRequest {
        timestamp_granularities: vec!["word".into()],
        ..request(bare)
    };
    let heard = listener
        .stt
        .transcribe_file(wanted)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((heard.segments.len(), heard.words.len()), (0, 2));
    for damaged in [
        vec![],
        vec![1],
        b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec(),
        b"fLaC".to_vec(),
    ] {
        let refused = listener
            .stt
            .transcribe_file(request(damaged))
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{}",
            refused.message()
        );
    }
    let odd = TranscribeFileRequest {
        task: "sing".into(),
        ..request(vec![0, 0])
    };
    assert_eq!(
        listener.stt.transcribe_file(odd).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn health_tells_the_engine() {
    let mut listener = Listener::scripted(&[]).await;
    let health = listener
        .stt
        .health(HealthRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (health.status.as_str(), health.engine.as_str()),
        ("ok", "scripted")
    );
}

/// A recording of the test data at 16 kHz with its words; `None` if the test data is not here.
fn recording(name: &str) -> Option<(Vec<i16>, String)> {
    let folder = std::env::var_os("PARLOR_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    if !folder.is_dir() && std::env::var("CI").as_deref() != Ok("true") {
        eprintln!("left out: the recordings of {}", folder.display());
        return None;
    }
    let path = folder.join("speech-en").join(name);
    let sound = wav::read(&path).unwrap();
    let words = std::fs::read_to_string(path.with_extension("txt"))
        .unwrap()
        .trim()
        .to_owned();
    Some((at_16k(&sound.samples, sound.sample_rate_hz), words))
}

fn at_16k(sound: &[i16], rate_hz: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(rate_hz, 16_000).unwrap();
    let mut out = Vec::new();
    resampler.process(sound, &mut out);
    resampler.flush(&mut out);
    out
}

#[tokio::test]
async fn pocketsphinx_hears_people() {
    if !is_here("pocketsphinx") {
        return;
    }
    let Some((sound, words)) = recording("cards-001.wav") else {
        return;
    };
    let mut listener = Listener::pocketsphinx(1).await;
    // The utterance ends when its first words have come.
    let (frames, waiting) = mpsc::channel(1_000);
    let mut events = listener
        .stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await
        .unwrap()
        .into_inner();
    for step in sound.chunks(STEP) {
        frames.send(frame("a", step, false)).await.unwrap();
    }
    let first = events.message().await.unwrap().unwrap();
    assert_eq!(first.event_type, "partial");
    assert!(!first.text.is_empty());
    frames.send(frame("a", &[], true)).await.unwrap();
    drop(frames);
    let events = read(events).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (last.text.as_str(), last.event_type.as_str()),
        (words.as_str(), "final")
    );
    let heard: Vec<_> = last.words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(heard, words.split(' ').collect::<Vec<_>>());
    assert!(
        last.words
            .windows(2)
            .all(|pair| pair[0].end <= pair[1].start + 0.011)
    );
    assert!(last.words.last().unwrap().end <= sound.len() as f32 / 16_000.0);
    assert!((0.0..=1.0).contains(&last.confidence));
    let health = listener
        .stt
        .health(HealthRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (health.status.as_str(), health.engine.as_str()),
        ("ok", "pocketsphinx")
    );
    // From the end of the utterance to its words, and the recogniser's work for each second of it.
    for name in [metric::P50_MS, metric::RTF] {
        let value: f64 = health.metadata[name].parse().unwrap();
        assert!(value > 0.0, "{name} is {value}");
    }
    assert_eq!(health.metadata["utterances_total"], "1");
}

#[tokio::test]
async fn pocketsphinx_hears_flite() {
    if !is_here("pocketsphinx") || !is_here("flite") {
        return;
    }
    let mut caller = caller::Caller::of(TtsEngine::Flite).await;
    let mut listener = Listener::pocketsphinx(1).await;
    for text in ["What time is it?", "Stop.", "Tell me a joke."] {
        caller.open("a", &[("voice", "flite:rms")]).await;
        let sound = at_16k(&samples(&caller.say("a", text).await), 48_000);
        let heard = listener
            .transcribe("a", &sound)
            .await
            .last()
            .unwrap()
            .text
            .clone();
        assert_eq!(heard, text.to_lowercase().trim_end_matches(['.', '?']));
    }
}

#[tokio::test]
async fn noise_crumbs_and_silence_harm_no_recogniser() {
    if !is_here("pocketsphinx") {
        return;
    }
    let mut listener = Listener::pocketsphinx(1).await;
    let noise: Vec<i16> = (0..48_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 18) as i16)
        .collect();
    for length in [0, 1, 159, 160, 400, 410, 1_599, 1_600, 1_700, 3_200, 48_000] {
        for sound in [
            &vec![0; length],
            &noise[..length].to_vec(),
            &vec![i16::MIN; length],
        ] {
            assert!(
                listener
                    .transcribe("a", sound)
                    .await
                    .last()
                    .unwrap()
                    .text
                    .len()
                    < 200
            );
        }
    }
    // One that is left in the middle.
    let stream = listener.begin(vec![frame("a", &noise, false)]).await;
    drop(stream);
    listener.transcribe("a", &noise[..16_000]).await;
}

#[tokio::test]
async fn who_finds_no_recogniser_free_is_told_so() {
    if !is_here("pocketsphinx") {
        return;
    }
    let mut settings = caller::settings(TtsEngine::Mock);
    settings.stt.adapter = SttEngine::Pocketsphinx;
    settings.stt.slots = 1;
    settings.stt.wait_ms = Some(50);
    let mut listener = Listener::with(settings).await;
    let (frames, waiting) = mpsc::channel(16);
    let mut first = listener
        .stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await
        .unwrap()
        .into_inner();
    frames
        .send(frame("first", &[300; 16_000], false))
        .await
        .unwrap();
    // The first has the recogniser as soon as health says so.
    while listener
        .stt
        .health(HealthRequest {})
        .await
        .unwrap()
        .into_inner()
        .metadata["slots_in_use"]
        != "1"
    {
        tokio::task::yield_now().await;
    }
    let second = loop {
        let events = read(listener.begin(utterance("second", &[300; 1_600])).await).await;
        match events {
            Err(status) => break status,
            // It was served before the first one.
            Ok(_) => continue,
        }
    };
    assert_eq!(second.code(), Code::ResourceExhausted);
    assert!(second.message().contains("no recogniser is free"));
    frames.send(frame("first", &[], true)).await.unwrap();
    drop(frames);
    while let Some(event) = first.message().await.unwrap() {
        if event.event_type == "final" {
            break;
        }
    }
    assert!(
        listener
            .transcribe("second", &[0; 3_200])
            .await
            .last()
            .unwrap()
            .text
            .is_empty()
    );
}

#[tokio::test]
async fn pocketsphinx_transcribes_files_and_only_english() {
    if !is_here("pocketsphinx") {
        return;
    }
    let Some((sound, words)) = recording("cards-003.wav") else {
        return;
    };
    let mut listener = Listener::pocketsphinx(1).await;
    let bytes: Vec<u8> = sound
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let request = |language: &str| TranscribeFileRequest {
        audio_data: bytes.clone().into(),
        language: language.into(),
        ..Default::default()
    };
    let heard = listener
        .stt
        .transcribe_file(request("en"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(heard.text, words);
    let refused = listener
        .stt
        .transcribe_file(request("pt"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("en"));
}
