//! Speech models behind gRPC: recognition and synthesis, in-process or on their own.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )
)]

pub mod announce;
mod blocking;
mod condition;
mod connection;
pub mod embedded;
pub mod finish;
mod guard;
mod host;
pub mod inventory;
mod library;
mod memory;
pub mod metric;
pub mod models;
pub mod options;
pub mod places;
pub mod probe;
mod recent;
pub mod serve;
pub mod service;
pub mod settings;
pub mod stt;
pub mod text;
pub mod tts;

pub use announce::{AnnounceError, Announcer, Found, Rhythm};
pub use embedded::Embedded;
pub use host::{Error, STREAM_WINDOW_BYTES};
pub use inventory::inventory;
pub use library::Missing;
pub use options::{Options, TlsFiles};
pub use places::Places;
pub use serve::{Worker, serve};
pub use settings::{
    AudioContext, Kind, ModelManagerSettings, Settings, SttEngine, SttSettings, TtsEngine,
    TtsSettings, UnknownName, WhisperSettings,
};
