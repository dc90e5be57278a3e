//! Lines that come out of a pipe, none longer than a bound.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Longer than any record: those of several hundred voices take some tens of kilobytes.
const LONGEST_BYTES: usize = 1 << 20;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// What was longer than any may be, and was thrown away.
    TooLong,
}

/// The lines of a reader.
pub(super) struct Lines<R> {
    reader: R,
    begun: Vec<u8>,
    is_too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            begun: Vec::new(),
            is_too_long: false,
        }
    }

    /// The next line; `None` at the end, where what has no end is no line. Cancel-safe.
    ///
    /// # Errors
    /// When the pipe cannot be read.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let there = self.reader.fill_buf().await?;
            if there.is_empty() {
                return Ok(None);
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(there.len());
            if self.begun.len() + length > LONGEST_BYTES {
                self.is_too_long = true;
                self.begun.clear();
            }
            if !self.is_too_long {
                self.begun.extend(there.iter().take(length));
            }
            self.reader.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                let line = std::mem::take(&mut self.begun);
                return Ok(Some(match std::mem::take(&mut self.is_too_long) {
                    true => Line::TooLong,
                    false => Line::Whole(line),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    #[tokio::test]
    async fn a_line_without_an_end_is_no_line_and_one_that_is_too_long_harms_no_other() {
        let long = vec![b'x'; LONGEST_BYTES + 1];
        let longest = vec![b'y'; LONGEST_BYTES];
        let bytes = [
            b"one\n\n",
            long.as_slice(),
            b"\n",
            longest.as_slice(),
            b"\ntwo\nhal",
        ]
        .concat();
        let mut lines = Lines::new(BufReader::new(bytes.as_slice()));
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        let whole = |text: &[u8]| Line::Whole(text.to_vec());
        assert_eq!(
            read,
            [
                whole(b"one"),
                whole(b""),
                Line::TooLong,
                whole(&longest),
                whole(b"two")
            ]
        );
    }
}
