//! The median of what was measured lately.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Measurements kept; older ones say little about how fast a worker is now.
const KEPT: usize = 64;

/// The last 64 measurements of something.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<Duration>>);

impl Recent {
    /// Takes a measurement, and forgets the oldest one if there are too many.
    pub(crate) fn note(&self, measured: Duration) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(measured);
    }

    /// The median in milliseconds; 0 before anything was measured.
    pub(crate) fn median_ms(&self) -> f64 {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<Duration> = kept.iter().copied().collect();
        drop(kept);
        sorted.sort_unstable();
        sorted
            .get(sorted.len() / 2)
            .map_or(0.0, |median| median.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_answer_does_not_make_a_worker_slow_and_old_ones_are_forgotten() {
        let recent = Recent::default();
        assert_eq!(recent.median_ms(), 0.0);
        for _ in 0..KEPT {
            recent.note(Duration::from_secs(9));
        }
        assert_eq!(recent.median_ms(), 9_000.0);
        for ms in 1..=KEPT as u64 - 1 {
            recent.note(Duration::from_millis(ms));
        }
        // One of the slow ones is left, the last in order.
        assert_eq!(recent.median_ms(), 33.0);
    }
}
