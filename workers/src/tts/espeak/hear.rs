//! What libespeak-ng calls with the sound of a clause while it makes it.
#![allow(unsafe_code, reason = "called by libespeak-ng")]

use crate::tts::{Mark, SpeechSink};
use std::ffi::{c_int, c_uint, c_void};
use std::ops::ControlFlow;

/// `espeak_EVENT`: something that happens in the sound handed over with it.
#[repr(C)]
pub(super) struct Event {
    kind: c_int,
    _message: c_uint,
    text_position: c_int,
    length: c_int,
    audio_position_ms: c_int,
    _sample: c_int,
    user_data: *mut c_void,
    _id: [u8; 8],
}

/// The type of [`hear`].
pub(super) type Callback = unsafe extern "C" fn(*const i16, c_int, *const Event) -> c_int;

const EVENT_LIST_ENDS: c_int = 0;
const EVENT_WORD: c_int = 1;

/// What the callback works on.
pub(super) struct Saying {
    pub sink: SpeechSink,
    pub rate_hz: u32,
}

/// Called by the library with each new part of a clause, and with no samples at its end.
pub(super) unsafe extern "C" fn hear(
    samples: *const i16,
    count: c_int,
    events: *const Event,
) -> c_int {
    const GO_ON: c_int = 0;
    const STOP: c_int = 1;
    if events.is_null() {
        return GO_ON;
    }
    // SAFETY: the library passes at least one event, the last one of kind 0; each carries the pointer given to `espeak_Synth`,
    // which is the `Saying` of the call that is under way.
    unsafe {
        let Some(saying) = (*events).user_data.cast::<Saying>().as_mut() else {
            return GO_ON;
        };
        let mut event = events;
        while (*event).kind != EVENT_LIST_ENDS {
            if (*event).kind == EVENT_WORD
                && (*event).length > 0
                && let (Ok(position), Ok(length_chars), Ok(at_ms)) = (
                    usize::try_from((*event).text_position),
                    usize::try_from((*event).length),
                    usize::try_from((*event).audio_position_ms),
                )
            {
                let at_sample = at_ms * saying.rate_hz as usize / 1000;
                // Positions count from 1.
                saying.sink.mark(Mark {
                    offset_chars: position.saturating_sub(1),
                    length_chars,
                    at_sample,
                });
            }
            event = event.add(1);
        }
        let count = usize::try_from(count).unwrap_or(0);
        if samples.is_null() || count == 0 {
            return GO_ON;
        }
        match saying
            .sink
            .push(saying.rate_hz, std::slice::from_raw_parts(samples, count))
        {
            ControlFlow::Continue(()) => GO_ON,
            ControlFlow::Break(()) => STOP,
        }
    }
}
