//! A network of the size and make of Kokoro-82M: a text encoder and an ALBERT over the ids, predictors of prosody, and a decoder
//! that is steered by a style in every layer and ends in an inverse Fourier transform.
//!
//! ```text
//!   ids ─┬─► ALBERT, 12 times the same layer ─► durations, pitch, energy ─┐
//!        └─► convolutions, LSTM ─► each moment 3 times ─► 5 style blocks ─┴─► convolutions 10 x 6 ─► inverse transform x 5
//!   style ─► every block                                                      24 000 Hz
//! ```

use super::layers::Conv;
use super::onnx::{Attribute as With, Network, Type};

/// Values of a style: one half for the sound, the other for the prosody.
pub const STYLE: i64 = 256;
const HALF_STYLE: i64 = STYLE / 2;
const SYMBOLS: i64 = 178;
const HIDDEN: i64 = 512;
/// ALBERT's sizes.
const WORDS: i64 = 128;
const BERT: i64 = 768;
const BERT_WIDE: i64 = 2_048;
const BERT_HEADS: i64 = 12;
const BERT_LAYERS: usize = 12;
/// Frames of 600 samples that each id lasts. Real voices make them of different lengths; this is 75 ms a phoneme.
const FRAMES_AN_ID: i64 = 3;
/// Channels of the decoder.
const WIDE: i64 = 1_024;
/// The transform's values, and by how much it moves on.
const TRANSFORM: i64 = 20;
const HOP: i64 = 5;
const BINS: i64 = TRANSFORM + 2;
/// The sound's layers: how many times longer, how many channels then, over how many values, and how the pitch gets there.
const UPS: [(i64, i64, i64, (i64, i64)); 2] = [(10, 256, 20, (12, 6)), (6, 128, 12, (1, 1))];
const KERNELS: [i64; 3] = [3, 7, 11];
const DILATIONS: [i64; 3] = [1, 3, 5];

/// The network. Its inputs and outputs are Kokoro's.
pub fn network() -> Network {
    let mut net = Network::default();
    net.input("tokens", Type::Int, &[1, -1]);
    net.input("style", Type::Float, &[1, STYLE]);
    net.input("speed", Type::Float, &[1]);
    let sound_style = net.slice("style", 1, 0, HALF_STYLE);
    let prosody_style = net.slice("style", 1, HALF_STYLE, STYLE);
    let meaning = albert(&mut net);
    let (pitch, energy) = prosody(&mut net, &meaning, &prosody_style);
    let text = text(&mut net);
    let text = net.stretch(&text, HIDDEN, FRAMES_AN_ID);
    let mut styled = Styled {
        net: &mut net,
        style: sound_style,
    };
    let frames = styled.decode(&text, &pitch, &energy);
    let sound = styled.generate(&frames, &pitch);
    let sound = net.sound(&sound);
    let sound = net.reshape(&sound, &[-1]);
    net.output(&sound, "audio", Type::Float, &[-1]);
    net
}

/// What the text means: one layer twelve times over, with the same weights. [1, 512, ids]
fn albert(net: &mut Network) -> String {
    let table = net.weights(&[SYMBOLS, WORDS], 1);
    let words = net.node("Gather", &[&table, "tokens"], &[]);
    let words = net.layer_norm(&words, WORDS);
    let mut x = net.linear(&words, (WORDS, BERT));
    let shared = Shared::of(net);
    for _ in 0..BERT_LAYERS {
        x = shared.layer(net, &x);
    }
    let x = net.linear(&x, (BERT, HIDDEN));
    net.transpose(&x, &[0, 2, 1])
}

/// The weights of ALBERT's layer.
struct Shared {
    each: [(String, String); 4],
    wide: (String, String),
    narrow: (String, String),
}

impl Shared {
    fn of(net: &mut Network) -> Self {
        let mut layer = |from, to| (net.weights(&[from, to], from), net.weights(&[to], 1_000));
        Self {
            each: [(); 4].map(|()| layer(BERT, BERT)),
            wide: layer(BERT, BERT_WIDE),
            narrow: layer(BERT_WIDE, BERT),
        }
    }

    fn layer(&self, net: &mut Network, x: &str) -> String {
        const EACH: i64 = BERT / BERT_HEADS;
        let linear = |net: &mut Network, x: &str, (weights, bias): &(String, String)| {
            let product = net.node("MatMul", &[x, weights], &[]);
            net.node("Add", &[&product, bias], &[])
        };
        let [query, key, value, out] = &self.each;
        let mut part = |weights, sides: &[i64]| {
            let part = linear(net, x, weights);
            let part = net.reshape(&part, &[1, -1, BERT_HEADS, EACH]);
            net.transpose(&part, sides)
        };
        let query = part(query, &[0, 2, 1, 3]);
        let key = part(key, &[0, 2, 3, 1]);
        let value = part(value, &[0, 2, 1, 3]);
        let scores = net.node("MatMul", &[&query, &key], &[]);
        let scores = net.times(&scores, 1.0 / (EACH as f32).sqrt());
        let shares = net.node("Softmax", &[&scores], &[With::Int("axis", -1)]);
        let heard = net.node("MatMul", &[&shares, &value], &[]);
        let heard = net.transpose(&heard, &[0, 2, 1, 3]);
        let heard = net.reshape(&heard, &[1, -1, BERT]);
        let heard = linear(net, &heard, out);
        let sum = net.add_up(x, &heard);
        let normal = net.layer_norm(&sum, BERT);
        let wide = linear(net, &normal, &self.wide);
        let wide = gelu(net, &wide);
        let narrow = linear(net, &wide, &self.narrow);
        let sum = net.add_up(&normal, &narrow);
        net.layer_norm(&sum, BERT)
    }
}

/// ALBERT's own form of it, by the hyperbolic tangent.
fn gelu(net: &mut Network, x: &str) -> String {
    let square = net.node("Mul", &[x, x], &[]);
    let cube = net.node("Mul", &[&square, x], &[]);
    let part = net.times(&cube, 0.044_715);
    let part = net.add_up(x, &part);
    let part = net.times(&part, (2.0 / std::f32::consts::PI).sqrt());
    let part = net.node("Tanh", &[&part], &[]);
    let one = net.floats(&[1], &[1.0]);
    let part = net.add_up(&part, &one);
    let product = net.node("Mul", &[x, &part], &[]);
    net.times(&product, 0.5)
}

/// Pitch and energy, two values for each frame: [1, 1, 2 x frames]. Durations are computed as in the real network and then make no
/// difference: random weights would make random ones.
fn prosody(net: &mut Network, meaning: &str, style: &str) -> (String, String) {
    let mut styled = Styled {
        net,
        style: style.to_owned(),
    };
    let mut x = meaning.to_owned();
    for _ in 0..3 {
        let with_style = styled.beside_style(&x);
        let recurrent = styled.net.lstm(&with_style, (HIDDEN + HALF_STYLE, HIDDEN));
        x = styled.norm_by_layer(&recurrent, HIDDEN);
    }
    let encoded = styled.beside_style(&x);
    let net = &mut *styled.net;
    let durations = net.lstm(&encoded, (HIDDEN + HALF_STYLE, HIDDEN));
    let durations = net.conv(&durations, (HIDDEN, 50), Conv::of(1));
    let durations = net.node("Sigmoid", &[&durations], &[]);
    let durations = net.node(
        "ReduceMean",
        &[&durations],
        &[With::Ints("axes", vec![1]), With::Int("keepdims", 1)],
    );
    let durations = net.node("Div", &[&durations, "speed"], &[]);
    let durations = net.times(&durations, 1e-9);
    let encoded = net.add_up(&encoded, &durations);
    let frames = net.stretch(&encoded, HIDDEN + HALF_STYLE, FRAMES_AN_ID);
    let shared = net.lstm(&frames, (HIDDEN + HALF_STYLE, HIDDEN));
    let mut curve = || {
        let x = styled.block(&shared, (HIDDEN, HIDDEN), Length::Kept);
        let x = styled.block(&x, (HIDDEN, HIDDEN / 2), Length::Doubled);
        let x = styled.block(&x, (HIDDEN / 2, HIDDEN / 2), Length::Kept);
        styled.net.conv(&x, (HIDDEN / 2, 1), Conv::of(1))
    };
    (curve(), curve())
}

/// How the text sounds: [1, 512, ids].
fn text(net: &mut Network) -> String {
    let table = net.weights(&[SYMBOLS, HIDDEN], 1);
    let x = net.node("Gather", &[&table, "tokens"], &[]);
    let mut x = net.transpose(&x, &[0, 2, 1]);
    for _ in 0..3 {
        let mixed = net.conv(&x, (HIDDEN, HIDDEN), Conv::of(5));
        let mixed = net.channel_norm(&mixed, HIDDEN);
        x = net.leaky(&mixed, 0.2);
    }
    net.lstm(&x, (HIDDEN, HIDDEN))
}

/// Whether a block makes what goes through it longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Kept,
    Doubled,
}

/// Layers that are steered by a style: [1, 128].
struct Styled<'a> {
    net: &'a mut Network,
    style: String,
}

impl Styled<'_> {
    /// The style at every moment beside what there is.
    fn beside_style(&mut self, x: &str) -> String {
        let style = self.net.reshape(&self.style, &[1, HALF_STYLE, 1]);
        let first = self.net.slice(x, 1, 0, 1);
        let none = self.net.times(&first, 0.0);
        let everywhere = self.net.add_up(&style, &none);
        self.net.join(&[x, &everywhere])
    }

    /// A factor and a shift for each channel: [1, channels, 1] each.
    fn steer(&mut self, channels: i64) -> (String, String) {
        let style = self.style.clone();
        let both = self.net.linear(&style, (HALF_STYLE, 2 * channels));
        let both = self.net.reshape(&both, &[1, 2 * channels, 1]);
        let factor = self.net.slice(&both, 1, 0, channels);
        let one = self.net.floats(&[1], &[1.0]);
        let factor = self.net.add_up(&factor, &one);
        let shift = self.net.slice(&both, 1, channels, 2 * channels);
        (factor, shift)
    }

    fn steered(&mut self, normal: &str, channels: i64) -> String {
        let (factor, shift) = self.steer(channels);
        let product = self.net.node("Mul", &[normal, &factor], &[]);
        self.net.add_up(&product, &shift)
    }

    /// Each channel brought to one size over time, and then to the style's.
    fn norm(&mut self, x: &str, channels: i64) -> String {
        let many = usize::try_from(channels).unwrap_or_default();
        let ones = self.net.floats(&[channels], &vec![1.0; many]);
        let none = self.net.floats(&[channels], &vec![0.0; many]);
        let normal = self
            .net
            .node("InstanceNormalization", &[x, &ones, &none], &[]);
        self.steered(&normal, channels)
    }

    /// The same over the channels of each moment.
    fn norm_by_layer(&mut self, x: &str, channels: i64) -> String {
        let normal = self.net.channel_norm(x, channels);
        self.steered(&normal, channels)
    }

    /// A residual block of two convolutions.
    fn block(&mut self, x: &str, (from, to): (i64, i64), length: Length) -> String {
        let is_doubled = length == Length::Doubled;
        let mut short = match is_doubled {
            true => self.net.stretch(x, from, 2),
            false => x.to_owned(),
        };
        if from != to {
            short = self.net.conv(&short, (from, to), Conv::of(1));
        }
        let normal = self.norm(x, from);
        let mut loud = self.net.leaky(&normal, 0.2);
        if is_doubled {
            loud = self.net.stretch(&loud, from, 2);
        }
        let mixed = self.net.conv(&loud, (from, to), Conv::of(3));
        let normal = self.norm(&mixed, to);
        let loud = self.net.leaky(&normal, 0.2);
        let mixed = self.net.conv(&loud, (to, to), Conv::of(3));
        let sum = self.net.add_up(&mixed, &short);
        self.net.times(&sum, std::f32::consts::FRAC_1_SQRT_2)
    }

    /// Text, pitch and energy in one: [1, 512, 2 x frames].
    fn decode(&mut self, text: &str, pitch: &str, energy: &str) -> String {
        let halved = Conv {
            stride: 2,
            ..Conv::of(3)
        };
        let pitch = self.net.conv(pitch, (1, 1), halved);
        let energy = self.net.conv(energy, (1, 1), halved);
        let x = self.net.join(&[text, &pitch, &energy]);
        let mut x = self.block(&x, (HIDDEN + 2, WIDE), Length::Kept);
        let text = self.net.conv(text, (HIDDEN, 64), Conv::of(1));
        for block in 0..4 {
            let all = self.net.join(&[&x, &text, &pitch, &energy]);
            let (to, length) = match block {
                3 => (HIDDEN, Length::Doubled),
                _ => (WIDE, Length::Kept),
            };
            x = self.block(&all, (WIDE + 66, to), length);
        }
        x
    }

    /// The sound: [1, 1, samples].
    fn generate(&mut self, frames: &str, pitch: &str) -> String {
        // A tone of the pitch, in the form in which the transform at the end takes it.
        let tone = self.net.stretch(pitch, 1, 60 * HOP);
        let tone = self.net.node("Sin", &[&tone], &[]);
        let transformed = Conv {
            stride: HOP,
            ..Conv::of(TRANSFORM)
        };
        let tone = self.net.conv(&tone, (1, BINS), transformed);
        let (mut x, mut channels) = (frames.to_owned(), HIDDEN);
        for (times, to, kernel, (over, apart)) in UPS {
            let loud = self.net.leaky(&x, 0.1);
            x = self.net.up(&loud, (channels, to), times, kernel);
            channels = to;
            let narrowed = Conv {
                stride: apart,
                ..Conv::of(over)
            };
            let source = self.net.conv(&tone, (BINS, channels), narrowed);
            let kernel = if apart > 1 { 7 } else { 11 };
            let source = self.residual(&source, channels, kernel);
            x = self.net.add_up(&x, &source);
            let [one, two, three] = KERNELS.map(|kernel| self.residual(&x, channels, kernel));
            let sum = self.net.add_up(&one, &two);
            let sum = self.net.add_up(&sum, &three);
            x = self.net.times(&sum, 1.0 / 3.0);
        }
        let loud = self.net.leaky(&x, 0.01);
        let bins = self.net.conv(&loud, (channels, BINS), Conv::of(7));
        let height = self.net.slice(&bins, 1, 0, BINS / 2);
        let height = self.net.times(&height, 0.1);
        let height = self.net.node("Exp", &[&height], &[]);
        let phase = self.net.slice(&bins, 1, BINS / 2, BINS);
        let phase = self.net.node("Sin", &[&phase], &[]);
        let both = self.net.join(&[&height, &phase]);
        // The inverse transform is a transposed convolution with waves for weights.
        self.net.up(&both, (BINS, 1), HOP, TRANSFORM)
    }

    /// Three pairs of convolutions, each with a wave for its bend.
    fn residual(&mut self, x: &str, channels: i64, kernel: i64) -> String {
        let mut x = x.to_owned();
        for dilation in DILATIONS {
            let normal = self.norm(&x, channels);
            let bent = self.wave(&normal, channels);
            let conv = Conv::of(kernel).dilated(dilation);
            let mixed = self.net.conv(&bent, (channels, channels), conv);
            let normal = self.norm(&mixed, channels);
            let bent = self.wave(&normal, channels);
            let mixed = self.net.conv(&bent, (channels, channels), Conv::of(kernel));
            x = self.net.add_up(&x, &mixed);
        }
        x
    }

    /// x + sin²(a x) / a, with an `a` for each channel.
    fn wave(&mut self, x: &str, channels: i64) -> String {
        let many = usize::try_from(channels).unwrap_or_default();
        let each = self.net.floats(&[1, channels, 1], &vec![1.5; many]);
        let part = self.net.node("Mul", &[x, &each], &[]);
        let part = self.net.node("Sin", &[&part], &[]);
        let part = self.net.node("Mul", &[&part, &part], &[]);
        let part = self.net.node("Div", &[&part, &each], &[]);
        self.net.add_up(x, &part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_large_as_the_real_one() {
        let parameters = network().parameters();
        assert!(
            (78_000_000..86_000_000).contains(&parameters),
            "{parameters}"
        );
    }
}
