//! Tones recorded as MP4 (with FFmpeg), files that lie, and files made of chance.

use super::*;
use crate::frame::AudioFrame;
use crate::level::rms;
use crate::link::livekit::preconnect::{Unreadable, decode};
use proptest::prelude::*;
use std::collections::HashMap;

/// 1.5 s of 440 Hz with an amplitude of 8000: AAC in one fragment.
const MONO: &[u8] = include_bytes!("../testdata/mono.mp4");
/// The same in fragments of a quarter of a second, at 44.1 kHz; the right channel is half as loud as the left one.
const STEREO: &[u8] = include_bytes!("../testdata/stereo-44100.mp4");
/// The same as Opus, in fragments of a quarter of a second.
const OPUS: &[u8] = include_bytes!("../testdata/opus.mp4");
/// The same as AAC in one piece, whose tables lie behind the sound.
const PLAIN: &[u8] = include_bytes!("../testdata/plain.mp4");
/// 0.3 s of AAC, in fragments that count from where the file begins.
const SHORT: &[u8] = include_bytes!("../testdata/short.mp4");
const FILES: [&[u8]; 5] = [MONO, STEREO, OPUS, PLAIN, SHORT];

fn hear(bytes: &[u8]) -> Result<Vec<AudioFrame>, Unreadable> {
    decode("video/mp4", &HashMap::new(), bytes.to_vec())
}

/// `file` with the number at `at` bytes behind the letters `kind` made as large as it can be.
fn lie(file: &[u8], kind: &[u8; 4], at: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    let found = file.windows(4).position(|letters| letters == kind).unwrap();
    file[found + 4 + at..][..4].fill(0xff);
    file
}

/// A box of `kind`.
fn made(kind: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes(), kind.as_slice(), &content].concat()
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// The beginning of a file with one track of Opus, packet tables `tables`, and packets of `common_size` if they have none.
fn opening(tables: &[u8], common_size: u32) -> Vec<u8> {
    let stsd = made(b"stsd", &[&numbers(&[0, 1]), &made(b"Opus", &[&[0; 28]])]);
    let stbl = made(b"stbl", &[&stsd, tables]);
    let mdia = made(b"mdia", &[&made(b"minf", &[&stbl])]);
    let tkhd = made(b"tkhd", &[&numbers(&[0, 0, 0, 7])]);
    let trex = made(b"trex", &[&numbers(&[0, 7, 1, 0, common_size, 0])]);
    let trak = made(b"trak", &[&tkhd, &mdia]);
    made(b"moov", &[&trak, &made(b"mvex", &[&trex])])
}

/// The tables of a file of fragments, all empty.
fn empty() -> Vec<u8> {
    [
        made(b"stsz", &[&numbers(&[0, 0, 0])]),
        made(b"stsc", &[&numbers(&[0, 0])]),
        made(b"stco", &[&numbers(&[0, 0])]),
    ]
    .concat()
}

fn moof(trun: &[u32]) -> Vec<u8> {
    let tfhd = made(b"tfhd", &[&numbers(&[0, 7])]);
    let traf = made(b"traf", &[&tfhd, &made(b"trun", &[&numbers(trun)])]);
    made(b"moof", &[&traf])
}

fn packets(file: &[u8]) -> Vec<&[u8]> {
    read(file).unwrap().packets
}

#[test]
fn a_tone_is_heard_as_it_was() {
    // The mean of both channels is three quarters of the left one.
    for (name, file, level) in [
        ("mono", MONO, 5657.0),
        ("stereo", STEREO, 5657.0 * 0.75),
        ("opus", OPUS, 5657.0),
        ("plain", PLAIN, 5657.0),
    ] {
        let frames = hear(file).unwrap();
        // Encoders put up to 50 ms before the sound, and fill the last packet.
        assert!((75..=79).contains(&frames.len()), "{name} {}", frames.len());
        let second: Vec<i16> = frames[10..60]
            .iter()
            .flat_map(|frame| frame.samples().to_vec())
            .collect();
        let heard = rms(&second);
        assert!((heard - level).abs() < level * 0.03, "{name} {heard}");
        let waves = second.windows(2).filter(|two| two[0] < 0 && two[1] >= 0);
        let waves = waves.count();
        assert!((439..=441).contains(&waves), "{name} {waves}");
    }
    assert!((15..=18).contains(&hear(SHORT).unwrap().len()));
}

#[test]
fn all_packets_are_found_in_order() {
    for file in FILES {
        let found = packets(file);
        let places: Vec<_> = found.iter().map(|packet| packet.as_ptr()).collect();
        assert!(places.is_sorted(), "packets overlap or are out of order");
        let expected = match file {
            MONO | PLAIN => 72,
            STEREO => 66,
            OPUS => 76,
            _ => 16,
        };
        assert_eq!(found.len(), expected);
    }
}

#[test]
fn tables_and_fragments_of_one_file_add_up() {
    // Two chunks: one packet in the first, two in the second. Behind them a fragment of two.
    let tables = |place: u32| {
        [
            made(b"stsz", &[&numbers(&[0, 0, 3, 1, 2, 3])]),
            made(b"stsc", &[&numbers(&[0, 2, 1, 1, 1, 2, 2, 1])]),
            made(b"co64", &[&numbers(&[0, 2, 0, place, 0, place + 2])]),
        ]
        .concat()
    };
    let place = u32::try_from(opening(&tables(0), 2).len()).unwrap() + 8;
    let head = [
        opening(&tables(place), 2),
        made(b"mdat", &[b"a-bbccc"]),
        moof(&[0x1, 2, 60]),
    ];
    let file = [head.concat(), made(b"mdat", &[b"ddee"])].concat();
    assert_eq!(moof(&[0x1, 2, 60]).len() + 8, 60);
    let expected: [&[u8]; 5] = [b"a", b"bb", b"ccc", b"dd", b"ee"];
    assert_eq!(packets(&file), expected);
    // Somebody else's fragment is left out.
    let mut foreign = file.clone();
    let tfhd = foreign.windows(4).position(|kind| kind == b"tfhd").unwrap();
    foreign[tfhd + 11] = 8;
    assert_eq!(packets(&foreign), expected[..3]);
}

#[test]
fn no_count_is_believed() {
    // The numbers of entries. Neither room nor time is spent on them.
    for (file, kind, at) in [
        (MONO, b"stsd", 4),
        (MONO, b"stsz", 8),
        (MONO, b"stsc", 4),
        (MONO, b"stco", 4),
        (MONO, b"trun", 4),
        (PLAIN, b"stsd", 4),
        (PLAIN, b"stsz", 8),
        (PLAIN, b"stsc", 4),
        (PLAIN, b"stco", 4),
    ] {
        let name = String::from_utf8_lossy(kind);
        assert!(hear(&lie(file, kind, at)).is_err(), "{name}");
    }
    // How long a packet lasts is never read.
    assert!(hear(&lie(PLAIN, b"stts", 4)) == hear(PLAIN));
    // Where packets lie, and how long they are.
    for (file, kind, at) in [
        (MONO, b"trun", 16),
        (PLAIN, b"stsz", 4),
        (PLAIN, b"stsz", 12),
        (PLAIN, b"stco", 8),
        (SHORT, b"tfhd", 8),
    ] {
        let name = String::from_utf8_lossy(kind);
        assert!(hear(&lie(file, kind, at)).is_err(), "{name} {at}");
    }
}

#[test]
fn a_few_bytes_cannot_claim_many_packets() {
    // Billions of packets of nothing, of one byte, and of one byte again and again.
    let nothing = [opening(&empty(), 0), moof(&[0, u32::MAX])].concat();
    assert!(packets(&nothing).is_empty());
    let bytes = [opening(&empty(), 1), moof(&[0, u32::MAX]), vec![0; 1 << 20]].concat();
    assert_eq!(packets(&bytes).len(), KEPT);
    let again = [opening(&empty(), 1), moof(&[0, 50]).repeat(1000)].concat();
    let all: usize = packets(&again).iter().map(|packet| packet.len()).sum();
    assert!((10_000..=again.len()).contains(&all), "{all}");
    let sizes = [
        made(b"stsz", &[&numbers(&[0, 1, u32::MAX])]),
        made(b"stsc", &[&numbers(&[0, 1, 1, u32::MAX, 1])]),
        made(b"stco", &[&numbers(&[0, 2, 0, 0])]),
    ];
    let sizes = opening(&sizes.concat(), 0);
    assert_eq!(packets(&sizes).len(), sizes.len().min(KEPT));
}

#[test]
fn what_holds_no_known_sound_is_refused() {
    for file in FILES {
        for (kind, other) in [(b"mp4a", b"alac"), (b"Opus", b"fLaC")] {
            let mut file = file.to_vec();
            if let Some(found) = file.windows(4).position(|letters| letters == kind) {
                file[found..][..4].copy_from_slice(other);
                assert!(read(&file).is_none());
            }
        }
    }
    // A box that is shorter than its head, one inside itself, one that ends where there is nothing.
    for bytes in [
        [0, 0, 0, 7, b'm', b'o', b'o', b'v'],
        [0, 0, 0, 1, b'm', b'o', b'o', b'v'],
        [0, 0, 0, 9, b'm', b'o', b'o', b'v'],
        [0, 0, 0, 0, b'm', b'o', b'o', b'v'],
    ] {
        assert!(read(&bytes).is_none());
    }
}

#[test]
fn a_recording_that_breaks_off_is_heard_as_far_as_it_goes() {
    for file in FILES {
        let whole = packets(file);
        let mut before = 0;
        for end in 0..file.len() {
            let found = read(&file[..end]).map_or(0, |recording| recording.packets.len());
            assert!(found >= before && found <= whole.len(), "{end}");
            before = found;
        }
    }
    for end in (0..SHORT.len()).step_by(7) {
        let _ = hear(&SHORT[..end]);
    }
    let half = hear(&STEREO[..STEREO.len() / 2]).unwrap();
    assert!((25..=45).contains(&half.len()), "{}", half.len());
}

/// `file` with bytes changed.
fn damaged(file: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut file = file.to_vec();
    for (at, value) in changes {
        let at = at % file.len();
        file[at] = *value;
    }
    file
}

/// Half of the changes hit the first 800 bytes, where tables are.
fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let value = prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()];
    prop::collection::vec((prop_oneof![0usize..800, any::<usize>()], value), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    #[test]
    fn no_damage_makes_packets(changes in changes()) {
        for file in FILES {
            let file = damaged(file, &changes);
            if let Some(Recording { packets, .. }) = read(&file) {
                prop_assert!(packets.len() <= KEPT);
                prop_assert!(packets.iter().map(|packet| packet.len()).sum::<usize>() <= file.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_damage_panics(changes in changes()) {
        for file in [SHORT, OPUS] {
            if let Ok(frames) = hear(&damaged(file, &changes)) {
                prop_assert!(frames.len() <= RECORDED_FRAMES);
            }
        }
    }
}
