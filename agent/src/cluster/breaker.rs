//! Leaves a worker that fails alone for a while, and then tries it again. No IO: it is told the time.
//!
//! ```text
//!   Closed ──failure──► Open(until) ──the time has come──► one try ──success──► Closed
//!                          ▲                                  └──failure──┐
//!                          └──────── twice as long, up to 30 s ───────────┘
//! ```

use std::time::Duration;

/// How long the first failure keeps others away.
const FIRST: Duration = Duration::from_secs(1);
/// The longest that a worker is left alone.
const LONGEST: Duration = Duration::from_secs(30);

/// What is known of one worker's failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// When it may be tried again.
    open_until: Duration,
    /// Somebody is trying it, until this time at the latest.
    trying_until: Option<Duration>,
}

impl Breaker {
    /// Whether the worker may be asked at `now`.
    pub fn admits(&self, now: Duration) -> bool {
        self.failures == 0
            || (now >= self.open_until && self.trying_until.is_none_or(|until| now >= until))
    }

    /// How much longer it is left alone at `now`; none where it may be asked.
    pub fn left_alone_for(&self, now: Duration) -> Option<Duration> {
        let until = self.trying_until.unwrap_or_default().max(self.open_until);
        (!self.admits(now)).then(|| until.saturating_sub(now))
    }

    /// Somebody asks it at `now`, and has an answer within `patience`: until then nobody else tries one that has failed.
    pub fn ask(&mut self, now: Duration, patience: Duration) {
        if self.failures > 0 {
            self.trying_until = Some(now + patience);
        }
    }

    /// It answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It failed at `now`.
    pub fn failed(&mut self, now: Duration) {
        // All calls that it broke under tell of the same failure.
        if self.failures > 0 && now < self.open_until {
            return;
        }
        let wait = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.open_until = now + wait;
        self.trying_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_worker_that_fails_is_left_alone_longer_each_time_and_tried_by_one() {
        let mut breaker = Breaker::default();
        assert!(breaker.admits(at(0)));
        breaker.failed(at(0));
        assert!(!breaker.admits(at(999)));
        assert!(breaker.admits(at(1000)));
        breaker.ask(at(1000), PATIENCE);
        assert!(!breaker.admits(at(1100)), "one tries it");
        assert!(breaker.admits(at(1500)), "who tried it may have gone away");
        breaker.failed(at(1200));
        assert!(!breaker.admits(at(3199)));
        assert_eq!(breaker.left_alone_for(at(3199)), Some(at(1)));
        assert!(breaker.admits(at(3200)));
        assert_eq!(breaker.left_alone_for(at(3200)), None);
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn it_is_never_left_alone_for_more_than_half_a_minute() {
        let mut breaker = Breaker::default();
        let mut now = at(0);
        for _ in 0..100 {
            breaker.failed(now);
            assert!(breaker.admits(now + LONGEST));
            now += LONGEST;
        }
    }

    #[test]
    fn many_calls_under_one_failure_count_once() {
        let mut breaker = Breaker::default();
        for ms in 0..20 {
            breaker.failed(at(ms));
        }
        assert!(breaker.admits(at(1000)));
    }
}
