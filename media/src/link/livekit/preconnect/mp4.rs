//! The packets of an MP4 file's sound, as Safari's recorder writes it: in fragments, or as one piece.
//!
//! Read here for the reason that WebM is: readers of the whole format make room for whatever its tables claim to hold, and
//! this file comes from strangers. A table must fit into its box, and every byte of the file is handed out at most once.
//!
//! ```text
//!   box    length (4 bytes, its own included; 1: it follows in 8 bytes; 0: up to the end), kind (4 letters), content
//!   moov   stsd says how the sound is coded; stsz, stsc and stco where the packets of a file in one piece lie
//!   moof   tfhd and trun say where those of one fragment lie
//! ```

#[cfg(test)]
mod tests;

use crate::link::RECORDED_FRAMES;

/// The packets that are kept, the last ones: as many as can matter if they are the shortest of Opus, 2.5 ms.
const KEPT: usize = 8 * RECORDED_FRAMES;

/// In `tfhd`: the place from which the fragment counts is given, and is not where its `moof` begins.
const HAS_BASE: usize = 0x1;
/// In `tfhd`: there is a field of 4 bytes before the common size.
const HAS_DESCRIPTION: usize = 0x2;
/// In `tfhd`: there is another.
const HAS_DURATION: usize = 0x8;
/// In `tfhd`: packets without a size of their own have this one.
const HAS_COMMON_SIZE: usize = 0x10;

/// In `trun`: the packets do not lie behind those of the run before.
const HAS_OFFSET: usize = 0x1;
/// In `trun`: there is a field of 4 bytes before the table.
const HAS_FIRST_FLAGS: usize = 0x4;
/// In `trun`: the bits that each put 4 bytes into an entry of the table, in this order.
const COLUMNS: usize = 0xf00;
/// In `trun`: the first of them.
const HAS_DURATIONS: usize = 0x100;
/// In `trun`: the second, the only one that is read.
const HAS_SIZES: usize = 0x200;

/// The sound of a file.
pub(super) struct Recording<'a> {
    /// What the packets are.
    pub(super) coding: Coding<'a>,
    /// The packets in order, the last of them if there are very many.
    pub(super) packets: Vec<&'a [u8]>,
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding<'a> {
    Opus,
    Aac {
        /// MPEG-4's AudioSpecificConfig.
        config: &'a [u8],
    },
}

/// The first track whose sound is understood, up to the first thing in it that cannot be; none if there is no such track.
pub(super) fn read(bytes: &[u8]) -> Option<Recording<'_>> {
    let track = track(find(bytes, &[b"moov"])?)?;
    let mut packets = Packets {
        bytes,
        unclaimed: bytes.len(),
        found: Vec::new(),
    };
    // None where something cannot be: what came before it is heard.
    packets.all(&track);
    let mut packets = packets.found;
    packets.drain(..packets.len().saturating_sub(KEPT));
    Some(Recording {
        coding: track.coding,
        packets,
    })
}

struct Track<'a> {
    id: usize,
    coding: Coding<'a>,
    /// Its tables of packets, empty in a file of fragments.
    stbl: &'a [u8],
    /// The size of packets whose fragment gives them none.
    common_size: usize,
}

fn track(moov: &[u8]) -> Option<Track<'_>> {
    all(moov, b"trak").find_map(|trak| {
        let tkhd = find(trak.content, &[b"tkhd"])?;
        // Before it lie two times, of 4 bytes each or, in version 1, of 8.
        let id = number::<4>(tkhd, if *tkhd.first()? == 0 { 12 } else { 20 })?;
        let stbl = find(trak.content, &[b"mdia", b"minf", b"stbl"])?;
        let coding = coding(find(stbl, &[b"stsd"])?)?;
        let common_size = all(find(moov, &[b"mvex"]).unwrap_or_default(), b"trex")
            .find(|trex| number::<4>(trex.content, 4) == Some(id))
            .and_then(|trex| number::<4>(trex.content, 16));
        Some(Track {
            id,
            coding,
            stbl,
            common_size: common_size.unwrap_or(0),
        })
    })
}

fn coding(stsd: &[u8]) -> Option<Coding<'_>> {
    // A recorder does not change its mind half-way.
    if number::<4>(stsd, 4)? != 1 {
        return None;
    }
    let entry = boxes(stsd.get(8..)?).next()?;
    match &entry.kind {
        b"Opus" => Some(Coding::Opus),
        b"mp4a" => {
            let esds = find(entry.content.get(28..)?, &[b"esds"])?;
            let stream = descriptor(esds.get(4..)?, 3)?;
            // The flags announce fields that are for streams that lie in no file.
            if stream.get(2)? & 0xe0 != 0 {
                return None;
            }
            let decoder = descriptor(stream.get(3..)?, 4)?;
            // 0x40 is MPEG-4 AAC; MP3 and others may lie here too.
            if *decoder.first()? != 0x40 {
                return None;
            }
            let config = descriptor(decoder.get(13..)?, 5)?;
            Some(Coding::Aac { config })
        }
        // Pictures, or sound that nobody here decodes.
        _ => None,
    }
}

/// The content of the descriptor that begins here: its kind, its length (7 bits a byte, the highest bit says that there is
/// one more), its content.
fn descriptor(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(&[kind])?;
    let mut length = 0;
    for _ in 0..4 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.get(..length)
}

/// Collects packets.
struct Packets<'a> {
    bytes: &'a [u8],
    /// How many bytes have not been handed out.
    unclaimed: usize,
    found: Vec<&'a [u8]>,
}

impl Packets<'_> {
    fn all(&mut self, track: &Track<'_>) -> Option<()> {
        self.piece(track.stbl)?;
        for moof in all(self.bytes, b"moof") {
            self.fragment(&moof, track)?;
        }
        Some(())
    }

    /// The packets that `moov` itself tells of. They lie in chunks; `stsc` says from which chunk on how many are in each.
    fn piece(&mut self, stbl: &[u8]) -> Option<()> {
        let stsz = find(stbl, &[b"stsz"])?;
        let common_size = number::<4>(stsz, 4)?;
        let count = number::<4>(stsz, 8)?;
        let sizes = match common_size {
            0 => table(stsz, 8, 4)?,
            _ => &[],
        };
        let mut sizes = (0..count).map_while(|n| match common_size {
            0 => number::<4>(sizes, 4 * n),
            size => Some(size),
        });
        let mut changes = table(find(stbl, &[b"stsc"])?, 4, 12)?
            .chunks_exact(12)
            .peekable();
        let (chunks, width) = match find(stbl, &[b"stco"]) {
            Some(stco) => (table(stco, 4, 4)?, 4),
            None => (table(find(stbl, &[b"co64"])?, 4, 8)?, 8),
        };
        let mut in_chunk = 0;
        for (n, place) in (1..).zip(chunks.chunks_exact(width)) {
            while let Some(change) =
                changes.next_if(|change| number::<4>(change, 0).is_some_and(|first| first <= n))
            {
                in_chunk = number::<4>(change, 4)?;
            }
            let mut place = match width {
                4 => number::<4>(place, 0)?,
                _ => number::<8>(place, 0)?,
            };
            for size in sizes.by_ref().take(in_chunk) {
                place = self.take(place, size)?;
            }
        }
        Some(())
    }

    fn fragment(&mut self, moof: &Found<'_>, track: &Track<'_>) -> Option<()> {
        for traf in all(moof.content, b"traf") {
            let tfhd = find(traf.content, &[b"tfhd"])?;
            if number::<4>(tfhd, 4)? != track.id {
                continue;
            }
            let flags = number::<4>(tfhd, 0)?;
            let mut at = 8;
            let mut base = moof.at;
            if flags & HAS_BASE != 0 {
                base = number::<8>(tfhd, at)?;
                at += 8;
            }
            at += 4 * (flags & (HAS_DESCRIPTION | HAS_DURATION)).count_ones() as usize;
            let common_size = match flags & HAS_COMMON_SIZE {
                0 => track.common_size,
                _ => number::<4>(tfhd, at)?,
            };
            let mut place = base;
            for trun in all(traf.content, b"trun") {
                place = self.run(trun.content, base, place, common_size)?;
            }
        }
        Some(())
    }

    /// Takes packets that lie one behind the other from `place` on, and returns where they end.
    fn run(
        &mut self,
        trun: &[u8],
        base: usize,
        mut place: usize,
        common_size: usize,
    ) -> Option<usize> {
        let flags = number::<4>(trun, 0)?;
        let count = number::<4>(trun, 4)?;
        let mut rest = trun.get(8..)?;
        if flags & HAS_OFFSET != 0 {
            let (offset, behind) = rest.split_first_chunk()?;
            let offset = isize::try_from(i32::from_be_bytes(*offset)).ok()?;
            place = base.checked_add_signed(offset)?;
            rest = behind;
        }
        if flags & HAS_FIRST_FLAGS != 0 {
            rest = rest.get(4..)?;
        }
        let width = 4 * (flags & COLUMNS).count_ones() as usize;
        let size_at = 4 * (flags & HAS_DURATIONS).count_ones() as usize;
        let table = rest.get(..count.checked_mul(width)?)?;
        for n in 0..count {
            let size = match flags & HAS_SIZES {
                0 => common_size,
                _ => number::<4>(table, n * width + size_at)?,
            };
            place = self.take(place, size)?;
        }
        Some(place)
    }

    /// Takes the packet at `place` and returns where it ends.
    fn take(&mut self, place: usize, size: usize) -> Option<usize> {
        let end = place.checked_add(size)?;
        let packet = self.bytes.get(place..end)?;
        // A few bytes can claim billions of packets, of nothing or of the same bytes again and again; none was recorded.
        if packet.is_empty() {
            return None;
        }
        self.unclaimed = self.unclaimed.checked_sub(size)?;
        if self.found.len() == 2 * KEPT {
            self.found.drain(..KEPT);
        }
        self.found.push(packet);
        Some(end)
    }
}

/// A box.
struct Found<'a> {
    kind: [u8; 4],
    content: &'a [u8],
    /// Where it begins.
    at: usize,
}

/// The boxes that lie here, up to the first that is not whole.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = Found<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let kind = *rest.get(4..)?.first_chunk()?;
        let (head, length) = match number::<4>(rest, 0)? {
            0 => (8, rest.len()),
            1 => (16, number::<8>(rest, 8)?),
            length => (8, length),
        };
        let content = rest.get(head..length)?;
        let found = Found { kind, content, at };
        at += length;
        Some(found)
    })
}

/// The boxes of one kind that lie here.
fn all<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> impl Iterator<Item = Found<'a>> {
    boxes(bytes).filter(move |found| found.kind == *kind)
}

/// The content of the first box of the last kind in the first of the kind before, and so on.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inside, kind| {
        Some(all(inside, kind).next()?.content)
    })
}

/// The entries of a table that follow their number, if all are there.
fn table(content: &[u8], at: usize, width: usize) -> Option<&[u8]> {
    let length = number::<4>(content, at)?.checked_mul(width)?;
    content.get(at..)?.get(4..)?.get(..length)
}

/// The number of `WIDTH` bytes that lies at `at`.
fn number<const WIDTH: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let field: &[u8; WIDTH] = bytes.get(at..)?.first_chunk()?;
    let number = field
        .iter()
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}
