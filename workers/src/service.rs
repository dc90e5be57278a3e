//! The gRPC services, whatever engines are behind them.

pub mod stt;
pub mod tts;
