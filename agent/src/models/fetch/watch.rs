//! How long a fetch may take over what, and what it tells meanwhile.

use super::super::Sum;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a fetcher waits for what.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the beginning of an answer, and between any two pieces of it.
    pub stall: Duration,
    /// After the first failure; twice as long after each further one.
    pub pause: Duration,
    /// At most, between two tries.
    pub longest_pause: Duration,
    /// How many tries may fail that bring less than a mebibyte each.
    pub tries: u32,
    /// Between two looks whether somebody else has fetched the file.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            tries: 5,
            look: Duration::from_millis(500),
        }
    }
}

/// What is going on, for whoever watches.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file is there already, and right.
    Kept {
        /// The file.
        path: &'a Path,
    },
    /// Somebody else is fetching the file; it is waited for.
    Waits {
        /// The file.
        path: &'a Path,
    },
    /// A file is going to be fetched.
    Begins {
        /// Where it will be.
        path: &'a Path,
        /// Its size in bytes.
        size: u64,
        /// How much an earlier fetch has left, in bytes.
        has: u64,
    },
    /// So much of it is there.
    Has {
        /// In bytes.
        bytes: u64,
    },
    /// It broke and is tried again.
    Again {
        /// Why.
        reason: &'a str,
        /// After this time.
        pause: Duration,
    },
    /// A file is whole and right.
    Done {
        /// The file.
        path: &'a Path,
    },
}

/// Who is told how a fetch goes.
pub trait Watch: Send {
    /// Tells.
    fn tell(&mut self, event: &Event<'_>);
}

/// A file of a model that is in the store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Its sum.
    pub sha256: Sum,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was fetched; otherwise it was there.
    pub is_new: bool,
}
