//! The ear on real recordings: talk, noise, and the machine's own voice coming back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "hearing/cost.rs"]
mod cost;
#[path = "hearing/sounds.rs"]
mod sounds;

use media::hear::{
    Denoise, Ear, EarSettings, Floor, Opened, SpeechEvent, VAD_FRAME_SAMPLES, VadChoice, open_vad,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The dialog's default: so much silence ends a turn.
const END_OF_TURN: Duration = Duration::from_millis(700);

/// Every detector that can be opened here.
fn detectors() -> Vec<Opened> {
    let webrtc = open_vad(VadChoice::WebRtc, None, None);
    if cfg!(not(feature = "onnx")) {
        return vec![webrtc];
    }
    let (Some(library), Some(model)) = (sounds::runtime_library(), sounds::silero_model()) else {
        return vec![webrtc];
    };
    let silero = open_vad(VadChoice::Silero, Some(&library), Some(&model));
    assert_eq!((silero.name, silero.note.as_deref()), ("silero", None));
    vec![silero, webrtc]
}

/// What an ear made of a sound, with times since its beginning.
#[derive(Debug, Default)]
struct Account {
    /// When each speech was said to begin, and when that was known.
    starts: Vec<(Duration, Duration)>,
    /// When each speech was said to end.
    ends: Vec<Duration>,
}

impl Account {
    /// The pauses between one speech and the next.
    fn pauses(&self) -> Vec<Duration> {
        let next = self.starts.iter().skip(1);
        self.ends
            .iter()
            .zip(next)
            .map(|(end, (start, _))| start.saturating_sub(*end))
            .collect()
    }

    fn longest_pause(&self) -> Duration {
        self.pauses().into_iter().max().unwrap_or_default()
    }
}

fn listen(ear: &mut Ear, samples: &[i16]) -> Account {
    let mut account = Account::default();
    let mut now = Duration::ZERO;
    for frame in sounds::frames(samples) {
        now += media::FRAME;
        match ear.hear(&frame).event {
            Some(SpeechEvent::Start { onset_ago }) => account.starts.push((now - onset_ago, now)),
            Some(SpeechEvent::End { last_ago }) => account.ends.push(now - last_ago),
            Some(SpeechEvent::Lull { .. } | SpeechEvent::Voice { .. }) => {}
            None => {}
        }
    }
    account
}

fn ear(detector: &Opened, settings: EarSettings, floor: Floor) -> Ear {
    let mut ear = Ear::new(settings, (detector.factory)());
    ear.set_floor(floor);
    ear
}

/// "Early" is: the ear reports so long a silence inside the monologue that the turn would end, where the recording has
/// no pause longer than 250 ms.
#[test]
fn a_monologue_of_40_s_ends_no_turn_early() {
    const ROOM_MS: usize = 3000;
    let spoken = sounds::monologue(40_000, 250);
    if spoken.is_empty() {
        return;
    }
    let in_a_room = |ms: usize| {
        let alone = [
            vec![0; ms * sounds::MS],
            spoken.clone(),
            vec![0; 1500 * sounds::MS],
        ]
        .concat();
        sounds::mixed(&alone, &sounds::room(10_000), 1.0)
    };
    let calm = in_a_room(ROOM_MS);
    let denoised = EarSettings {
        denoise: Denoise::RnNoise,
        ..EarSettings::default()
    };
    let mut cases = vec![
        (
            "after 3 s of a quiet room",
            calm.clone(),
            ROOM_MS,
            EarSettings::default(),
        ),
        (
            "from the first sample",
            in_a_room(0),
            0,
            EarSettings::default(),
        ),
        (
            "quietly (-12 dB)",
            sounds::scaled(&calm, 0.25),
            ROOM_MS,
            EarSettings::default(),
        ),
        ("denoised", calm.clone(), ROOM_MS, denoised),
    ];
    if let Some(data) = sounds::recordings() {
        let rain = sounds::read(&data.join("noise/002-rain-1.ogg"));
        cases.push((
            "in the rain",
            sounds::mixed(&calm, &rain, 0.1),
            ROOM_MS,
            EarSettings::default(),
        ));
    }
    for detector in detectors() {
        for (what, samples, room_ms, settings) in &cases {
            let mut ear = ear(&detector, settings.clone(), Floor::Listening);
            let account = listen(&mut ear, samples);
            let (begin, end) = (account.starts[0].0, *account.ends.last().unwrap());
            eprintln!(
                "monologue {what}, {}: begins at {begin:?}, ends at {end:?}, {} pauses, the longest {:?}, threshold {:.0}",
                detector.name,
                account.pauses().len(),
                account.longest_pause(),
                ear.statistics().gate.threshold_rms,
            );
            assert!(
                account.longest_pause() < END_OF_TURN,
                "{what}, {}: {:?}",
                detector.name,
                account.pauses()
            );
            assert_eq!(
                account.starts.len(),
                account.ends.len(),
                "the last speech ends in the room's silence"
            );
            let room = Duration::from_millis(*room_ms as u64);
            let late = begin.saturating_sub(room);
            assert!(
                late < Duration::from_millis(500),
                "{what}, {}: begun {late:?} late",
                detector.name
            );
            let spoken = room + Duration::from_millis((spoken.len() / sounds::MS) as u64);
            assert!(
                end + Duration::from_millis(400) > spoken,
                "{what}, {}: ends {end:?} of {spoken:?}",
                detector.name
            );
        }
    }
}

#[test]
fn noises_rarely_begin_speech() {
    let Some(data) = sounds::recordings() else {
        return;
    };
    // A call begins with its room; then the noise comes.
    let room = sounds::room(2000);
    let clips: Vec<_> = sounds::files(&data.join("noise"), &["ogg"])
        .into_iter()
        .map(|clip| {
            let name = clip.file_stem().unwrap().to_string_lossy().into_owned();
            (
                name[4..name.len() - 2].to_owned(),
                [room.clone(), sounds::read(&clip)].concat(),
            )
        })
        .collect();
    for detector in detectors() {
        let mut totals = Vec::new();
        for floor in [Floor::Listening, Floor::BargedIn, Floor::Speaking] {
            let mut by_class = BTreeMap::<&str, usize>::new();
            let mut gating = 0.0;
            for (class, samples) in &clips {
                let mut ear = ear(&detector, EarSettings::default(), floor);
                *by_class.entry(class).or_default() += listen(&mut ear, samples).starts.len();
                gating += ear.statistics().state_gating_ratio();
            }
            let total: usize = by_class.values().sum();
            eprintln!(
                "noise, {}, {floor:?}: {total} starts in {} clips of 5 s, state gating {:.3}: {by_class:?}",
                detector.name,
                clips.len(),
                gating / clips.len() as f64,
            );
            totals.push(total);
        }
        // webrtc-vad takes the moment in which any noise begins for voice.
        let most = if detector.name == "silero" {
            clips.len() / 5
        } else {
            clips.len() * 3 / 2
        };
        assert!(
            totals.iter().all(|total| *total <= most),
            "{}: {totals:?}",
            detector.name
        );
    }
}

/// Barge-ins by the loudspeaker's own sound are false; those by a person are right.
#[test]
fn a_person_interrupts_more_often_than_the_machine_s_own_echo() {
    let Some(data) = sounds::recordings() else {
        return;
    };
    let clips = sounds::files(&data.join("echo"), &["wav"]);
    let (people, echoes): (Vec<_>, Vec<_>) = clips
        .iter()
        .partition(|clip| clip.to_string_lossy().ends_with("doubletalk.wav"));
    let read = |clips: Vec<&PathBuf>| {
        clips
            .into_iter()
            .map(|clip| sounds::read(clip))
            .collect::<Vec<_>>()
    };
    let (people, echoes) = (read(people), read(echoes));
    for detector in detectors() {
        for floor in [Floor::Listening, Floor::Speaking] {
            let heard = |clips: &[sounds::Samples]| {
                let mut known: Vec<Duration> = clips
                    .iter()
                    .filter_map(|clip| {
                        let mut ear = ear(&detector, EarSettings::default(), floor);
                        listen(&mut ear, clip)
                            .starts
                            .first()
                            .map(|(_, known)| *known)
                    })
                    .collect();
                known.sort_unstable();
                (
                    known.len() as f64 / clips.len() as f64,
                    known.get(known.len() / 2).copied().unwrap_or_default(),
                )
            };
            let ((kept, median), (wrong, _)) = (heard(&people), heard(&echoes));
            eprintln!(
                "echo, {}, {floor:?}: false barge-ins {:.0} %, kept {:.0} % (median after {median:?})",
                detector.name,
                wrong * 100.0,
                kept * 100.0,
            );
            assert!(
                kept > 0.85 && kept > wrong + 0.3,
                "{}, {floor:?}: kept {kept}, false {wrong}",
                detector.name
            );
        }
    }
}

#[test]
fn every_detector_hears_speech_soon_and_nothing_in_a_quiet_room() {
    let speech = sounds::speech();
    for detector in detectors() {
        for room in [sounds::room(10_000), vec![0; 10_000 * sounds::MS]] {
            let mut ear = ear(&detector, EarSettings::default(), Floor::Listening);
            assert!(
                listen(&mut ear, &room).starts.is_empty(),
                "{}",
                detector.name
            );
        }
        for file in &speech {
            let spoken = sounds::without_pauses(&sounds::read(file), 250);
            let samples = [sounds::room(2000), spoken, sounds::room(1000)].concat();
            let mut ear = ear(&detector, EarSettings::default(), Floor::Listening);
            let account = listen(&mut ear, &samples);
            let name = file.file_name().unwrap().to_string_lossy();
            let Some((onset, known)) = account.starts.first() else {
                panic!("{}: nothing in {name}", detector.name)
            };
            let late = |time: Duration| time.saturating_sub(Duration::from_secs(2));
            eprintln!(
                "onset, {}, {name}: {:?} late, known after {:?}",
                detector.name,
                late(*onset),
                late(*known)
            );
            assert!(
                late(*known) < Duration::from_millis(800),
                "{}: {name}",
                detector.name
            );
            assert_eq!(
                account.starts.len(),
                account.ends.len(),
                "{}: {name} ends",
                detector.name
            );
        }
    }
}

/// Calls share the network and nothing else, and a reset forgets all.
#[test]
fn calls_that_share_a_detector_do_not_hear_each_other() {
    let Some(file) = sounds::speech().into_iter().next() else {
        return;
    };
    let speech = sounds::read(&file);
    for detector in detectors() {
        let alone: Vec<f32> = {
            let mut ear = ear(&detector, EarSettings::default(), Floor::Listening);
            sounds::frames(&speech)
                .map(|frame| ear.hear(&frame).probability)
                .collect()
        };
        let mut one = ear(&detector, EarSettings::default(), Floor::Listening);
        let mut other = ear(&detector, EarSettings::default(), Floor::Listening);
        let together: Vec<f32> = sounds::frames(&speech)
            .zip(sounds::frames(&sounds::room(60_000)))
            .map(|(frame, room)| {
                other.hear(&room);
                one.hear(&frame).probability
            })
            .collect();
        assert_eq!(together, alone[..together.len()], "{}", detector.name);

        let mut vad = (detector.factory)();
        let noise = [12_345; VAD_FRAME_SAMPLES];
        let first: Vec<f32> = (0..10).map(|_| vad.hear(&noise)).collect();
        vad.reset();
        assert_eq!(
            (0..10).map(|_| vad.hear(&noise)).collect::<Vec<_>>(),
            first,
            "{}",
            detector.name
        );
    }
}

#[cfg(feature = "onnx")]
#[test]
fn a_broken_library_or_model_is_a_note_and_a_fallback() {
    use std::path::Path;
    let nonsense = std::env::temp_dir().join(format!("parlor-hearing-{}.so", std::process::id()));
    std::fs::write(&nonsense, "no library and no model").unwrap();
    let Some(model) = sounds::silero_model() else {
        return;
    };
    let refused = |library: &Path, model: &Path, why: &str| {
        let opened = open_vad(VadChoice::Auto, Some(library), Some(model));
        let note = opened.note.unwrap();
        assert_eq!(opened.name, "webrtc");
        assert!(note.contains(why), "{note}");
        assert_eq!((opened.factory)().hear(&[0; VAD_FRAME_SAMPLES]), 0.0);
    };
    let Some(library) = sounds::runtime_library() else {
        return;
    };
    refused(
        &library,
        Path::new("/nowhere/silero_vad.onnx"),
        "cannot read the model file",
    );
    refused(&library, &nonsense, "ONNX Runtime: ");
    if let Some(models) = sounds::models() {
        refused(
            &library,
            &models.join("dnsmos/sig_bak_ovr.onnx"),
            "has inputs [",
        );
    }
    std::fs::remove_file(&nonsense).unwrap();
    let opened = open_vad(VadChoice::Auto, Some(&library), Some(&model));
    assert_eq!((opened.name, opened.note), ("silero", None));
}

#[cfg(feature = "onnx")]
#[test]
fn silero_computed_here_says_what_the_runtime_says() {
    use media::hear::{SileroModel, SileroVad, Vad as _};
    let (Some(library), Some(model)) = (sounds::runtime_library(), sounds::silero_model()) else {
        return;
    };
    let ours = SileroModel::load(None, &model).unwrap();
    let theirs = SileroModel::in_runtime(Some(&library), &model).unwrap();
    // Another export of the same network, with its tensors elsewhere in the file.
    let export = sounds::models().map(|models| models.join("silero-vad/silero_vad_16k_op15.onnx"));
    let export = export.map(|path| SileroModel::load(None, &path).unwrap());
    for file in sounds::speech() {
        let mut detectors = [&ours, &theirs].map(SileroVad::new);
        let mut third = export.as_ref().map(SileroVad::new);
        let mut down = media::resample::Downsampler48To16::new();
        let (mut voiced, mut frames) = (0, 0);
        for frame in sounds::frames(&sounds::read(&file)) {
            let mut samples = [0; VAD_FRAME_SAMPLES];
            down.process(&frame, &mut samples);
            let [one, other] = detectors.each_mut().map(|detector| detector.hear(&samples));
            assert!((one - other).abs() < 1e-3, "{one} {other} in {file:?}");
            if let Some(third) = &mut third {
                let third = third.hear(&samples);
                assert!((one - third).abs() < 1e-3, "{one} {third} in {file:?}");
            }
            frames += 1;
            voiced += usize::from(one > 0.5);
        }
        assert!(voiced * 4 > frames, "speech is heard in {file:?}");
    }
}
