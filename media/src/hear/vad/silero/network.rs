//! Silero's network for 16 kHz (versions 5 and 6), computed here.
//!
//! ```text
//!   576 samples + 64 mirrored -> 4 spectra of 129 magnitudes (Hann, 256, every 128)
//!     -> 128 x 4 -> 64 x 2 -> 64 -> 128   four convolutions over three neighbours, each cut off at zero
//!     -> LSTM of 128 -> weighed sum -> probability
//! ```
//!
//! (The graph of `silero_vad.onnx`, snakers4/silero-vad.) A general runtime spends most of its time between these
//! operations: they are that small.

#![expect(
    clippy::indexing_slicing,
    reason = "all lengths are constants of the network"
)]

use super::layer::{LANES, Layer};
use super::weights::Weights;
use super::{State, WINDOW_SAMPLES};
use pulp::Arch;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::f32::consts::TAU;
use std::fmt;
use std::sync::Arc;

const FFT: usize = 256;
const HOP: usize = 128;
const BINS: usize = FFT / 2 + 1;
const PADDING: usize = 64;
const SPECTRA: usize = (WINDOW_SAMPLES + PADDING - FFT) / HOP + 1;
/// A spectrum's magnitudes with zeros after them.
const BINS_WIDE: usize = BINS.next_multiple_of(LANES);
/// The first and last widths of the convolutions, and the memory's.
const WIDE: usize = 128;
const NARROW: usize = 64;
const GATES: usize = 4 * WIDE;
/// How far the file's Fourier transform may be from the true one.
const TOLERANCE: f32 = 1e-4;

/// The network, shared by all calls.
pub(super) struct Network {
    arch: Arch,
    fourier: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    encoder: [Layer; 4],
    memory: Layer,
    output: Vec<f32>,
    output_bias: f32,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("arch", &self.arch)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// The network of an ONNX file; `None` if it holds another one.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        const BASIS: &str = "stft.forward_basis_buffer";
        const BASIS_SHAPE: [usize; 3] = [2 * BINS, 1, FFT];
        let weights = Weights::read(file)?;
        let prefix = weights.prefix(BASIS, &BASIS_SHAPE)?;
        let get = |name: &str, shape: &[usize]| weights.get(&format!("{prefix}{name}"), shape);
        let window = window(get(BASIS, &BASIS_SHAPE)?)?;
        let convolution = |number: usize, out: usize, width: usize, taps: &[usize]| {
            let name = format!("encoder.{number}.reparam_conv");
            let weight = get(&format!("{name}.weight"), &[out, width, 3])?;
            let bias = get(&format!("{name}.bias"), &[out])?;
            Some(convolution(weight, bias, width, taps))
        };
        // At the ends of what there is a neighbour is missing; where one always is, its numbers are never needed.
        let encoder = [
            convolution(0, WIDE, BINS, &[0, 1, 2])?,
            convolution(1, NARROW, WIDE, &[0, 1, 2])?,
            convolution(2, NARROW, NARROW, &[1, 2])?,
            convolution(3, WIDE, NARROW, &[1])?,
        ];
        let memory = {
            let rnn = |name: &str, shape: &[usize]| get(&format!("decoder.rnn.{name}"), shape);
            let of_input = rnn("weight_ih", &[GATES, WIDE])?;
            let of_state = rnn("weight_hh", &[GATES, WIDE])?;
            let biases = [rnn("bias_ih", &[GATES])?, rnn("bias_hh", &[GATES])?];
            let bias = biases[0]
                .iter()
                .zip(biases[1])
                .map(|(a, b)| a + b)
                .collect();
            Layer::new(2 * WIDE, bias, |row| {
                let row = row * WIDE..(row + 1) * WIDE;
                [&of_input[row.clone()], &of_state[row]].concat()
            })
        };
        Some(Self {
            arch: Arch::new(),
            fourier: RealFftPlanner::new().plan_fft_forward(FFT),
            window,
            encoder,
            memory,
            output: get("decoder.decoder.2.weight", &[1, WIDE, 1])?.to_vec(),
            output_bias: *get("decoder.decoder.2.bias", &[1])?.first()?,
        })
    }

    /// The probability that the window's sound is voice; `state` becomes the one after it.
    pub(super) fn judge(&self, samples: &[f32; WINDOW_SAMPLES], state: &mut State) -> f32 {
        let [first, second, third, fourth] = &self.encoder;
        // Each has a missing neighbour's zeros at its ends.
        let mut spectra = [0.0; (SPECTRA + 2) * BINS_WIDE];
        self.spectra(samples, &mut spectra[BINS_WIDE..]);
        let mut wide = [0.0; (SPECTRA + 2) * WIDE];
        let columns: [&[f32]; SPECTRA] = std::array::from_fn(|at| &spectra[at * BINS_WIDE..]);
        first.multiply(self.arch, columns, &mut wide[WIDE..], WIDE);
        cut_off(&mut wide[WIDE..][..SPECTRA * WIDE]);
        let mut narrow = [0.0; 2 * NARROW];
        let columns: [&[f32]; 2] = std::array::from_fn(|at| &wide[2 * at * WIDE..]);
        second.multiply(self.arch, columns, &mut narrow, NARROW);
        cut_off(&mut narrow);
        let mut one = [0.0; NARROW];
        third.multiply(self.arch, [&narrow], &mut one, NARROW);
        cut_off(&mut one);
        let mut input = [0.0; 2 * WIDE];
        fourth.multiply(self.arch, [&one], &mut input, WIDE);
        cut_off(&mut input[..WIDE]);
        let State { hidden, cell } = state;
        input[WIDE..].copy_from_slice(hidden);
        let mut gates = [0.0; GATES];
        self.memory.multiply(self.arch, [&input], &mut gates, GATES);
        let (open, gates) = gates.split_at(WIDE);
        let (forget, gates) = gates.split_at(WIDE);
        let (news, show) = gates.split_at(WIDE);
        let mut sum = self.output_bias;
        for at in 0..WIDE {
            cell[at] = sigmoid(forget[at]) * cell[at] + sigmoid(open[at]) * tanh(news[at]);
            hidden[at] = sigmoid(show[at]) * tanh(cell[at]);
            sum += self.output[at] * hidden[at].max(0.0);
        }
        sigmoid(sum)
    }

    fn spectra(&self, samples: &[f32; WINDOW_SAMPLES], out: &mut [f32]) {
        let mut padded = [0.0; WINDOW_SAMPLES + PADDING];
        padded[..WINDOW_SAMPLES].copy_from_slice(samples);
        for at in 0..PADDING {
            padded[WINDOW_SAMPLES + at] = samples[WINDOW_SAMPLES - 2 - at];
        }
        let (mut part, mut bins) = ([0.0; FFT], [Complex::default(); BINS]);
        let mut scratch = [Complex::default(); FFT];
        for (at, out) in out.chunks_exact_mut(BINS_WIDE).take(SPECTRA).enumerate() {
            let sound = &padded[at * HOP..];
            for ((part, sample), weight) in part.iter_mut().zip(sound).zip(&self.window) {
                *part = sample * weight;
            }
            let scratch = &mut scratch[..self.fourier.get_scratch_len()];
            // It fails only on buffers of other lengths, and one that is left as it was is a silent one.
            if self
                .fourier
                .process_with_scratch(&mut part, &mut bins, scratch)
                .is_ok()
            {
                for (out, bin) in out.iter_mut().zip(&bins) {
                    *out = bin.norm_sqr().sqrt();
                }
            }
        }
    }
}

/// The window in front of the file's Fourier transform, if it is one: a row for each cosine, then one for each sine.
fn window(basis: &[f32]) -> Option<Vec<f32>> {
    let (cosines, sines) = basis.split_at(BINS * FFT);
    // The cosine of no frequency is 1.
    let window = cosines.get(..FFT)?.to_vec();
    for (row, (cosines, sines)) in cosines.chunks(FFT).zip(sines.chunks(FFT)).enumerate() {
        for (at, weight) in window.iter().enumerate() {
            let (sine, cosine) = (TAU * (row * at % FFT) as f32 / FFT as f32).sin_cos();
            let off = |value: f32, expected: f32| (value - weight * expected).abs() > TOLERANCE;
            if off(cosines[at], cosine) || off(sines[at], -sine) {
                return None;
            }
        }
    }
    Some(window)
}

/// A convolution over these of three neighbours as a layer: `weight` is [out, width, 3], and the layer's input holds the
/// neighbours one after the other.
fn convolution(weight: &[f32], bias: &[f32], width: usize, taps: &[usize]) -> Layer {
    let wide = width.next_multiple_of(LANES);
    Layer::new(taps.len() * wide, bias.to_vec(), |row| {
        let weight = &weight[row * width * 3..][..width * 3];
        let mut numbers = vec![0.0; taps.len() * wide];
        for (part, tap) in numbers.chunks_exact_mut(wide).zip(taps) {
            for (number, weights) in part.iter_mut().zip(weight.chunks_exact(3)) {
                *number = weights[*tap];
            }
        }
        numbers
    })
}

fn cut_off(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

/// The hyperbolic tangent by way of the exponential, which the library's own avoids for a precision that is not needed here.
fn tanh(value: f32) -> f32 {
    2.0 * sigmoid(2.0 * value) - 1.0
}
