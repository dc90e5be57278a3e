//! Counts what was said, for the metrics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The account of one worker's speech.
#[derive(Debug, Default)]
pub(super) struct Meter {
    syntheses: AtomicU64,
    failures: AtomicU64,
    frames: AtomicU64,
    /// Clauses handed to an engine that are not yet complete.
    clauses_open: AtomicU64,
    first_audio_count: AtomicU64,
    first_audio_us: AtomicU64,
    making_us: AtomicU64,
    made_us: AtomicU64,
}

impl Meter {
    /// A synthesis was completed.
    pub(super) fn finished(&self) {
        self.syntheses.fetch_add(1, Ordering::Relaxed);
    }

    /// A synthesis failed.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame was made.
    pub(super) fn frame(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// The first sound of a synthesis came so long after its first clause had gone to the engine.
    pub(super) fn first_audio(&self, after: Duration) {
        self.first_audio_count.fetch_add(1, Ordering::Relaxed);
        self.first_audio_us
            .fetch_add(micros(after), Ordering::Relaxed);
    }

    /// An engine made so much sound in so much time, of which the session kept it waiting for none.
    pub(super) fn made(&self, sound: Duration, took: Duration) {
        self.made_us.fetch_add(micros(sound), Ordering::Relaxed);
        self.making_us.fetch_add(micros(took), Ordering::Relaxed);
    }

    /// A clause goes to an engine; it is in the queue until the guard is dropped.
    pub(super) fn queued(&self) -> Queued<'_> {
        self.clauses_open.fetch_add(1, Ordering::Relaxed);
        Queued(self)
    }

    pub(super) fn queue_depth(&self) -> f64 {
        self.clauses_open.load(Ordering::Relaxed) as f64
    }

    pub(super) fn metrics(&self) -> HashMap<String, f64> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        HashMap::from([
            ("syntheses_total".to_owned(), of(&self.syntheses)),
            ("failures_total".to_owned(), of(&self.failures)),
            ("frames_total".to_owned(), of(&self.frames)),
            (
                "ttfb_seconds".to_owned(),
                ratio(of(&self.first_audio_us), of(&self.first_audio_count)) / 1e6,
            ),
            (
                "rtf".to_owned(),
                ratio(of(&self.making_us), of(&self.made_us)),
            ),
        ])
    }
}

/// A clause in an engine's queue or being said.
pub(super) struct Queued<'a>(&'a Meter);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.clauses_open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
