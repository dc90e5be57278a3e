//! WebRTC calls over loopback sockets, from a caller's microphone to the session and back.
#![cfg(feature = "webrtc")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "webrtc/calls.rs"]
mod calls;
#[path = "webrtc/house.rs"]
mod house;
#[path = "webrtc/interop.rs"]
mod interop;
#[path = "webrtc/trouble.rs"]
mod trouble;
