//! What the ear counts, for the operator's dashboards.

use super::{Floor, GateStatistics};
use serde::Serialize;

/// What an ear has heard so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EarStatistics {
    /// The noise gate's figures.
    pub gate: GateStatistics,
    /// Frames heard while the machine's own voice sounded.
    pub speaking: FloorStatistics,
    /// Frames heard while listening or preparing a reply.
    pub listening: FloorStatistics,
    /// Frames heard after a barge-in.
    pub barged_in: FloorStatistics,
    /// How often speech started.
    pub starts: u64,
}

/// What was heard in one state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FloorStatistics {
    /// Frames heard.
    pub frames: u64,
    /// Frames during which speech was open.
    pub speech: u64,
    /// Frames that were voiced at multiplier 1.0 and that the state's multiplier silenced.
    pub state_gated: u64,
}

impl FloorStatistics {
    /// The part of the frames that the state's multiplier silenced, 0 to 1.
    pub fn state_gating_ratio(&self) -> f64 {
        ratio(self.state_gated, self.frames)
    }

    /// The part of the frames during which speech was open, 0 to 1.
    pub fn speech_ratio(&self) -> f64 {
        ratio(self.speech, self.frames)
    }
}

impl EarStatistics {
    /// The figures of one state.
    pub fn floor(&self, floor: Floor) -> &FloorStatistics {
        match floor {
            Floor::Speaking => &self.speaking,
            Floor::Listening => &self.listening,
            Floor::BargedIn => &self.barged_in,
        }
    }

    pub(super) fn floor_mut(&mut self, floor: Floor) -> &mut FloorStatistics {
        match floor {
            Floor::Speaking => &mut self.speaking,
            Floor::Listening => &mut self.listening,
            Floor::BargedIn => &mut self.barged_in,
        }
    }

    /// All states together.
    pub fn all(&self) -> FloorStatistics {
        let floors = [self.speaking, self.listening, self.barged_in];
        floors
            .iter()
            .fold(FloorStatistics::default(), |sum, one| FloorStatistics {
                frames: sum.frames + one.frames,
                speech: sum.speech + one.speech,
                state_gated: sum.state_gated + one.state_gated,
            })
    }

    /// The part of all frames that the states' multipliers silenced, 0 to 1.
    pub fn state_gating_ratio(&self) -> f64 {
        self.all().state_gating_ratio()
    }
}

/// `part / whole`, and 0 of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
