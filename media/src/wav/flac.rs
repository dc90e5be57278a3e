//! Reads a FLAC header, and leaves only the part of it that tells about the sound: names and pictures are of no use here, and
//! their sizes are claims.

use super::{Error, Limits};

/// The first block, which must be there.
const STREAM_INFO: u8 = 0;
const STREAM_INFO_BYTES: usize = 34;

/// Cuts the header down to the stream's own description.
pub(super) fn rewrite(mut bytes: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Error> {
    let mut info = None;
    let mut at = 4;
    loop {
        let Some(&[kind, a, b, c]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
            return Err(damaged("it ends within its header"));
        };
        let body = at + 4;
        let size = u32::from_be_bytes([0, a, b, c]) as usize;
        if kind & 0x7f == STREAM_INFO && info.is_none() {
            let block = bytes
                .get(body..)
                .and_then(|rest| rest.first_chunk::<STREAM_INFO_BYTES>());
            let block = *block.ok_or_else(|| damaged("its description is cut off"))?;
            check(&block, limits)?;
            info = Some(block);
        }
        at = body + size;
        if kind & 0x80 != 0 {
            break;
        }
    }
    let info = info.ok_or_else(|| damaged("its description is missing"))?;
    if at > bytes.len() {
        return Err(damaged("it ends within its header"));
    }
    let mut header = Vec::with_capacity(8 + STREAM_INFO_BYTES);
    header.extend_from_slice(b"fLaC");
    // The last (0x80) block, number 0, of 34 bytes.
    header.extend_from_slice(&[0x80 | STREAM_INFO, 0, 0, STREAM_INFO_BYTES as u8]);
    header.extend_from_slice(&info);
    bytes.splice(..at, header);
    Ok(bytes)
}

/// The rate, channels and length lie packed behind the sizes of blocks and frames: 20, 3, 5 (bits a sample) and 36 bits.
fn check(info: &[u8; STREAM_INFO_BYTES], limits: Limits) -> Result<(), Error> {
    let packed = info.get(10..).and_then(|rest| rest.first_chunk().copied());
    let packed = packed.map_or(0, u64::from_be_bytes);
    let sample_rate_hz = (packed >> 44) as u32;
    let channels = (packed >> 41 & 7) as u16 + 1;
    let samples = packed & ((1 << 36) - 1);
    limits.check(channels, sample_rate_hz)?;
    if samples > u64::from(limits.seconds) * u64::from(sample_rate_hz) {
        return Err(Error::TooLong {
            limit_seconds: limits.seconds,
        });
    }
    Ok(())
}

fn damaged(what: &str) -> Error {
    Error::Damaged {
        kind: "FLAC",
        what: what.to_owned(),
    }
}
