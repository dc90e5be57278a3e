//! Counts what was heard, for the metrics.

use crate::metric::{self, End};
use crate::recent::Recent;
use proto::registry::metric as name;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The account of one worker's hearing.
#[derive(Debug, Default)]
pub(super) struct Meter {
    utterances: AtomicU64,
    failures: AtomicU64,
    finals: Recent,
}

impl Meter {
    /// An utterance begins, or a recording.
    pub(super) fn count(&self) -> Counted<'_> {
        Counted {
            meter: self,
            end: End::Cancelled,
        }
    }

    /// A transcript came so long after its utterance had ended.
    pub(super) fn told(&self, after: Duration) {
        self.finals.note(after);
        metrics::histogram!(metric::STT_FINAL_SECONDS).record(after);
    }

    /// All of it, by the names that the registry knows.
    pub(super) fn metrics(&self) -> BTreeMap<String, f64> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let metrics = [
            ("utterances_total", of(&self.utterances)),
            ("failures_total", of(&self.failures)),
            (name::P50_MS, self.finals.median_ms()),
        ];
        metrics.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Something that is being heard. Unless its end is told before it is dropped, its client has gone or has cancelled it.
pub(super) struct Counted<'a> {
    meter: &'a Meter,
    end: End,
}

impl Counted<'_> {
    pub(super) fn ended(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        match self.end {
            End::Ok => self.meter.utterances.fetch_add(1, Ordering::Relaxed),
            End::Error => self.meter.failures.fetch_add(1, Ordering::Relaxed),
            End::Cancelled => 0,
        };
        let status = self.end.word();
        metrics::counter!(metric::STT_REQUESTS_TOTAL, "status" => status).increment(1);
    }
}
