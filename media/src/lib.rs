//! Sound in, sound out: everything between a caller's packets and 20 ms frames, and nothing about who may speak.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )
)]

pub mod clock;
pub mod codec;
pub mod frame;
pub mod framer;
pub mod hear;
pub mod jitter;
pub mod level;
pub mod link;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod pacer;
pub mod resample;
pub mod wav;

pub use clock::Clock;
pub use frame::{AudioFrame, FRAME, FRAME_SAMPLES, SAMPLE_RATE_HZ};
