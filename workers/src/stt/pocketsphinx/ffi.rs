//! The part of PocketSphinx's C interface that is used (version 0.8 and 5prealpha, as in Debian 12), declared from its headers.
#![allow(unsafe_code, reason = "calls into libpocketsphinx and libsphinxbase")]

use super::cepstra::{Frame, SIZE};
use super::{Error, MODEL_PACKAGE, Model, NAME, PACKAGES};
use crate::library::{self, Missing, functions};
use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};
use std::ptr::{NonNull, null_mut};

type Config = *mut c_void;
type Raw = *mut c_void;
type FrontEnd = *mut c_void;
type LogMath = *mut c_void;
type Segments = *mut c_void;

functions! {
    Functions {
        set_log: "err_set_logfp" => fn(*mut c_void);
        arguments: "ps_args" => fn() -> *const c_void;
        parse: "cmd_ln_parse_r" => fn(Config, *const c_void, c_int, *mut *mut c_char, c_int) -> Config;
        free_config: "cmd_ln_free_r" => fn(Config) -> c_int;
        init: "ps_init" => fn(Config) -> Raw;
        free: "ps_free" => fn(Raw) -> c_int;
        start_stream: "ps_start_stream" => fn(Raw) -> c_int;
        start_utt: "ps_start_utt" => fn(Raw) -> c_int;
        process_cep: "ps_process_cep" => fn(Raw, *mut *mut f32, c_int, c_int, c_int) -> c_int;
        end_utt: "ps_end_utt" => fn(Raw) -> c_int;
        hypothesis: "ps_get_hyp" => fn(Raw, *mut c_int) -> *const c_char;
        front_end: "ps_get_fe" => fn(Raw) -> FrontEnd;
        log_math: "ps_get_logmath" => fn(Raw) -> LogMath;
        segments: "ps_seg_iter" => fn(Raw) -> Segments;
        next_segment: "ps_seg_next" => fn(Segments) -> Segments;
        segment_word: "ps_seg_word" => fn(Segments) -> *const c_char;
        segment_frames: "ps_seg_frames" => fn(Segments, *mut c_int, *mut c_int);
        segment_prob: "ps_seg_prob" => fn(Segments, *mut c_int, *mut c_int, *mut c_int) -> c_int;
        exp: "logmath_exp" => fn(LogMath, c_int) -> c_double;
        fe_output_size: "fe_get_output_size" => fn(FrontEnd) -> c_int;
        fe_start: "fe_start_utt" => fn(FrontEnd) -> c_int;
        fe_process: "fe_process_frames" => fn(FrontEnd, *mut *const i16, *mut usize, *mut *mut f32, *mut c_int, *mut c_int) -> c_int;
        fe_end: "fe_end_utt" => fn(FrontEnd, *mut f32, *mut c_int) -> c_int;
    }
}

/// How the decoder is set; what is not here is the library's default. The first seven rows are those of the model's own file,
/// which is passed over because it would turn the library's estimate of the microphone on again.
#[rustfmt::skip]
const SETTINGS: [(&str, &str); 15] = [
    ("-featparams", "/dev/null"),
    ("-lowerf", "130"), ("-upperf", "6800"), ("-nfilt", "25"), ("-transform", "dct"), ("-lifter", "22"),
    ("-feat", "1s_c_d_dd"), ("-svspec", "0-12/13-25/26-38"), ("-agc", "none"), ("-varnorm", "no"),
    ("-cmn", "none"),
    // The ear has cut the utterance; cutting more would shift the times of its words.
    ("-remove_silence", "no"),
    // A little less weight for the language model than the default of 6.5: people say unlikely things.
    ("-lw", "6"),
    // No second pass over the whole utterance at its end: it finds no more words, and takes three times as long to the final.
    ("-fwdflat", "no"),
    // Bounds the work in noise; it costs no words in speech.
    ("-maxhmmpf", "10000"),
];

/// Frames handed to the search at a time.
const BLOCK: usize = 16;

/// The library, found and not yet used.
#[derive(Clone, Copy)]
pub(super) struct Found(Functions);

/// Looks for the library.
pub(super) fn find() -> Result<Found, Missing> {
    let open = |names: &[&str], what: &str| {
        library::open(names).ok_or_else(|| Missing::package(NAME, what, PACKAGES))
    };
    let base = open(
        &["libsphinxbase.so.3", "libsphinxbase.3.dylib"],
        "libsphinxbase.so.3",
    )?;
    let sphinx = open(
        &["libpocketsphinx.so.3", "libpocketsphinx.3.dylib"],
        "libpocketsphinx.so.3",
    )?;
    Functions::find(&[sphinx, base])
        .map(Found)
        .map_err(|symbol| Missing::symbol(NAME, symbol, PACKAGES))
}

impl Found {
    /// Loads the model into a new decoder, on the thread that will use it. Takes about half a second.
    pub(super) fn decoder(self, model: &Model) -> Result<Decoder, Error> {
        let Self(functions) = self;
        let failed = |reason: &str| Error::Start {
            engine: NAME,
            reason: reason.to_owned(),
        };
        let files = [
            ("-hmm", &model.acoustic),
            ("-lm", &model.language),
            ("-dict", &model.dictionary),
        ];
        let files = files
            .iter()
            .map(|(key, path)| (*key, path.to_string_lossy().into_owned()));
        let settings = SETTINGS
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()));
        let words = files
            .chain(settings)
            .flat_map(|(key, value)| [key.to_owned(), value]);
        let words: Result<Vec<CString>, _> = std::iter::once("parlor".to_owned())
            .chain(words)
            .map(CString::new)
            .collect();
        let words = words.map_err(|_| failed("the model's path holds a zero byte"))?;
        let mut pointers: Vec<*mut c_char> =
            words.iter().map(|word| word.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|_| failed("too many settings"))?;
        // SAFETY: the library copies the words that it keeps; configuration and decoder are made here and used only on this
        // thread. The log is turned off for this thread: it would tell what people say.
        unsafe {
            (functions.set_log)(null_mut());
            let config = (functions.parse)(
                null_mut(),
                (functions.arguments)(),
                count,
                pointers.as_mut_ptr(),
                1,
            );
            if config.is_null() {
                return Err(failed("the library does not know one of its settings"));
            }
            let raw = (functions.init)(config);
            // The decoder holds its own reference to the configuration.
            (functions.free_config)(config);
            let raw = NonNull::new(raw).ok_or_else(|| {
                failed(&format!(
                    "the model cannot be loaded; type `apt install --reinstall {MODEL_PACKAGE}`"
                ))
            })?;
            let front_end = (functions.front_end)(raw.as_ptr());
            let decoder = Decoder {
                functions,
                raw,
                front_end,
            };
            if front_end.is_null() || (functions.fe_output_size)(front_end) != SIZE as c_int {
                return Err(failed("its front end is of another kind"));
            }
            Ok(decoder)
        }
    }
}

/// A word of the transcript.
pub(super) struct Segment {
    pub word: String,
    pub first: u32,
    pub last: u32,
    pub probability: f32,
}

/// A decoder; it stays on its thread, which its pointers see to.
pub(super) struct Decoder {
    functions: Functions,
    raw: NonNull<c_void>,
    front_end: FrontEnd,
}

impl Decoder {
    /// A new utterance of anybody.
    pub(super) fn begin(&mut self) {
        // SAFETY: the decoder is alive and between utterances. A new stream forgets the noise of whoever was heard before.
        unsafe {
            (self.functions.start_stream)(self.raw.as_ptr());
            (self.functions.start_utt)(self.raw.as_ptr());
            (self.functions.fe_start)(self.front_end);
            // No frames, but from here on the feature buffer grows; as a ring it is not safe for cepstra made by others.
            (self.functions.process_cep)(self.raw.as_ptr(), null_mut(), 0, 1, 0);
        }
    }

    /// The cepstra of some more samples; the last few samples wait for the next call.
    pub(super) fn cepstra(&mut self, samples: &[i16], out: &mut Vec<Frame>) {
        let mut rest = samples.as_ptr();
        let mut left = samples.len();
        while left > 0 {
            let mut block = [[0.0; SIZE]; BLOCK];
            let mut rows = block.each_mut().map(|row| row.as_mut_ptr());
            let mut made = BLOCK as c_int;
            let mut start: c_int = 0;
            let before = left;
            // SAFETY: `rest` and `left` describe samples of the slice, which the library moves along; it writes at most `made`
            // rows of `SIZE` numbers.
            let result = unsafe {
                (self.functions.fe_process)(
                    self.front_end,
                    &mut rest,
                    &mut left,
                    rows.as_mut_ptr(),
                    &mut made,
                    &mut start,
                )
            };
            let made = usize::try_from(made).unwrap_or(0);
            out.extend(block.iter().take(made));
            if result < 0 || (made == 0 && left == before) {
                return;
            }
        }
    }

    /// The cepstra of the samples that waited.
    pub(super) fn last_cepstra(&mut self, out: &mut Vec<Frame>) {
        let mut row = [0.0; SIZE];
        let mut made: c_int = 0;
        // SAFETY: the library writes at most one row of `SIZE` numbers.
        let result =
            unsafe { (self.functions.fe_end)(self.front_end, row.as_mut_ptr(), &mut made) };
        if result >= 0 && made > 0 {
            out.push(row);
        }
    }

    /// Searches some more frames.
    pub(super) fn search(&mut self, frames: &mut [Frame]) {
        if frames.is_empty() {
            return;
        }
        let mut rows: Vec<*mut f32> = frames.iter_mut().map(|frame| frame.as_mut_ptr()).collect();
        let count = c_int::try_from(rows.len()).unwrap_or(c_int::MAX);
        // SAFETY: an utterance is open; the rows hold `SIZE` numbers each, which the library only reads during the call.
        unsafe { (self.functions.process_cep)(self.raw.as_ptr(), rows.as_mut_ptr(), count, 0, 0) };
    }

    /// The utterance is over; its words can still be asked for.
    pub(super) fn end(&mut self) {
        // SAFETY: an utterance is open.
        unsafe { (self.functions.end_utt)(self.raw.as_ptr()) };
    }

    /// The words so far.
    pub(super) fn words_so_far(&mut self) -> String {
        // SAFETY: the string belongs to the decoder and stays until the next call; it is copied at once.
        unsafe { text((self.functions.hypothesis)(self.raw.as_ptr(), null_mut())) }
    }

    /// The words of the utterance that is over, and where they were.
    pub(super) fn segments(&mut self) -> Vec<Segment> {
        let functions = self.functions;
        let mut segments = Vec::new();
        // SAFETY: the iterator is alive until `next_segment` returns null, which frees it.
        unsafe {
            let log_math = (functions.log_math)(self.raw.as_ptr());
            let mut segment = (functions.segments)(self.raw.as_ptr());
            while !segment.is_null() {
                let word = text((functions.segment_word)(segment));
                let (mut first, mut last) = (0, 0);
                (functions.segment_frames)(segment, &mut first, &mut last);
                let (mut acoustic, mut language, mut back) = (0, 0, 0);
                let log =
                    (functions.segment_prob)(segment, &mut acoustic, &mut language, &mut back);
                let probability = (functions.exp)(log_math, log).clamp(0.0, 1.0) as f32;
                segment = (functions.next_segment)(segment);
                if is_word(&word) {
                    let frame = |number: c_int| u32::try_from(number).unwrap_or(0);
                    // "read(2)" is the second way to say "read".
                    let word = word.split('(').next().unwrap_or(&word).to_owned();
                    segments.push(Segment {
                        word,
                        first: frame(first),
                        last: frame(last),
                        probability,
                    });
                }
            }
        }
        segments
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `init`, freed once.
        unsafe { (self.functions.free)(self.raw.as_ptr()) };
    }
}

/// Breaths, noises and the marks of a sentence's ends are no words.
fn is_word(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_alphanumeric() || letter == '\'')
}

/// A copy of the library's string; empty for null.
///
/// # Safety
/// The pointer is null or a C string.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .into_owned()
}
