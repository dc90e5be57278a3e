//! The gRPC services, whatever engines are behind them.

pub mod stt;
pub mod tts;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970, for those who compare it with their own clocks.
fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
