//! When speech begins and ends: the timers over voiced and unvoiced frames.
//!
//! ```text
//!              100 ms voiced without a break (60 ms while the machine speaks)
//!       quiet ────────────────────────────────────────────────────────────────► open
//!         ▲                                                                       │
//!         └─────────────────────── 300 ms unvoiced without a break ───────────────┘
//!
//!       over the machine's voice: open, 100 ms unvoiced ─► Lull;  then voiced ─► Voice
//!       closed by hand: deaf until 100 ms were unvoiced, then quiet
//! ```

use super::SpeechEvent;
use super::settings::lasting;
use std::time::Duration;

/// The pause after which speech that was closed by hand may begin anew: what sounds on until then is its tail.
const TAIL_FRAMES: u32 = 5;

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
    Open {
        frames: u32,
        unvoiced: u32,
        lulled: bool,
    },
    /// The speech was closed by hand; the last `unvoiced` frames may be the end of its tail.
    Closed { unvoiced: u32 },
}

/// What it takes to notice a change.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Voiced frames in a row that start speech.
    pub speech_frames: u32,
    /// Unvoiced frames in a row after which open speech is said to pause; none where nobody wants to know.
    pub lull_frames: Option<u32>,
}

impl Speech {
    /// Nobody has spoken yet; speech will end after so many unvoiced frames.
    pub fn new(min_silence_frames: u32) -> Self {
        Self {
            state: State::Quiet { voiced: 0 },
            min_silence_frames: min_silence_frames.max(1),
        }
    }

    /// Takes the next frame.
    pub fn hear(&mut self, voiced: bool, patience: Patience) -> Option<SpeechEvent> {
        match (self.state, voiced) {
            (State::Quiet { .. }, false) => {
                self.state = State::Quiet { voiced: 0 };
                None
            }
            (State::Quiet { voiced }, true) => {
                let voiced = voiced.saturating_add(1);
                if voiced < patience.speech_frames {
                    self.state = State::Quiet { voiced };
                    return None;
                }
                self.state = State::Open {
                    frames: voiced,
                    unvoiced: 0,
                    lulled: false,
                };
                Some(SpeechEvent::Start {
                    onset_ago: lasting(voiced),
                })
            }
            (State::Open { frames, lulled, .. }, true) => {
                self.state = State::Open {
                    frames: frames.saturating_add(1),
                    unvoiced: 0,
                    lulled: false,
                };
                lulled.then_some(SpeechEvent::Voice {
                    onset_ago: lasting(1),
                })
            }
            (
                State::Open {
                    frames,
                    unvoiced,
                    lulled,
                },
                false,
            ) => {
                let unvoiced = unvoiced + 1;
                let last_ago = lasting(unvoiced);
                if unvoiced >= self.min_silence_frames {
                    self.state = State::Quiet { voiced: 0 };
                    return Some(SpeechEvent::End { last_ago });
                }
                let pauses = patience.lull_frames.is_some_and(|lull| unvoiced >= lull);
                self.state = State::Open {
                    frames: frames.saturating_add(1),
                    unvoiced,
                    lulled: lulled || pauses,
                };
                (pauses && !lulled).then_some(SpeechEvent::Lull { last_ago })
            }
            (State::Closed { .. }, true) => {
                self.state = State::Closed { unvoiced: 0 };
                None
            }
            (State::Closed { unvoiced }, false) => {
                self.state = if unvoiced + 1 < TAIL_FRAMES {
                    State::Closed {
                        unvoiced: unvoiced + 1,
                    }
                } else {
                    State::Quiet { voiced: 0 }
                };
                None
            }
        }
    }

    /// Ends open speech now and returns whether there was any. What still sounds of it starts no new speech.
    pub fn close(&mut self) -> bool {
        let open = self.open_for().is_some();
        if open {
            self.state = State::Closed { unvoiced: 0 };
        }
        open
    }

    /// Forgets what was heard, as if nobody had spoken yet.
    pub fn forget(&mut self) {
        self.state = State::Quiet { voiced: 0 };
    }

    /// Whether silence would change nothing.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Quiet { .. })
    }

    /// How long speech has been open without a break, if it is.
    pub fn open_for(&self) -> Option<Duration> {
        match self.state {
            State::Quiet { .. } | State::Closed { .. } => None,
            State::Open { frames, .. } => Some(lasting(frames)),
        }
    }

    /// Frames since the first voiced one of what is, or may become, the present speech; 0 in silence.
    pub fn frames_since_onset(&self) -> u32 {
        match self.state {
            State::Quiet { voiced } => voiced,
            State::Open { frames, .. } => frames,
            State::Closed { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears a string of `v` (voiced) and `.` (unvoiced) and returns the events with the frame's number.
    fn hear(speech: &mut Speech, frames: &str, speech_frames: u32) -> Vec<(usize, SpeechEvent)> {
        let patience = Patience {
            speech_frames,
            lull_frames: None,
        };
        hear_with(speech, frames, patience)
    }

    fn hear_with(
        speech: &mut Speech,
        frames: &str,
        patience: Patience,
    ) -> Vec<(usize, SpeechEvent)> {
        let heard = frames.chars().enumerate();
        heard
            .filter_map(|(n, c)| speech.hear(c == 'v', patience).map(|event| (n, event)))
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
    fn a_pause_over_the_machines_voice_is_told_once_and_its_end_too() {
        let mut speech = Speech::new(15);
        let patience = Patience {
            speech_frames: 3,
            lull_frames: Some(5),
        };
        let lull = SpeechEvent::Lull {
            last_ago: Duration::from_millis(100),
        };
        let voice = SpeechEvent::Voice {
            onset_ago: Duration::from_millis(20),
        };
        assert_eq!(
            hear_with(&mut speech, "vvv....v.......vv...............", patience),
            [
                (2, start(60)),
                (12, lull),
                (15, voice),
                (21, lull),
                (31, end(300))
            ]
        );
    }

    #[test]
    fn the_tail_of_a_closed_speech_starts_nothing() {
        let mut speech = Speech::new(15);
        assert!(!speech.close());
        hear(&mut speech, "vvvvv", 5);
        assert!(speech.close() && !speech.is_settled());
        assert_eq!(hear(&mut speech, "vvvvvvvv....vvvvvv....", 5), []);
        assert!(!speech.is_settled());
        assert_eq!(hear(&mut speech, ".vvvvv", 5), [(5, start(100))]);
        speech.forget();
        assert_eq!(hear(&mut speech, "vvvvv", 5), [(4, start(100))]);
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
