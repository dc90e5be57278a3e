//! Speech models behind gRPC: recognition and synthesis, in-process or on their own.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )
)]

mod blocking;
pub mod embedded;
pub mod finish;
mod host;
pub mod inventory;
mod library;
pub mod models;
pub mod serve;
pub mod service;
pub mod settings;
pub mod stt;
pub mod text;
pub mod tts;

pub use embedded::Embedded;
pub use host::Error;
pub use inventory::inventory;
pub use library::Missing;
pub use serve::{Worker, serve};
pub use settings::{
    Kind, ModelManagerSettings, Settings, SttEngine, SttSettings, TtsEngine, TtsSettings,
    UnknownName,
};
