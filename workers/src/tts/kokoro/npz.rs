//! NumPy's `.npz`: arrays of 32-bit floats in a zip archive, stored as they are.
//!
//! (Formats: the `numpy.lib.format` page of NumPy's documentation, and PKWARE's APPNOTE for the archive.)

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// The archive's directory ends with a record of this length and at most so long a comment.
const END_BYTES: usize = 22;
const COMMENT_BYTES: usize = 65_535;
/// A style is half a megabyte; what is much larger is no style.
const ENTRY_BYTES: u32 = 2 * 1024 * 1024;
const DIRECTORY_BYTES: u32 = 1024 * 1024;

/// An archive, open for reading.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    entries: Vec<Entry>,
}

/// An array in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    offset: u32,
    bytes: u32,
}

/// An array: its sizes, and its values in C order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Archive {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// Why it is none that can be read, for people.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let odd = |error: std::io::Error| error.to_string();
        let mut file = File::open(path).map_err(odd)?;
        let length = file.metadata().map_err(odd)?.len();
        let tail_bytes = length.min((END_BYTES + COMMENT_BYTES) as u64);
        file.seek(SeekFrom::Start(length - tail_bytes))
            .map_err(odd)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map_err(odd)?;
        let (bytes, offset) = directory(&tail).ok_or("it is no archive of arrays (.npz)")?;
        if bytes > DIRECTORY_BYTES {
            return Err("its directory is too large".to_owned());
        }
        let directory = read_at(&mut file, u64::from(offset), bytes)?;
        let entries = entries(&directory)?;
        Ok(Self { file, entries })
    }

    /// The arrays' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Reads an array.
    ///
    /// # Errors
    /// That there is none of this name, or none of 32-bit floats.
    pub(super) fn array(&mut self, name: &str) -> Result<Array, String> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        let Entry { offset, bytes, .. } = entry.ok_or("there is no such array")?.clone();
        // The array lies behind a header of its own, whose name and extra field may differ in length from the directory's.
        let header = read_at(&mut self.file, u64::from(offset), 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err("the archive is damaged".to_owned());
        }
        let skip = |at| u64::from(u16_at(&header, at).unwrap_or_default());
        let start = u64::from(offset) + 30 + skip(26) + skip(28);
        array(&read_at(&mut self.file, start, bytes)?)
    }
}

fn read_at(file: &mut File, offset: u64, bytes: u32) -> Result<Vec<u8>, String> {
    let mut read = vec![0; bytes as usize];
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut read))
        .map_err(|_| "the archive is cut off or damaged".to_owned())?;
    Ok(read)
}

/// Length and place of the directory, from the end of an archive.
fn directory(tail: &[u8]) -> Option<(u32, u32)> {
    let end = tail
        .windows(END_BYTES)
        .rev()
        .find(|record| record.starts_with(b"PK\x05\x06"))?;
    Some((u32_at(end, 12)?, u32_at(end, 16)?))
}

fn entries(mut directory: &[u8]) -> Result<Vec<Entry>, String> {
    const RECORD_BYTES: usize = 46;
    let damaged = || "the archive's directory is damaged".to_owned();
    let mut entries = Vec::new();
    while directory.starts_with(b"PK\x01\x02") {
        let number = |at| u32_at(directory, at).ok_or_else(damaged);
        let short = |at| u16_at(directory, at).map(usize::from).ok_or_else(damaged);
        let (method, bytes, offset) = (short(10)?, number(24)?, number(42)?);
        let name_bytes = short(28)?;
        let next = RECORD_BYTES + name_bytes + short(30)? + short(32)?;
        let name = directory
            .get(RECORD_BYTES..RECORD_BYTES + name_bytes)
            .ok_or_else(damaged)?;
        let name = String::from_utf8_lossy(name);
        if let Some(name) = name.strip_suffix(".npy") {
            if method != 0 {
                return Err("it is compressed; save it with numpy.savez".to_owned());
            }
            if bytes > ENTRY_BYTES {
                return Err(format!("its array {name:?} is too large"));
            }
            entries.push(Entry {
                name: name.to_owned(),
                offset,
                bytes,
            });
        }
        directory = directory.get(next..).ok_or_else(damaged)?;
    }
    Ok(entries)
}

/// An `.npy` of little-endian 32-bit floats in C order.
fn array(npy: &[u8]) -> Result<Array, String> {
    let damaged = || "an array is damaged".to_owned();
    let version = npy
        .strip_prefix(b"\x93NUMPY")
        .and_then(|rest| rest.first())
        .ok_or_else(damaged)?;
    let (start, header_bytes) = match version {
        1 => (10, u16_at(npy, 8).map(usize::from)),
        _ => (12, u32_at(npy, 8).map(|bytes| bytes as usize)),
    };
    let header_bytes = header_bytes.ok_or_else(damaged)?;
    let end = start + header_bytes;
    let header = npy.get(start..end).ok_or_else(damaged)?;
    let header = String::from_utf8_lossy(header);
    let value = |key: &str| {
        header
            .split_once(&format!("'{key}':"))
            .map(|(_, rest)| rest.trim_start())
    };
    let is = |key, wanted: &str| value(key).is_some_and(|value| value.starts_with(wanted));
    if !is("descr", "'<f4'") || !is("fortran_order", "False") {
        return Err("an array is none of 32-bit floats in C order".to_owned());
    }
    let shape = value("shape")
        .and_then(|value| value.strip_prefix('(')?.split_once(')'))
        .map(|(sizes, _)| sizes)
        .ok_or_else(damaged)?;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| damaged()))
        .collect::<Result<_, _>>()?;
    let values = floats(npy.get(end..).unwrap_or_default());
    let wanted = shape
        .iter()
        .try_fold(1_usize, |all, size| all.checked_mul(*size));
    if wanted != Some(values.len()) {
        return Err(damaged());
    }
    Ok(Array { shape, values })
}

/// Little-endian 32-bit floats; bytes that are left over make none.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, values: &[f32]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    #[test]
    fn an_array_is_read_by_its_header() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2), }\n";
        let read = array(&npy(header, &[1.0, 2.0, 3.0, 4.5])).unwrap();
        assert_eq!(read.shape, [2, 1, 2]);
        assert_eq!(read.values, [1.0, 2.0, 3.0, 4.5]);
    }

    #[test]
    fn another_kind_of_array_is_refused() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }\n";
        assert!(
            array(&npy(header, &[1.0; 4])).is_err(),
            "a value is lacking"
        );
        let doubles = header.replace("<f4", "<f8");
        assert!(
            array(&npy(&doubles, &[1.0; 5]))
                .unwrap_err()
                .contains("32-bit")
        );
        let vast = header.replace("(5,)", "(9999999999999, 9999999999999)");
        assert!(array(&npy(&vast, &[1.0; 5])).is_err());
        assert!(array(b"").is_err());
        assert!(array(b"\x93NUMPY\x01\x00\xff\xff").is_err());
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voices.bin");
        std::fs::write(&path, b"PK").unwrap();
        assert!(Archive::open(&path).unwrap_err().contains("no archive"));
        // A directory that is said to lie behind the file's end.
        let mut end = b"PK\x05\x06".to_vec();
        end.extend([0; 8]);
        end.extend(100_u32.to_le_bytes());
        end.extend(9_999_u32.to_le_bytes());
        end.extend([0; 2]);
        std::fs::write(&path, &end).unwrap();
        assert!(Archive::open(&path).unwrap_err().contains("cut off"));
    }
}
