//! Holds a caller's sound to real time, over a while.

use std::time::Duration;

/// How far a caller's sound may run ahead of the clock: whole utterances may be sent at once, hours may not.
pub const MAX_LEAD: Duration = Duration::from_secs(10);

/// How much more sound has come than time has passed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    lead: Duration,
    at: Duration,
}

impl Pace {
    /// Counts sound that came at `now`.
    pub(super) fn take(&mut self, now: Duration, sound: Duration) {
        self.lead = self.lead.saturating_sub(now.saturating_sub(self.at)) + sound;
        self.at = now;
    }

    /// Until when nothing more is read; none while more may come.
    pub(super) fn wait_until(&self) -> Option<Duration> {
        (self.lead > MAX_LEAD).then(|| self.at + self.lead - MAX_LEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lead_melts_with_time_and_no_silence_is_saved_up() {
        let mut pace = Pace::default();
        pace.take(60 * SECOND, 10 * SECOND);
        assert_eq!(pace.wait_until(), None);
        pace.take(60 * SECOND, 2 * SECOND);
        assert_eq!(pace.wait_until(), Some(62 * SECOND));
        pace.take(62 * SECOND, Duration::ZERO);
        assert_eq!(pace.wait_until(), None);
    }
}
