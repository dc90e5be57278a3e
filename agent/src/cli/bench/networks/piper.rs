//! A network of the size and make of a Piper voice of medium quality: VITS, as its training code configures it.
//!
//! ```text
//!   ids ─► 6 layers of attention ─┬─► each moment 3 times ─► 4 coupling layers ─► transposed convolutions ─► 22 050 Hz
//!                                 └─► durations                                    8 x 8 x 4
//! ```

use super::layers::Conv;
use super::onnx::{Network, Type};
use serde_json::{Map, Value, json};

/// Samples a second.
pub const RATE_HZ: u32 = 22_050;
/// Channels of all but the sound's own layers.
const HIDDEN: i64 = 192;
const FILTER: i64 = 768;
const HEADS: i64 = 2;
const SYMBOLS: i64 = 256;
/// Frames of 256 samples that each id lasts. Real voices make them of different lengths; of its ids half are pauses between
/// phonemes, so this is 70 ms a phoneme.
const FRAMES_AN_ID: i64 = 3;
/// The sound's layers: how many times longer, how many channels then, and over how many values.
const UPS: [(i64, i64, i64); 3] = [(8, 128, 16), (8, 64, 16), (4, 32, 8)];
const FIRST: i64 = 256;
/// Residual blocks after each: over how many values, and how far these lie apart.
const BLOCKS: [(i64, [i64; 2]); 3] = [(3, [1, 2]), (5, [2, 6]), (7, [3, 12])];
/// What espeak-ng may write for English, one id each; the first three are the pad, the beginning and the end of a row.
const PHONEMES: &str =
    "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðŋɐɑɒɔɕəɚɛɜɝɡɪɫɬɹɾʃʊʌʍʒʔˈˌːθᵻ\u{303}\u{329}";

/// The network. Its inputs and outputs are a Piper voice's.
pub fn network() -> Network {
    let mut net = Network::default();
    net.input("input", Type::Int, &[1, -1]);
    net.input("input_lengths", Type::Int, &[1]);
    net.input("scales", Type::Float, &[3]);
    let text = encoder(&mut net);
    let mean = net.conv(&text, (HIDDEN, 2 * HIDDEN), Conv::of(1));
    let durations = durations(&mut net, &text);
    let mean = net.add_up(&mean, &durations);
    let mean = net.stretch(&mean, 2 * HIDDEN, FRAMES_AN_ID);
    let spread = net.slice(&mean, 1, HIDDEN, 2 * HIDDEN);
    let mean = net.slice(&mean, 1, 0, HIDDEN);
    let latent = noisy(&mut net, &mean, &spread);
    let latent = flow(&mut net, latent);
    let sound = decoder(&mut net, &latent);
    let sound = net.reshape(&sound, &[1, 1, 1, -1]);
    net.output(&sound, "output", Type::Float, &[1, 1, 1, -1]);
    net
}

/// The file that lies beside it.
pub fn config() -> Value {
    let ids = PHONEMES.chars().zip(0..);
    let ids: Map<String, Value> = ids
        .map(|(symbol, id)| (symbol.to_string(), json!([id])))
        .collect();
    json!({
        "audio": {"sample_rate": RATE_HZ, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": ids,
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "speaker_id_map": {},
    })
}

fn encoder(net: &mut Network) -> String {
    let table = net.weights(&[SYMBOLS, HIDDEN], 1);
    // [1, ids, channels]
    let mut x = net.node("Gather", &[&table, "input"], &[]);
    for _ in 0..6 {
        let heard = net.attention(&x, HIDDEN, HEADS);
        let sum = net.add_up(&x, &heard);
        let normal = net.layer_norm(&sum, HIDDEN);
        let turned = net.transpose(&normal, &[0, 2, 1]);
        let wide = net.conv(&turned, (HIDDEN, FILTER), Conv::of(3));
        let wide = net.node("Relu", &[&wide], &[]);
        let narrow = net.conv(&wide, (FILTER, HIDDEN), Conv::of(3));
        let narrow = net.transpose(&narrow, &[0, 2, 1]);
        let sum = net.add_up(&normal, &narrow);
        x = net.layer_norm(&sum, HIDDEN);
    }
    net.transpose(&x, &[0, 2, 1])
}

/// The durations are computed as in a real voice and then make no difference: random weights would make random ones.
fn durations(net: &mut Network, text: &str) -> String {
    let mut x = net.conv(text, (HIDDEN, HIDDEN), Conv::of(1));
    // What goes before, and four flows, of three layers each.
    for _ in 0..5 {
        for layer in 0..3 {
            let apart = Conv {
                groups: HIDDEN,
                ..Conv::of(3).dilated(3_i64.pow(layer))
            };
            let each = net.conv(&x, (HIDDEN, HIDDEN), apart);
            let each = net.channel_norm(&each, HIDDEN);
            let each = gelu(net, &each);
            let mixed = net.conv(&each, (HIDDEN, HIDDEN), Conv::of(1));
            let mixed = net.channel_norm(&mixed, HIDDEN);
            let mixed = gelu(net, &mixed);
            x = net.add_up(&x, &mixed);
        }
    }
    let durations = net.conv(&x, (HIDDEN, 1), Conv::of(1));
    let lengths = net.node(
        "Cast",
        &["input_lengths"],
        &[super::onnx::Attribute::Int("to", 1)],
    );
    let both = net.add_up(&durations, &lengths);
    net.times(&both, 1e-9)
}

fn gelu(net: &mut Network, x: &str) -> String {
    let part = net.times(x, std::f32::consts::FRAC_1_SQRT_2);
    let part = net.node("Erf", &[&part], &[]);
    let one = net.floats(&[1], &[1.0]);
    let part = net.add_up(&part, &one);
    let product = net.node("Mul", &[x, &part], &[]);
    net.times(&product, 0.5)
}

fn noisy(net: &mut Network, mean: &str, spread: &str) -> String {
    let noise = net.node("RandomNormalLike", &[mean], &[]);
    let scale = net.slice("scales", 0, 0, 1);
    let spread = net.times(spread, 0.1);
    let spread = net.node("Exp", &[&spread], &[]);
    let noise = net.node("Mul", &[&noise, &spread], &[]);
    let noise = net.node("Mul", &[&noise, &scale], &[]);
    net.add_up(mean, &noise)
}

/// Four coupling layers: one half of the channels says how the other is to be moved.
fn flow(net: &mut Network, mut latent: String) -> String {
    const HALF: i64 = HIDDEN / 2;
    for _ in 0..4 {
        let still = net.slice(&latent, 1, 0, HALF);
        let moved = net.slice(&latent, 1, HALF, HIDDEN);
        let mut x = net.conv(&still, (HALF, HIDDEN), Conv::of(1));
        let mut sum: Option<String> = None;
        for layer in 0..4 {
            let both = net.conv(&x, (HIDDEN, 2 * HIDDEN), Conv::of(5));
            let one = net.slice(&both, 1, 0, HIDDEN);
            let gate = net.slice(&both, 1, HIDDEN, 2 * HIDDEN);
            let one = net.node("Tanh", &[&one], &[]);
            let gate = net.node("Sigmoid", &[&gate], &[]);
            let gated = net.node("Mul", &[&one, &gate], &[]);
            // The last layer has nothing to hand on.
            let is_last = layer == 3;
            let to = if is_last { HIDDEN } else { 2 * HIDDEN };
            let told = net.conv(&gated, (HIDDEN, to), Conv::of(1));
            let skipped = if is_last {
                told
            } else {
                let next = net.slice(&told, 1, 0, HIDDEN);
                x = net.add_up(&x, &next);
                net.slice(&told, 1, HIDDEN, 2 * HIDDEN)
            };
            sum = Some(match sum {
                Some(sum) => net.add_up(&sum, &skipped),
                None => skipped,
            });
        }
        let shift = net.conv(&sum.unwrap_or_default(), (HIDDEN, HALF), Conv::of(1));
        let moved = net.node("Sub", &[&moved, &shift], &[]);
        // The halves change places.
        latent = net.join(&[&moved, &still]);
    }
    latent
}

fn decoder(net: &mut Network, latent: &str) -> String {
    let mut x = net.conv(latent, (HIDDEN, FIRST), Conv::of(7));
    let mut channels = FIRST;
    for (times, to, kernel) in UPS {
        let loud = net.leaky(&x, 0.1);
        x = net.up(&loud, (channels, to), times, kernel);
        channels = to;
        let blocks = BLOCKS.map(|(kernel, dilations)| {
            let mut block = x.clone();
            for dilation in dilations {
                let loud = net.leaky(&block, 0.1);
                let conv = Conv::of(kernel).dilated(dilation);
                let more = net.conv(&loud, (channels, channels), conv);
                block = net.add_up(&block, &more);
            }
            block
        });
        let [one, two, three] = blocks;
        let sum = net.add_up(&one, &two);
        let sum = net.add_up(&sum, &three);
        x = net.times(&sum, 1.0 / 3.0);
    }
    let loud = net.leaky(&x, 0.01);
    let sound = net.conv(&loud, (channels, 1), Conv::of(7));
    net.sound(&sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_large_as_a_real_voice() {
        // Voices of medium quality are files of about 63 MB.
        let bytes = 4 * network().parameters();
        assert!((60_000_000..66_000_000).contains(&bytes), "{bytes} bytes");
    }

    #[test]
    fn each_phoneme_has_an_id_of_its_own() {
        let ids = config()["phoneme_id_map"].as_object().unwrap().len();
        assert_eq!(ids, PHONEMES.chars().count());
    }
}
