//! What the caller heard, with its silences, as a WAV file.

use anyhow::Context as _;
use media::wav::WavWriter;
use media::{AudioFrame, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A frame may come this much earlier or later than the one before it suggests, and still follows it without a gap.
const TOLERANCE_SAMPLES: u64 = SAMPLE_RATE_HZ as u64 / 10;

/// A WAV file that grows with a call.
pub struct Recording {
    writer: WavWriter,
    path: PathBuf,
    written: u64,
}

impl Recording {
    /// Creates the file.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let writer = WavWriter::create(path, SAMPLE_RATE_HZ)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            writer,
            path: path.to_owned(),
            written: 0,
        })
    }

    /// Adds a frame that came at `now`, after the silence before it.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn hear(&mut self, now: Duration, frame: &AudioFrame) -> anyhow::Result<()> {
        let due =
            u64::try_from(now.as_micros()).unwrap_or(0) * u64::from(SAMPLE_RATE_HZ) / 1_000_000;
        let context = || format!("cannot write {}", self.path.display());
        while self.written + TOLERANCE_SAMPLES + (FRAME_SAMPLES as u64) <= due {
            self.writer
                .write(AudioFrame::silence().samples())
                .with_context(context)?;
            self.written += FRAME_SAMPLES as u64;
        }
        self.writer.write(frame.samples()).with_context(context)?;
        self.written += FRAME_SAMPLES as u64;
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn finish(self) -> anyhow::Result<()> {
        self.writer
            .finalize()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
