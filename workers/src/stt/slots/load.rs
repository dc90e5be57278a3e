//! How busy the recognisers are.

use crate::metric;
use crate::stt::RATE_HZ;
use media::clock::monotonic_ns;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// What the recognisers have done; apart from the rest, so that a slot's own thread does not keep its slot open.
#[derive(Default)]
pub(super) struct Work {
    heard_us: AtomicU64,
    took_us: AtomicU64,
}

impl Work {
    /// The time that it took over the length of what was heard.
    pub(super) fn rtf(&self) -> f64 {
        let heard = self.heard_us.load(Ordering::Relaxed) as f64;
        let took = self.took_us.load(Ordering::Relaxed) as f64;
        if heard > 0.0 { took / heard } else { 0.0 }
    }

    /// Times how long something takes that hears so many samples.
    pub(super) fn hear<T>(&self, samples: usize, listen: impl FnOnce() -> T) -> T {
        let begun_ns = monotonic_ns();
        let heard = listen();
        let took_us = monotonic_ns().saturating_sub(begun_ns) / 1_000;
        let heard_us = samples as u64 * 1_000_000 / u64::from(RATE_HZ);
        self.took_us.fetch_add(took_us, Ordering::Relaxed);
        self.heard_us.fetch_add(heard_us, Ordering::Relaxed);
        heard
    }
}

/// A place among those who are listened to, until it is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!(metric::STT_ACTIVE_SESSIONS).increment(1.0);
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!(metric::STT_ACTIVE_SESSIONS).decrement(1.0);
    }
}

/// An utterance that waits for a recogniser, until it is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(metric::STT_QUEUE_DEPTH).increment(1.0);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(metric::STT_QUEUE_DEPTH).decrement(1.0);
    }
}
