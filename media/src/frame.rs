//! The one boundary type: 20 ms of mono sound at 48 kHz.

use std::time::Duration;

/// Samples a second in every [`AudioFrame`].
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Samples in one frame: 20 ms at 48 kHz.
pub const FRAME_SAMPLES: usize = 960;
/// How long one frame lasts.
pub const FRAME: Duration = Duration::from_millis(20);
/// Bytes of one frame as little-endian 16-bit PCM.
pub const FRAME_BYTES: usize = FRAME_SAMPLES * 2;

/// 20 ms of mono sound: 960 samples of signed 16-bit PCM at 48 kHz.
///
/// Anything transport- or model-specific (rates, channels, codecs, byte order) ends where a frame begins.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioFrame(Box<[i16; FRAME_SAMPLES]>);

/// The bytes or samples given are not exactly one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is {FRAME_SAMPLES} samples, got {samples}")]
pub struct WrongLength {
    /// How many samples there were.
    pub samples: usize,
}

impl AudioFrame {
    /// A frame in which nothing is heard.
    pub fn silence() -> Self {
        Self(Box::new([0; FRAME_SAMPLES]))
    }

    /// A frame of the samples given, padded with silence at the end; samples past the 960th are ignored.
    pub fn padded(samples: &[i16]) -> Self {
        let mut frame = Self::silence();
        for (to, from) in frame.0.iter_mut().zip(samples) {
            *to = *from;
        }
        frame
    }

    /// A frame from 1920 bytes of little-endian 16-bit PCM.
    ///
    /// # Errors
    /// [`WrongLength`] unless there are exactly 1920 bytes.
    pub fn from_le_bytes(bytes: &[u8]) -> Result<Self, WrongLength> {
        if bytes.len() != FRAME_BYTES {
            return Err(WrongLength {
                samples: bytes.len() / 2,
            });
        }
        let mut frame = Self::silence();
        for (to, from) in frame.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *to = i16::from_le_bytes(*from);
        }
        Ok(frame)
    }

    /// The frame as 1920 bytes of little-endian 16-bit PCM.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect()
    }

    /// The 960 samples.
    pub fn samples(&self) -> &[i16; FRAME_SAMPLES] {
        &self.0
    }

    /// The 960 samples, to change in place.
    pub fn samples_mut(&mut self) -> &mut [i16; FRAME_SAMPLES] {
        &mut self.0
    }

    /// Whether every sample is zero.
    pub fn is_silent(&self) -> bool {
        self.0.iter().all(|sample| *sample == 0)
    }
}

impl TryFrom<&[i16]> for AudioFrame {
    type Error = WrongLength;

    fn try_from(samples: &[i16]) -> Result<Self, WrongLength> {
        let samples: &[i16; FRAME_SAMPLES] = samples.try_into().map_err(|_| WrongLength {
            samples: samples.len(),
        })?;
        Ok(Self(Box::new(*samples)))
    }
}

// A frame's samples are somebody's voice: debug output must not spill them.
impl std::fmt::Debug for AudioFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let peak = self
            .0
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max()
            .unwrap_or(0);
        write!(f, "AudioFrame(peak {peak})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_samples_agree() {
        let mut frame = AudioFrame::silence();
        frame.samples_mut()[3] = -2;
        let bytes = frame.to_le_bytes();
        assert_eq!(bytes.len(), FRAME_BYTES);
        assert_eq!(AudioFrame::from_le_bytes(&bytes).unwrap(), frame);
    }

    #[test]
    fn a_frame_of_the_wrong_length_is_refused() {
        assert_eq!(
            AudioFrame::from_le_bytes(&[0; 1919]).unwrap_err().samples,
            959
        );
        assert!(AudioFrame::try_from([0i16; 961].as_slice()).is_err());
    }
}
