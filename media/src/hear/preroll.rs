//! The last moments of the call at 16 kHz, so that recognition hears a word's beginning.

use super::VAD_FRAME_SAMPLES;
use super::settings::frames_of;

/// A ring of the newest sound at 16 kHz.
#[derive(Debug)]
pub struct Preroll {
    ring: Box<[i16]>,
    next: usize,
    filled: usize,
    preroll_samples: usize,
}

impl Preroll {
    /// Room for `preroll_ms` before a speech that has lasted for `speech_frames` frames.
    pub fn new(preroll_ms: u32, speech_frames: u32) -> Self {
        let frames = frames_of(preroll_ms) + speech_frames;
        Self {
            ring: vec![0; frames as usize * VAD_FRAME_SAMPLES].into_boxed_slice(),
            next: 0,
            filled: 0,
            preroll_samples: preroll_ms as usize * VAD_FRAME_SAMPLES / 20,
        }
    }

    /// Takes 20 ms in; the oldest go.
    pub fn push(&mut self, samples: &[i16; VAD_FRAME_SAMPLES]) {
        // The ring holds whole frames, so a frame never wraps around its end.
        if let Some(slot) = self.ring.get_mut(self.next..self.next + VAD_FRAME_SAMPLES) {
            slot.copy_from_slice(samples);
        }
        self.next = (self.next + VAD_FRAME_SAMPLES) % self.ring.len();
        self.filled = (self.filled + VAD_FRAME_SAMPLES).min(self.ring.len());
    }

    /// Forgets all sound.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// The newest `speech_frames` frames and the preroll before them, oldest sample first; less where the call is
    /// younger than that or the ring shorter.
    pub fn since_onset(&self, speech_frames: u32) -> Vec<i16> {
        let wanted = self.preroll_samples + speech_frames as usize * VAD_FRAME_SAMPLES;
        let (newest, oldest) = self.ring.split_at(self.next);
        let held = oldest.iter().chain(newest);
        let skipped = self.ring.len() - wanted.min(self.filled);
        held.skip(skipped).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: usize) -> [i16; VAD_FRAME_SAMPLES] {
        std::array::from_fn(|i| (n * VAD_FRAME_SAMPLES + i) as i16)
    }

    #[test]
    fn the_newest_sound_comes_out_whole_and_in_order() {
        let mut preroll = Preroll::new(50, 3);
        for n in 0..20 {
            preroll.push(&frame(n));
        }
        let samples = preroll.since_onset(2);
        let last = 20 * VAD_FRAME_SAMPLES;
        let expected: Vec<i16> = (last - 800 - 2 * VAD_FRAME_SAMPLES..last)
            .map(|n| n as i16)
            .collect();
        assert_eq!(samples, expected);
    }

    #[test]
    fn a_young_call_gives_what_there_is() {
        let mut preroll = Preroll::new(300, 5);
        assert!(preroll.since_onset(0).is_empty());
        preroll.push(&frame(0));
        preroll.push(&frame(1));
        assert_eq!(preroll.since_onset(2), [frame(0), frame(1)].concat());
    }
}
