//! The ear: hears one caller's frames, and says when speech begins and ends.
//!
//! ```text
//!   20 ms, 48 kHz ─► denoise (optional) ─► level ─► noise gate: may speech begin?
//!                            │                          │
//!                            └─► 48 ► 16 kHz ─► VAD ─► voiced? ─► timers ─► Start, End
//!                                     │                 ▲
//!                                     │                 └ who has the floor scales gate and VAD
//!                                     └─► preroll, samples ─► recognition (never gated)
//! ```
//!
//! Everything runs inline in the call's task. The gate decides only whether speech may begin: a frame that it blocks
//! counts as silence, but the VAD has heard it, and while speech is open it neither blocks nor learns.

mod denoise;
mod echo;
mod noise_gate;
mod preroll;
mod settings;
mod speech;
mod statistics;
mod vad;

pub use denoise::Denoiser;
pub use echo::EchoRing;
pub use noise_gate::{GateStatistics, NoiseGate};
pub use settings::{Denoise, EarSettings, NoiseGateSettings, VadChoice, VadSettings};
pub use statistics::{EarStatistics, FloorStatistics};
pub use vad::silero::{SileroModel, SileroVad};
pub use vad::webrtc::WebRtcVad;
pub use vad::{Opened, Vad, VadFactory, open_vad};

use crate::frame::AudioFrame;
use crate::level;
use crate::resample::Downsampler48To16;
use preroll::Preroll;
use settings::frames_of;
use speech::{Patience, Speech};
use std::time::Duration;

/// Samples of 20 ms at 16 kHz.
pub const VAD_FRAME_SAMPLES: usize = 320;

/// Who has the floor, as far as hearing goes: it decides how much it takes to be heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Floor {
    /// The machine's voice sounds.
    Speaking,
    /// The machine listens or prepares a reply.
    #[default]
    Listening,
    /// The caller has interrupted, and the machine's voice is on hold.
    BargedIn,
}

/// Speech began or ended. Times are counted back from the end of the frame just heard, in whole frames: the few
/// milliseconds by which the denoiser (10) and the step to 16 kHz (5) delay the sound are not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeechEvent {
    /// Someone has begun to speak.
    Start {
        /// Since when: the first voiced sample.
        onset_ago: Duration,
    },
    /// Nobody speaks any more.
    End {
        /// Since when: the last voiced sample.
        last_ago: Duration,
    },
    /// Over the machine's voice: the speech pauses, and may go on or end.
    Lull {
        /// Since when: the last voiced sample.
        last_ago: Duration,
    },
    /// The speech that paused goes on.
    Voice {
        /// Since when: the first voiced sample after the pause.
        onset_ago: Duration,
    },
}

/// What the ear makes of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Whether speech began or ended with this frame.
    pub event: Option<SpeechEvent>,
    /// How loud the frame is (denoised if that is on): RMS in units of 16-bit samples.
    pub level_rms: f32,
    /// How probably it is voice, 0 to 1, whatever the gate says.
    pub probability: f32,
    /// Whether the gate kept it from beginning speech.
    pub gated: bool,
    /// Whether speech is open after this frame.
    pub speaking: bool,
}

/// One caller's ear.
pub struct Ear {
    settings: VadSettings,
    floor: Floor,
    denoiser: Option<Denoiser>,
    gate: NoiseGate,
    downsampler: Downsampler48To16,
    vad: Box<dyn Vad>,
    speech: Speech,
    preroll: Preroll,
    samples: [i16; VAD_FRAME_SAMPLES],
    statistics: EarStatistics,
}

impl Ear {
    /// An ear that has heard nothing yet, with a detector of its own.
    pub fn new(settings: EarSettings, vad: Box<dyn Vad>) -> Self {
        let EarSettings {
            vad: settings,
            denoise,
        } = settings;
        let longest_run = settings
            .min_speech_duration_ms
            .max(settings.min_speech_duration_speaking_ms);
        Self {
            floor: Floor::default(),
            denoiser: match denoise {
                Denoise::Off => None,
                Denoise::RnNoise => Some(Denoiser::new()),
            },
            gate: NoiseGate::new(settings.noise_gate.clone()),
            downsampler: Downsampler48To16::new(),
            vad,
            speech: Speech::new(frames_of(settings.min_silence_duration_ms)),
            preroll: Preroll::new(settings.preroll_ms, frames_of(longest_run)),
            samples: [0; VAD_FRAME_SAMPLES],
            statistics: EarStatistics::default(),
            settings,
        }
    }

    /// Says who has the floor from the next frame on.
    pub fn set_floor(&mut self, floor: Floor) {
        self.floor = floor;
    }

    /// Hears the next 20 ms.
    pub fn hear(&mut self, frame: &AudioFrame) -> Heard {
        let frame = match &mut self.denoiser {
            Some(denoiser) => denoiser.denoise(frame),
            None => frame,
        };
        let level_rms = level::rms(frame.samples());
        self.downsampler.process(frame, &mut self.samples);
        self.preroll.push(&self.samples);
        let probability = self.vad.hear(&self.samples);

        let open_for = self.speech.open_for();
        let multiplier = self.settings.multiplier(self.floor);
        let gated = open_for.is_none() && self.gate.blocks(level_rms, multiplier);
        let voiced = !gated && self.is_voice(probability, multiplier);
        let voiced_otherwise = !(open_for.is_none() && self.gate.blocks(level_rms, 1.0))
            && self.is_voice(probability, 1.0);
        self.gate.count(gated);
        self.gate.learn(level_rms, open_for);

        let event = self.speech.hear(voiced, self.patience());
        let speaking = self.speech.open_for().is_some();
        let statistics = self.statistics.floor_mut(self.floor);
        statistics.frames += 1;
        statistics.speech += u64::from(speaking);
        statistics.state_gated += u64::from(voiced_otherwise && !voiced);
        self.statistics.starts += u64::from(matches!(event, Some(SpeechEvent::Start { .. })));
        Heard {
            event,
            level_rms,
            probability,
            gated,
            speaking,
        }
    }

    /// The last frame at 16 kHz as the VAD heard it: denoised if that is on, never gated.
    pub fn samples(&self) -> &[i16; VAD_FRAME_SAMPLES] {
        &self.samples
    }

    /// The sound at 16 kHz from 300 ms (a setting) before the speech began up to and including the last frame; what
    /// [`Ear::samples`] gives after the next frames goes on where this ends. To be called at [`SpeechEvent::Start`]:
    /// later the beginning is lost, and in silence it is the last 300 ms.
    pub fn preroll(&self) -> Vec<i16> {
        self.preroll.since_onset(self.speech.frames_since_onset())
    }

    /// Ends open speech now, without an event, and returns whether there was any. What still sounds of it is not taken
    /// for new speech.
    pub fn close_speech(&mut self) -> bool {
        self.speech.close()
    }

    /// Forgets the speech under way and the sound before it, as a fresh ear; the room's noise stays known.
    pub fn forget_speech(&mut self) {
        self.speech.forget();
        self.preroll.clear();
    }

    /// Whether silence would change nothing: no speech is open or being closed.
    pub fn is_settled(&self) -> bool {
        self.speech.is_settled()
    }

    /// What the ear has heard so far.
    pub fn statistics(&self) -> EarStatistics {
        EarStatistics {
            gate: self.gate.statistics(),
            ..self.statistics
        }
    }

    /// The detector's name.
    pub fn vad_name(&self) -> &'static str {
        self.vad.name()
    }

    fn patience(&self) -> Patience {
        Patience {
            speech_frames: frames_of(match self.floor {
                Floor::Speaking => self.settings.min_speech_duration_speaking_ms,
                Floor::Listening | Floor::BargedIn => self.settings.min_speech_duration_ms,
            }),
            lull_frames: match self.floor {
                Floor::Speaking | Floor::BargedIn => Some(frames_of(self.settings.lull_ms)),
                Floor::Listening => None,
            },
        }
    }

    fn is_voice(&self, probability: f32, multiplier: f64) -> bool {
        // A detector that says only yes or no has nothing to scale.
        let multiplier = if self.vad.has_probability() {
            multiplier
        } else {
            1.0
        };
        f64::from(probability) >= scale_odds(self.settings.threshold, multiplier)
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("vad", &self.vad.name())
            .field("floor", &self.floor)
            .field("speech", &self.speech)
            .finish_non_exhaustive()
    }
}

/// The probability whose odds are `multiplier` times those of `probability`: 0.5 at 2.0 is 0.667. Scaling the
/// probability itself would make 0.5 at 2.0 unreachable.
fn scale_odds(probability: f64, multiplier: f64) -> f64 {
    let scaled = multiplier * probability;
    scaled / (1.0 - probability + scaled)
}

#[cfg(test)]
mod tests;
