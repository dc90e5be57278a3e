//! How busy this machine is, measured: by the processor time that the program takes, and by how late its beats come.
//!
//! Neither needs a setting. Processor time foretells trouble; late beats are the trouble itself, and come as well when
//! somebody else's program takes the processor.

use media::{Clock, FRAME};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// From here on no room is taken.
pub(super) const BUSY: f32 = 0.9;

/// How often a beat's lateness is looked at.
const BEAT: Duration = Duration::from_millis(100);
/// Over how long processor time is counted.
const WINDOW: Duration = Duration::from_millis(2500);
/// How much a new window says beside all older ones.
const NEWEST: f32 = 0.5;
/// The unit of processor times in `/proc`: 100 a second on every Linux, whatever its kernel's own beat.
const TICK: Duration = Duration::from_millis(10);

/// Measures; see [`Load`].
pub(super) struct Meter {
    busy: Load,
}

/// How busy the machine is: 0 idle, 1 as busy as it can be.
#[derive(Debug, Clone, Default)]
pub(super) struct Load(Arc<AtomicU32>);

/// A meter and what it shows.
pub(super) fn meter() -> (Meter, Load) {
    let busy = Load::default();
    (Meter { busy: busy.clone() }, busy)
}

impl Load {
    /// The newest figure.
    pub(super) fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Says a figure.
    pub(super) fn set(&self, busy: f32) {
        self.0.store(busy.to_bits(), Ordering::Relaxed);
    }
}

impl Meter {
    /// Measures until it is told to end.
    pub(super) async fn run(self, closed: CancellationToken) {
        let clock = Clock::start();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut gauge = Gauge::new(clock.now(), processor_time(), cores);
        loop {
            let due = clock.now() + BEAT;
            tokio::select! {
                () = clock.until(due) => {}
                () = closed.cancelled() => return,
            }
            let now = clock.now();
            gauge.beat(now.saturating_sub(due));
            if gauge.is_due(now) {
                self.busy.set(gauge.window(now, processor_time()));
            }
        }
    }
}

/// Makes one figure of many measurements. Sans-IO.
#[derive(Debug)]
struct Gauge {
    cores: f32,
    began: Duration,
    processor: Option<Duration>,
    late: Duration,
    beats: u32,
    busy: f32,
}

impl Gauge {
    fn new(now: Duration, processor: Option<Duration>, cores: usize) -> Self {
        Self {
            cores: cores as f32,
            began: now,
            processor,
            late: Duration::ZERO,
            beats: 0,
            busy: 0.0,
        }
    }

    /// A beat came that much too late.
    fn beat(&mut self, late: Duration) {
        self.late += late;
        self.beats += 1;
    }

    /// Whether the window is full.
    fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= WINDOW
    }

    /// Ends a window, in which the program had `processor` in all since it began, and says how busy the machine is.
    fn window(&mut self, now: Duration, processor: Option<Duration>) -> f32 {
        let wall = now.saturating_sub(self.began).as_secs_f32();
        let worked = match (self.processor, processor) {
            (Some(before), Some(now)) if wall > 0.0 => {
                now.saturating_sub(before).as_secs_f32() / wall / self.cores
            }
            // No /proc here: beats alone tell.
            _ => 0.0,
        };
        // Frames that are a whole frame late on the average are heard as gaps.
        let late = match self.beats {
            0 => 0.0,
            beats => self.late.as_secs_f32() / beats as f32 / FRAME.as_secs_f32(),
        };
        let newest = worked.max(late).min(1.0);
        self.busy += (newest - self.busy) * NEWEST;
        (self.began, self.processor) = (now, processor);
        (self.late, self.beats) = (Duration::ZERO, 0);
        self.busy
    }
}

/// The processor time that this program has taken; `None` where the system does not tell.
fn processor_time() -> Option<Duration> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn parse(stat: &str) -> Option<Duration> {
    // The program's name is in parentheses and may hold anything, even parentheses.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    TICK.checked_mul(user.checked_add(system)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_program_that_takes_every_core_is_busy_after_a_while_and_not_at_once() {
        let mut gauge = Gauge::new(seconds(0), Some(seconds(0)), 2);
        let shown: Vec<f32> = (1..=5)
            .map(|n| gauge.window(seconds(n * 10), Some(seconds(n * 20))))
            .collect();
        assert!(shown[1] < BUSY && shown[4] > BUSY, "{shown:?}");
        for n in 6..=10 {
            gauge.window(seconds(n * 10), Some(seconds(100)));
        }
        assert!(gauge.busy < 0.1);
    }

    #[test]
    fn late_beats_are_busyness_whoever_makes_them_late() {
        let mut gauge = Gauge::new(seconds(0), None, 64);
        for n in 1..=6 {
            for _ in 0..25 {
                gauge.beat(Duration::from_millis(25));
            }
            gauge.window(seconds(n * 3), None);
        }
        assert!(gauge.busy > BUSY);
    }

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a) R) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20";
        assert_eq!(parse(stat), Some(seconds(4)));
        assert_eq!(parse("7 (sh"), None);
        if cfg!(target_os = "linux") {
            assert!(processor_time().is_some());
        }
    }
}
