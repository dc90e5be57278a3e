//! Why a model is not available.

use crate::tts;
use std::time::Duration;

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
    /// Sessions are open that speak with it.
    #[error("the model {0:?} is in use; end its sessions first")]
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
    /// It took too long.
    #[error(
        "cannot load model {id:?}: it is not loaded after {} s; see what holds it up, or raise model_manager.load_timeout_ms",
        .limit.as_secs_f64()
    )]
    Late {
        /// What was asked for.
        id: String,
        /// How long it may take.
        limit: Duration,
    },
    /// A load that took too long has not ended yet, and cannot be ended from outside.
    #[error(
        "cannot load model {0:?}: the load before still hangs; restart the worker if it stays so"
    )]
    Hangs(String),
}
