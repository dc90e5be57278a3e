//! Reads a WAV header and writes it anew, so that it says no more than is there.
//!
//! ```text
//!   RIFF <size> WAVE   fmt <size> <format>   … other chunks …   data <size> <samples> …
//!   becomes
//!   RIFF <size> WAVE   fmt <size> <format>   data <size> <samples>
//! ```

use super::{Error, Limits};

/// Sample formats, as WAV's `fmt` chunk numbers them.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The true number stands further behind, as the beginning of a GUID.
const EXTENSIBLE: u16 = 0xfffe;

#[derive(Debug, Clone, Copy)]
struct Format {
    encoding: u16,
    channels: u16,
    sample_rate_hz: u32,
    bits: u16,
}

/// Puts a true header in place of the file's own.
pub(super) fn rewrite(mut bytes: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Error> {
    if bytes.get(8..12) != Some(b"WAVE") {
        return Err(Error::Unknown);
    }
    let mut format = None;
    let mut at = 12;
    loop {
        let (Some(id), Some(size)) = (bytes.get(at..at + 4), u32_at(&bytes, at + 4)) else {
            return Err(damaged("it ends before its data"));
        };
        let body = at + 8;
        let size = size as usize;
        match id {
            b"fmt " => {
                let end = body.saturating_add(size).min(bytes.len());
                format = Some(Format::read(
                    bytes.get(body..end).unwrap_or_default(),
                    limits,
                )?);
            }
            b"data" => {
                let format = format.ok_or_else(|| damaged("its data come before their format"))?;
                let header = format.header(size.min(bytes.len() - body));
                let data = header.data_bytes;
                bytes.splice(..body, header.bytes);
                bytes.truncate(header.header_bytes + data);
                return Ok(bytes);
            }
            // Names, dates and the like.
            _ => {}
        }
        // Chunks begin at even places.
        at = body.saturating_add(size).saturating_add(size % 2);
        if at > bytes.len() {
            return Err(damaged("it ends before its data"));
        }
    }
}

/// A header, and how long it and the data behind it are.
struct Header {
    bytes: Vec<u8>,
    header_bytes: usize,
    data_bytes: usize,
}

impl Format {
    fn read(chunk: &[u8], limits: Limits) -> Result<Self, Error> {
        let field = |at| u16_at(chunk, at).ok_or_else(|| damaged("its format is cut off"));
        let encoding = match field(0)? {
            EXTENSIBLE => field(24)?,
            encoding => encoding,
        };
        let sample_rate_hz = u32_at(chunk, 4).ok_or_else(|| damaged("its format is cut off"))?;
        let format = Self {
            encoding,
            channels: field(2)?,
            sample_rate_hz,
            bits: field(14)?,
        };
        limits.check(format.channels, sample_rate_hz)?;
        match (encoding, format.bits) {
            (PCM, 8 | 16 | 24 | 32) | (FLOAT, 32 | 64) | (A_LAW | MU_LAW, 8) => Ok(format),
            (encoding, bits) => Err(Error::Unsupported {
                what: format!("WAV of encoding {encoding} with {bits} bits a sample"),
            }),
        }
    }

    /// The header for whole sample frames out of `data_bytes`.
    fn header(self, data_bytes: usize) -> Header {
        let Self {
            encoding,
            channels,
            sample_rate_hz,
            bits,
        } = self;
        // Eight channels of eight bytes at most.
        let frame = channels * (bits / 8);
        // The sizes are 32-bit numbers; what lies beyond 4 GB cannot be said.
        let most = u32::MAX as usize - 64;
        let data_bytes = data_bytes.min(most) / usize::from(frame) * usize::from(frame);
        // The two telephone encodings have a longer format chunk, with the size of an empty extension.
        let extension: &[u8] = if matches!(encoding, A_LAW | MU_LAW) {
            &[0, 0]
        } else {
            &[]
        };
        let format_bytes = 16 + extension.len() as u32;
        let mut bytes = Vec::with_capacity(46);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&(data_bytes as u32 + 20 + format_bytes).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&format_bytes.to_le_bytes());
        bytes.extend_from_slice(&encoding.to_le_bytes());
        bytes.extend_from_slice(&channels.to_le_bytes());
        bytes.extend_from_slice(&sample_rate_hz.to_le_bytes());
        bytes.extend_from_slice(&sample_rate_hz.saturating_mul(frame.into()).to_le_bytes());
        bytes.extend_from_slice(&frame.to_le_bytes());
        bytes.extend_from_slice(&bits.to_le_bytes());
        bytes.extend_from_slice(extension);
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&(data_bytes as u32).to_le_bytes());
        Header {
            header_bytes: bytes.len(),
            bytes,
            data_bytes,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn damaged(what: &str) -> Error {
    Error::Damaged {
        kind: "WAV",
        what: what.to_owned(),
    }
}
