//! Recordings to hear, as frames, and what is known about them.

use media::resample::Resampler;
use media::{AudioFrame, FRAME_SAMPLES, SAMPLE_RATE_HZ, level, wav};
use std::path::{Path, PathBuf};

/// Sound at 48 kHz.
pub type Samples = Vec<i16>;

/// Samples of 1 ms at 48 kHz.
pub const MS: usize = SAMPLE_RATE_HZ as usize / 1000;

/// The folder of test recordings; `None`, said on standard error, where the project is alone.
pub fn recordings() -> Option<PathBuf> {
    folder("PARLOR_TEST_DATA", "../../shared/data")
}

/// The folder of test models, likewise.
pub fn models() -> Option<PathBuf> {
    folder("PARLOR_TEST_MODELS", "../../shared/models")
}

fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let is_given = given.is_some();
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default));
    if folder.is_dir() {
        return Some(folder);
    }
    if is_given {
        missing(&folder);
    } else {
        eprintln!("left out: what needs {} (set {variable})", folder.display());
    }
    None
}

/// Says that something is not there that should be; with `CI=true` the test fails.
fn missing(path: &Path) {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "{} is missing", path.display());
    eprintln!("left out: what needs {}", path.display());
}

/// What the set-up keeps for this user.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/parlor");
    std::env::var_os("PARLOR_CACHE").map_or_else(home, PathBuf::from)
}

/// ONNX Runtime's library as the set-up unpacks it.
pub fn runtime_library() -> Option<PathBuf> {
    existing(cache().join("lib/libonnxruntime.so"))
}

/// Silero's model file: the set-up's, or the test models'.
pub fn silero_model() -> Option<PathBuf> {
    const FILE: &str = "silero-vad/silero_vad.onnx";
    let kept = cache().join("models").join(FILE);
    if kept.is_file() {
        Some(kept)
    } else {
        existing(models()?.join(FILE))
    }
}

fn existing(file: PathBuf) -> Option<PathBuf> {
    if file.is_file() {
        return Some(file);
    }
    missing(&file);
    None
}

/// Spoken English: the recordings, or without them what the set-up had flite say.
pub fn speech() -> Vec<PathBuf> {
    let folder = recordings().map_or_else(
        || cache().join("test-speech"),
        |data| data.join("speech-en"),
    );
    files(&folder, &["wav", "flac"])
}

/// The files of a folder with one of these endings, in the order of their names.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        missing(folder);
    }
    files
}

/// A recording at 48 kHz.
pub fn read(path: &Path) -> Samples {
    let sound = wav::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if sound.sample_rate_hz == SAMPLE_RATE_HZ {
        return sound.samples;
    }
    let mut resampler = Resampler::new(sound.sample_rate_hz, SAMPLE_RATE_HZ).unwrap();
    let mut samples = Vec::new();
    resampler.process(&sound.samples, &mut samples);
    resampler.flush(&mut samples);
    samples
}

/// The sound as frames; a last part of one is left out.
pub fn frames(samples: &[i16]) -> impl Iterator<Item = AudioFrame> {
    samples
        .chunks_exact(FRAME_SAMPLES)
        .map(|frame| AudioFrame::try_from(frame).unwrap())
}

/// A quiet room of so many milliseconds: a hiss of about 20 units RMS.
pub fn room(ms: usize) -> Samples {
    let mut seed = 7u32;
    let mut hiss = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i16::from((seed >> 24) as i8) / 4
    };
    (0..ms * MS).map(|_| hiss()).collect()
}

/// The recording without silence at its ends and with every pause inside cut down to `max_pause_ms`.
///
/// A pause is what lies 26 dB or more under the loud frames (their 95th percentile).
pub fn without_pauses(samples: &[i16], max_pause_ms: usize) -> Samples {
    let levels: Vec<f32> = samples
        .chunks_exact(FRAME_SAMPLES)
        .map(level::rms)
        .collect();
    let mut sorted = levels.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let quiet = sorted.get(sorted.len() * 95 / 100).copied().unwrap_or(0.0) / 20.0;
    let (mut kept, mut pause) = (Vec::new(), Vec::new());
    for (frame, level) in samples.chunks_exact(FRAME_SAMPLES).zip(levels) {
        if level < quiet {
            pause.extend_from_slice(frame);
            continue;
        }
        if !kept.is_empty() {
            // The middle goes, so that both words keep their edges.
            let half = (max_pause_ms * MS).min(pause.len()) / 2;
            kept.extend_from_slice(&pause[..half]);
            kept.extend_from_slice(&pause[pause.len() - half..]);
        }
        pause.clear();
        kept.extend_from_slice(frame);
    }
    kept
}

/// Recordings one after the other without pauses, until there are `ms` of speech; nothing where there are none.
pub fn monologue(ms: usize, max_pause_ms: usize) -> Samples {
    let files = speech();
    let mut spoken = Vec::new();
    for file in files.iter().cycle().take(files.len() * 20) {
        if spoken.len() >= ms * MS {
            break;
        }
        spoken.extend(without_pauses(&read(file), max_pause_ms));
    }
    spoken.truncate(ms * MS);
    spoken
}

/// The sound of `a` with that of `b`, over and over, at `gain` under it.
pub fn mixed(a: &[i16], b: &[i16], gain: f32) -> Samples {
    let under = b.iter().cycle();
    a.iter()
        .zip(under)
        .map(|(a, b)| (f32::from(*a) + f32::from(*b) * gain).round() as i16)
        .collect()
}

/// The sound at another loudness.
pub fn scaled(samples: &[i16], gain: f32) -> Samples {
    samples
        .iter()
        .map(|sample| (f32::from(*sample) * gain).round() as i16)
        .collect()
}
