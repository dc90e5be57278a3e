//! Whisper on small models of its true format, and what its files may do to it.
#![cfg(feature = "whisper")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;
#[path = "support/whisper.rs"]
mod model;

use futures_util::stream;
use model::Tongue;
use proto::stt::stt_service_client::SttServiceClient;
use proto::stt::{
    AudioFrame, CancelRequest, HealthRequest, TranscribeFileRequest, TranscribeFileResponse,
    TranscriptEvent,
};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use workers::stt::whisper::Whisper;
use workers::stt::whisper::file::{Wrong, check, check_content};
use workers::stt::whisper::native::{Manner, Model, Sight};
use workers::stt::whisper::utterance::{Decoder as _, Effort, Look};
use workers::stt::{Error, SttAdapter as _, Task, Wanted};
use workers::{Embedded, Places, Settings, SttEngine, TtsEngine, WhisperSettings};

struct Listener {
    stt: SttServiceClient<Channel>,
    _embedded: Embedded,
    _folder: TempDir,
}

impl Listener {
    async fn of(tongue: Tongue, script: &[u32]) -> Self {
        Self::with(tongue, script, |_| {}).await
    }

    async fn with(tongue: Tongue, script: &[u32], set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ggml-test.bin");
        model::write(&path, tongue, script);
        let mut settings = caller::settings(TtsEngine::Mock);
        settings.stt.adapter = SttEngine::Whisper;
        settings.stt.whisper.model = path.display().to_string();
        settings.stt.slots = 1;
        // Tests share the machine, and threads that wait for each other do not.
        settings.stt.whisper.threads = 1;
        set(&mut settings);
        let embedded = Embedded::start(settings).await.unwrap();
        Self {
            stt: SttServiceClient::new(embedded.stt()),
            _embedded: embedded,
            _folder: folder,
        }
    }

    async fn file(
        &mut self,
        request: TranscribeFileRequest,
    ) -> Result<TranscribeFileResponse, Status> {
        let response = self.stt.transcribe_file(request).await;
        response.map(tonic::Response::into_inner)
    }

    /// What the final of an utterance says.
    async fn said(&mut self, frames: Vec<AudioFrame>) -> TranscriptEvent {
        let events = self.stt.transcribe_stream(stream::iter(frames)).await;
        read(events.unwrap().into_inner()).await.pop().unwrap()
    }

    async fn health(&mut self, name: &str) -> String {
        let health = self.stt.health(HealthRequest {}).await.unwrap();
        health.into_inner().metadata[name].clone()
    }
}

async fn read(mut events: Streaming<TranscriptEvent>) -> Vec<TranscriptEvent> {
    let mut all = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        all.push(event);
    }
    all
}

/// Sound that no one takes for silence.
fn sound(samples: usize) -> Vec<u8> {
    let samples = (0..samples).map(|n| if n / 40 % 2 == 0 { 3_000_i16 } else { -3_000 });
    samples.flat_map(i16::to_le_bytes).collect()
}

fn frame(data: Vec<u8>, is_last: bool) -> AudioFrame {
    AudioFrame {
        session_id: "a".into(),
        data: data.into(),
        is_last,
        ..AudioFrame::default()
    }
}

fn request(seconds: usize) -> TranscribeFileRequest {
    TranscribeFileRequest {
        audio_data: sound(seconds * 16_000).into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn words_that_two_looks_agree_on_are_told_before_the_end() {
    let script = model::hello(Tongue::English, 3);
    let mut listener = Listener::of(Tongue::English, &script).await;
    let (frames, waiting) = mpsc::channel(128);
    let events = listener
        .stt
        .transcribe_stream(ReceiverStream::new(waiting))
        .await;
    let mut events = events.unwrap().into_inner();
    // However slow this machine is, it looks at each ten seconds.
    for _ in 0..120 {
        frames.send(frame(sound(1_600), false)).await.unwrap();
    }
    let partial = events.message().await.unwrap().unwrap();
    assert_eq!(
        (partial.event_type.as_str(), partial.text.as_str()),
        ("partial", "Hello world.")
    );
    frames.send(frame(Vec::new(), true)).await.unwrap();
    drop(frames);
    let events = read(events).await;
    let last = events.last().unwrap();
    assert_eq!(
        (last.event_type.as_str(), last.text.as_str()),
        ("final", "Hello world.")
    );
    assert_eq!(last.language, "en");
    assert!(last.confidence > 0.9 && last.confidence <= 1.0);
    let words: Vec<_> = last.words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(words, ["Hello", "world."]);
    assert_eq!(last.words[0].start, 0.0);
    assert_eq!(last.words[0].end, last.words[1].start);
    assert_eq!(listener.health("utterances_total").await, "1");
}

#[tokio::test]
async fn silence_sounds_and_circles_are_no_words() {
    let script = model::hello(Tongue::English, 2);
    let mut listener = Listener::of(Tongue::English, &script).await;
    for (data, text) in [
        (vec![0; 96_000], ""),
        ([5, 0].repeat(48_000), ""),
        (Vec::new(), ""),
        // Less than a word.
        (sound(1_000), ""),
        (sound(16_000), "Hello world"),
    ] {
        let mut frames: Vec<_> = data
            .chunks(640)
            .map(|data| frame(data.to_vec(), false))
            .collect();
        frames.push(frame(Vec::new(), true));
        // Each by somebody else: the script begins at the first place only.
        for frame in &mut frames {
            frame.session_id = format!("{} bytes {text}", data.len());
        }
        assert_eq!(listener.said(frames).await.text, text);
    }
    // [BLANK_AUDIO]
    let blank = [
        Tongue::English.stamp(0),
        3,
        4,
        Tongue::English.stamp(50),
        Tongue::English.end(),
    ];
    let mut listener = Listener::of(Tongue::English, &blank).await;
    assert_eq!(listener.file(request(3)).await.unwrap().text, "");
    // One that says one word again and again.
    let mut listener = Listener::of(Tongue::English, &[]).await;
    let heard = listener.file(request(10)).await.unwrap();
    assert_eq!((heard.text.as_str(), heard.words.len()), ("", 0));
}

#[tokio::test]
async fn a_file_s_segments_and_words_have_times_and_probabilities() {
    let script = model::hello(Tongue::English, 3);
    let mut listener = Listener::of(Tongue::English, &script).await;
    let heard = listener.file(request(2)).await.unwrap();
    assert_eq!((heard.text.as_str(), heard.duration), ("Hello world.", 2.0));
    assert_eq!((heard.segments.len(), heard.words.len()), (1, 2));
    let segment = &heard.segments[0];
    assert_eq!((segment.start, segment.end), (0.0, 1.0));
    assert!(segment.avg_logprob > -0.1 && segment.avg_logprob <= 0.0);
    assert!((0.0..0.1).contains(&segment.no_speech_prob));
    assert!((0.1..2.4).contains(&segment.compression_ratio));
    assert!(heard.words.iter().all(|word| word.probability > 0.9));
    // Words of the client's move the script away from its place, so they have reached the model.
    for reminded in [
        TranscribeFileRequest {
            initial_prompt: "Hello again".into(),
            ..request(2)
        },
        TranscribeFileRequest {
            hot_words: vec!["Hello".into()],
            ..request(2)
        },
    ] {
        let heard = listener.file(reminded).await.unwrap();
        assert_ne!(heard.text, "Hello world.");
    }
    let refused = listener.file(TranscribeFileRequest {
        language: "de".into(),
        ..request(1)
    });
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("it understands en"));
    // Nothing in a text harms it.
    let prompt = "\0 \u{1f600} مرحبا [] ' \n".repeat(500);
    let odd = TranscribeFileRequest {
        initial_prompt: prompt,
        hot_words: vec!["a".repeat(10_000), "\0".into()],
        ..request(1)
    };
    listener.file(odd).await.unwrap();
}

#[tokio::test]
async fn the_language_is_found_out_or_told() {
    let script = model::hello(Tongue::Many, 2);
    let mut listener = Listener::of(Tongue::Many, &script).await;
    for (asked, found) in [
        ("", "de"),
        ("auto", "de"),
        ("mixed", "de"),
        ("fr", "fr"),
        ("pt-BR", "pt"),
    ] {
        let asked = TranscribeFileRequest {
            language: asked.into(),
            ..request(2)
        };
        let heard = listener.file(asked).await.unwrap();
        assert_eq!(
            (heard.language.as_str(), heard.text.as_str()),
            (found, "Hello world")
        );
    }
    let translated = TranscribeFileRequest {
        task: "translate".into(),
        ..request(2)
    };
    assert_eq!(listener.file(translated).await.unwrap().language, "en");
    let unknown = TranscribeFileRequest {
        language: "xx".into(),
        ..request(1)
    };
    let refused = listener.file(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let set = |settings: &mut Settings| settings.stt.whisper.language = "es".into();
    let mut listener = Listener::with(Tongue::Many, &script, set).await;
    assert_eq!(listener.file(request(2)).await.unwrap().language, "es");
}

#[tokio::test]
async fn several_are_heard_at_a_time_and_beams_find_the_same() {
    let script = model::hello(Tongue::English, 3);
    let set = |settings: &mut Settings| {
        settings.stt.slots = 2;
        settings.stt.wait_ms = Some(60_000);
        settings.stt.whisper.beam = 3;
        settings.stt.whisper.audio_context = workers::AudioContext::Full;
    };
    let listener = Listener::with(Tongue::English, &script, set).await;
    let utterances = (0..4).map(|n| {
        let mut stt = listener.stt.clone();
        let mut frames = vec![frame(sound(24_000), false), frame(Vec::new(), true)];
        for frame in &mut frames {
            frame.session_id = n.to_string();
        }
        async move {
            let events = stt.transcribe_stream(stream::iter(frames)).await;
            read(events.unwrap().into_inner()).await.pop().unwrap().text
        }
    });
    for text in futures_util::future::join_all(utterances).await {
        assert_eq!(text, "Hello world.");
    }
}

#[tokio::test]
async fn what_is_cancelled_ends_at_once_and_the_recogniser_hears_on() {
    let script = model::hello(Tongue::English, 3);
    let set = |settings: &mut Settings| {
        settings.stt.whisper.audio_context = workers::AudioContext::Full;
    };
    let mut listener = Listener::with(Tongue::English, &script, set).await;
    let mut stt = listener.stt.clone();
    let long = TranscribeFileRequest {
        request_id: "long".into(),
        ..request(1_200)
    };
    let cancel = async {
        while listener.health("slots_in_use").await != "1" {
            tokio::task::yield_now().await;
        }
        let cancelled = listener
            .stt
            .cancel(CancelRequest {
                request_id: "long".into(),
                session_id: String::new(),
            })
            .await;
        assert!(cancelled.unwrap().into_inner().acknowledged);
    };
    let (ended, ()) = tokio::join!(stt.transcribe_file(long), cancel);
    assert_eq!(ended.unwrap_err().code(), Code::Cancelled);
    assert_eq!(listener.health("slots_in_use").await, "0");
    assert_eq!(
        listener.file(request(2)).await.unwrap().text,
        "Hello world."
    );
}

#[test]
fn a_look_that_nobody_waits_for_is_broken_off_and_the_next_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ggml-test.bin");
    let script = model::hello(Tongue::English, 2);
    model::write(&path, Tongue::English, &script);
    let manner = Manner {
        threads: 1,
        beam: 1,
        audio_context: workers::AudioContext::Fitted,
    };
    let model = Arc::new(Model::load(&path, 1, None).unwrap());
    let mut sight = Sight::new(model, manner).unwrap();
    let samples = [3_000; 16_000];
    let mut look = |wanted: &Wanted| {
        let pass = sight.look(&Look {
            samples: &samples,
            start: 0,
            language: "en",
            prompt: &[],
            task: Task::Transcribe,
            temperature: 0.0,
            effort: Effort::Quick,
            wanted,
        });
        pass.map(|pass| pass.words.len())
    };
    let wanted = Wanted::default();
    assert_eq!(look(&wanted), Some(2));
    wanted.only_final();
    assert_eq!(look(&wanted), Some(2));
    // whisper.cpp asks by itself: nothing before it looks at this.
    wanted.no_more();
    assert_eq!(look(&wanted), None);
    assert_eq!(look(&Wanted::default()), Some(2));
}

#[tokio::test]
async fn a_missing_model_comes_with_what_to_type() {
    let mut settings = caller::settings(TtsEngine::Mock);
    settings.stt.adapter = SttEngine::Whisper;
    let embedded = Embedded::start(settings).await.unwrap();
    assert_eq!(embedded.stt_name(), "none");
    let note = "type `parlor models fetch whisper-base.en`";
    assert!(embedded.notes().iter().any(|told| told.contains(note)));
}

/// Whether a file that passed the check can be loaded, and looks at some sound.
fn load(path: &Path) -> Result<(), Error> {
    let settings = WhisperSettings {
        model: path.display().to_string(),
        ..WhisperSettings::default()
    };
    let whisper = Whisper::open(&settings, &Places::default())?;
    whisper.open().map(drop)
}

#[test]
fn damaged_files_never_end_the_process() {
    let whole = model::bytes(Tongue::English, &model::hello(Tongue::English, 2));
    let judge = |content: &[u8]| check_content(Cursor::new(content), content.len() as u64);
    let header = judge(&whole).unwrap();
    assert_eq!((header.languages(), header.state), (1, 64));
    for length in (0..2_000).chain((2_000..whole.len()).step_by(9_973)) {
        assert!(judge(&whole[..length]).is_err(), "cut at {length}");
    }
    let mut longer = whole.clone();
    longer.extend([0; 8]);
    assert!(judge(&longer).is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ggml-damaged.bin");
    // All of the header; then the vocabulary, the tensors' headers and weights, here and there.
    let places = (0..64).chain((64..whole.len()).step_by(whole.len() / 100));
    let mut damaged = whole.clone();
    let mut loads = 0;
    for place in places {
        for bit in [0, 3, 7] {
            damaged[place] ^= 1 << bit;
            let judged = judge(&damaged);
            // Words and weights may be anything; all else must be as it was.
            if place < 48 {
                assert!(judged.is_err(), "bit {bit} of byte {place}");
            } else if judged.is_ok() && bit == 7 && loads < 8 {
                std::fs::write(&path, &damaged).unwrap();
                load(&path).unwrap();
                loads += 1;
            }
            damaged[place] ^= 1 << bit;
        }
    }
    assert_eq!(loads, 8);
    // The blank that whisper.cpp looks up.
    let blank = whole
        .windows(5)
        .position(|bytes| bytes == [1, 0, 0, 0, b' '])
        .unwrap();
    let mut damaged = whole;
    damaged[blank + 4] = b'x';
    std::fs::write(&path, &damaged).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("no blank"), "{error}");
}

/// The file that whisper.cpp tests its own loader with; `None` if it is not here.
fn without_weights() -> Option<PathBuf> {
    let folder = std::env::var_os("PARLOR_TEST_MODELS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models"),
        PathBuf::from,
    );
    let path = folder.join("whisper-for-tests/for-tests-ggml-tiny.en.bin");
    if !path.is_file() && std::env::var("CI").as_deref() != Ok("true") {
        eprintln!("left out: {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_real_file_without_weights_is_understood_and_refused() {
    let Some(path) = without_weights() else {
        return;
    };
    assert!(matches!(check(&path), Err(Wrong::NoWeights)));
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("it holds no weights"), "{error}");
    let whole = std::fs::read(&path).unwrap();
    let judge = |content: &[u8]| check_content(Cursor::new(content), content.len() as u64);
    for length in (0..whole.len()).step_by(2_003) {
        let cut = judge(&whole[..length]).unwrap_err();
        // Where it is cut between two parts, the parts before are whole.
        assert!(
            matches!(cut, Wrong::Short { .. } | Wrong::Contradiction(_)),
            "cut at {length}: {cut}"
        );
    }
    for place in (0..64).chain((64..whole.len()).step_by(5_003)) {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            assert!(judge(&damaged).is_err(), "bit {bit} of byte {place}");
        }
    }
}
