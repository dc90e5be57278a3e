//! Real recordings, files that lie, and files made of chance.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;

/// The recordings that tests share, or none if they are not on this machine.
fn recordings() -> Option<PathBuf> {
    let named = std::env::var_os("PARLOR_TEST_DATA").unwrap_or_else(|| "../shared/data".into());
    // A relative path is seen from the project's root.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(named);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("left out: recordings, for {} is missing", folder.display());
    None
}

/// A WAV file of `frames` sample frames in which every channel is a ramp.
fn wav(
    channels: u16,
    sample_rate_hz: u32,
    bits: u16,
    sample_format: hound::SampleFormat,
    frames: i32,
) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: sample_rate_hz,
        bits_per_sample: bits,
        sample_format,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for n in 0..frames * i32::from(channels) {
        // -100 to 99, of 128.
        let step = n / i32::from(channels) % 200 - 100;
        match sample_format {
            hound::SampleFormat::Int => writer.write_sample(step << (bits - 8)).unwrap(),
            hound::SampleFormat::Float => writer.write_sample(step as f32 / 128.0).unwrap(),
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn simple(frames: i32) -> Vec<u8> {
    wav(1, 16_000, 16, hound::SampleFormat::Int, frames)
}

fn read_default(bytes: Vec<u8>) -> Result<Sound, Error> {
    read_bytes(bytes, Limits::default())
}

fn ramp(frames: i32) -> Vec<i16> {
    (0..frames)
        .map(|n| ((n % 200 - 100) * 256) as i16)
        .collect()
}

#[test]
fn every_sample_format_reads_alike() {
    use hound::SampleFormat::{Float, Int};
    for (bits, format) in [(8, Int), (16, Int), (24, Int), (32, Int), (32, Float)] {
        for channels in [1, 2, 6] {
            let sound = read_default(wav(channels, 44_100, bits, format, 3_000)).unwrap();
            assert_eq!(sound.sample_rate_hz, 44_100);
            assert_eq!(
                sound.samples,
                ramp(3_000),
                "{bits} bits, {channels} channels"
            );
        }
    }
}

#[test]
fn channels_are_mixed() {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for sample in [1_000i16, 3_000, i16::MAX, i16::MAX, 500, -500] {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    let sound = read_default(file.into_inner()).unwrap();
    assert_eq!(sound.samples, [2_000, i16::MAX, 0]);
}

#[test]
fn what_is_written_reads_back() {
    let folder = std::env::temp_dir().join(format!("parlor-media-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("out.wav");
    let mut writer = WavWriter::create(&path, 48_000).unwrap();
    writer.write(&ramp(960)).unwrap();
    writer.write(&[]).unwrap();
    writer.write(&[i16::MIN, i16::MAX]).unwrap();
    writer.finalize().unwrap();
    let sound = read(&path).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(sound.sample_rate_hz, 48_000);
    assert_eq!(sound.samples[..960], ramp(960));
    assert_eq!(sound.samples[960..], [i16::MIN, i16::MAX]);
    let error = read(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Read { .. }) && error.to_string().contains("out.wav"),
        "{error}"
    );
    assert!(matches!(
        WavWriter::create(&folder.join("gone/x.wav"), 48_000),
        Err(Error::Write { .. })
    ));
}

#[test]
fn a_length_beyond_the_file_gives_what_is_there() {
    let mut bytes = simple(1_000);
    for claim in [u32::MAX, 1 << 31, 2_001, 2_002] {
        bytes[40..44].copy_from_slice(&claim.to_le_bytes());
        assert_eq!(
            read_default(bytes.clone()).unwrap().samples,
            ramp(1_000),
            "{claim}"
        );
        bytes[4..8].copy_from_slice(&claim.to_le_bytes());
        assert_eq!(
            read_default(bytes.clone()).unwrap().samples,
            ramp(1_000),
            "{claim}"
        );
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_beginning_or_an_error() {
    let bytes = simple(500);
    for length in 0..bytes.len() {
        match read_default(bytes[..length].to_vec()) {
            Ok(sound) => assert_eq!(sound.samples, ramp(500)[..(length - 44) / 2]),
            Err(Error::Unknown | Error::Damaged { .. }) => assert!(length < 44, "{length}"),
            Err(error) => panic!("{length}: {error}"),
        }
    }
}

#[test]
fn absurd_headers_are_named() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = simple(100);
        bytes[at..at + value.len()].copy_from_slice(value);
        read_default(bytes)
    };
    assert!(matches!(
        with(22, &[0, 0]),
        Err(Error::Channels { channels: 0, .. })
    ));
    assert!(matches!(
        with(22, &[9, 0]),
        Err(Error::Channels { channels: 9, .. })
    ));
    assert!(matches!(
        with(22, &[0xff, 0xff]),
        Err(Error::Channels { .. })
    ));
    for rate in [0, 1, u32::MAX, 500_000] {
        assert!(
            matches!(with(24, &rate.to_le_bytes()), Err(Error::Rate { .. })),
            "{rate}"
        );
    }
    assert!(matches!(with(34, &[0, 0]), Err(Error::Unsupported { .. })));
    assert!(matches!(with(34, &[17, 0]), Err(Error::Unsupported { .. })));
    assert!(matches!(with(20, &[2, 0]), Err(Error::Unsupported { .. })));
    // Sizes of blocks that do not fit the format are not believed.
    assert_eq!(with(32, &[0, 0]).unwrap().samples, ramp(100));
    assert_eq!(with(28, &[0xff; 4]).unwrap().samples, ramp(100));
}

#[test]
fn many_channels_at_a_high_rate_are_mixed_within_bounds() {
    let bytes = wav(8, 384_000, 16, hound::SampleFormat::Int, 2_000);
    assert_eq!(read_default(bytes).unwrap().samples, ramp(2_000));
}

#[test]
fn chunks_that_tell_of_other_things_are_passed_over() {
    let plain = simple(300);
    let mut bytes = plain[..36].to_vec();
    bytes.extend_from_slice(b"LIST\x05\x00\x00\x00INFOx\x00");
    bytes.extend_from_slice(&plain[36..]);
    bytes.extend_from_slice(b"junk\x04\x00\x00\x00xxxx");
    assert_eq!(read_default(bytes).unwrap().samples, ramp(300));
    let mut bytes = plain[..36].to_vec();
    bytes.extend_from_slice(b"LIST\xff\xff\xff\xffINFO");
    bytes.extend_from_slice(&plain[36..]);
    assert!(matches!(read_default(bytes), Err(Error::Damaged { .. })));
}

#[test]
fn limits_hold() {
    let limits = Limits {
        seconds: 1,
        ..Limits::default()
    };
    assert!(read_bytes(simple(16_000), limits).is_ok());
    assert!(matches!(
        read_bytes(simple(20_000), limits),
        Err(Error::TooLong { limit_seconds: 1 })
    ));
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    assert!(matches!(
        read_bytes(simple(100), limits),
        Err(Error::TooLarge { .. })
    ));
}

#[test]
fn other_files_are_unknown() {
    for bytes in [
        &b""[..],
        b"ID3",
        b"RIFF",
        b"RIFF\0\0\0\0AVI ",
        b"\x7fELF............",
    ] {
        assert!(matches!(read_default(bytes.to_vec()), Err(Error::Unknown)));
    }
}

#[test]
fn telephone_encodings_are_read() {
    for encoding in [6u16, 7] {
        let mut bytes = simple(100);
        bytes[20..22].copy_from_slice(&encoding.to_le_bytes());
        bytes[34..36].copy_from_slice(&8u16.to_le_bytes());
        assert_eq!(read_default(bytes).unwrap().samples.len(), 200);
    }
}

#[test]
fn recordings_in_all_formats_are_read_whole() {
    let Some(folder) = recordings() else { return };
    let mut kinds = [0; 3];
    for part in ["speech-en", "speech-pt", "noise"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let kind = match path.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => 0,
                Some("flac") => 1,
                Some("ogg") => 2,
                Some(_) | None => continue,
            };
            let sound = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let seconds = sound.samples.len() as f32 / sound.sample_rate_hz as f32;
            assert!(
                (0.3..120.0).contains(&seconds),
                "{}: {seconds} s",
                path.display()
            );
            assert!(
                crate::level::rms(&sound.samples) > 1.0,
                "{}",
                path.display()
            );
            kinds[kind] += 1;
            if kind == 2 && sound.sample_rate_hz == 44_100 {
                assert!(
                    (seconds - 5.0).abs() < 0.1,
                    "{}: {seconds} s",
                    path.display()
                );
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

/// Gives every page of an Ogg file the check sum that it should have, so that damage reaches the decoder.
fn reseal(bytes: &mut [u8]) {
    use symphonia::core::checksum::Crc32;
    use symphonia::core::io::Monitor as _;
    let mut at = 0;
    while let Some(start) = bytes[at..].windows(4).position(|mark| mark == b"OggS") {
        let page = at + start;
        let Some(table) = bytes.get(page + 27..) else {
            return;
        };
        let segments = usize::from(bytes[page + 26]).min(table.len());
        let size: usize = table[..segments]
            .iter()
            .map(|length| usize::from(*length))
            .sum();
        let end = (page + 27 + segments + size).min(bytes.len());
        bytes[page + 22..page + 26].fill(0);
        let mut sum = Crc32::new(0);
        sum.process_buf_bytes(&bytes[page..end]);
        bytes[page + 22..page + 26].copy_from_slice(&sum.crc().to_le_bytes());
        at = end;
    }
}

/// A recording of each kind that has inner structure, shortened so that many variants can be tried.
fn structured() -> Vec<Vec<u8>> {
    let Some(folder) = recordings() else {
        return Vec::new();
    };
    ["speech-en/84-121550-0000.flac", "noise/001-dog_bark-1.ogg"]
        .map(|name| {
            let mut bytes =
                std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            bytes.truncate(24_000);
            bytes
        })
        .to_vec()
}

#[test]
fn a_recording_that_is_cut_off_gives_its_beginning() {
    for bytes in structured() {
        let sound = read_default(bytes.clone()).unwrap();
        assert!(sound.samples.len() > 10_000);
        for length in [0, 3, 4, 20, 41, 60, 200] {
            assert!(read_default(bytes[..length].to_vec()).is_err() || length > 100);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0..4) {
        let mut file = match kind {
            0 => b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec(),
            1 => b"fLaC\x80\0\0\x22".to_vec(),
            2 => b"OggS\0\x02".to_vec(),
            _ => simple(50)[..44].to_vec(),
        };
        file.extend(bytes);
        let _ = read_default(file);
    }

    #[test]
    fn no_damage_to_a_wav_header_panics(changes in prop::collection::vec((0usize..60, any::<u8>()), 1..6)) {
        let mut bytes = simple(50);
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(sound) = read_default(bytes) {
            prop_assert!(sound.samples.len() <= 110);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_to_a_recording_panics(
        changes in prop::collection::vec((prop_oneof![0usize..300, 0usize..5_000, 0usize..24_000], any::<u8>()), 1..20),
    ) {
        for mut bytes in structured() {
            for (at, value) in &changes {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte = *value;
                }
            }
            reseal(&mut bytes);
            let _ = read_default(bytes);
        }
    }
}
