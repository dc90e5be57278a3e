//! The part of libespeak-ng's C interface that is used, declared from its documentation.
#![allow(unsafe_code, reason = "calls into libespeak-ng")]

use super::hear::{Callback, Saying, hear};
use super::{MODEL, NAME, PACKAGE};
use crate::library::{self, Missing, functions};
use crate::tts::{Clause, Error, Gender, SpeechSink, Voice, levels};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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

const OUTPUT_SYNCHRONOUS: c_int = 2;
const DO_NOT_EXIT: c_int = 0x8000;
const BUFFER_MS: c_int = 40;
const PARAMETER_RATE: c_int = 1;
const BY_CHARACTER: c_int = 1;
const CHARS_UTF8: c_uint = 1;
/// The library's own pace, in words a minute.
const NORMAL_WORDS_PER_MINUTE: f32 = 175.0;
/// Slower than this it does not speak.
const SLOWEST_WORDS_PER_MINUTE: f32 = 80.0;
const OK: c_int = 0;
/// Phonemes as letters of the International Phonetic Alphabet.
const PHONEMES_IPA: c_int = 2;
/// The letters of one phoneme are tied with the character in the bits from 8 on.
const PHONEMES_TIED: c_int = 0x80;

functions! {
    Functions {
        initialize: "espeak_Initialize" => fn(c_int, c_int, *const c_char, c_int) -> c_int;
        set_callback: "espeak_SetSynthCallback" => fn(Callback);
        synth: "espeak_Synth" => fn(*const c_void, usize, c_uint, c_int, c_uint, c_uint, *mut c_uint, *mut c_void) -> c_int;
        set_voice: "espeak_SetVoiceByName" => fn(*const c_char) -> c_int;
        set_parameter: "espeak_SetParameter" => fn(c_int, c_int, c_int) -> c_int;
        list_voices: "espeak_ListVoices" => fn(*mut RawVoice) -> *const *const RawVoice;
        phonemes: "espeak_TextToPhonemes" => fn(*mut *const c_void, c_int, c_int) -> *const c_char;
    }
}

/// The library, started. It keeps its state in the process and bears one caller at a time: whoever holds this is the one.
pub(super) struct Library {
    functions: Functions,
    rate_hz: u32,
    /// One voice for each language, named by the language.
    voices: Vec<Voice>,
    /// The file of each language's voice, by which alone the library finds them all.
    files: HashMap<String, CString>,
    /// The voice that is set; setting one reads its dictionary.
    voice: Option<String>,
}

/// The one library of the process, started by the first who needs it.
pub(super) fn library() -> Result<&'static Mutex<Library>, Error> {
    static LIBRARY: OnceLock<Mutex<Library>> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let library = Library::start(find()?)?;
    Ok(LIBRARY.get_or_init(|| Mutex::new(library)))
}

/// Waits for the library; what a voice or text does to it is undone by the next call, so a panic elsewhere leaves it whole.
pub(super) fn hold(library: &'static Mutex<Library>) -> MutexGuard<'static, Library> {
    library.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find() -> Result<Functions, Missing> {
    let library = library::open(&[
        "libespeak-ng.so.1",
        "libespeak-ng.so",
        "libespeak-ng.1.dylib",
    ])
    .ok_or_else(|| Missing::package(NAME, "libespeak-ng.so.1", PACKAGE))?;
    Functions::find(&[library]).map_err(|symbol| Missing::symbol(NAME, symbol, PACKAGE))
}

impl Library {
    /// To be called once in a process.
    fn start(functions: Functions) -> Result<Self, Error> {
        // SAFETY: nobody else in the process calls the library before this returns, and it is started once.
        let rate =
            unsafe { (functions.initialize)(OUTPUT_SYNCHRONOUS, BUFFER_MS, null(), DO_NOT_EXIT) };
        let rate_hz = u32::try_from(rate)
            .map_err(|_| Missing::package(NAME, "the folder espeak-ng-data", "espeak-ng-data"))?;
        // SAFETY: as above; the callback is a function of this program and stays.
        unsafe { (functions.set_callback)(hear) };
        let mut library = Self {
            functions,
            rate_hz,
            voices: Vec::new(),
            files: HashMap::new(),
            voice: None,
        };
        library.list();
        if library.voices.is_empty() {
            return Err(Missing::package(NAME, "its voices", "espeak-ng-data").into());
        }
        Ok(library)
    }

    /// The voices, English first.
    pub(super) fn voices(&self) -> &[Voice] {
        &self.voices
    }

    /// Makes a voice the one that speaks; `false` if there is none of this name.
    pub(super) fn choose(&mut self, voice: &str) -> bool {
        if self.voice.as_deref() == Some(voice) {
            return true;
        }
        self.voice = None;
        let file = self
            .files
            .get(voice)
            .or_else(|| self.files.get(&voice.to_ascii_lowercase()));
        let file = match file {
            Some(file) => Some(file.clone()),
            // Voices without a language of their own are known by name.
            None => CString::new(voice).ok().filter(|name| !name.is_empty()),
        };
        // SAFETY: the name is a C string that outlives the call; `self` is held by the only caller.
        let set =
            file.is_some_and(|file| unsafe { (self.functions.set_voice)(file.as_ptr()) == OK });
        if set {
            self.voice = Some(voice.to_owned());
        }
        set
    }

    /// Says a clause into its sink; returns when all of it is said.
    pub(super) fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        if !self.choose(&clause.voice) {
            return sink.fail(format!("there is no voice {}", clause.voice));
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

    /// What the chosen voice would say for a text, in phonetic letters with blanks between words; with `tie` between the letters
    /// of one phoneme.
    pub(super) fn phonemes(&mut self, text: &str, tie: Option<u8>) -> String {
        let mode = PHONEMES_IPA | tie.map_or(0, |tie| PHONEMES_TIED | c_int::from(tie) << 8);
        let text: Vec<u8> = text.bytes().filter(|byte| *byte != 0).chain([0]).collect();
        let mut phonemes = String::new();
        let mut rest: *const c_void = text.as_ptr().cast();
        // A call takes at least one character; the bound is for a library that does not.
        for _ in 0..text.len() {
            // SAFETY: `rest` points into the text, which ends with a zero; the library moves it on, and sets it to null behind the
            // last word. What it returns is a C string of its own that stays until its next call.
            unsafe {
                let more = (self.functions.phonemes)(&raw mut rest, CHARS_UTF8 as c_int, mode);
                if !more.is_null() {
                    phonemes.push_str(&CStr::from_ptr(more).to_string_lossy());
                    phonemes.push(' ');
                }
            }
            if rest.is_null() {
                break;
            }
        }
        phonemes
    }

    /// Asks the library for its voices.
    fn list(&mut self) {
        let mut others = Vec::new();
        // SAFETY: the library returns an array of pointers that ends with null; it and all strings in it stay until the next
        // call of this function. Each voice's `languages` is a priority byte and a C string, repeated, and then a zero byte.
        unsafe {
            let mut next = (self.functions.list_voices)(null_mut());
            while !next.is_null() && !(*next).is_null() {
                let voice = &**next;
                next = next.add(1);
                if voice.languages.is_null() || voice.name.is_null() || voice.identifier.is_null() {
                    continue;
                }
                let file = CStr::from_ptr(voice.identifier).to_owned();
                let mut languages = Vec::new();
                let mut at = voice.languages;
                while *at != 0 {
                    let language = CStr::from_ptr(at.add(1));
                    languages.push(language.to_string_lossy().into_owned());
                    at = at.add(language.to_bytes().len() + 2);
                }
                let mut languages = languages.into_iter();
                let Some(language) = languages.next() else {
                    continue;
                };
                if language == "variant" || language.is_empty() {
                    continue;
                }
                others.extend(languages.map(|language| (language, file.clone())));
                if self.files.contains_key(&language) {
                    continue;
                }
                self.files.insert(language.clone(), file);
                self.voices.push(Voice {
                    title: CStr::from_ptr(voice.name).to_string_lossy().into_owned(),
                    gender: match voice.gender {
                        1 => Gender::Male,
                        2 => Gender::Female,
                        _ => Gender::Unknown,
                    },
                    loudness_lufs: levels::fixed(NAME, &language),
                    name: language.clone(),
                    language,
                    model: MODEL.to_owned(),
                });
            }
        }
        // A language that no voice has first, such as `fr`, is that of a voice that has it second, such as `fr-fr`.
        for (language, file) in others {
            self.files.entry(language).or_insert(file);
        }
        // English first: it is what a session gets that asks for nothing.
        self.voices.sort_by_key(|voice| {
            (
                voice.name != "en-us",
                !voice.name.starts_with("en"),
                voice.name.clone(),
            )
        });
    }
}
