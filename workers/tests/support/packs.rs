//! Voice packs that the tests make: networks with the inputs and outputs of the real ones, which say what they were given.
#![allow(dead_code, reason = "each test file uses a part of it")]

use super::onnx::{ANY, Graph, Type};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use workers::Places;
use workers::tts::{Class, Clause, Error, Speech, TtsAdapter};

/// Samples that tell one number.
const BITS: usize = 16;
/// The height of the samples that tell numbers.
const HEIGHT: f32 = 0.25;
/// The scales of the voices.
pub const SCALES: [f32; 3] = [0.667, 1.0, 0.8];
/// Samples that the tone of a row lasts for each of its ids.
pub const TONE_SAMPLES: usize = 256;

/// Where the tests' packs lie, with the real runtime; none where it, or espeak-ng, is not installed.
pub fn places(folder: &Path) -> Option<Places> {
    let cache = std::env::var_os("PARLOR_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/parlor"),
        PathBuf::from,
    );
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .map_or_else(|| cache.join("lib/libonnxruntime.so"), PathBuf::from);
    let has_espeak = workers::tts::open(workers::TtsEngine::Espeak, &Places::default()).is_ok();
    if !library.is_file() || !has_espeak {
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!in_ci, "ONNX Runtime or libespeak-ng is missing");
        eprintln!("left out: what needs ONNX Runtime and libespeak-ng");
        return None;
    }
    Some(Places {
        onnx_runtime: Some(library),
        voicepacks: vec![folder.to_owned()],
        ..Places::default()
    })
}

/// A part of Piper's phoneme table.
#[rustfmt::skip]
const PHONEMES: [(&str, i64); 50] = [
    ("_", 0), ("^", 1), ("$", 2), (" ", 3), ("!", 4), (",", 8), (".", 10), ("?", 13), ("a", 14), ("b", 15), ("d", 17),
    ("e", 18), ("f", 19), ("h", 20), ("i", 21), ("k", 23), ("l", 24), ("m", 25), ("n", 26), ("o", 27), ("p", 28),
    ("r", 30), ("s", 31), ("t", 32), ("u", 33), ("v", 34), ("w", 35), ("z", 38), ("ð", 41), ("ŋ", 44), ("ɐ", 50),
    ("ɑ", 51), ("ɔ", 54), ("ə", 59), ("ɛ", 61), ("ɜ", 62), ("ɡ", 66), ("ɪ", 74), ("ɹ", 88), ("ɾ", 92), ("ʃ", 96),
    ("ʊ", 100), ("ʌ", 102), ("ʒ", 108), ("ˈ", 120), ("ˌ", 121), ("ː", 122), ("θ", 126), ("ᵻ", 128), ("\u{303}", 141),
];

/// The configuration of a Piper voice.
pub fn piper_config(rate_hz: u32, speakers: &[&str]) -> Value {
    let numbers: serde_json::Map<String, Value> = speakers
        .iter()
        .zip(0..)
        .map(|(name, number)| (name.to_string(), json!(number)))
        .collect();
    let [noise_scale, length_scale, noise_w] = SCALES;
    let phonemes: serde_json::Map<String, Value> = PHONEMES
        .iter()
        .map(|(symbol, id)| (symbol.to_string(), json!([id])))
        .collect();
    json!({
        "audio": {"sample_rate": rate_hz, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US"},
        "inference": {"noise_scale": noise_scale, "length_scale": length_scale, "noise_w": noise_w},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": phonemes,
        "num_symbols": 256,
        "num_speakers": speakers.len().max(1),
        "speaker_id_map": numbers,
    })
}

/// Writes a Piper pack.
pub fn piper(root: &Path, id: &str, model: &[u8], config: &Value) -> PathBuf {
    let folder = root.join("piper").join(id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{id}.onnx")), model).unwrap();
    fs::write(folder.join(format!("{id}.onnx.json")), config.to_string()).unwrap();
    fs::write(folder.join("metadata.yaml"), "lang: en_US\ncpu_ok: true\n").unwrap();
    folder
}

fn piper_inputs(graph: &mut Graph, takes_speaker: bool) {
    graph.input("input", Type::Int64, &[ANY, ANY]);
    graph.input("input_lengths", Type::Int64, &[ANY]);
    graph.input("scales", Type::Float, &[3]);
    if takes_speaker {
        graph.input("sid", Type::Int64, &[ANY]);
    }
    graph.output("output", Type::Float, &[ANY, 1, ANY, ANY]);
}

/// A network that says its inputs: the row, its length, the speaker if it takes one, and a thousand times each scale.
pub fn piper_echo(takes_speaker: bool) -> Vec<u8> {
    let mut graph = Graph::new();
    piper_inputs(&mut graph, takes_speaker);
    graph.ints("flat", &[1], &[-1]);
    graph.node("Reshape", &["input", "flat"], "row");
    thousandfold(&mut graph, "scales", "thousandths");
    let speaker: &[&str] = if takes_speaker { &["sid"] } else { &[] };
    let values = [&["row", "input_lengths"], speaker, &["thousandths"]].concat();
    tell(&mut graph, &values, "output", &[1, 1, 1, -1]);
    graph.bytes()
}

/// A network that makes a tone of 440 Hz, longer for a longer row and a greater length scale.
pub fn piper_tone(rate_hz: u32) -> Vec<u8> {
    let mut graph = Graph::new();
    piper_inputs(&mut graph, false);
    graph.ints("second", &[1], &[1]);
    graph.ints("none", &[0], &[]);
    graph.floats("samples", &[1], &[TONE_SAMPLES as f32]);
    graph.floats("zero", &[], &[0.0]);
    graph.floats("one", &[], &[1.0]);
    graph.floats(
        "step",
        &[],
        &[std::f32::consts::TAU * 440.0 / rate_hz as f32],
    );
    graph.floats("height", &[], &[0.3]);
    graph.ints("shape", &[4], &[1, 1, 1, -1]);
    graph.cast("input_lengths", "length", Type::Float);
    graph.node("Gather", &["scales", "second"], "length_scale");
    graph.node("Mul", &["length", "length_scale"], "scaled");
    graph.node("Mul", &["scaled", "samples"], "count_1");
    graph.node("Squeeze", &["count_1"], "count");
    graph.node("Range", &["zero", "count", "one"], "time");
    graph.node("Mul", &["time", "step"], "angle");
    graph.node("Sin", &["angle"], "sine");
    graph.node("Mul", &["sine", "height"], "tone");
    graph.node("Reshape", &["tone", "shape"], "output");
    graph.bytes()
}

/// A network that says each id as a step of its own height, 256 samples long, upside down where it says several rows at once; and
/// tells how many steps each id lasts, which is none for what rows are filled up with.
pub fn piper_steps() -> Vec<u8> {
    let mut graph = Graph::new();
    piper_inputs(&mut graph, false);
    graph.output("steps", Type::Float, &[ANY, 1, ANY]);
    graph.ints("first", &[], &[0]);
    graph.ints("second", &[], &[1]);
    graph.ints("axis_1", &[1], &[1]);
    graph.ints("axis_2", &[1], &[2]);
    graph.ints("shape", &[4], &[0, 1, 1, -1]);
    graph.floats("one", &[], &[1.0]);
    graph.floats("two", &[], &[2.0]);
    graph.floats("three", &[], &[3.0]);
    graph.floats("most", &[], &[200.0]);
    graph.floats("hop", &[1, 1, TONE_SAMPLES as i64], &[1.0; TONE_SAMPLES]);
    graph.node("Shape", &["input"], "sides");
    graph.node("Gather", &["sides", "first"], "count");
    graph.node("Gather", &["sides", "second"], "longest");
    // 1 for one row, -1 for several.
    graph.cast("count", "rows", Type::Float);
    graph.node("Min", &["rows", "two"], "one_or_two");
    graph.node("Mul", &["one_or_two", "two"], "two_or_four");
    graph.node("Sub", &["three", "two_or_four"], "upright");
    graph.cast("input", "ids", Type::Float);
    graph.node("Add", &["ids", "one"], "above_zero");
    graph.node("Div", &["above_zero", "most"], "low");
    graph.node("Mul", &["low", "upright"], "heights");
    graph.node("Unsqueeze", &["heights", "axis_2"], "column");
    graph.node("Mul", &["column", "hop"], "sound");
    graph.node("Reshape", &["sound", "shape"], "output");
    graph.node("Range", &["first", "longest", "second"], "places");
    graph.node("Unsqueeze", &["input_lengths", "axis_1"], "ends");
    graph.node("Less", &["places", "ends"], "is_id");
    graph.cast("is_id", "lasting", Type::Float);
    graph.node("Unsqueeze", &["lasting", "axis_1"], "steps");
    graph.bytes()
}

/// How a Kokoro file names its row of ids, and of what type its speed is.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    pub row: &'static str,
    pub speed: Type,
    pub is_flat: bool,
}

/// A network that says its inputs: the row, the first two values of the style, and a thousand times the speed.
pub fn kokoro_echo(naming: Naming) -> Vec<u8> {
    let mut graph = Graph::new();
    let Naming {
        row,
        speed,
        is_flat,
    } = naming;
    graph.input(row, Type::Int64, &[1, ANY]);
    graph.input("style", Type::Float, &[1, 256]);
    graph.input("speed", speed, &[1]);
    let dims: &[i64] = if is_flat { &[ANY] } else { &[1, ANY] };
    graph.output("audio", Type::Float, dims);
    graph.ints("flat", &[1], &[-1]);
    graph.ints("heads", &[2], &[0, 1]);
    graph.node("Reshape", &[row, "flat"], "ids");
    graph.node("Reshape", &["style", "flat"], "values");
    graph.node("Gather", &["values", "heads"], "head");
    graph.cast("head", "told_style", Type::Int64);
    graph.cast("speed", "pace", Type::Float);
    thousandfold(&mut graph, "pace", "told_speed");
    let shape: &[i64] = if is_flat { &[-1] } else { &[1, -1] };
    tell(
        &mut graph,
        &["ids", "told_style", "told_speed"],
        "audio",
        shape,
    );
    graph.bytes()
}

/// Two voices of three styles for short rows and one for all others: the first value of a style is its row, the second the voice.
pub fn styles(voice: f32) -> Vec<f32> {
    let row = |row: usize| {
        let mut values = vec![0.5; 256];
        values[0] = row as f32;
        values[1] = voice;
        values
    };
    (0..510).flat_map(row).collect()
}

/// What `numpy.savez` writes of arrays of the shape [510, 1, 256].
pub fn npz(voices: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, values) in voices {
        let mut header =
            "{'descr': '<f4', 'fortran_order': False, 'shape': (510, 1, 256), }".to_owned();
        while !(header.len() + 11).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let mut npy = b"\x93NUMPY\x01\x00".to_vec();
        npy.extend((header.len() as u16).to_le_bytes());
        npy.extend(header.as_bytes());
        npy.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let name = format!("{name}.npy");
        let offset = file.len() as u32;
        let bytes = npy.len() as u32;
        // Version, flags, stored, time, date, check sum (which nobody reads), sizes.
        let mut about = Vec::new();
        about.extend(45_u16.to_le_bytes());
        about.extend([0; 12]);
        about.extend(bytes.to_le_bytes());
        about.extend(bytes.to_le_bytes());
        about.extend((name.len() as u16).to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&about);
        // NumPy leaves room for sizes of 64 bits in front of each array, and not in the directory.
        file.extend(20_u16.to_le_bytes());
        file.extend(name.as_bytes());
        file.extend([0; 20]);
        file.extend(npy);
        directory.extend(b"PK\x01\x02");
        directory.extend(45_u16.to_le_bytes());
        directory.extend(&about);
        directory.extend([0; 12]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    let count = (voices.len() as u16).to_le_bytes();
    file.extend(&directory);
    file.extend(b"PK\x05\x06");
    file.extend([0; 4]);
    file.extend(count);
    file.extend(count);
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// Writes a Kokoro pack with an archive of voices.
pub fn kokoro(root: &Path, id: &str, model: &[u8], voices: &[(&str, Vec<f32>)]) -> PathBuf {
    let folder = root.join("kokoro").join(id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.onnx"), model).unwrap();
    fs::write(folder.join("voices-v1.0.bin"), npz(voices)).unwrap();
    fs::write(folder.join("metadata.yaml"), "lang: [en, pt]\n").unwrap();
    folder
}

fn thousandfold(graph: &mut Graph, input: &str, output: &str) {
    let name = |what: &str| format!("{output}_{what}");
    graph.floats(&name("factor"), &[1], &[1_000.0]);
    graph.node("Mul", &[input, &name("factor")], &name("product"));
    graph.node("Round", &[&name("product")], &name("rounded"));
    graph.cast(&name("rounded"), output, Type::Int64);
}

/// Puts out numbers as samples, bit by bit: one above zero is a one.
fn tell(graph: &mut Graph, values: &[&str], output: &str, shape: &[i64]) {
    let powers: Vec<i64> = (0..BITS as u32).map(|bit| 1 << bit).collect();
    graph.ints("powers", &[BITS as i64], &powers);
    graph.ints("two", &[1], &[2]);
    graph.ints("axis", &[1], &[1]);
    graph.floats("twice", &[1], &[2.0 * HEIGHT]);
    graph.floats("half", &[1], &[HEIGHT]);
    graph.ints("told_shape", &[shape.len() as i64], shape);
    graph.node_with("Concat", values, "told", &[("axis", 0)]);
    graph.node("Unsqueeze", &["told", "axis"], "column");
    graph.node("Div", &["column", "powers"], "shifted");
    graph.node("Mod", &["shifted", "two"], "bits");
    graph.cast("bits", "ones", Type::Float);
    graph.node("Mul", &["ones", "twice"], "high");
    graph.node("Sub", &["high", "half"], "low");
    graph.node("Reshape", &["low", "told_shape"], output);
}

/// The numbers that a network has told.
pub fn told(samples: &[i16]) -> Vec<i64> {
    let (numbers, rest) = samples.as_chunks::<BITS>();
    assert!(rest.is_empty(), "{} samples are left over", rest.len());
    let bit = |(bit, sample): (usize, &i16)| i64::from(*sample > 0) << bit;
    numbers
        .iter()
        .map(|number| number.iter().enumerate().map(bit).sum())
        .collect()
}

/// Has a voice say something: its rate, and all its samples.
pub async fn say(
    adapter: &dyn TtsAdapter,
    voice: &str,
    text: &str,
    speed: f32,
) -> Result<(u32, Vec<i16>), Error> {
    all_of(speak(adapter, voice, text, speed)?).await
}

/// Has a voice begin to say something.
pub fn speak(
    adapter: &dyn TtsAdapter,
    voice: &str,
    text: &str,
    speed: f32,
) -> Result<Speech, Error> {
    adapter.speak(Clause {
        text: text.into(),
        voice: voice.into(),
        speed,
        class: Class::RealTime,
    })
}

/// The rate of some speech, and all its samples.
pub async fn all_of(mut speech: Speech) -> Result<(u32, Vec<i16>), Error> {
    let (mut rate_hz, mut samples) = (0, Vec::new());
    while let Some(piece) = speech.next().await {
        let piece = piece?;
        rate_hz = piece.rate_hz;
        samples.extend(piece.samples);
    }
    Ok((rate_hz, samples))
}
