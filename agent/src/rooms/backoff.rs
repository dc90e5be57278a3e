//! How long to wait before the next try: longer each time, and each program another while, lest all of them come at once
//! when a server is back.

use std::time::Duration;

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(300);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(10);

/// The waits between tries.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A try failed: how long to wait. Any time up to twice as long as last time's longest ("full jitter").
    pub(super) fn failed(&mut self) -> Duration {
        let longest = self.longest();
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(rand::random_range(0.0..=1.0))
    }

    /// A try has come good.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    fn longest(&self) -> Duration {
        // Beyond five doublings it is the longest anyway.
        (FIRST * 2u32.pow(self.failures.min(6))).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let longest: Vec<u128> = (0..8)
            .map(|_| {
                let longest = backoff.longest();
                assert!(backoff.failed() <= longest);
                longest.as_millis()
            })
            .collect();
        assert_eq!(longest, [300, 600, 1200, 2400, 4800, 9600, 10000, 10000]);
        backoff.reset();
        assert_eq!(backoff.longest(), FIRST);
    }
}
