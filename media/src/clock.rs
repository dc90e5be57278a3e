//! The one place that asks what time it is; everything else is told.

use crate::frame::FRAME;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A call's clock: time since the call began. Under tokio's paused time it is virtual.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts at zero now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the driver of all ticks"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Time since the clock was started.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the driver of all ticks"
    )]
    pub fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }

    /// The moment at which the clock shows `at`, for libraries that are told the time as an `Instant`.
    pub fn instant(&self, at: Duration) -> std::time::Instant {
        (self.origin + at).into_std()
    }

    /// What the clock shows at `instant`; zero for a moment before it was started.
    pub fn at(&self, instant: std::time::Instant) -> Duration {
        instant.saturating_duration_since(self.origin.into_std())
    }

    /// Waits until the clock shows `at`; returns at once if it already does.
    pub async fn until(&self, at: Duration) {
        sleep_until(self.origin + at).await;
    }

    /// Waits until the clock shows `at`, for ever if there is no such time.
    pub async fn until_some(&self, at: Option<Duration>) {
        match at {
            Some(at) => self.until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Nanoseconds of the system's monotonic clock, comparable between processes of one machine.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec that outlives the call, and CLOCK_MONOTONIC always exists on Linux and macOS.
    #[expect(unsafe_code, reason = "std hides the monotonic clock's absolute value")]
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    if result != 0 {
        return 0;
    }
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A 20 ms beat with a phase of its own, so that many calls do not wake at the same instant.
///
/// A late beat is given once and the next ones keep their phase: missed beats are skipped, never caught up.
#[derive(Debug)]
pub struct FrameTicks {
    next: Duration,
}

impl FrameTicks {
    /// The first beat falls at `phase` (taken modulo 20 ms) after `now`.
    pub fn new(now: Duration, phase: Duration) -> Self {
        let phase = Duration::from_nanos((phase.as_nanos() % FRAME.as_nanos()) as u64);
        Self { next: now + phase }
    }

    /// When the next beat is due.
    pub fn next_timeout(&self) -> Duration {
        self.next
    }

    /// Takes the beat that is due and returns how many whole beats were missed before it; none if it is not yet due.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<u64> {
        if now < self.next {
            return None;
        }
        let late = now - self.next;
        let missed = (late.as_nanos() / FRAME.as_nanos()) as u64;
        self.next += FRAME * u32::try_from(missed + 1).unwrap_or(u32::MAX);
        Some(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_skips_beats_and_keeps_the_phase() {
        let mut ticks = FrameTicks::new(Duration::ZERO, Duration::from_millis(7));
        assert_eq!(ticks.handle_timeout(Duration::from_millis(6)), None);
        assert_eq!(ticks.handle_timeout(Duration::from_millis(7)), Some(0));
        assert_eq!(ticks.handle_timeout(Duration::from_millis(100)), Some(3));
        assert_eq!(ticks.next_timeout(), Duration::from_millis(107));
    }
}
