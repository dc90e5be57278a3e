//! Silero VAD: a small recurrent network, run through ONNX Runtime.
//!
//! It judges windows of 512 samples at 16 kHz, each after the last 64 of the window before, and remembers through a state
//! that goes in and comes out. Frames are 320 samples, so a remainder is kept, and between two windows the last answer
//! stands. (Shapes: the project's own wrapper, `utils_vad.py` of snakers4/silero-vad, versions 5 and 6.)

use super::Vad;
use super::webrtc::WebRtcVad;
use crate::hear::VAD_FRAME_SAMPLES;
use crate::hear::onnx::{self, Error};
use ort::session::Session;
use ort::value::{Outlet, TensorRef};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The detector's name, as users write it.
pub const NAME: &str = "silero";

const CORES_PER_SESSION: usize = 2;
const CONTEXT_SAMPLES: usize = 64;
const WINDOW_SAMPLES: usize = CONTEXT_SAMPLES + 512;
const STATE_VALUES: usize = 2 * 128;
const INPUTS: [&str; 3] = ["input", "state", "sr"];
const OUTPUTS: [&str; 2] = ["output", "stateN"];
const EXPECTED: &str = "inputs [input, state, sr] and outputs [output, stateN]";

/// The network, shared by all calls of the process.
///
/// The binding allows one run of a session at a time. A run takes 0.12 ms and each call needs one every 32 ms, so forty
/// calls keep a session busy for 15 % of the time: one session serves two cores of such calls with little waiting, and a
/// larger machine gets another (10 MB) for every two cores.
#[derive(Debug)]
pub struct SileroModel {
    first: SharedSession,
    more: Vec<SharedSession>,
    calls: AtomicUsize,
}

type SharedSession = Arc<Mutex<Session>>;

impl SileroModel {
    /// Loads the network and tries it on silence.
    ///
    /// # Errors
    /// Whatever keeps the library or the model from being used; [`Error::OtherModel`] names what was found instead.
    pub fn load(library: &Path, model: &Path) -> Result<Self, Error> {
        let first = Arc::new(Mutex::new(open(library, model)?));
        // Shapes are found out only by running; better now than in somebody's call.
        judge(&first, &[0.0; WINDOW_SAMPLES], &mut [0.0; STATE_VALUES])?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let more = 1..cores.div_ceil(CORES_PER_SESSION);
        let more = more
            .map(|_| Ok(Arc::new(Mutex::new(open(library, model)?))))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            first,
            more,
            calls: AtomicUsize::new(0),
        })
    }

    /// A session for the next call: each in turn.
    fn session(&self) -> SharedSession {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) % (self.more.len() + 1);
        self.more.get(call).unwrap_or(&self.first).clone()
    }
}

fn open(library: &Path, model: &Path) -> Result<Session, Error> {
    let session = onnx::session(library, model)?;
    let names = |outlets: &[Outlet]| {
        outlets
            .iter()
            .map(|outlet| outlet.name().to_owned())
            .collect::<Vec<_>>()
    };
    let (inputs, outputs) = (names(session.inputs()), names(session.outputs()));
    let are = |found: &[String], wanted: &[&str]| {
        found.len() == wanted.len()
            && wanted
                .iter()
                .all(|name| found.iter().any(|found| found == name))
    };
    if are(&inputs, &INPUTS) && are(&outputs, &OUTPUTS) {
        return Ok(session);
    }
    Err(Error::OtherModel {
        path: model.to_owned(),
        inputs: inputs.join(", "),
        outputs: outputs.join(", "),
        expected: EXPECTED,
    })
}

/// The probability that the window's sound is voice; `state` becomes the one after it.
fn judge(
    session: &Mutex<Session>,
    window: &[f32; WINDOW_SAMPLES],
    state: &mut [f32; STATE_VALUES],
) -> Result<f32, Error> {
    let audio = TensorRef::from_array_view(([1usize, WINDOW_SAMPLES], window.as_slice()))?;
    let before = TensorRef::from_array_view(([2usize, 1, 128], state.as_slice()))?;
    let rate = TensorRef::from_array_view(((), [16_000i64].as_slice()))?;
    let [audio_name, state_name, rate_name] = INPUTS;
    let inputs = ort::inputs![audio_name => audio, state_name => before, rate_name => rate];
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let outputs = session.run(inputs)?;
    let [probability, after] = OUTPUTS.map(|name| {
        let value = outputs.get(name)?;
        Some(value.try_extract_tensor::<f32>().ok()?.1)
    });
    let Some(([probability], after)) = probability.zip(after) else {
        return Err(Error::OddOutput);
    };
    *state = after.try_into().map_err(|_| Error::OddOutput)?;
    if (0.0..=1.0).contains(probability) {
        Ok(*probability)
    } else {
        Err(Error::OddOutput)
    }
}

/// One call's Silero: the shared network, and what this call has said to it.
#[derive(Debug)]
pub struct SileroVad {
    session: SharedSession,
    window: [f32; WINDOW_SAMPLES],
    filled: usize,
    state: [f32; STATE_VALUES],
    probability: f32,
    /// Hears on when the network has failed: a call should not go deaf.
    instead: Option<WebRtcVad>,
}

impl SileroVad {
    /// A detector that has heard nothing yet.
    pub fn new(model: &SileroModel) -> Self {
        Self::with_session(model.session())
    }

    fn with_session(session: SharedSession) -> Self {
        Self {
            session,
            window: [0.0; WINDOW_SAMPLES],
            filled: CONTEXT_SAMPLES,
            state: [0.0; STATE_VALUES],
            probability: 0.0,
            instead: None,
        }
    }
}

impl Vad for SileroVad {
    fn hear(&mut self, samples_16k: &[i16; VAD_FRAME_SAMPLES]) -> f32 {
        if let Some(instead) = &mut self.instead {
            return instead.hear(samples_16k);
        }
        for sample in samples_16k {
            if let Some(slot) = self.window.get_mut(self.filled) {
                *slot = f32::from(*sample) / 32_768.0;
            }
            self.filled += 1;
            if self.filled < WINDOW_SAMPLES {
                continue;
            }
            match judge(&self.session, &self.window, &mut self.state) {
                Ok(probability) => self.probability = probability,
                Err(error) => {
                    tracing::warn!(%error, "Silero failed; this call goes on with webrtc-vad.");
                    return self.instead.insert(WebRtcVad::new()).hear(samples_16k);
                }
            }
            self.window
                .copy_within(WINDOW_SAMPLES - CONTEXT_SAMPLES.., 0);
            self.filled = CONTEXT_SAMPLES;
        }
        self.probability
    }

    fn has_probability(&self) -> bool {
        self.instead.is_none()
    }

    fn reset(&mut self) {
        *self = Self::with_session(self.session.clone());
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
