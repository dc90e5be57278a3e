//! Makes an engine's raw speech fit to be heard: no dead air around it, 48 kHz, and every voice equally loud.
//!
//! ```text
//!   engine's samples ──► Trimmer ──► Resampler to 48 kHz ──► Limiter: one gain a voice to -16 LUFS, ceiling -1 dBFS ──► frames
//! ```
//!
//! All of it works on the stream as it comes. The limiter looks 5 ms ahead, which an engine makes in far less time than they
//! last; nothing is shifted, for the sound begins with the clause's first sample.

mod limiter;
mod loudness;
mod trimmer;

pub use limiter::{CEILING_DBFS, Limiter};
pub use loudness::{Meter, loudness_lufs};
use media::SAMPLE_RATE_HZ;
use media::resample::{self, Resampler};
pub use trimmer::{TAIL_MS, Trimmer};

/// The loudness of speech that listeners get, integrated as EBU R 128 says.
pub const SPEECH_LUFS: f32 = -16.0;
/// No voice is made louder or softer than this.
const MOST_GAIN_DB: f32 = 20.0;

/// The gain that brings a voice of this loudness to [`SPEECH_LUFS`], as a factor; 1 where the loudness is not known.
///
/// It comes from the voice's measured loudness and not from the clause at hand: a soft word stays softer than a loud one.
pub fn gain(loudness_lufs: Option<f32>) -> f32 {
    let gain_db = loudness_lufs.map_or(0.0, |lufs| {
        (SPEECH_LUFS - lufs).clamp(-MOST_GAIN_DB, MOST_GAIN_DB)
    });
    10_f32.powf(gain_db / 20.0)
}

/// What is done to a clause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Treatment {
    /// It is trimmed and brought to the common loudness; the voice is so loud, in LUFS, as far as that is known.
    Speech(Option<f32>),
    /// It is left as it is.
    AsItIs,
}

/// Finishes one clause after the other.
#[derive(Default)]
pub struct Finisher {
    /// Kept from clause to clause: its filters are long to make.
    resampler: Option<(u32, Resampler)>,
    speech: Option<(Trimmer, Limiter)>,
    trimmed: Vec<i16>,
    at_48k: Vec<i16>,
}

impl Finisher {
    /// A clause begins, of samples at this rate.
    ///
    /// # Errors
    /// When no resampler can be made for the rate.
    pub fn begin(&mut self, rate_hz: u32, treatment: Treatment) -> Result<(), resample::Error> {
        if self
            .resampler
            .as_ref()
            .is_none_or(|(rate, _)| *rate != rate_hz)
        {
            self.resampler = Some((rate_hz, Resampler::new(rate_hz, SAMPLE_RATE_HZ)?));
        }
        self.speech = match treatment {
            Treatment::AsItIs => None,
            Treatment::Speech(loudness_lufs) => {
                let gain = gain(loudness_lufs);
                Some((Trimmer::new(rate_hz, gain), Limiter::new(gain)))
            }
        };
        Ok(())
    }

    /// Takes more of the clause, and appends to `out` what is fit to be heard, at 48 kHz.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let samples = match &mut self.speech {
            None => samples,
            Some((trimmer, _)) => {
                self.trimmed.clear();
                trimmer.process(samples, &mut self.trimmed);
                self.trimmed.as_slice()
            }
        };
        if samples.is_empty() {
            return;
        }
        if let Some((_, resampler)) = &mut self.resampler {
            self.at_48k.clear();
            resampler.process(samples, &mut self.at_48k);
        }
        match &mut self.speech {
            None => out.append(&mut self.at_48k),
            Some((_, limiter)) => limiter.process(&self.at_48k, out),
        }
    }

    /// The clause is complete: appends what was held back of it.
    pub fn end(&mut self, out: &mut Vec<i16>) {
        self.trimmed.clear();
        if let Some((trimmer, _)) = &mut self.speech {
            trimmer.finish(&mut self.trimmed);
        }
        self.at_48k.clear();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.process(&self.trimmed, &mut self.at_48k);
            resampler.flush(&mut self.at_48k);
        }
        match self.speech.take() {
            None => out.append(&mut self.at_48k),
            Some((_, mut limiter)) => {
                limiter.process(&self.at_48k, out);
                limiter.finish(out);
            }
        }
    }

    /// Samples at the engine's rate that were cut from the clause's start.
    pub fn cut(&self) -> usize {
        self.speech.as_ref().map_or(0, |(trimmer, _)| trimmer.cut())
    }
}

#[cfg(test)]
mod tests;
