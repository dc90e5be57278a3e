//! What a jitter buffer has been through, for metrics.

use std::time::Duration;

/// What has happened in a [`JitterBuffer`](super::JitterBuffer) so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStatistics {
    /// Packets that were handed in.
    pub received: u64,
    /// Packets that were not there when their turn came; late ones are among them.
    pub lost: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that had come before.
    pub duplicated: u64,
    /// Packets that came after one sent later.
    pub reordered: u64,
    /// Times 20 ms that were made up.
    pub concealed: u64,
    /// Lost packets that were decoded from the next one.
    pub fec: u64,
    /// Packets dropped because too much sound waited.
    pub overflowed: u64,
    /// Packets left out in silence, to wait less.
    pub shortened: u64,
    /// Times that the sender began anew.
    pub restarted: u64,
    /// How long the last packet played had been kept back, compared with the fastest of the last seconds.
    pub depth: Duration,
}

impl std::ops::Add for JitterStatistics {
    type Output = Self;

    /// The sums of all counts, and the longer depth.
    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            lost: self.lost + other.lost,
            late: self.late + other.late,
            duplicated: self.duplicated + other.duplicated,
            reordered: self.reordered + other.reordered,
            concealed: self.concealed + other.concealed,
            fec: self.fec + other.fec,
            overflowed: self.overflowed + other.overflowed,
            shortened: self.shortened + other.shortened,
            restarted: self.restarted + other.restarted,
            depth: self.depth.max(other.depth),
        }
    }
}
