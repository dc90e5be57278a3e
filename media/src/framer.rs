//! Cuts sound that comes in pieces of any length into whole frames.

use crate::frame::{AudioFrame, FRAME_SAMPLES};
use std::collections::VecDeque;

/// Takes samples at 48 kHz in chunks of any size and gives frames of 20 ms.
///
/// Its buffer keeps its memory, so a steady stream allocates nothing but the frames themselves.
#[derive(Clone, Default)]
pub struct Framer {
    samples: VecDeque<i16>,
}

impl Framer {
    /// A framer that holds nothing.
    pub fn new() -> Self {
        Self {
            samples: VecDeque::with_capacity(2 * FRAME_SAMPLES),
        }
    }

    /// Adds samples behind those that wait already.
    pub fn push(&mut self, samples: &[i16]) {
        self.samples.extend(samples);
    }

    /// The next whole frame, if 960 samples are there.
    pub fn pop(&mut self) -> Option<AudioFrame> {
        (self.samples.len() >= FRAME_SAMPLES).then(|| self.take())
    }

    /// The next frame even if it is not whole: the end is padded with silence. `None` once nothing is left.
    pub fn flush(&mut self) -> Option<AudioFrame> {
        (!self.samples.is_empty()).then(|| self.take())
    }

    /// Samples that wait to become a frame.
    pub fn pending(&self) -> usize {
        self.samples.len()
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    fn take(&mut self) -> AudioFrame {
        let mut frame = AudioFrame::silence();
        let ready = self.samples.len().min(FRAME_SAMPLES);
        for (to, from) in frame
            .samples_mut()
            .iter_mut()
            .zip(self.samples.drain(..ready))
        {
            *to = from;
        }
        frame
    }
}

// What waits is somebody's voice: debug output must not spill it.
impl std::fmt::Debug for Framer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Framer({} samples)", self.samples.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rest_of_a_stream_comes_out_padded_once() {
        let mut framer = Framer::new();
        framer.push(&[7; 1000]);
        assert_eq!(framer.pop().unwrap().samples(), &[7; FRAME_SAMPLES]);
        assert!(framer.pop().is_none());
        let rest = framer.flush().unwrap();
        assert_eq!(&rest.samples()[..40], &[7; 40]);
        assert!(rest.samples()[40..].iter().all(|sample| *sample == 0));
        assert!(framer.flush().is_none());
    }

    #[test]
    fn cleared_sound_never_comes_out() {
        let mut framer = Framer::new();
        framer.push(&[1; 1500]);
        framer.clear();
        framer.push(&[2; 960]);
        assert_eq!(framer.pop().unwrap().samples(), &[2; FRAME_SAMPLES]);
        assert_eq!(framer.pending(), 0);
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_stream(chunks in prop::collection::vec(0usize..2500, 0..20)) {
            let mut framer = Framer::new();
            let (mut fed, mut got) = (0i16, Vec::new());
            for chunk in chunks {
                let samples: Vec<i16> = (0..chunk).map(|n| fed.wrapping_add(n as i16)).collect();
                fed = fed.wrapping_add(chunk as i16);
                framer.push(&samples);
                while let Some(frame) = framer.pop() {
                    got.extend_from_slice(frame.samples());
                }
                prop_assert!(framer.pending() < FRAME_SAMPLES);
            }
            for (n, sample) in got.iter().enumerate() {
                prop_assert_eq!(*sample, n as i16);
            }
        }
    }
}
