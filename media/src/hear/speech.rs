//! When speech begins and ends: the timers over voiced and unvoiced frames.
//!
//! ```text
//!              100 ms voiced without a break (60 ms while the machine speaks)
//!       quiet ────────────────────────────────────────────────────────────────► open
//!         ▲                                                                       │
//!         └─────────────────────── 300 ms unvoiced without a break ───────────────┘
//! ```

use super::SpeechEvent;
use super::settings::lasting;
use std::time::Duration;

/// Whether someone speaks, judged by runs of frames.
#[derive(Debug)]
pub struct Speech {
    state: State,
    min_silence_frames: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody speaks; the last `voiced` frames may be the beginning of something.
    Quiet { voiced: u32 },
    /// Someone speaks since `frames` frames, the last `unvoiced` of which may be the end.
    Open { frames: u32, unvoiced: u32 },
}

impl Speech {
    /// Nobody has spoken yet; speech will end after so many unvoiced frames.
    pub fn new(min_silence_frames: u32) -> Self {
        Self {
            state: State::Quiet { voiced: 0 },
            min_silence_frames: min_silence_frames.max(1),
        }
    }

    /// Takes the next frame; `min_speech_frames` voiced ones in a row start speech.
    pub fn hear(&mut self, voiced: bool, min_speech_frames: u32) -> Option<SpeechEvent> {
        match (self.state, voiced) {
            (State::Quiet { .. }, false) => {
                self.state = State::Quiet { voiced: 0 };
                None
            }
            (State::Quiet { voiced }, true) => {
                let voiced = voiced.saturating_add(1);
                if voiced < min_speech_frames {
                    self.state = State::Quiet { voiced };
                    return None;
                }
                self.state = State::Open {
                    frames: voiced,
                    unvoiced: 0,
                };
                Some(SpeechEvent::Start {
                    onset_ago: lasting(voiced),
                })
            }
            (State::Open { frames, .. }, true) => {
                self.state = State::Open {
                    frames: frames.saturating_add(1),
                    unvoiced: 0,
                };
                None
            }
            (State::Open { frames, unvoiced }, false) => {
                let unvoiced = unvoiced + 1;
                if unvoiced < self.min_silence_frames {
                    self.state = State::Open {
                        frames: frames.saturating_add(1),
                        unvoiced,
                    };
                    return None;
                }
                self.state = State::Quiet { voiced: 0 };
                Some(SpeechEvent::End {
                    last_ago: lasting(unvoiced),
                })
            }
        }
    }

    /// How long speech has been open without a break, if it is.
    pub fn open_for(&self) -> Option<Duration> {
        match self.state {
            State::Quiet { .. } => None,
            State::Open { frames, .. } => Some(lasting(frames)),
        }
    }

    /// Frames since the first voiced one of what is, or may become, the present speech; 0 in silence.
    pub fn frames_since_onset(&self) -> u32 {
        match self.state {
            State::Quiet { voiced } => voiced,
            State::Open { frames, .. } => frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears a string of `v` (voiced) and `.` (unvoiced) and returns the events with the frame's number.
    fn hear(
        speech: &mut Speech,
        frames: &str,
        min_speech_frames: u32,
    ) -> Vec<(usize, SpeechEvent)> {
        let heard = frames.chars().enumerate();
        heard
            .filter_map(|(n, c)| {
                speech
                    .hear(c == 'v', min_speech_frames)
                    .map(|event| (n, event))
            })
            .collect()
    }

    fn start(ms: u64) -> SpeechEvent {
        SpeechEvent::Start {
            onset_ago: Duration::from_millis(ms),
        }
    }

    fn end(ms: u64) -> SpeechEvent {
        SpeechEvent::End {
            last_ago: Duration::from_millis(ms),
        }
    }

    #[test]
    fn speech_starts_after_its_voiced_run_and_ends_after_its_unvoiced_one() {
        let mut speech = Speech::new(15);
        let events = hear(&mut speech, "..vvv.vvvvvvv..v...............v", 5);
        assert_eq!(events, [(10, start(100)), (30, end(300))]);
    }

    #[test]
    fn a_dip_during_speech_ends_nothing() {
        let mut speech = Speech::new(15);
        assert_eq!(
            hear(&mut speech, "vvv..............v..............v", 3),
            [(2, start(60))]
        );
        assert_eq!(speech.open_for(), Some(Duration::from_millis(33 * 20)));
    }

    #[test]
    fn a_run_begun_under_another_rule_counts_from_its_first_frame() {
        let mut speech = Speech::new(15);
        assert_eq!(hear(&mut speech, "vvvv", 5), []);
        assert_eq!(hear(&mut speech, "v", 3), [(0, start(100))]);
    }
}
