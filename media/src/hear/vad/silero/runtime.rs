//! Silero in ONNX Runtime: for files whose network we do not compute ourselves, and to compare with.

use super::{STATE_VALUES, State, WINDOW_SAMPLES};
use crate::onnx::{self, Error};
use ort::session::Session;
use ort::value::{Outlet, TensorRef};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const CORES_PER_SESSION: usize = 2;
const INPUTS: [&str; 3] = ["input", "state", "sr"];
const OUTPUTS: [&str; 2] = ["output", "stateN"];
const EXPECTED: &str = "inputs [input, state, sr] and outputs [output, stateN]";

/// The network in the runtime, shared by all calls of the process.
///
/// The binding allows one run of a session at a time. A run takes 0.1 to 0.2 ms and each call needs one every 32 ms, so forty
/// calls keep a session busy for a fifth of the time: one session serves two cores of such calls with little waiting, and a
/// larger machine gets another (10 MB) for every two cores.
#[derive(Debug)]
pub(super) struct Sessions {
    first: SharedSession,
    more: Vec<SharedSession>,
    calls: AtomicUsize,
}

pub(super) type SharedSession = Arc<Mutex<Session>>;

impl Sessions {
    /// Loads the network and tries it on silence.
    ///
    /// # Errors
    /// Whatever keeps the library or the model from being used; [`Error::OtherModel`] names what was found instead.
    pub(super) fn load(library: &Path, model: &Path) -> Result<Self, Error> {
        let first = Arc::new(Mutex::new(open(library, model)?));
        // Shapes are found out only by running; better now than in somebody's call.
        judge(&first, &[0.0; WINDOW_SAMPLES], &mut State::default())?;
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
    pub(super) fn next(&self) -> SharedSession {
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
pub(super) fn judge(
    session: &Mutex<Session>,
    window: &[f32; WINDOW_SAMPLES],
    state: &mut State,
) -> Result<f32, Error> {
    let mut memory = [0.0; 2 * STATE_VALUES];
    let (hidden, cell) = memory.split_at_mut(STATE_VALUES);
    hidden.copy_from_slice(&state.hidden);
    cell.copy_from_slice(&state.cell);
    let audio = TensorRef::from_array_view(([1usize, WINDOW_SAMPLES], window.as_slice()))?;
    let before = TensorRef::from_array_view(([2usize, 1, STATE_VALUES], memory.as_slice()))?;
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
    let (hidden, cell) = after
        .split_at_checked(STATE_VALUES)
        .ok_or(Error::OddOutput)?;
    *state = State {
        hidden: hidden.try_into().map_err(|_| Error::OddOutput)?,
        cell: cell.try_into().map_err(|_| Error::OddOutput)?,
    };
    if (0.0..=1.0).contains(probability) {
        Ok(*probability)
    } else {
        Err(Error::OddOutput)
    }
}
