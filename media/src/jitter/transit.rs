//! How long packets were under way, as far as it can be told without a common clock.
//!
//! Arrival minus timestamp is the transit time plus an unknown constant. The smallest of the last seconds stands for a packet
//! that met no queue; how far others lie above it is the jitter. Only the last seconds count, so that a sender whose clock
//! runs slower or faster, or a new route, is followed; and only what more than a few packets show, since one straggler is
//! better lost than waited for by all that follow.

/// How long a window is, in samples: 5 s. Two of them count, the present one and the one before.
const WINDOW: i64 = 5 * 48_000;
/// A packet this much (1 s) later or earlier than the fastest is no jitter: the sender's clock has jumped.
const JUMP: i64 = 48_000;
/// Of a hundred packets so many may be later than [`Transit::jitter`] says.
const STRAGGLERS_PERCENT: u32 = 3;
/// Lateness is counted in steps of 10 ms.
const STEP: i64 = 480;
/// The last step holds all that is later than any buffer waits.
const STEPS: usize = 32;

/// Remembers how late the packets of the last 5 to 10 s were. All times are in samples at 48 kHz.
#[derive(Debug, Default)]
pub(super) struct Transit {
    windows: Option<Windows>,
}

#[derive(Debug)]
struct Windows {
    began: i64,
    present: Window,
    before: Window,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    fastest: i64,
    /// How many packets were late by so many steps.
    late: [u32; STEPS],
}

impl Window {
    fn new(fastest: i64) -> Self {
        Self {
            fastest,
            late: [0; STEPS],
        }
    }
}

impl Windows {
    fn new(began: i64, fastest: i64) -> Self {
        Self {
            began,
            present: Window::new(fastest),
            before: Window::new(fastest),
        }
    }

    fn fastest(&self) -> i64 {
        self.present.fastest.min(self.before.fastest)
    }

    /// Begins a new window when the present one has lasted long enough.
    fn turn(&mut self, arrival: i64, transit: i64) {
        let age = arrival.saturating_sub(self.began);
        if age >= 2 * WINDOW {
            // After a long silence nothing is left of the last seconds.
            *self = Self::new(arrival, transit);
        } else if age >= WINDOW {
            self.before = std::mem::replace(&mut self.present, Window::new(transit));
            self.began = arrival;
        }
    }

    fn count(&mut self, transit: i64) {
        self.present.fastest = self.present.fastest.min(transit);
        let step = transit.saturating_sub(self.fastest()) / STEP;
        let step = usize::try_from(step).unwrap_or(0).min(STEPS - 1);
        if let Some(count) = self.present.late.get_mut(step) {
            *count = count.saturating_add(1);
        }
    }

    /// How many packets were late by so many steps, the latest first.
    fn late(&self) -> impl Iterator<Item = u32> {
        let windows = self.present.late.iter().zip(&self.before.late);
        windows
            .map(|(present, before)| present.saturating_add(*before))
            .rev()
    }
}

impl Transit {
    /// Learns that the packet of `timestamp` arrived at `arrival`.
    pub(super) fn observe(&mut self, arrival: i64, timestamp: i64) {
        let transit = arrival.saturating_sub(timestamp);
        let windows = match &mut self.windows {
            Some(windows) if transit.saturating_sub(windows.fastest()).saturating_abs() < JUMP => {
                windows
            }
            windows => windows.insert(Windows::new(arrival, transit)),
        };
        windows.turn(arrival, transit);
        windows.count(transit);
    }

    /// How much later than the fastest packet nearly all others come.
    pub(super) fn jitter(&self) -> i64 {
        let Some(windows) = &self.windows else {
            return 0;
        };
        let all: u64 = windows.late().map(u64::from).sum();
        let mut stragglers = all * u64::from(STRAGGLERS_PERCENT) / 100;
        let mut step = STEPS as i64;
        for count in windows.late() {
            match stragglers.checked_sub(count.into()) {
                Some(rest) => stragglers = rest,
                None => break,
            }
            step -= 1;
        }
        step * STEP
    }

    /// How much after the earliest possible moment sound of `timestamp` would be played at `now`.
    pub(super) fn delay(&self, now: i64, timestamp: i64) -> i64 {
        self.windows.as_ref().map_or(0, |windows| {
            now.saturating_sub(timestamp)
                .saturating_sub(windows.fastest())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets each 20 ms, of which every `nth` is late by so many samples.
    fn observed(packets: i64, nth: i64, late: i64) -> Transit {
        let mut transit = Transit::default();
        for n in 0..packets {
            let late = if n % nth == nth - 1 { late } else { 0 };
            transit.observe(n * 960 + late, n * 960);
        }
        transit
    }

    #[test]
    fn jitter_is_what_lies_above_the_fastest_packet() {
        assert_eq!(observed(100, 1_000, 0).jitter(), STEP);
        assert_eq!(observed(100, 5, 2_200).jitter(), 2_400);
        assert_eq!(observed(100, 5, 40_000).jitter(), STEPS as i64 * STEP);
        assert_eq!(observed(100, 5, 2_200).delay(101 * 960, 100 * 960), 960);
    }

    #[test]
    fn a_straggler_makes_nobody_wait() {
        assert_eq!(observed(100, 50, 8_000).jitter(), STEP);
    }

    #[test]
    fn what_was_slow_is_forgotten_after_ten_seconds() {
        let mut transit = observed(100, 5, 4_700);
        assert_eq!(transit.jitter(), 4_800);
        for n in 100..600 {
            transit.observe(n * 960, n * 960);
        }
        assert_eq!(transit.jitter(), STEP);
    }

    #[test]
    fn a_jump_of_the_senders_clock_begins_anew() {
        for jump in [10_000_000, -10_000_000] {
            let mut transit = observed(100, 5, 4_700);
            transit.observe(100 * 960, 100 * 960 + jump);
            assert_eq!(transit.jitter(), STEP);
            assert_eq!(transit.delay(100 * 960, 100 * 960 + jump), 0);
        }
    }
}
