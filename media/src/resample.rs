//! Changes the sample rate of a stream of mono sound, with rubato's filters.
//!
//! Both resamplers here work through the frequency domain in blocks of about 10 ms: their filter keeps all up to 0.9 of the
//! lower rate's limit and silences what lies above it, and costs a few microseconds a frame.

#[cfg(test)]
mod tests;

use crate::frame::{AudioFrame, FRAME_SAMPLES};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, WindowFunction};
use std::ops::RangeInclusive;

/// The rates that can be converted, in Hz.
pub const RATES_HZ: RangeInclusive<u32> = 1_000..=384_000;
/// Samples of one [`AudioFrame`] at 16 kHz.
pub const FRAME_SAMPLES_16K: usize = 320;

/// Why a resampler could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rate that no sound has.
    #[error("cannot convert {from_hz} Hz to {to_hz} Hz: rates must lie between {} and {} Hz", RATES_HZ.start(), RATES_HZ.end())]
    Rate {
        /// The rate of the input.
        from_hz: u32,
        /// The rate of the output.
        to_hz: u32,
    },
    /// The filter could not be made.
    #[error("cannot convert {from_hz} Hz to {to_hz} Hz: {source}")]
    Filter {
        /// The rate of the input.
        from_hz: u32,
        /// The rate of the output.
        to_hz: u32,
        /// What rubato says.
        source: rubato::ResamplerConstructionError,
    },
}

/// Converts a stream from one rate to another, in chunks of any size.
///
/// The output lines up with the input: the filter's delay is cut off at the start and made up for by
/// [`flush`](Self::flush), so that n seconds in are n seconds out. Up to one block (about 10 ms) and half a block of filter
/// delay are on the way at any moment. After a flush a new stream may begin.
pub struct Resampler {
    filter: Option<Filter>,
}

impl Resampler {
    /// A resampler from one rate to another; equal rates are passed through.
    ///
    /// # Errors
    /// [`Error::Rate`] for rates outside [`RATES_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, Error> {
        if !RATES_HZ.contains(&from_hz) || !RATES_HZ.contains(&to_hz) {
            return Err(Error::Rate { from_hz, to_hz });
        }
        let filter = match from_hz == to_hz {
            true => None,
            false => Some(Filter::new(from_hz, to_hz).map_err(|source| Error::Filter {
                from_hz,
                to_hz,
                source,
            })?),
        };
        Ok(Self { filter })
    }

    /// Takes samples and appends what is ready to `out`.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        match &mut self.filter {
            None => out.extend_from_slice(input),
            Some(filter) => filter.process(input, out),
        }
    }

    /// Appends the rest of the stream to `out`, and forgets the stream.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        if let Some(filter) = &mut self.filter {
            filter.flush(out);
        }
    }
}

/// A rubato resampler with its buffers and the account of what went in and came out.
struct Filter {
    rubato: Box<dyn rubato::Resampler<f32>>,
    from_hz: u64,
    to_hz: u64,
    /// The block being filled.
    block: Vec<f32>,
    output: Vec<f32>,
    /// Samples taken and given since the stream began.
    taken: u64,
    given: u64,
    /// Samples of filter delay still to be cut off.
    delay: usize,
}

impl Filter {
    /// The longest block: with rates that share few factors the exact method would need whole seconds.
    const MAX_BLOCKS_A_SECOND: u32 = 25;

    fn new(from_hz: u32, to_hz: u32) -> Result<Self, rubato::ResamplerConstructionError> {
        let (from, to) = (from_hz as usize, to_hz as usize);
        // At low rates 10 ms would make too blunt a filter.
        let block = (from / 100).max(160);
        let rubato: Box<dyn rubato::Resampler<f32>> =
            if greatest_common_divisor(from_hz, to_hz) >= Self::MAX_BLOCKS_A_SECOND {
                Box::new(Fft::new(from, to, block, 1, FixedSync::Both)?)
            } else {
                let ratio = f64::from(to_hz) / f64::from(from_hz);
                let sinc = SincInterpolationParameters::new(128, WindowFunction::BlackmanHarris2);
                Box::new(Async::new_sinc(
                    ratio,
                    1.0,
                    &sinc,
                    block,
                    1,
                    FixedAsync::Input,
                )?)
            };
        Ok(Self {
            from_hz: from_hz.into(),
            to_hz: to_hz.into(),
            block: Vec::with_capacity(rubato.input_frames_max()),
            output: vec![0.0; rubato.output_frames_max()],
            taken: 0,
            given: 0,
            delay: rubato.output_delay(),
            rubato,
        })
    }

    fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.taken += input.len() as u64;
        let mut rest = input;
        while !rest.is_empty() {
            let wanted = self
                .rubato
                .input_frames_next()
                .saturating_sub(self.block.len());
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            self.block
                .extend(now.iter().map(|sample| f32::from(*sample)));
            rest = later;
            if now.len() == wanted {
                self.run(u64::MAX, out);
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<i16>) {
        // Rounded up, so that no part of the last sample is lost.
        let due = (self.taken * self.to_hz).div_ceil(self.from_hz);
        while self.given < due {
            self.block.resize(self.rubato.input_frames_next(), 0.0);
            self.run(due, out);
        }
        self.rubato.reset();
        self.block.clear();
        self.taken = 0;
        self.given = 0;
        self.delay = self.rubato.output_delay();
    }

    /// Converts the block, which is full, and gives no more than `due` samples in all.
    fn run(&mut self, due: u64, out: &mut Vec<i16>) {
        let made = convert(self.rubato.as_mut(), &self.block, &mut self.output);
        self.block.clear();
        let cut = self.delay.min(made);
        self.delay -= cut;
        let room = usize::try_from(due - self.given).unwrap_or(usize::MAX);
        let ready = self.output.get(cut..made).unwrap_or_default();
        let ready = ready.get(..room).unwrap_or(ready);
        out.extend(ready.iter().copied().map(to_i16));
        self.given += ready.len() as u64;
    }
}

/// The step down to 16 kHz for the ear: each frame gives exactly 320 samples, 5 ms (80 samples) late.
pub struct Downsampler48To16 {
    rubato: Fft<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Downsampler48To16 {
    /// Two blocks a frame: half the delay of one, for hardly more work.
    const BLOCK: usize = FRAME_SAMPLES / 2;

    /// A downsampler for one stream.
    pub fn new() -> Self {
        let rubato = Fft::new(48_000, 16_000, Self::BLOCK, 1, FixedSync::Both)
            .expect("two rates that are not 0 and a block that is not empty");
        Self {
            input: Vec::with_capacity(Self::BLOCK),
            output: vec![0.0; Self::BLOCK / 3],
            rubato,
        }
    }

    /// Converts the next frame of the stream.
    pub fn process(&mut self, frame: &AudioFrame, out: &mut [i16; FRAME_SAMPLES_16K]) {
        let halves = frame.samples().chunks_exact(Self::BLOCK);
        for (half, out) in halves.zip(out.chunks_exact_mut(Self::BLOCK / 3)) {
            self.input.clear();
            self.input
                .extend(half.iter().map(|sample| f32::from(*sample)));
            convert(&mut self.rubato, &self.input, &mut self.output);
            for (to, from) in out.iter_mut().zip(&self.output) {
                *to = to_i16(*from);
            }
        }
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        rubato::Resampler::reset(&mut self.rubato);
    }
}

impl Default for Downsampler48To16 {
    fn default() -> Self {
        Self::new()
    }
}

/// Converts one block and returns how many samples were made.
fn convert(rubato: &mut dyn rubato::Resampler<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let frames = output.len();
    let input =
        InterleavedSlice::new(input, 1, input.len()).expect("one channel of all samples there are");
    let mut output =
        InterleavedSlice::new_mut(output, 1, frames).expect("one channel of all samples there are");
    let (_, made) = rubato
        .process_into_buffer(&input, &mut output, None)
        .expect("a block as long as it was asked for, and room for the longest output");
    made
}

/// Rounds to the nearest step, and to full scale what the filter's ripple carries beyond it.
fn to_i16(sample: f32) -> i16 {
    // As `round`, which is a call of a function where every sample counts.
    (sample + 0.5_f32.copysign(sample)) as i16
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
