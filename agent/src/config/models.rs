//! The `[models]` settings.

use crate::models::Mirror;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The files of models, and where they come from.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// A catalogue of your own, a TOML file. Its models are known beside parlor's, and instead of those with the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<PathBuf>,
    /// A server that has the files of all hosts, as in `https://mirror.lan/models`; the path of a file's own address follows it.
    /// Empty for none.
    pub mirror: String,
}

impl Models {
    /// The mirror, if one is set.
    ///
    /// # Errors
    /// When its address is none.
    pub fn mirror(&self) -> Result<Option<Mirror>, crate::models::Error> {
        match self.mirror.as_str() {
            "" => Ok(None),
            address => address.parse().map(Some),
        }
    }

    pub(super) fn check(&self, must: &mut impl FnMut(bool, &str, &str)) {
        must(
            self.mirror().is_ok(),
            "models.mirror",
            "an address like https://mirror.lan/models, without a name, a password or a query",
        );
    }
}
