//! The part of libespeak-ng's C interface that is used, declared from its documentation.
#![allow(unsafe_code, reason = "calls into libespeak-ng")]

use super::{LEVEL_DBFS, MODEL, NAME, PACKAGE};
use crate::library::{self, Missing, functions};
use crate::tts::{Clause, Error, Gender, Mark, SpeechSink, Voice};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ops::ControlFlow;
use std::ptr::null_mut;

/// `espeak_EVENT`: something that happens in the sound handed over with it.
#[repr(C)]
struct Event {
    kind: c_int,
    _message: c_uint,
    text_position: c_int,
    length: c_int,
    audio_position_ms: c_int,
    _sample: c_int,
    user_data: *mut c_void,
    _id: [u8; 8],
}

/// `espeak_VOICE`.
#[repr(C)]
struct RawVoice {
    name: *const c_char,
    languages: *const c_char,
    identifier: *const c_char,
    gender: u8,
    _age: u8,
    _variant: u8,
    _reserved: u8,
    _score: c_int,
    _spare: *mut c_void,
}

type Callback = unsafe extern "C" fn(*const i16, c_int, *const Event) -> c_int;

const OUTPUT_SYNCHRONOUS: c_int = 2;
const DO_NOT_EXIT: c_int = 0x8000;
const BUFFER_MS: c_int = 40;
const PARAMETER_RATE: c_int = 1;
const BY_CHARACTER: c_int = 1;
const CHARS_UTF8: c_uint = 1;
const EVENT_LIST_ENDS: c_int = 0;
const EVENT_WORD: c_int = 1;
/// The library's own pace, in words a minute.
const NORMAL_WORDS_PER_MINUTE: f32 = 175.0;
/// Slower than this it does not speak.
const SLOWEST_WORDS_PER_MINUTE: f32 = 80.0;
const OK: c_int = 0;

functions! {
    Functions {
        initialize: "espeak_Initialize" => fn(c_int, c_int, *const c_char, c_int) -> c_int;
        set_callback: "espeak_SetSynthCallback" => fn(Callback);
        synth: "espeak_Synth" => fn(*const c_void, usize, c_uint, c_int, c_uint, c_uint, *mut c_uint, *mut c_void) -> c_int;
        set_voice: "espeak_SetVoiceByName" => fn(*const c_char) -> c_int;
        set_parameter: "espeak_SetParameter" => fn(c_int, c_int, c_int) -> c_int;
        list_voices: "espeak_ListVoices" => fn(*mut RawVoice) -> *const *const RawVoice;
    }
}

/// The library, found and not yet started.
#[derive(Clone, Copy)]
pub(super) struct Found(Functions);

/// Looks for the library.
pub(super) fn find() -> Result<Found, Missing> {
    let library = library::open(&[
        "libespeak-ng.so.1",
        "libespeak-ng.so",
        "libespeak-ng.1.dylib",
    ])
    .ok_or_else(|| Missing::package(NAME, "libespeak-ng.so.1", PACKAGE))?;
    Functions::find(&[library])
        .map(Found)
        .map_err(|symbol| Missing::symbol(NAME, symbol, PACKAGE))
}

impl Found {
    /// Starts the library; to be called once in a process, on the thread that keeps it.
    pub(super) fn start(self) -> Result<Speaker, Error> {
        let Self(functions) = self;
        // SAFETY: this is the only thread of the process that calls the library, and it starts it once.
        let rate = unsafe {
            (functions.initialize)(OUTPUT_SYNCHRONOUS, BUFFER_MS, std::ptr::null(), DO_NOT_EXIT)
        };
        let rate_hz = u32::try_from(rate)
            .map_err(|_| Missing::package(NAME, "the folder espeak-ng-data", "espeak-ng-data"))?;
        // SAFETY: as above; the callback is a function of this program and stays.
        unsafe { (functions.set_callback)(hear) };
        Ok(Speaker {
            functions,
            rate_hz,
            files: HashMap::new(),
            voice: None,
        })
    }
}

/// Says clauses; lives on one thread.
pub(super) struct Speaker {
    functions: Functions,
    rate_hz: u32,
    /// The file of each language's voice, by which alone the library finds them all.
    files: HashMap<String, CString>,
    /// The voice that is set; setting one reads its dictionary.
    voice: Option<String>,
}

/// What the callback works on.
struct Saying {
    sink: SpeechSink,
    rate_hz: u32,
}

impl Speaker {
    pub(super) fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        if self.voice.as_ref() != Some(&clause.voice) {
            self.voice = None;
            let set = self.files.get(&clause.voice).is_some_and(|file| {
                // SAFETY: the name is a C string that outlives the call.
                unsafe { (self.functions.set_voice)(file.as_ptr()) == OK }
            });
            if !set {
                return sink.fail(format!("there is no voice {}", clause.voice));
            }
            self.voice = Some(clause.voice.clone());
        }
        let Ok(text) = CString::new(clause.text.as_str()) else {
            return sink.fail("the text holds a zero byte");
        };
        let words_per_minute = (NORMAL_WORDS_PER_MINUTE * clause.speed)
            .max(SLOWEST_WORDS_PER_MINUTE)
            .round() as c_int;
        let mut saying = Saying {
            sink,
            rate_hz: self.rate_hz,
        };
        let bytes = text.as_bytes_with_nul();
        // SAFETY: the text ends with a zero that its size counts; in the synchronous mode the callback runs inside this call, so
        // `saying` outlives every use of the pointer.
        let said = unsafe {
            (self.functions.set_parameter)(PARAMETER_RATE, words_per_minute, 0);
            (self.functions.synth)(
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                BY_CHARACTER,
                0,
                CHARS_UTF8,
                null_mut(),
                (&raw mut saying).cast(),
            )
        };
        match said {
            OK => saying.sink.finish(),
            code => saying.sink.fail(format!("the library answered {code}")),
        }
    }

    /// One voice for each language, named by the language.
    pub(super) fn voices(&mut self) -> Vec<Voice> {
        self.files.clear();
        let mut voices = Vec::new();
        // SAFETY: the library returns an array of pointers that ends with null; it and all strings in it stay until the next
        // call of this function. Each voice's `languages` is a priority byte and a C string, repeated, and then a zero byte.
        unsafe {
            let mut next = (self.functions.list_voices)(null_mut());
            while !next.is_null() && !(*next).is_null() {
                let voice = &**next;
                next = next.add(1);
                let absent =
                    voice.languages.is_null() || voice.name.is_null() || voice.identifier.is_null();
                if absent || *voice.languages == 0 {
                    continue;
                }
                let language = CStr::from_ptr(voice.languages.add(1))
                    .to_string_lossy()
                    .into_owned();
                if language == "variant"
                    || language.is_empty()
                    || self.files.contains_key(&language)
                {
                    continue;
                }
                self.files.insert(
                    language.clone(),
                    CStr::from_ptr(voice.identifier).to_owned(),
                );
                voices.push(Voice {
                    title: CStr::from_ptr(voice.name).to_string_lossy().into_owned(),
                    gender: match voice.gender {
                        1 => Gender::Male,
                        2 => Gender::Female,
                        _ => Gender::Unknown,
                    },
                    name: language.clone(),
                    language,
                    model: MODEL.to_owned(),
                    level_dbfs: Some(LEVEL_DBFS),
                });
            }
        }
        // English first: it is what a session gets that asks for nothing.
        voices.sort_by_key(|voice| {
            (
                voice.name != "en-us",
                !voice.name.starts_with("en"),
                voice.name.clone(),
            )
        });
        voices
    }
}

/// Called by the library with each new part of a clause, and with no samples at its end.
unsafe extern "C" fn hear(samples: *const i16, count: c_int, events: *const Event) -> c_int {
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
