//! Checks a model's file before whisper.cpp sees it, which believes every number in it and ends the process over a wrong one.
//!
//! ```text
//!   magic | 11 numbers | mel filters | vocabulary | tensors: kind, shape, name, weights | end
//! ```
//!
//! The numbers say which tensors there must be, and in what shape and type. The weights themselves are not read: any are numbers.

use super::tensors::{self, Type};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

const MAGIC: u32 = 0x6767_6d6c;
/// English only; with 99 languages; with 100.
const VOCABULARIES: [u32; 3] = [51_864, 51_865, 51_866];
/// Half of the model's time steps of 10 ms in 30 s.
const AUDIO_CONTEXT: u32 = 1_500;
const TEXT_CONTEXT: u32 = 448;
/// Every head of every model has 64 numbers.
const HEAD: u32 = 64;
/// The largest model has 1280.
const MOST_STATE: u32 = 2_048;
/// The largest model has 32.
const MOST_LAYERS: u32 = 48;
/// Bins of the Fourier transform of 400 samples.
const BINS: u32 = 201;
/// The longest token has less than a tenth of this.
const MOST_TOKEN_BYTES: u32 = 1_024;
const MOST_NAME_BYTES: u32 = 128;
/// Quantised files tell which kind of quantisation they have in thousands.
const QUANTISATION: u32 = 1_000;
const MOST_QUANTISATION: u32 = 2;

/// What a model's file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Tokens.
    pub vocabulary: u32,
    /// Numbers by which each moment of sound and each token is described.
    pub state: u32,
    /// Layers that hear.
    pub audio_layers: u32,
    /// Layers that write.
    pub text_layers: u32,
    /// Bands of the spectrogram.
    pub mels: u32,
    /// How the large tensors are stored.
    pub weights: Type,
}

impl Header {
    /// Languages that it understands; the first is English.
    pub fn languages(&self) -> usize {
        match self.vocabulary.checked_sub(51_766) {
            // Without the tokens that name a language.
            Some(98) | None => 1,
            Some(languages) => languages as usize,
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("it is no ggml file")]
    Magic,
    /// It is one of Git LFS, or a page of the web.
    #[error("it is {0} instead of the model")]
    Instead(&'static str),
    /// It ends in the middle.
    #[error("it ends in the middle, after {bytes} bytes")]
    Short {
        /// Its length.
        bytes: u64,
    },
    /// A number that no model has.
    #[error("its {what} is {value}")]
    Number {
        /// Which.
        what: &'static str,
        /// What it is.
        value: u32,
    },
    /// Numbers that do not go together.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A tensor that the model has not, or in another shape.
    #[error("its tensor number {0} is not one that such a model has")]
    Tensor(usize),
    /// Tensors are missing.
    #[error("{missing} of its {of} tensors are missing")]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        of: usize,
    },
    /// It has no tensors at all, as files for tests of whisper.cpp's own loader.
    #[error("it holds no weights")]
    NoWeights,
}

/// Checks the whole structure of a model's file.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path) -> Result<Header, Wrong> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Wrong::Instead("a folder or a device"));
    }
    check_content(BufReader::new(file), metadata.len())
}

/// Checks the same of so many bytes of content.
///
/// # Errors
/// What is wrong with it.
pub fn check_content(content: impl Read + Seek, bytes: u64) -> Result<Header, Wrong> {
    let mut walk = Walk {
        content,
        at: 0,
        bytes,
    };
    let header = walk.header()?;
    walk.filters(&header)?;
    walk.vocabulary(&header)?;
    walk.tensors(&header)?;
    Ok(header)
}

/// A place in the content.
struct Walk<C> {
    content: C,
    at: u64,
    bytes: u64,
}

impl<C: Read + Seek> Walk<C> {
    /// Notes that so many bytes follow.
    fn advance(&mut self, by: u64) -> Result<(), Wrong> {
        match self.at.checked_add(by) {
            Some(at) if at <= self.bytes => {
                self.at = at;
                Ok(())
            }
            _ => Err(Wrong::Short { bytes: self.bytes }),
        }
    }

    fn skip(&mut self, by: u64) -> Result<(), Wrong> {
        self.advance(by)?;
        let by = i64::try_from(by).map_err(|_| Wrong::Short { bytes: self.bytes })?;
        Ok(self.content.seek_relative(by)?)
    }

    fn number(&mut self) -> Result<u32, Wrong> {
        let mut bytes = [0; 4];
        self.advance(4)?;
        self.content.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u32; N], Wrong> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }

    fn header(&mut self) -> Result<Header, Wrong> {
        match self.number()? {
            MAGIC => {}
            // "vers", as in "version https://git-lfs..."
            0x7372_6576 => return Err(Wrong::Instead("a pointer of Git LFS")),
            // "<!DO" and "<htm".
            0x4f44_213c | 0x6d74_683c => return Err(Wrong::Instead("a web page")),
            _ => return Err(Wrong::Magic),
        }
        let [
            vocabulary,
            audio_context,
            state,
            audio_heads,
            audio_layers,
            text_context,
            text_state,
            text_heads,
            text_layers,
            mels,
            ftype,
        ] = self.numbers()?;
        let within = |what, value, is: bool| match is {
            true => Ok(()),
            false => Err(Wrong::Number { what, value }),
        };
        within(
            "number of tokens",
            vocabulary,
            VOCABULARIES.contains(&vocabulary),
        )?;
        within(
            "audio context",
            audio_context,
            audio_context == AUDIO_CONTEXT,
        )?;
        within("text context", text_context, text_context == TEXT_CONTEXT)?;
        let is_state = (HEAD..=MOST_STATE).contains(&state) && state.is_multiple_of(HEAD);
        within("state", state, is_state)?;
        within("text state", text_state, text_state == state)?;
        let heads = state / HEAD;
        within("number of heads", audio_heads, audio_heads == heads)?;
        within("number of text heads", text_heads, text_heads == heads)?;
        for layers in [audio_layers, text_layers] {
            let is_known = (1..=MOST_LAYERS).contains(&layers);
            within("number of layers", layers, is_known)?;
        }
        within("number of bands", mels, matches!(mels, 80 | 128))?;
        within(
            "kind of quantisation",
            ftype,
            ftype / QUANTISATION <= MOST_QUANTISATION,
        )?;
        let weights = Type::of_file(ftype % QUANTISATION);
        let weights = weights.ok_or(Wrong::Number {
            what: "type of weights",
            value: ftype,
        })?;
        if !u64::from(state).is_multiple_of(weights.block()) {
            return Err(Wrong::Contradiction(
                "its weights are quantised in blocks that do not fit its state",
            ));
        }
        Ok(Header {
            vocabulary,
            state,
            audio_layers,
            text_layers,
            mels,
            weights,
        })
    }

    fn filters(&mut self, header: &Header) -> Result<(), Wrong> {
        let [bands, bins] = self.numbers()?;
        if (bands, bins) != (header.mels, BINS) {
            return Err(Wrong::Contradiction(
                "its mel filters do not fit its number of bands",
            ));
        }
        self.skip(u64::from(bands) * u64::from(bins) * 4)
    }

    fn vocabulary(&mut self, header: &Header) -> Result<(), Wrong> {
        let tokens = self.number()?;
        // Those that are not written down are named by their place.
        if tokens == 0 || tokens > header.vocabulary {
            return Err(Wrong::Number {
                what: "number of tokens that are written down",
                value: tokens,
            });
        }
        let mut has_blank = false;
        for _ in 0..tokens {
            let bytes = self.number()?;
            if bytes > MOST_TOKEN_BYTES {
                return Err(Wrong::Number {
                    what: "longest token",
                    value: bytes,
                });
            }
            if bytes == 1 {
                let mut token = [0];
                self.advance(1)?;
                self.content.read_exact(&mut token)?;
                has_blank |= token == *b" ";
            } else {
                self.skip(u64::from(bytes))?;
            }
        }
        // whisper.cpp looks it up without asking whether it is there.
        match has_blank {
            true => Ok(()),
            false => Err(Wrong::Contradiction("its vocabulary has no blank")),
        }
    }

    fn tensors(&mut self, header: &Header) -> Result<(), Wrong> {
        let mut expected: HashMap<String, tensors::Tensor> = tensors::of(header).collect();
        let of = expected.len();
        let mut number = 0;
        while self.at < self.bytes {
            let wrong = Wrong::Tensor(number);
            let [dimensions, name_bytes, kind] = self.numbers()?;
            if !(1..=3).contains(&dimensions) || !(1..=MOST_NAME_BYTES).contains(&name_bytes) {
                return Err(wrong);
            }
            let mut shape = [1; 3];
            for length in shape.iter_mut().take(dimensions as usize) {
                *length = self.number()?;
            }
            self.advance(u64::from(name_bytes))?;
            let mut name = vec![0; name_bytes as usize];
            self.content.read_exact(&mut name)?;
            // One that comes twice is not expected any more.
            let tensor = String::from_utf8(name)
                .ok()
                .and_then(|name| expected.remove(&name));
            match tensor {
                Some(tensor) if tensor.shape == shape && tensor.kind.number() == kind => {
                    self.skip(tensor.bytes())?;
                }
                Some(_) | None => return Err(wrong),
            }
            number += 1;
        }
        match expected.len() {
            0 => Ok(()),
            missing if missing == of => Err(Wrong::NoWeights),
            missing => Err(Wrong::Missing { missing, of }),
        }
    }
}
