//! How loud speech is to the ear: EBU R 128's integrated loudness.

use ebur128::{EbuR128, Mode};

/// Takes in speech piece by piece and tells its loudness.
pub struct Meter {
    meter: EbuR128,
    rate_hz: u32,
    samples: u64,
}

impl Meter {
    /// For mono sound at this rate; none for a rate that no sound has.
    pub fn new(rate_hz: u32) -> Option<Self> {
        let meter = EbuR128::new(1, rate_hz, Mode::I).ok()?;
        Some(Self {
            meter,
            rate_hz,
            samples: 0,
        })
    }

    /// Hears more.
    pub fn hear(&mut self, samples: &[i16]) {
        self.samples += samples.len() as u64;
        // It fails only where samples are no whole number of frames, and mono ones always are.
        let _ = self.meter.add_frames_i16(samples);
    }

    /// How much it has heard, in milliseconds, silence included.
    pub fn heard_ms(&self) -> u64 {
        self.samples * 1_000 / u64::from(self.rate_hz.max(1))
    }

    /// The loudness of all that it has heard, in LUFS: that of blocks of 400 ms, without those that are silent. None before the
    /// first block, and where all is silent.
    pub fn loudness_lufs(&self) -> Option<f32> {
        let lufs = self.meter.loudness_global().ok()?;
        lufs.is_finite().then_some(lufs as f32)
    }
}

/// How loud some speech is, in LUFS; none if it is silent or shorter than 400 ms.
///
/// This is the measure by which the loudness of the voices was found.
pub fn loudness_lufs(samples: &[i16], rate_hz: u32) -> Option<f32> {
    let mut meter = Meter::new(rate_hz)?;
    meter.hear(samples);
    meter.loudness_lufs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(dbfs: f32, rate_hz: u32, ms: usize) -> Vec<i16> {
        let height = 32_768.0 * 10_f32.powf(dbfs / 20.0);
        let step = std::f32::consts::TAU * 997.0 / rate_hz as f32;
        (0..rate_hz as usize * ms / 1000)
            .map(|n| ((n as f32 * step).sin() * height) as i16)
            .collect()
    }

    #[test]
    fn a_tone_near_1_khz_is_as_loud_as_the_standard_says_at_any_rate() {
        // ITU-R BS.1770: a sine of 997 Hz at 0 dBFS in one channel is -3.01 LUFS.
        for rate_hz in [8_000, 16_000, 22_050, 24_000, 48_000] {
            let lufs = loudness_lufs(&tone(-20.0, rate_hz, 2_000), rate_hz).unwrap();
            assert!((lufs + 23.01).abs() < 0.2, "{lufs} LUFS at {rate_hz} Hz");
        }
    }

    #[test]
    fn silence_around_speech_makes_it_no_softer_and_too_little_is_nothing() {
        let mut sound = vec![0; 48_000];
        sound.extend(tone(-20.0, 16_000, 2_000));
        sound.extend(vec![0; 48_000]);
        let lufs = loudness_lufs(&sound, 16_000).unwrap();
        assert!((lufs + 23.0).abs() < 1.0, "{lufs} LUFS");
        assert_eq!(loudness_lufs(&tone(-20.0, 16_000, 300), 16_000), None);
        assert_eq!(loudness_lufs(&[0; 16_000], 16_000), None);
        assert_eq!(loudness_lufs(&[], 0), None);
    }
}
