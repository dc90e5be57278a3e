//! Sound files: WAV, FLAC and Ogg Vorbis in, WAV out.
//!
//! Files come from strangers. Their headers are read here, by hand and within [`Limits`], before the decoder sees them: it
//! would believe them, and a header may claim gigabytes, no channels or a rate of nothing. Where a file ends before its header
//! says, the sound that is there is returned.

mod decode;
mod flac;
mod ogg;
mod riff;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A mono sound.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// The samples; several channels have been mixed.
    pub samples: Vec<i16>,
}

// The samples may be somebody's voice: debug output must not spill them.
impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            sample_rate_hz,
            samples,
        } = self;
        write!(f, "Sound({} samples at {sample_rate_hz} Hz)", samples.len())
    }
}

/// How much of a file is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file.
    pub bytes: u64,
    /// Length of the sound; a few bytes of FLAC can hold hours of silence.
    pub seconds: u32,
    /// Channels.
    pub channels: u16,
    /// The highest rate.
    pub sample_rate_hz: u32,
}

impl Limits {
    /// The lowest rate that is taken for sound.
    const MIN_RATE_HZ: u32 = 4_000;

    fn check(&self, channels: u16, sample_rate_hz: u32) -> Result<(), Error> {
        if !(1..=self.channels).contains(&channels) {
            return Err(Error::Channels {
                channels,
                limit: self.channels,
            });
        }
        if !(Self::MIN_RATE_HZ..=self.sample_rate_hz).contains(&sample_rate_hz) {
            return Err(Error::Rate {
                sample_rate_hz,
                limit_hz: self.sample_rate_hz,
            });
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 512 << 20,
            seconds: 3_600,
            channels: 8,
            sample_rate_hz: 384_000,
        }
    }
}

/// Why a sound could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be made or written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: hound::Error,
    },
    /// The file is too large to be read.
    #[error("the sound file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The sound is too long.
    #[error("the sound is longer than {limit_seconds} s")]
    TooLong {
        /// The most that is decoded.
        limit_seconds: u32,
    },
    /// The file is of no kind that is known.
    #[error("this is no sound file that can be read; WAV, FLAC and Ogg Vorbis can")]
    Unknown,
    /// The kind is known, but what is in it is not.
    #[error("{what} cannot be read; convert it to 16-bit WAV first")]
    Unsupported {
        /// What is in it.
        what: String,
    },
    /// The header names no channels, or too many.
    #[error("a sound with {channels} channels cannot be read; 1 to {limit} can")]
    Channels {
        /// What the header says.
        channels: u16,
        /// The most that are mixed.
        limit: u16,
    },
    /// The header's rate is none.
    #[error(
        "{sample_rate_hz} Hz is no sample rate that can be read; {} to {limit_hz} Hz are",
        Limits::MIN_RATE_HZ
    )]
    Rate {
        /// What the header says.
        sample_rate_hz: u32,
        /// The highest that is read.
        limit_hz: u32,
    },
    /// The file contradicts itself, or is cut off before any sound.
    #[error("the {kind} file is damaged: {what}")]
    Damaged {
        /// What kind of file it is.
        kind: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody wanted it any more while it was being decoded.
    #[error("the decoding of a sound was stopped")]
    Stopped,
}

/// Reads a sound file with the default [`Limits`], mixed to mono.
///
/// # Errors
/// See [`Error`].
pub fn read(path: &Path) -> Result<Sound, Error> {
    let limits = Limits::default();
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // One byte more than allowed tells a file that is too large; its length need not be believed.
    file.take(limits.bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    read_bytes(bytes, limits)
}

/// Reads a sound file that is in memory, mixed to mono.
///
/// # Errors
/// See [`Error`]; never a panic, and never much more memory than the file and its sound take.
pub fn read_bytes(bytes: Vec<u8>, limits: Limits) -> Result<Sound, Error> {
    read_bytes_while(bytes, limits, &|| true)
}

/// The same, as long as `go_on` says so: it is asked with each packet of a few hundredths of a second.
///
/// # Errors
/// [`Error::Stopped`] once `go_on` has said no, and see [`Error`].
pub fn read_bytes_while(
    bytes: Vec<u8>,
    limits: Limits,
    go_on: &dyn Fn() -> bool,
) -> Result<Sound, Error> {
    if bytes.len() as u64 > limits.bytes {
        return Err(Error::TooLarge {
            limit_bytes: limits.bytes,
        });
    }
    match bytes.first_chunk() {
        Some(b"RIFF") => decode::wav(riff::rewrite(bytes, limits)?, limits, go_on),
        Some(b"fLaC") => decode::flac(flac::rewrite(bytes, limits)?, limits, go_on),
        Some(b"OggS") => decode::vorbis(ogg::Stream::open(&bytes, limits)?, limits, go_on),
        Some(_) | None => Err(Error::Unknown),
    }
}

/// Writes mono 16-bit WAV as the samples come.
pub struct WavWriter {
    path: PathBuf,
    hound: hound::WavWriter<io::BufWriter<File>>,
}

impl WavWriter {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be made.
    pub fn create(path: &Path, sample_rate_hz: u32) -> Result<Self, Error> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: sample_rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let hound = hound::WavWriter::create(path, spec).map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            hound,
        })
    }

    /// Adds samples.
    ///
    /// # Errors
    /// [`Error::Write`], also when the file would grow beyond the 4 GB that a WAV file can have.
    pub fn write(&mut self, samples: &[i16]) -> Result<(), Error> {
        let total = u64::from(self.hound.len()) + samples.len() as u64;
        let written = match u32::try_from(samples.len()) {
            // 100 bytes are more than hound's header.
            Ok(count) if total * 2 + 100 <= u64::from(u32::MAX) => {
                let mut block = self.hound.get_i16_writer(count);
                for sample in samples {
                    block.write_sample(*sample);
                }
                block.flush()
            }
            Ok(_) | Err(_) => Err(hound::Error::IoError(io::ErrorKind::FileTooLarge.into())),
        };
        written.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Completes the header and closes the file. A writer that is dropped does the same, but cannot say if it failed.
    ///
    /// # Errors
    /// [`Error::Write`] if the end cannot be written.
    pub fn finalize(self) -> Result<(), Error> {
        let Self { path, hound } = self;
        hound
            .finalize()
            .map_err(|source| Error::Write { path, source })
    }
}
