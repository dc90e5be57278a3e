//! What is counted of the port and of each call.

use crate::jitter::JitterStatistics;

/// What has happened on the shared port. All but the first two are packets dropped so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointStatistics {
    /// Calls present.
    pub calls: usize,
    /// Addresses and checks remembered for them.
    pub remembered: usize,
    /// Neither STUN nor DTLS nor RTP.
    pub malformed: u64,
    /// Of no call present, or from an address that its call has not proven.
    pub unknown: u64,
    /// Checks without the right signature.
    pub unsigned: u64,
    /// Checks of a call from too many addresses.
    pub too_many_sources: u64,
    /// For a call whose queue was full.
    pub overflowed: u64,
    /// Not taken by the system for sending.
    pub unsent: u64,
}

/// What has happened in one call so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallStatistics {
    /// The caller's packets on their way to the ear.
    pub jitter: JitterStatistics,
    /// The caller's packets that were no Opus.
    pub undecodable_packets: u64,
    /// Packets of another codec, without sound, of too many streams, or forged for all to see.
    pub strange_packets: u64,
    /// The caller's packets that came faster than the call could take them.
    pub overflowed_packets: u64,
    /// Frames of ours that left.
    pub frames_sent: u64,
    /// Frames of ours that did not leave: stopped by the fence, or there was no connection.
    pub frames_unsent: u64,
    /// Packets of ours kept back because the caller asked for too many at once.
    pub withheld_packets: u64,
    /// Messages of ours that no open channel took.
    pub messages_dropped: u64,
    /// How often the caller went on from another address.
    pub moves: u32,
}
