//! Counts what was said, for the metrics.

use crate::metric;
use crate::recent::Recent;
use crate::tts::{Class, Took};
use proto::registry::metric as name;
use std::collections::BTreeMap;
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
    first_audio: Recent,
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

    /// The first sound of a synthesis came so long after its first clause had gone to the engine. Batch work may wait, so it says
    /// nothing about how soon a caller is answered, which is what the registry is told.
    pub(super) fn first_audio(&self, class: Class, after: Duration) {
        metrics::histogram!(metric::TTS_TTFB_SECONDS).record(after);
        if class == Class::RealTime {
            self.first_audio_count.fetch_add(1, Ordering::Relaxed);
            self.first_audio_us
                .fetch_add(micros(after), Ordering::Relaxed);
            self.first_audio.note(after);
        }
    }

    /// An engine has said a clause, of which the session kept it waiting for none.
    pub(super) fn made(&self, adapter: &'static str, class: Class, took: Took) {
        let Took {
            sound,
            waited,
            first,
            time,
        } = took;
        self.made_us.fetch_add(micros(sound), Ordering::Relaxed);
        self.making_us.fetch_add(micros(time), Ordering::Relaxed);
        metrics::gauge!(metric::TTS_RTF).set(self.rtf());
        phase("queue", adapter, class, waited);
        phase("first_sound", adapter, class, first);
        phase("synthesis", adapter, class, time);
    }

    /// A clause was finished: trimmed, resampled and brought to the common loudness, in so much time.
    pub(super) fn polished(&self, adapter: &'static str, class: Class, took: Duration) {
        phase("finishing", adapter, class, took);
    }

    /// A clause goes to an engine; it is in the queue until the guard is dropped.
    pub(super) fn queued(&self) -> Queued<'_> {
        self.clauses_open.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(metric::TTS_QUEUE_DEPTH).increment(1.0);
        Queued(self)
    }

    /// Time that the engines took over the length of what they said.
    fn rtf(&self) -> f64 {
        ratio(of(&self.making_us), of(&self.made_us))
    }

    /// All of it, by the names that clients know.
    pub(super) fn metrics(&self) -> BTreeMap<String, f64> {
        let ttfb_us = ratio(of(&self.first_audio_us), of(&self.first_audio_count));
        let metrics = [
            ("syntheses_total", of(&self.syntheses)),
            ("failures_total", of(&self.failures)),
            ("frames_total", of(&self.frames)),
            ("ttfb_seconds", ttfb_us / 1e6),
            (name::P50_MS, self.first_audio.median_ms()),
            (name::RTF, self.rtf()),
            (name::QUEUE_DEPTH, of(&self.clauses_open)),
        ];
        metrics.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn phase(phase: &'static str, adapter: &'static str, class: Class, took: Duration) {
    let class = class.word();
    metrics::histogram!(metric::TTS_PHASE_SECONDS, "phase" => phase, "adapter" => adapter, "class" => class)
        .record(took);
}

fn of(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A clause in an engine's queue or being said.
pub(super) struct Queued<'a>(&'a Meter);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.clauses_open.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(metric::TTS_QUEUE_DEPTH).decrement(1.0);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
