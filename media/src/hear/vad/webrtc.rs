//! webrtc-vad: a small statistical detector inside the program, which needs no file and costs 2 us a frame.
#![allow(unsafe_code, reason = "the C detector is moved between threads")]

use super::Vad;
use crate::hear::VAD_FRAME_SAMPLES;

/// The detector's name, as users write it.
pub const NAME: &str = "webrtc";

/// One call's webrtc-vad in mode 2 (aggressive), at 16 kHz and 20 ms.
pub struct WebRtcVad {
    vad: webrtc_vad::Vad,
}

// SAFETY: the raw pointer inside is owned by this value alone and is reached only through `&mut self`. The C library
// keeps all its state behind that pointer: it has no mutable statics, no thread-local state and no thread affinity.
unsafe impl Send for WebRtcVad {}

impl WebRtcVad {
    /// A detector that has heard nothing yet.
    pub fn new() -> Self {
        Self { vad: open() }
    }
}

fn open() -> webrtc_vad::Vad {
    webrtc_vad::Vad::new_with_rate_and_mode(
        webrtc_vad::SampleRate::Rate16kHz,
        webrtc_vad::VadMode::Aggressive,
    )
}

impl Vad for WebRtcVad {
    fn hear(&mut self, samples_16k: &[i16; VAD_FRAME_SAMPLES]) -> f32 {
        // It refuses wrong lengths only, and 320 samples are 20 ms.
        let voiced = self.vad.is_voice_segment(samples_16k).unwrap_or(false);
        if voiced { 1.0 } else { 0.0 }
    }

    fn has_probability(&self) -> bool {
        false
    }

    fn reset(&mut self) {
        // The library's own reset also forgets rate and mode.
        self.vad = open();
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl Default for WebRtcVad {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for WebRtcVad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebRtcVad").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_not_voice_before_and_after_a_reset() {
        let mut vad = WebRtcVad::new();
        assert_eq!(vad.hear(&[0; VAD_FRAME_SAMPLES]), 0.0);
        vad.reset();
        assert_eq!(vad.hear(&[0; VAD_FRAME_SAMPLES]), 0.0);
    }

    #[test]
    fn it_may_move_to_another_thread() {
        let mut vad = WebRtcVad::new();
        let elsewhere = std::thread::Builder::new().name("hears".into());
        let heard = elsewhere
            .spawn(move || vad.hear(&[0; VAD_FRAME_SAMPLES]))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(heard, 0.0);
    }
}
