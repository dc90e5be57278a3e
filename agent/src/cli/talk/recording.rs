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
        // All of it is made up for at once: what was left of it would tear a hole into the words at their next tremble.
        let is_silence = self.written + TOLERANCE_SAMPLES + (FRAME_SAMPLES as u64) <= due;
        while is_silence && self.written + (FRAME_SAMPLES as u64) <= due {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_kept_and_words_that_tremble_have_no_holes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heard.wav");
        let mut recording = Recording::create(&path).unwrap();
        let loud = AudioFrame::try_from(&[7; FRAME_SAMPLES][..]).unwrap();
        // Half a second of words after 3 s, and again after 2 s more; each frame up to 30 ms late.
        for (n, begins_ms) in [(0, 3000), (1, 5500)] {
            for frame in 0..25 {
                let late_ms = (frame * 7 + n) % 31;
                let now = Duration::from_millis(begins_ms + frame * 20 + late_ms);
                recording.hear(now, &loud).unwrap();
            }
        }
        recording.finish().unwrap();
        let sound = media::wav::read(&path).unwrap().samples;
        let words: Vec<_> = sound
            .split(|sample| *sample == 0)
            .filter(|words| !words.is_empty())
            .collect();
        assert_eq!(
            words.iter().map(|words| words.len()).collect::<Vec<_>>(),
            [24_000; 2]
        );
        let first = sound.iter().position(|sample| *sample != 0).unwrap();
        assert!((143_000..=144_000).contains(&first), "{first}");
    }
}
