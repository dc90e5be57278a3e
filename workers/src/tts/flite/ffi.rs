//! The part of libflite's C interface that is used, declared from its documentation.
#![allow(unsafe_code, reason = "calls into libflite")]

use super::{NAME, PACKAGE, VOICES};
use crate::library::{self, Missing, functions};
use crate::text::ascii;
use crate::tts::{Clause, Mark, SpeechSink};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_float, c_int, c_void};
use std::ops::ControlFlow;
use std::ptr::null_mut;
use std::sync::Once;

/// `cst_wave`: some sound.
#[repr(C)]
struct Wave {
    _kind: *const c_char,
    sample_rate: c_int,
    _num_samples: c_int,
    _num_channels: c_int,
    samples: *const i16,
}

/// The first fields of `cst_voice`; voices are made and kept by the library.
#[repr(C)]
struct RawVoice {
    _name: *const c_char,
    features: *mut c_void,
}

/// `cst_audio_streaming_info`: whom to tell while a clause is being made.
#[repr(C)]
struct Streaming {
    _min_buffsize: c_int,
    told: Option<unsafe extern "C" fn(*const Wave, c_int, c_int, c_int, *mut Streaming) -> c_int>,
    utterance: *const c_void,
    _item: *const c_void,
    userdata: *mut c_void,
}

const GO_ON: c_int = 0;
const STOP: c_int = -1;

functions! {
    Functions {
        init: "flite_init" => fn() -> c_int;
        text_to_wave: "flite_text_to_wave" => fn(*const c_char, *mut RawVoice) -> *mut Wave;
        delete_wave: "delete_wave" => fn(*mut Wave);
        feat_set_float: "feat_set_float" => fn(*mut c_void, *const c_char, c_float);
        feat_set: "feat_set" => fn(*mut c_void, *const c_char, *const c_void);
        new_streaming: "new_audio_streaming_info" => fn() -> *mut Streaming;
        streaming_value: "audio_streaming_info_val" => fn(*mut Streaming) -> *const c_void;
        relation: "utt_relation" => fn(*const c_void, *const c_char) -> *mut c_void;
        head: "relation_head" => fn(*mut c_void) -> *mut c_void;
        next: "item_next" => fn(*mut c_void) -> *mut c_void;
        feature_float: "ffeature_float" => fn(*mut c_void, *const c_char) -> c_float;
    }
}

/// From a token to where its first sound begins: the end of the sound before it.
const BEGINNING: &CStr = c"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end";

type Register = unsafe extern "C" fn(*const c_char) -> *mut RawVoice;

/// The library and the voices that were found, not yet started.
#[derive(Clone)]
pub(super) struct Found {
    functions: Functions,
    voices: Vec<(&'static str, Register)>,
}

/// Looks for the library and its voices.
pub(super) fn find() -> Result<Found, Missing> {
    let library = library::open(&["libflite.so.1", "libflite.so", "libflite.dylib"])
        .ok_or_else(|| Missing::package(NAME, "libflite.so.1", PACKAGE))?;
    let functions =
        Functions::find(&[library]).map_err(|symbol| Missing::symbol(NAME, symbol, PACKAGE))?;
    let voices = VOICES
        .iter()
        .filter_map(|known| Some((known.name, register(known.name)?)))
        .collect();
    Ok(Found { functions, voices })
}

/// The function that makes a voice, from that voice's own library.
fn register(voice: &str) -> Option<Register> {
    let stem = format!("libflite_cmu_us_{voice}");
    let library = library::open(&[
        &format!("{stem}.so.1"),
        &format!("{stem}.so"),
        &format!("{stem}.dylib"),
    ])?;
    // SAFETY: the type is that of every voice's register function, and the library is never closed.
    unsafe {
        library
            .get::<Register>(format!("register_cmu_us_{voice}").as_bytes())
            .ok()
            .map(|function| *function)
    }
}

impl Found {
    pub(super) fn has(&self, voice: &str) -> bool {
        self.voices.iter().any(|(name, _)| *name == voice)
    }

    /// Starts the library, once in a process; to be called on the thread that keeps it.
    pub(super) fn start(self) -> Speaker {
        static STARTED: Once = Once::new();
        let Self { functions, voices } = self;
        STARTED.call_once(|| {
            // SAFETY: this is the only thread of the process that calls the library.
            unsafe { (functions.init)() };
        });
        Speaker {
            functions,
            registered: HashMap::new(),
            voices,
        }
    }
}

/// Says clauses; lives on one thread, since it holds the library's pointers.
pub(super) struct Speaker {
    functions: Functions,
    voices: Vec<(&'static str, Register)>,
    registered: HashMap<&'static str, Registered>,
}

#[derive(Clone, Copy)]
struct Registered {
    voice: *mut RawVoice,
    streaming: *mut Streaming,
}

/// What the callback works on.
struct Saying {
    functions: Functions,
    sink: SpeechSink,
    /// Where the words stand in the text; empty once they have been told.
    words: Vec<(usize, usize)>,
}

impl Speaker {
    pub(super) fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        let Some(voice) = self.voice(&clause.voice) else {
            return sink.fail(format!("there is no voice {}", clause.voice));
        };
        // The voices know only the letters of English.
        let Ok(text) = CString::new(ascii::plain(&clause.text)) else {
            return sink.fail("the text holds a zero byte");
        };
        let mut saying = Saying {
            functions: self.functions,
            sink,
            words: ascii::words(&clause.text),
        };
        // SAFETY: the voice and its streaming record were made by the library and live as long as it; `saying` outlives the
        // call, in which alone the record's pointer to it is used; the wave is ours to delete, once.
        let made = unsafe {
            // A clause twice as fast lasts half as long.
            (self.functions.feat_set_float)(
                (*voice.voice).features,
                c"duration_stretch".as_ptr(),
                1.0 / clause.speed.clamp(0.25, 4.0),
            );
            (*voice.streaming).userdata = (&raw mut saying).cast();
            let wave = (self.functions.text_to_wave)(text.as_ptr(), voice.voice);
            (*voice.streaming).userdata = null_mut();
            if wave.is_null() {
                false
            } else {
                (self.functions.delete_wave)(wave);
                true
            }
        };
        match made {
            true => saying.sink.finish(),
            false => saying.sink.fail("the library made no sound of this clause"),
        }
    }

    /// The voice, made when it is first needed.
    fn voice(&mut self, name: &str) -> Option<Registered> {
        if let Some(registered) = self.registered.get(name) {
            return Some(*registered);
        }
        let (name, register) = *self.voices.iter().find(|(known, _)| *known == name)?;
        // SAFETY: the register function takes the folder of a voice's data, or null where the data is built in; what it
        // returns lives as long as the library. The record is handed over to the voice's features, which keep it as long.
        let registered = unsafe {
            let voice = register(std::ptr::null());
            let streaming = (self.functions.new_streaming)();
            if voice.is_null() || (*voice).features.is_null() || streaming.is_null() {
                return None;
            }
            (*streaming).told = Some(hear);
            let value = (self.functions.streaming_value)(streaming);
            (self.functions.feat_set)((*voice).features, c"streaming_info".as_ptr(), value);
            Registered { voice, streaming }
        };
        self.registered.insert(name, registered);
        Some(registered)
    }
}

/// Called by the library with each new part of a clause.
unsafe extern "C" fn hear(
    wave: *const Wave,
    start: c_int,
    size: c_int,
    _last: c_int,
    streaming: *mut Streaming,
) -> c_int {
    let (Ok(start), Ok(size)) = (usize::try_from(start), usize::try_from(size)) else {
        return STOP;
    };
    // SAFETY: the library passes the record that was given to it and a wave that holds at least `start + size` samples; the
    // record's `userdata` is the sink of the clause being said, or null between clauses.
    unsafe {
        let Some(saying) = (*streaming).userdata.cast::<Saying>().as_mut() else {
            return STOP;
        };
        let Ok(rate_hz) = u32::try_from((*wave).sample_rate) else {
            return STOP;
        };
        if (*wave).samples.is_null() {
            return STOP;
        }
        let words = std::mem::take(&mut saying.words);
        mark(saying, &words, (*streaming).utterance, rate_hz);
        let samples = std::slice::from_raw_parts((*wave).samples.add(start), size);
        match saying.sink.push(rate_hz, samples) {
            ControlFlow::Continue(()) => GO_ON,
            ControlFlow::Break(()) => STOP,
        }
    }
}

/// Tells where the words begin, if the library found as many as we did.
///
/// # Safety
/// The utterance is null or the one that is being said.
unsafe fn mark(
    saying: &mut Saying,
    words: &[(usize, usize)],
    utterance: *const c_void,
    rate_hz: u32,
) {
    if utterance.is_null() || words.is_empty() {
        return;
    }
    let functions = saying.functions;
    let mut starts = Vec::with_capacity(words.len());
    // SAFETY: relations and items belong to the utterance and are only read; a path that leads nowhere gives 0.
    unsafe {
        let mut token = (functions.head)((functions.relation)(utterance, c"Token".as_ptr()));
        while !token.is_null() {
            starts.push((functions.feature_float)(token, BEGINNING.as_ptr()));
            token = (functions.next)(token);
        }
    }
    if starts.len() != words.len() {
        return;
    }
    let mut last = 0;
    for ((offset_chars, length_chars), start) in words.iter().copied().zip(starts) {
        // A token without a sound of its own begins with the one before it.
        let at_sample = ((start * rate_hz as f32) as usize).max(last);
        last = at_sample;
        saying.sink.mark(Mark {
            offset_chars,
            length_chars,
            at_sample,
        });
    }
}
