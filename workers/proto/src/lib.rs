//! The gRPC contracts between the program and its model workers.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test may fail by panicking")
)]

/// Synthesis: package `tts`, service `TTSService`.
pub mod tts {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated from tts.proto, which says what each thing is"
    )]
    tonic::include_proto!("tts");
}

/// Recognition: package `stt`, service `STTService`.
pub mod stt {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated from stt.proto, which says what each thing is"
    )]
    tonic::include_proto!("stt");
}

/// What whoever runs a worker may ask of it: package `parlor.worker.v1`, service `Admin`.
pub mod worker {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated from worker.proto, which says what each thing is"
    )]
    tonic::include_proto!("parlor.worker.v1");
}

pub mod registry;

/// All contracts as an encoded `google.protobuf.FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The largest message that either side takes: an hour of a recording as 16 kHz samples.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;
