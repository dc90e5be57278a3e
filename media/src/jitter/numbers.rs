//! RTP's numbers wrap around: sequences after 65 536 packets, timestamps after a day. Here they only grow.

/// A packet this far behind (RFC 3550, A.1 says 100; ten seconds are kinder to a long stall) belongs to a restarted stream.
const MAX_MISORDER: i64 = 500;
/// A packet this far ahead belongs to a restarted stream (RFC 3550, A.1).
const MAX_DROPOUT: i64 = 3000;

/// A packet's numbers, unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) sequence: i64,
    pub(super) timestamp: i64,
    pub(super) place: Place,
}

/// Where a packet stands among those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// After all others.
    Newest,
    /// Before one that has come already, or the same.
    Before,
    /// It is the first of a stream that began anew.
    Anew,
    /// Far from all others, and not confirmed by a second one.
    Stray,
}

/// Unwraps the numbers of one stream.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    newest: Option<(i64, i64)>,
    /// The sequence number that would confirm that the sender has begun anew.
    restarting: Option<u16>,
}

impl Numbers {
    pub(super) fn unwrap(&mut self, sequence: u16, timestamp: u32) -> Number {
        let Some((newest, time)) = self.newest else {
            // Packets sent before the first may still come, and their numbers must not be negative.
            return self.newest(
                i64::from(sequence) + (1 << 16),
                timestamp.into(),
                Place::Newest,
            );
        };
        // Unwrapping keeps the low bits, so cutting the rest off gives back what was sent.
        let ahead = i64::from(sequence.wrapping_sub(newest as u16) as i16);
        let later = i64::from(timestamp.wrapping_sub(time as u32) as i32);
        if (-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead) {
            self.restarting = None;
            return if ahead > 0 {
                self.newest(newest + ahead, time + later, Place::Newest)
            } else {
                Number {
                    sequence: newest + ahead,
                    timestamp: time + later,
                    place: Place::Before,
                }
            };
        }
        if self.restarting == Some(sequence) {
            self.restarting = None;
            // Beyond all that was or could have been, so that nothing old can be mistaken for new.
            let sequence = ((newest >> 16) + 2) * (1 << 16) + i64::from(sequence);
            return self.newest(sequence, time + later, Place::Anew);
        }
        self.restarting = Some(sequence.wrapping_add(1));
        Number {
            sequence: newest + ahead,
            timestamp: time + later,
            place: Place::Stray,
        }
    }

    fn newest(&mut self, sequence: i64, timestamp: i64, place: Place) -> Number {
        self.newest = Some((sequence, timestamp));
        Number {
            sequence,
            timestamp,
            place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_through_a_wrap_and_back() {
        let mut numbers = Numbers::default();
        let first = numbers.unwrap(65_535, u32::MAX - 100);
        let next = numbers.unwrap(1, 1_819);
        assert_eq!(next.sequence - first.sequence, 2);
        assert_eq!(next.timestamp - first.timestamp, 1_920);
        let between = numbers.unwrap(0, 859);
        assert_eq!(between.sequence - first.sequence, 1);
        assert_eq!(
            (first.place, next.place, between.place),
            (Place::Newest, Place::Newest, Place::Before)
        );
    }

    #[test]
    fn two_strays_in_a_row_are_a_new_stream() {
        let mut numbers = Numbers::default();
        let old = numbers.unwrap(5, 0);
        assert_eq!(numbers.unwrap(20_000, 7).place, Place::Stray);
        assert_eq!(numbers.unwrap(6, 960).place, Place::Newest);
        assert_eq!(numbers.unwrap(20_001, 7).place, Place::Stray);
        let anew = numbers.unwrap(20_002, 967);
        assert_eq!(anew.place, Place::Anew);
        assert!(anew.sequence > old.sequence + 65_536);
        assert_eq!(numbers.unwrap(20_003, 1_927).sequence, anew.sequence + 1);
    }
}
