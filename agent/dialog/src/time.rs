//! The dialog's time: whole milliseconds since the call began.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of a call, in whole milliseconds since it began.
///
/// A finer clock is quantised (rounded down) before it reaches the dialog, so that a recorded call replays to the
/// millisecond. Sums saturate: no policy and no clock can overflow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionTime(u64);

impl SessionTime {
    /// The moment the call began.
    pub const ZERO: Self = Self(0);

    /// The moment `ms` milliseconds after the call began.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the call began.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for SessionTime {
    /// Rounds down to whole milliseconds.
    fn from(since_start: Duration) -> Self {
        Self(whole_ms(since_start))
    }
}

impl From<SessionTime> for Duration {
    fn from(time: SessionTime) -> Self {
        Self::from_millis(time.0)
    }
}

impl Add<Duration> for SessionTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(whole_ms(later)))
    }
}

impl Sub<Duration> for SessionTime {
    type Output = Self;

    /// Stops at the call's beginning.
    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(whole_ms(earlier)))
    }
}

impl fmt::Display for SessionTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_quantised_down_and_never_overflows() {
        assert_eq!(
            SessionTime::from(Duration::from_micros(5999)),
            SessionTime::from_ms(5)
        );
        assert_eq!(
            SessionTime::from_ms(u64::MAX) + Duration::MAX,
            SessionTime::from_ms(u64::MAX)
        );
        assert_eq!(
            SessionTime::from_ms(5) - Duration::from_secs(1),
            SessionTime::ZERO
        );
    }
}
