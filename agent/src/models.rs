//! The files of models: which there are, where they come from, whether they are whole, and getting them.
//!
//! The [`Catalogue`] names each file with its address, size and SHA-256 sum; the [`Store`] is where the files lie on this
//! machine; a [`Fetcher`] brings one to the other. [`trust`] keeps engines from loading a file that is not the catalogue's.

pub mod catalogue;
pub mod error;
pub mod fetch;
pub mod loading;
pub mod mirror;
pub mod remove;
pub mod store;
pub mod sum;
pub mod trust;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Entry, Kind, Model};
pub use error::Error;
pub use fetch::{Event, Fetched, Fetcher, Patience, Watch};
pub use mirror::Mirror;
pub use store::{FileState, State, Store};
pub use sum::Sum;
pub use trust::{Guard, Memory, Verdict};
