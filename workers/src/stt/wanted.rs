//! Whether anybody still waits for an utterance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether anybody still waits for an utterance, and for what of it. Clones share it.
///
/// ```text
///   partials and the final ──only_final──► the final ──no_more──► nothing
/// ```
#[derive(Debug, Clone, Default)]
pub struct Wanted(Arc<AtomicU8>);

const PARTIALS: u8 = 0;
const FINAL: u8 = 1;
/// What the flag holds once nothing is wanted any more.
const NOTHING: u8 = 2;

impl Wanted {
    /// Whether anything is still wanted.
    pub fn is_wanted(&self) -> bool {
        !is_over(&self.0)
    }

    /// Whether its words so far are wanted, and not only what it says as a whole.
    pub fn are_partials_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire) == PARTIALS
    }

    /// From now on only the final is wanted: the utterance is over, or nobody looks before.
    pub fn only_final(&self) {
        self.0.fetch_max(FINAL, Ordering::AcqRel);
    }

    /// From now on nothing is wanted.
    pub fn no_more(&self) {
        self.0.fetch_max(NOTHING, Ordering::AcqRel);
    }

    /// The flag itself, for code that cannot hold a `Wanted`; see [`is_over`].
    #[cfg(feature = "whisper")]
    pub(super) fn flag(&self) -> &AtomicU8 {
        &self.0
    }
}

/// Whether nothing is wanted of an utterance with this flag any more.
pub(super) fn is_over(flag: &AtomicU8) -> bool {
    flag.load(Ordering::Acquire) >= NOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_any_more_is_never_wanted_again() {
        let wanted = Wanted::default();
        let other = wanted.clone();
        assert!(other.is_wanted() && other.are_partials_wanted());
        wanted.only_final();
        assert!(other.is_wanted() && !other.are_partials_wanted());
        wanted.no_more();
        wanted.only_final();
        assert!(!other.is_wanted() && !other.are_partials_wanted());
    }
}
