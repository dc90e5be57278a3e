//! Why a model is not available.

use crate::tts;

/// Why a model is not available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody knows it.
    #[error("there is no model {id:?}; there is {known}")]
    Unknown {
        /// What was asked for.
        id: String,
        /// What there is.
        known: String,
    },
    /// It is speaking.
    #[error("the model {0:?} is speaking; stop its sessions first")]
    InUse(String),
    /// It is on its way into memory.
    #[error("the model {0:?} is being loaded; try again when it is")]
    Loading(String),
    /// Other models fill the memory and none of them can go yet.
    #[error(
        "cannot load model {id:?}: {cap} of {cap} models are loaded and none can be let go yet; try again later or unload one"
    )]
    Full {
        /// What was asked for.
        id: String,
        /// How many may be loaded.
        cap: usize,
    },
    /// Its engine refused.
    #[error("cannot load model {id:?}: {source}")]
    Load {
        /// What was asked for.
        id: String,
        /// Why.
        source: tts::Error,
    },
}
