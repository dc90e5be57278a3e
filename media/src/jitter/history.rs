//! Which of the last packets have been here, so that a copy that comes after its turn is known as one.

/// The 64 sequence numbers up to the highest that had its turn.
#[derive(Debug, Default)]
pub(super) struct History {
    highest: i64,
    /// Bit n: whether `highest - n` has been here.
    seen: u64,
}

impl History {
    /// Marks a packet as having been here.
    pub(super) fn mark(&mut self, sequence: i64) {
        let ahead = sequence.saturating_sub(self.highest);
        if ahead > 0 {
            self.seen = u32::try_from(ahead)
                .ok()
                .and_then(|by| self.seen.checked_shl(by))
                .unwrap_or(0);
            self.highest = sequence;
        }
        if let Some(bit) = self.bit(sequence) {
            self.seen |= bit;
        }
    }

    /// Whether the packet is known to have been here.
    pub(super) fn contains(&self, sequence: i64) -> bool {
        self.bit(sequence).is_some_and(|bit| self.seen & bit != 0)
    }

    fn bit(&self, sequence: i64) -> Option<u64> {
        let back = u32::try_from(self.highest.saturating_sub(sequence)).ok()?;
        1u64.checked_shl(back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_the_last_sixty_four() {
        let mut history = History::default();
        for sequence in [100, 101, 103] {
            history.mark(sequence);
        }
        assert!(history.contains(100) && history.contains(103));
        assert!(!history.contains(102) && !history.contains(104));
        history.mark(102);
        assert!(history.contains(102));
        history.mark(164);
        assert!(history.contains(101) && !history.contains(100));
        history.mark(10_000);
        assert!(!history.contains(164) && history.contains(10_000));
    }
}
