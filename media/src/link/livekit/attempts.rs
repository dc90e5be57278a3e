//! How often and how soon a lost connection is tried again. No IO.

use rand::Rng as _;
use std::time::Duration;

/// Attempts before the call is given up.
const ATTEMPTS: u32 = 10;
/// The longest wait before the second attempt; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(300);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(7);

/// The attempts to mend one lost connection.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// How long to wait before the next attempt: at once the first time, then a random part of a wait that doubles, so that
    /// many agents do not come back at the same moment. None when it was tried often enough.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let made = self.0;
        self.0 += 1;
        match made {
            0 => Some(Duration::ZERO),
            ATTEMPTS.. => None,
            _ => Some(longest_wait(made).mul_f64(rand::rng().random())),
        }
    }
}

/// How long a connection must hold before its next loss is a new one.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// What is remembered of the attempts that mended a connection: one that breaks again and again must not be mended for ever.
#[derive(Debug, Default)]
pub(super) struct Steadiness {
    attempts: Attempts,
    steady_at: Duration,
}

impl Steadiness {
    /// The connection is mended.
    pub(super) fn mended(&mut self, now: Duration, attempts: Attempts) {
        self.attempts = attempts;
        self.steady_at = now + STEADY_AFTER;
    }

    /// The connection is lost: the attempts that there are for it.
    pub(super) fn lost(&mut self, now: Duration) -> Attempts {
        let attempts = std::mem::take(&mut self.attempts);
        if now < self.steady_at {
            attempts
        } else {
            Attempts::default()
        }
    }
}

fn longest_wait(made: u32) -> Duration {
    FIRST.saturating_mul(1 << (made - 1).min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_again_soon_is_the_same_loss() {
        let mut steadiness = Steadiness::default();
        let mut now = Duration::ZERO;
        let mut losses = 0;
        loop {
            let mut attempts = steadiness.lost(now);
            if attempts.next().is_none() {
                break;
            }
            losses += 1;
            steadiness.mended(now, attempts);
            now += STEADY_AFTER / 2;
        }
        assert_eq!(losses, ATTEMPTS);
        let attempts = steadiness.lost(now);
        steadiness.mended(now, attempts);
        now += STEADY_AFTER;
        assert_eq!(steadiness.lost(now).next(), Some(Duration::ZERO));
    }

    #[test]
    fn waits_double_up_to_seven_seconds_and_end_after_ten() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.next(), Some(Duration::ZERO));
        for made in 1..ATTEMPTS {
            assert!(attempts.next().unwrap() <= longest_wait(made));
        }
        assert_eq!(attempts.next(), None);
        assert_eq!(longest_wait(1), Duration::from_millis(300));
        assert_eq!(longest_wait(3), Duration::from_millis(1200));
        assert_eq!(longest_wait(9), Duration::from_secs(7));
    }
}
