//! How often the sound of an utterance is looked at.

use crate::stt::RATE_HZ;
use std::time::Duration;

/// Half a second, and ten seconds, of sound.
const SHORTEST: u64 = RATE_HZ as u64 / 2;
const LONGEST: u64 = RATE_HZ as u64 * 10;

/// How much new sound makes a look worth it: half a second, or more where looks take longer than that, so that a machine that is
/// slow or busy never falls behind.
pub struct Rhythm {
    samples: u64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { samples: SHORTEST }
    }
}

impl Rhythm {
    /// Whether so many new samples are worth a look.
    pub fn is_due(&self, samples: u64) -> bool {
        samples >= self.samples
    }

    /// The last look took so long.
    pub fn took(&mut self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let samples = took.saturating_mul(u64::from(RATE_HZ) / 1_000);
        // A quarter of the time is left for what else there is to do.
        let samples = samples.saturating_add(samples / 4);
        self.samples = samples.clamp(SHORTEST, LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_longer_than_the_interval_looks_less_often() {
        let mut rhythm = Rhythm::default();
        assert!(rhythm.is_due(8_000) && !rhythm.is_due(7_999));
        rhythm.took(Duration::from_millis(100));
        assert!(rhythm.is_due(8_000));
        rhythm.took(Duration::from_millis(1_000));
        assert!(rhythm.is_due(20_000) && !rhythm.is_due(19_999));
        rhythm.took(Duration::from_secs(100));
        assert!(rhythm.is_due(160_000) && !rhythm.is_due(159_999));
        rhythm.took(Duration::from_millis(100));
        assert!(rhythm.is_due(8_000));
    }
}
