//! Takes the packets of a Vorbis stream out of an Ogg file, and looks at its headers before the decoder makes room for what
//! they claim.
//!
//! ```text
//!   file      page (header, table of segment lengths, segments), page, …
//!   packet    segments of 255 bytes and one that is shorter, over as many pages as it takes
//!   stream    identification, comments (left out), set-up, sound, sound, …
//! ```

use super::{Error, Limits};
use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor as _;

const PAGE_HEADER_BYTES: usize = 27;
const IDENTIFICATION: &[u8; 7] = b"\x01vorbis";
const COMMENTS: &[u8; 7] = b"\x03vorbis";
const SET_UP: &[u8; 7] = b"\x05vorbis";
/// Values in all code books together. Encoders in use need some hundred thousand.
const MAX_CODE_BOOK_VALUES: u64 = 1 << 22;
/// A set-up header is a few thousand bytes long.
const MAX_SET_UP_BYTES: usize = 1 << 18;

/// One Vorbis stream, its headers checked.
pub(super) struct Stream<'a> {
    packets: Packets<'a>,
    /// The identification and set-up headers, one behind the other.
    pub(super) headers: Vec<u8>,
    pub(super) sample_rate_hz: u32,
}

impl<'a> Stream<'a> {
    /// Reads the headers of the file's first stream.
    pub(super) fn open(bytes: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut packets = Packets::new(bytes);
        let identification = packets
            .next()
            .ok_or_else(|| damaged("it has no whole packet"))?;
        if !identification.starts_with(IDENTIFICATION) {
            return Err(Error::Unsupported {
                what: "Ogg with anything but Vorbis first".to_owned(),
            });
        }
        let (Some(channels), Some(rate)) = (
            identification.get(11),
            identification.get(12..).and_then(|rest| rest.first_chunk()),
        ) else {
            return Err(damaged("its description is cut off"));
        };
        let sample_rate_hz = u32::from_le_bytes(*rate);
        limits.check((*channels).into(), sample_rate_hz)?;
        let set_up = packets
            .by_ref()
            .take(2)
            .find(|packet| !packet.starts_with(COMMENTS))
            .filter(|packet| packet.starts_with(SET_UP))
            .ok_or_else(|| damaged("its set-up is missing"))?;
        if set_up.len() > MAX_SET_UP_BYTES || code_book_values(&set_up) > MAX_CODE_BOOK_VALUES {
            return Err(damaged(
                "its code books are larger than any encoder makes them",
            ));
        }
        let mut headers = identification;
        headers.extend_from_slice(&set_up);
        Ok(Self {
            packets,
            headers,
            sample_rate_hz,
        })
    }

    /// The next packet of sound.
    pub(super) fn packet(&mut self) -> Option<Vec<u8>> {
        // An odd first byte marks a header, which has no business here.
        self.packets
            .find(|packet| packet.first().is_some_and(|byte| byte % 2 == 0))
    }

    /// Where the last page says that the sound ends, in samples; to be asked once all packets are taken.
    pub(super) fn end(&self) -> Option<u64> {
        self.packets.end
    }
}

/// Adds up the sizes that all code books in a set-up header claim. The books are packed bit by bit, so their mark may stand
/// anywhere; behind it come 16 bits of dimensions and 24 of entries.
fn code_book_values(set_up: &[u8]) -> u64 {
    const MARK: u128 = 0x56_4342;
    let mut values = 0u64;
    for at in 0..set_up.len() {
        let mut word = [0; 16];
        for (to, from) in word.iter_mut().zip(set_up.iter().skip(at)) {
            *to = *from;
        }
        let word = u128::from_le_bytes(word);
        for book in (0..8)
            .map(|shift| word >> shift)
            .filter(|bits| bits & 0xff_ffff == MARK)
        {
            let dimensions = (book >> 24 & 0xffff) as u64;
            let entries = (book >> 40 & 0xff_ffff) as u64;
            values = values.saturating_add(dimensions.max(1) * entries);
        }
    }
    values
}

/// The packets of an Ogg file's first stream.
struct Packets<'a> {
    rest: &'a [u8],
    serial: Option<u32>,
    /// Segment lengths and segments of the present page that have not been taken.
    lengths: &'a [u8],
    segments: &'a [u8],
    partial: Vec<u8>,
    end: Option<u64>,
}

impl<'a> Packets<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            serial: None,
            lengths: &[],
            segments: &[],
            partial: Vec::new(),
            end: None,
        }
    }

    /// Turns to the stream's next page that is whole.
    fn turn(&mut self) -> Option<()> {
        loop {
            let page = Page::read(self.rest)?;
            self.rest = page.rest;
            if !page.is_whole {
                self.partial.clear();
                continue;
            }
            if *self.serial.get_or_insert(page.serial) != page.serial {
                continue;
            }
            if !page.continues {
                self.partial.clear();
            }
            // A page on which no packet ends has no place of its own: all ones.
            if page.place != u64::MAX {
                self.end = Some(page.place);
            }
            (self.lengths, self.segments) = (page.lengths, page.segments);
            return Some(());
        }
    }
}

impl Iterator for Packets<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some((length, lengths)) = self.lengths.split_first() else {
                self.turn()?;
                continue;
            };
            let (segment, segments) = self.segments.split_at_checked((*length).into())?;
            (self.lengths, self.segments) = (lengths, segments);
            self.partial.extend_from_slice(segment);
            if *length < u8::MAX {
                return Some(std::mem::take(&mut self.partial));
            }
        }
    }
}

/// One page of an Ogg file.
struct Page<'a> {
    /// Whether its check sum is right.
    is_whole: bool,
    /// Whether it goes on with the packet that the page before left unfinished.
    continues: bool,
    place: u64,
    serial: u32,
    lengths: &'a [u8],
    segments: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Page<'a> {
    /// The next page, wherever it begins; none if the file ends before it does.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let start = bytes.windows(4).position(|mark| mark == b"OggS")?;
        let page = bytes.get(start..)?;
        let (header, body) = page.split_at_checked(PAGE_HEADER_BYTES)?;
        let (lengths, body) = body.split_at_checked((*header.get(26)?).into())?;
        let size = lengths.iter().map(|length| usize::from(*length)).sum();
        let (segments, rest) = body.split_at_checked(size)?;
        let mut sum = Crc32::new(0);
        sum.process_buf_bytes(header.get(..22)?);
        // The sum was made with its own place empty.
        sum.process_buf_bytes(&[0; 4]);
        sum.process_buf_bytes(header.get(26..)?);
        sum.process_buf_bytes(lengths);
        sum.process_buf_bytes(segments);
        Some(Self {
            is_whole: u32::from_le_bytes(*header.get(22..)?.first_chunk()?) == sum.crc(),
            continues: header.get(5)? & 1 != 0,
            place: u64::from_le_bytes(*header.get(6..)?.first_chunk()?),
            serial: u32::from_le_bytes(*header.get(14..)?.first_chunk()?),
            lengths,
            segments,
            rest,
        })
    }
}

fn damaged(what: &str) -> Error {
    Error::Damaged {
        kind: "Ogg",
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_books_are_found_at_any_bit() {
        // Two dimensions and 300 entries behind the mark, three bits late.
        let book: u128 = (0x56_4342 | 2 << 24 | 300 << 40) << 3;
        let mut set_up = SET_UP.to_vec();
        set_up.extend_from_slice(&book.to_le_bytes());
        assert_eq!(code_book_values(&set_up), 600);
        assert_eq!(
            code_book_values(b"BCV\xff\xff\xff\xff\xff"),
            0xffff * 0xff_ffff
        );
    }
}
