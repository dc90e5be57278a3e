//! The packets of a WebM file with one track, as a browser's recorder writes it.
//!
//! Read here, because readers of the whole format make room for whatever lengths a file claims, and this one comes from
//! strangers. Nothing is copied, and no length is believed beyond the file's end.
//!
//! ```text
//!   element   number (1 to 4 bytes), length (1 to 8 bytes, all ones: unknown), content
//!   block     track (1 to 8 bytes), time (2), flags (1), one packet
//! ```

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;
/// The bits of a block's flags that say that several packets lie in it, which recorders do not do.
const LACING: u8 = 0x06;

/// The packets, in order, up to the first thing that cannot be.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let (number, behind) = element_number(rest)?;
            let (length, behind) = element_length(behind)?;
            match number {
                // What lies inside follows; their ends do not matter.
                SEGMENT | CLUSTER | BLOCK_GROUP => rest = behind,
                _ => {
                    let length = usize::try_from(length?).ok()?;
                    let (content, after) = behind.split_at_checked(length)?;
                    rest = after;
                    if matches!(number, BLOCK | SIMPLE_BLOCK) {
                        return packet(content);
                    }
                }
            }
        }
    })
}

fn packet(block: &[u8]) -> Option<&[u8]> {
    let (_, behind) = element_length(block)?;
    let (head, packet) = behind.split_at_checked(3)?;
    (head.last()? & LACING == 0).then_some(packet)
}

/// An element's number, with the bits that tell its length.
fn element_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let length = usize::try_from(bytes.first()?.leading_zeros()).ok()? + 1;
    if length > 4 {
        return None;
    }
    let (number, rest) = bytes.split_at_checked(length)?;
    let number = number
        .iter()
        .fold(0, |all, byte| all << 8 | u32::from(*byte));
    Some((number, rest))
}

/// A length without the bits that tell its own; none if it is unknown.
fn element_length(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let first = *bytes.first()?;
    let length = usize::try_from(first.leading_zeros()).ok()? + 1;
    if length > 8 {
        return None;
    }
    let (all, rest) = bytes.split_at_checked(length)?;
    let mask = (1_u64 << (7 * length)) - 1;
    let value = all.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)) & mask;
    Some(((value != mask).then_some(value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(number: &[u8], content: &[u8]) -> Vec<u8> {
        let length = 0x4000 | u16::try_from(content.len()).unwrap();
        [number, &length.to_be_bytes(), content].concat()
    }

    /// As a recorder writes: lengths of segment and cluster are unknown.
    fn file(packets: &[&[u8]]) -> Vec<u8> {
        let mut bytes = element(&[0x1a, 0x45, 0xdf, 0xa3], &[0x42, 0x86, 0x81, 1]);
        bytes.extend([
            0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ]);
        bytes.extend(element(&[0x16, 0x54, 0xae, 0x6b], &[0; 40]));
        for packets in packets.chunks(2) {
            bytes.extend([
                0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]);
            bytes.extend(element(&[0xe7], &[0, 0]));
            for packet in packets {
                bytes.extend(element(&[0xa3], &[&[0x81, 0, 0, 0x80], *packet].concat()));
            }
        }
        bytes
    }

    #[test]
    fn all_packets_are_found_in_order() {
        let file = file(&[b"one", b"two", b"three"]);
        let found: Vec<&[u8]> = packets(&file).collect();
        assert_eq!(found, [b"one".as_slice(), b"two", b"three"]);
        let cut = file.len() - 2;
        assert_eq!(packets(&file[..cut]).count(), 2);
    }

    #[test]
    fn no_length_is_believed() {
        for bytes in [
            [0xa3, 0x01, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice(),
            &[0xa3, 0xff],
            &[0xa3, 0x81],
            &[0x00, 0x00],
            &[0xa3, 0x84, 0x81, 0, 0, 0x06],
            &[],
        ] {
            assert_eq!(packets(bytes).count(), 0, "{bytes:?}");
        }
    }
}
