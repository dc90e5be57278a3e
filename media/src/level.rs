//! How loud a sound is.

/// Full scale of 16-bit sound, the reference of [`dbfs`].
const FULL_SCALE: f32 = 32_768.0;
/// The level of silence: the smallest step of 16-bit sound lies about 96 dB under full scale.
pub const SILENCE_DBFS: f32 = -96.0;

/// The root mean square of `samples`, in 16-bit units (0 to 32 768); 0 for no samples.
pub fn rms(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    // Whole numbers keep the sum exact and let the compiler use wide registers; 2^33 samples would fit.
    let sum: i64 = samples
        .iter()
        .map(|sample| i64::from(i32::from(*sample) * i32::from(*sample)))
        .sum();
    (sum as f64 / samples.len() as f64).sqrt() as f32
}

/// A level of [`rms`] in decibels under full scale, from [`SILENCE_DBFS`] to 0.
pub fn dbfs(rms: f32) -> f32 {
    let level = 20.0 * (rms / FULL_SCALE).log10();
    // A level that is not a number counts as silence.
    if level > SILENCE_DBFS {
        level.min(0.0)
    } else {
        SILENCE_DBFS
    }
}

/// A level as an eye likes it: it rises at once and falls over a few hundred milliseconds.
#[derive(Debug, Clone, Default)]
pub struct LevelMeter {
    rms: f32,
}

impl LevelMeter {
    /// What is left of an old level after one frame of 20 ms: it halves in about 100 ms.
    const RELEASE: f32 = 0.87;

    /// A meter at rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears the next 20 ms and returns the smoothed level in 16-bit units.
    pub fn update(&mut self, samples: &[i16]) -> f32 {
        self.rms = rms(samples).max(self.rms * Self::RELEASE);
        self.rms
    }

    /// The smoothed level in 16-bit units.
    pub fn rms(&self) -> f32 {
        self.rms
    }

    /// The smoothed level in decibels under full scale.
    pub fn dbfs(&self) -> f32 {
        dbfs(self.rms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_is_as_loud_as_its_height() {
        let wave: Vec<i16> = (0..960)
            .map(|n| if n % 2 == 0 { 1000 } else { -1000 })
            .collect();
        assert_eq!(rms(&wave), 1000.0);
        assert_eq!(rms(&[]), 0.0);
        assert_eq!(rms(&[i16::MIN; 960]), 32_768.0);
    }

    #[test]
    fn full_scale_is_zero_decibels_and_silence_has_a_floor() {
        assert_eq!(dbfs(32_768.0), 0.0);
        assert!((dbfs(3_276.8) + 20.0).abs() < 0.01);
        assert_eq!(dbfs(0.0), SILENCE_DBFS);
        assert_eq!(dbfs(f32::NAN), SILENCE_DBFS);
    }

    #[test]
    fn a_meter_rises_at_once_and_falls_slowly() {
        let mut meter = LevelMeter::new();
        assert_eq!(meter.update(&[8_000; 960]), 8_000.0);
        for _ in 0..5 {
            meter.update(&[0; 960]);
        }
        assert!((3_500.0..4_500.0).contains(&meter.rms()));
        for _ in 0..100 {
            meter.update(&[0; 960]);
        }
        assert!(meter.dbfs() < -80.0);
    }
}
