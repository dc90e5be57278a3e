//! What was sent in the last second, kept beside the ear so that the machine's own voice can be told from a person's.

use crate::frame::{AudioFrame, FRAME_SAMPLES, SAMPLE_RATE_HZ};

/// Frames that are kept: one second, which is longer than any room or network makes an echo wait.
pub const KEPT_FRAMES: usize = SAMPLE_RATE_HZ as usize / FRAME_SAMPLES;

/// The last second of what the caller was sent, by 20 ms slot of the call.
#[derive(Debug)]
pub struct EchoRing {
    /// Slot `tick % KEPT_FRAMES` holds the frame of `tick`, if it says so.
    slots: Vec<Slot>,
    newest: Option<u64>,
}

#[derive(Debug, Clone)]
struct Slot {
    tick: Option<u64>,
    frame: AudioFrame,
}

impl EchoRing {
    /// Nothing was sent yet.
    pub fn new() -> Self {
        Self {
            slots: vec![
                Slot {
                    tick: None,
                    frame: AudioFrame::silence()
                };
                KEPT_FRAMES
            ],
            newest: None,
        }
    }

    /// Keeps the frame that is sent in slot `tick` of the call.
    pub fn sent(&mut self, tick: u64, frame: &AudioFrame) {
        let newest = self.newest.get_or_insert(tick);
        if tick + (KEPT_FRAMES as u64) <= *newest {
            return;
        }
        *newest = (*newest).max(tick);
        if let Some(slot) = self.slots.get_mut((tick % KEPT_FRAMES as u64) as usize) {
            slot.tick = Some(tick);
            slot.frame.samples_mut().copy_from_slice(frame.samples());
        }
    }

    /// What was sent in slot `tick`; `None` if that was nothing, or longer ago than a second before the newest frame.
    pub fn frame(&self, tick: u64) -> Option<&AudioFrame> {
        let newest = self.newest?;
        if tick + (KEPT_FRAMES as u64) <= newest {
            return None;
        }
        let slot = self.slots.get((tick % KEPT_FRAMES as u64) as usize)?;
        (slot.tick == Some(tick)).then_some(&slot.frame)
    }

    /// The slot of the newest frame.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether anything was sent in the `frames` slots up to and including `tick`.
    pub fn sounded(&self, tick: u64, frames: u64) -> bool {
        let first = tick.saturating_sub(frames.saturating_sub(1));
        (first..=tick).any(|tick| self.frame(tick).is_some_and(|frame| !frame.is_silent()))
    }
}

impl Default for EchoRing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(level: i16) -> AudioFrame {
        AudioFrame::padded(&[level; FRAME_SAMPLES])
    }

    #[test]
    fn the_last_second_is_there_and_nothing_older() {
        let mut ring = EchoRing::new();
        for tick in 0..120u64 {
            ring.sent(tick, &tone(tick as i16));
        }
        assert_eq!(ring.newest(), Some(119));
        assert_eq!(ring.frame(119), Some(&tone(119)));
        assert_eq!(ring.frame(70), Some(&tone(70)));
        assert_eq!(ring.frame(69), None);
        assert_eq!(ring.frame(120), None);
    }

    #[test]
    fn slots_in_which_nothing_was_sent_are_empty() {
        let mut ring = EchoRing::new();
        ring.sent(10, &tone(5));
        ring.sent(75, &tone(6));
        assert_eq!(ring.frame(10), None);
        assert_eq!(ring.frame(60), None);
        assert!(ring.sounded(80, 10));
        assert!(!ring.sounded(74, 10));
    }

    #[test]
    fn a_frame_that_comes_too_late_displaces_nothing() {
        let mut ring = EchoRing::new();
        ring.sent(100, &tone(1));
        ring.sent(50, &tone(2));
        assert_eq!(ring.frame(100), Some(&tone(1)));
        assert_eq!(ring.frame(50), None);
    }
}
