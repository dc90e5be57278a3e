//! parlor: talk with a machine. This crate is the program that people run; `main.rs` is its start.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )
)]

pub mod cli;
pub mod cluster;
pub mod config;
mod harmless;
pub mod http;
pub mod models;
pub mod rooms;
pub mod server;
pub mod session;
pub mod sessions;
pub mod telemetry;
