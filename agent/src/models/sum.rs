//! SHA-256 sums.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

/// How much of a file is read at a time, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A SHA-256 sum, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sum([u8; 32]);

impl Sum {
    /// The sum of a file. It reads the whole file and blocks meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        add(&mut File::open(path)?, &mut hasher)?;
        Ok(Self::of(hasher))
    }

    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

/// Adds all that is left to read, and returns how many bytes that were.
pub(super) fn add(from: &mut impl Read, hasher: &mut Sha256) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(piece.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no SHA-256 sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sha256 is 64 hexadecimal digits")]
pub struct NoSum;

impl FromStr for Sum {
    type Err = NoSum;

    fn from_str(text: &str) -> Result<Self, NoSum> {
        let mut sum = [0; 32];
        // Only digits: what reads numbers would take a sign too.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoSum);
        }
        for (byte, at) in sum.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(NoSum)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoSum)?;
        }
        Ok(Self(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_file_is_the_one_that_everybody_computes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sum = Sum::of_file(&path).unwrap();
        assert_eq!(sum.to_string(), known);
        assert_eq!(known.to_uppercase().parse(), Ok(sum));
        for no_sum in ["", "ba78", &"x".repeat(64), &"+1".repeat(32)] {
            assert_eq!(no_sum.parse::<Sum>(), Err(NoSum), "{no_sum}");
        }
    }
}
