//! Silero VAD: a small recurrent network, computed here or, where the file holds another one, by ONNX Runtime.
//!
//! It judges windows of 512 samples at 16 kHz, each after the last 64 of the window before, and remembers through a state
//! that goes in and comes out. Frames are 320 samples, so a remainder is kept, and between two windows the last answer
//! stands. (Shapes: the project's own wrapper, `utils_vad.py` of snakers4/silero-vad, versions 5 and 6.)

mod layer;
mod network;
#[cfg(feature = "onnx")]
mod runtime;
mod weights;

use super::Vad;
use super::webrtc::WebRtcVad;
use crate::hear::VAD_FRAME_SAMPLES;
#[cfg(feature = "onnx")]
use crate::onnx;
use network::Network;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The detector's name, as users write it.
pub const NAME: &str = "silero";

const CONTEXT_SAMPLES: usize = 64;
const WINDOW_SAMPLES: usize = CONTEXT_SAMPLES + 512;
const STATE_VALUES: usize = 128;

/// Why Silero cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no model file where it should be, or it cannot be read.
    #[error("cannot read the model file {}: {source}", path.display())]
    Unreadable {
        /// The model's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds another network, and ONNX Runtime, which might know it, is not there.
    #[error(
        "the model at {} is none that parlor computes itself, and there is no ONNX Runtime to run it; fetch the file again",
        .0.display()
    )]
    OtherModel(PathBuf),
    /// ONNX Runtime could not run the file's network either.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Runtime(#[from] onnx::Error),
}

/// The network, shared by all calls of the process.
#[derive(Debug)]
pub struct SileroModel(Model);

#[derive(Debug)]
enum Model {
    Network(Arc<Network>),
    #[cfg(feature = "onnx")]
    Runtime(runtime::Sessions),
}

impl SileroModel {
    /// Reads the network. Where the file holds another one than versions 5 and 6 have for 16 kHz, `library` is loaded as
    /// ONNX Runtime and has to run it.
    ///
    /// # Errors
    /// Whatever keeps the file or the library from being used.
    pub fn load(library: Option<&Path>, model: &Path) -> Result<Self, Error> {
        let file = std::fs::read(model).map_err(|source| Error::Unreadable {
            path: model.to_owned(),
            source,
        })?;
        if let Some(network) = Network::read(&file) {
            return Ok(Self(Model::Network(Arc::new(network))));
        }
        Self::in_runtime(library, model)
    }

    /// The same network in ONNX Runtime.
    ///
    /// # Errors
    /// Whatever keeps the file or the library from being used.
    #[cfg(feature = "onnx")]
    pub fn in_runtime(library: Option<&Path>, model: &Path) -> Result<Self, Error> {
        let library = library.ok_or_else(|| Error::OtherModel(model.to_owned()))?;
        Ok(Self(Model::Runtime(runtime::Sessions::load(
            library, model,
        )?)))
    }

    #[cfg(not(feature = "onnx"))]
    fn in_runtime(_library: Option<&Path>, model: &Path) -> Result<Self, Error> {
        Err(Error::OtherModel(model.to_owned()))
    }
}

/// What the network remembers of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    hidden: [f32; STATE_VALUES],
    cell: [f32; STATE_VALUES],
}

impl Default for State {
    fn default() -> Self {
        Self {
            hidden: [0.0; STATE_VALUES],
            cell: [0.0; STATE_VALUES],
        }
    }
}

#[derive(Debug, Clone)]
enum Judge {
    Network(Arc<Network>),
    #[cfg(feature = "onnx")]
    Runtime(runtime::SharedSession),
}

/// One call's Silero: the shared network, and what this call has said to it.
#[derive(Debug)]
pub struct SileroVad {
    judge: Judge,
    window: [f32; WINDOW_SAMPLES],
    filled: usize,
    state: State,
    probability: f32,
    /// Hears on when ONNX Runtime has failed: a call should not go deaf.
    instead: Option<WebRtcVad>,
}

impl SileroVad {
    /// A detector that has heard nothing yet.
    pub fn new(model: &SileroModel) -> Self {
        Self::with_judge(match &model.0 {
            Model::Network(network) => Judge::Network(network.clone()),
            #[cfg(feature = "onnx")]
            Model::Runtime(sessions) => Judge::Runtime(sessions.next()),
        })
    }

    fn with_judge(judge: Judge) -> Self {
        Self {
            judge,
            window: [0.0; WINDOW_SAMPLES],
            filled: CONTEXT_SAMPLES,
            state: State::default(),
            probability: 0.0,
            instead: None,
        }
    }

    /// Judges the full window; `false` where that was the last judgement.
    fn judge(&mut self) -> bool {
        let (window, state) = (&self.window, &mut self.state);
        match &self.judge {
            Judge::Network(network) => self.probability = network.judge(window, state),
            #[cfg(feature = "onnx")]
            Judge::Runtime(session) => match runtime::judge(session, window, state) {
                Ok(probability) => self.probability = probability,
                Err(error) => {
                    tracing::warn!(%error, "Silero failed; this call goes on with webrtc-vad.");
                    return false;
                }
            },
        }
        true
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
            if !self.judge() {
                return self.instead.insert(WebRtcVad::new()).hear(samples_16k);
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
        *self = Self::with_judge(self.judge.clone());
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
