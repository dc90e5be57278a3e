//! whisper.cpp: a model in memory, and looks at sound with it.
#![expect(
    unsafe_code,
    reason = "whisper.cpp asks through a C function whether to go on"
)]

use super::languages;
use super::utterance::{Decoder, Effort, Look, Pass, REMINDED};
use super::words::{self, Specials, Token};
use crate::settings::AudioContext;
use crate::stt::wanted::is_over;
use crate::stt::{RATE_HZ, Task};
use media::clock::monotonic_ns;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Once};
use std::time::Duration;
use tracing::{debug, warn};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError,
    WhisperState,
};

/// The model's time steps in a second of sound, and in the 30 s that it was trained on.
const STEPS_A_SECOND: usize = 50;
const MOST_STEPS: usize = 1_500;
/// Fewer make the model write the same again and again; more than the sound has let it see that it is over.
const LEAST_STEPS: usize = 384;
const MORE_STEPS: usize = 64;
/// Steps are taken in multiples of this, so that few different sizes of memory are needed.
const STEPS_AT_A_TIME: usize = 64;
/// Shorter sound is made this long with silence.
const LEAST_SAMPLES: usize = RATE_HZ as usize;
/// Nobody says more tokens in a second; whoever writes more goes round in circles.
const TOKENS_A_SECOND: usize = 15;
const MORE_TOKENS: usize = 24;
/// Tokens that whisper.cpp lets the model write at a time and still takes the look for complete. With one more it would begin
/// another look of its own behind the last time stamp, whose times begin there.
const MOST_TOKENS: usize = 219;
/// By how much words are chosen more freely with each further try.
const FREER: f32 = 0.4;
/// What a client says is split by a regular expression that takes stack for each letter.
const MOST_TEXT_BYTES: usize = 1_000;
/// The allocation of a state failed in a way that has freed it already.
const STATE_IS_GONE: c_int = -7;

/// A model in memory, for any number of decoders.
pub struct Model {
    context: WhisperContext,
    languages: &'static [&'static str],
    specials: Specials,
}

/// How all looks are made.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Processor threads for a look.
    pub threads: usize,
    /// Sentences that are followed at a time.
    pub beam: u8,
    /// How much time is looked at.
    pub audio_context: AudioContext,
}

impl Model {
    /// Loads a file whose structure has been checked; takes seconds. On this GPU, or on the processor.
    ///
    /// # Errors
    /// That whisper.cpp refused.
    pub fn load(path: &Path, languages: usize, gpu: Option<u32>) -> Result<Self, String> {
        quieten();
        let mut parameters = WhisperContextParameters::default();
        parameters
            .use_gpu(gpu.is_some())
            .gpu_device(gpu.and_then(|gpu| c_int::try_from(gpu).ok()).unwrap_or(0))
            .flash_attn(gpu.is_some());
        let context = WhisperContext::new_with_params(path, parameters)
            .map_err(|error| format!("whisper.cpp refuses {}: {error}", path.display()))?;
        Ok(Self {
            specials: Specials {
                end: context.token_eot(),
                zero: context.token_beg(),
            },
            languages: languages::first(languages),
            context,
        })
    }

    /// The tokens of a text, or of the beginning of one that is too long.
    pub fn tokens(&self, text: &str) -> Vec<i32> {
        let mut end = text.len().min(MOST_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text: String = text
            .get(..end)
            .unwrap_or_default()
            .split_whitespace()
            .flat_map(|word| [" ", word])
            .map(|part| part.replace('\0', ""))
            .collect();
        if text.is_empty() {
            return Vec::new();
        }
        // No text has more tokens than bytes; the binding would misread whisper.cpp's answer if it had.
        let mut tokens = self
            .context
            .tokenize(&text, text.len() + 1)
            .unwrap_or_default();
        tokens.retain(|token| (0..self.specials.end).contains(token));
        tokens
    }
}

/// Looks at sound with a model, one look after the other.
pub struct Sight {
    model: Arc<Model>,
    manner: Manner,
    /// None after it has broken.
    state: Option<WhisperState>,
    /// What all looks in a language have in common. The binding never frees a language's name, so it gets each only once.
    parameters: HashMap<&'static str, FullParams<'static, 'static>>,
}

impl Sight {
    /// Takes the memory that looks need.
    ///
    /// # Errors
    /// That there is not enough.
    pub fn new(model: Arc<Model>, manner: Manner) -> Result<Self, String> {
        let state = model
            .context
            .create_state()
            .map_err(|error| format!("whisper.cpp cannot make a recogniser: {error}"))?;
        Ok(Self {
            model,
            manner,
            state: Some(state),
            parameters: HashMap::new(),
        })
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Makes a new state if the last one has broken.
    pub fn mend(&mut self) {
        if self.state.is_none() {
            self.state = self.model.context.create_state().ok();
        }
    }

    fn threads(&self) -> c_int {
        c_int::try_from(self.manner.threads).unwrap_or(1).max(1)
    }

    /// The time steps that so many samples are looked at with.
    fn steps(&self, samples: usize) -> c_int {
        let steps = match self.manner.audio_context {
            AudioContext::Full => MOST_STEPS,
            AudioContext::Fitted => {
                let steps = (samples * STEPS_A_SECOND).div_ceil(RATE_HZ as usize) + MORE_STEPS;
                steps
                    .next_multiple_of(STEPS_AT_A_TIME)
                    .clamp(LEAST_STEPS, MOST_STEPS)
            }
        };
        c_int::try_from(steps).unwrap_or(0)
    }

    fn parameters(&mut self, language: &'static str) -> FullParams<'static, 'static> {
        let (threads, beam) = (self.threads(), c_int::from(self.manner.beam));
        let parameters = self.parameters.entry(language).or_insert_with(|| {
            let mut parameters = FullParams::new(match beam {
                0 | 1 => SamplingStrategy::Greedy { best_of: 1 },
                beam => SamplingStrategy::BeamSearch {
                    beam_size: beam,
                    patience: -1.0,
                },
            });
            parameters.set_language(Some(language));
            parameters.set_n_threads(threads);
            // What was said before is told with each look, and sound that is left over is looked at again by the caller.
            parameters.set_no_context(true);
            parameters.set_single_segment(true);
            parameters.set_suppress_blank(true);
            parameters.set_suppress_nst(true);
            parameters.set_print_progress(false);
            parameters.set_print_special(false);
            parameters.set_print_realtime(false);
            parameters.set_print_timestamps(false);
            parameters
        });
        parameters.clone()
    }

    /// One look; what whisper.cpp says if it fails.
    fn full(&mut self, look: &Look<'_>) -> Result<(), WhisperError> {
        let sound = floats(look.samples);
        let mut parameters: FullParams<'static, '_> = self.parameters(look.language);
        let prompt = look.prompt;
        let prompt = prompt
            .get(prompt.len().saturating_sub(REMINDED)..)
            .unwrap_or_default();
        if !prompt.is_empty() {
            parameters.set_tokens(prompt);
        }
        parameters.set_translate(look.task == Task::Translate);
        parameters.set_audio_ctx(self.steps(sound.len()));
        let tokens = sound.len() * TOKENS_A_SECOND / RATE_HZ as usize + MORE_TOKENS;
        parameters.set_max_tokens(c_int::try_from(tokens.min(MOST_TOKENS)).unwrap_or(0));
        parameters.set_temperature(look.temperature);
        parameters.set_temperature_inc(match look.effort {
            Effort::Quick => 0.0,
            Effort::Thorough => FREER,
        });
        let flag: *const AtomicU8 = look.wanted.flag();
        // SAFETY: the function reads the flag that it is given, which `look` keeps alive until the call below has returned.
        unsafe {
            parameters.set_abort_callback(Some(is_unwanted));
            parameters.set_abort_callback_user_data(flag.cast_mut().cast());
        }
        match &mut self.state {
            Some(state) => state.full(parameters, &sound),
            None => Err(WhisperError::InitError),
        }
    }

    /// The tokens that the last look found, and how likely nobody spoke.
    fn found(&self) -> (Vec<Token>, f32) {
        let (mut tokens, mut no_speech) = (Vec::new(), 0.0_f32);
        let Some(state) = &self.state else {
            return (tokens, no_speech);
        };
        for segment in state.as_iter() {
            no_speech = no_speech.max(segment.no_speech_probability());
            for number in 0..segment.n_tokens() {
                let Some(token) = segment.get_token(number) else {
                    continue;
                };
                let data = token.token_data();
                tokens.push(Token {
                    id: data.id,
                    bytes: token.to_bytes().unwrap_or_default().to_vec(),
                    probability: data.p,
                    logprob: data.plog,
                    stamp: data.tid,
                    stamp_probability: data.pt,
                    stamps_probability: data.ptsum,
                });
            }
        }
        (tokens, no_speech)
    }
}

impl Decoder for Sight {
    fn look(&mut self, look: &Look<'_>) -> Option<Pass> {
        let began_ns = monotonic_ns();
        if !look.wanted.is_wanted() {
            return None;
        }
        if let Err(error) = self.full(look) {
            // Whoever wanted it: whisper.cpp has freed the state, and nobody may use it or free it again.
            if matches!(error, WhisperError::GenericError(STATE_IS_GONE)) {
                std::mem::forget(self.state.take());
            }
            if look.wanted.is_wanted() {
                warn!(%error, "Whisper could not look at some sound.");
            }
            return None;
        }
        let took = Duration::from_nanos(monotonic_ns().saturating_sub(began_ns));
        let (tokens, no_speech) = self.found();
        let place = (look.start, look.samples.len() as u64);
        let words = words::words(&tokens, self.model.specials, look.language, place);
        Some(Pass {
            words,
            no_speech,
            took,
        })
    }

    fn detect(&mut self, samples: &[i16]) -> Option<(&'static str, f32)> {
        let threads = usize::try_from(self.threads()).unwrap_or(1);
        let state = self.state.as_mut()?;
        let detected = state
            .pcm_to_mel(&floats(samples), threads)
            .and_then(|()| state.lang_detect(0, threads));
        match detected {
            Ok((_, likely)) => {
                // Of those only that this model knows: the others' tokens are something else to it.
                let known = self.model.languages.iter().copied().zip(likely);
                known.max_by(|(_, a), (_, b)| a.total_cmp(b))
            }
            // The same number says here that the look failed, and the state stays.
            Err(error) => {
                warn!(%error, "Whisper could not tell the language of some sound.");
                None
            }
        }
    }
}

/// Whether the utterance with this flag is not wanted any more: then whisper.cpp breaks off after the step that it is at.
///
/// # Safety
/// `flag` is one that outlives the call.
unsafe extern "C" fn is_unwanted(flag: *mut c_void) -> bool {
    // SAFETY: as the caller promises; it is only read.
    is_over(unsafe { &*flag.cast::<AtomicU8>() })
}

/// From -1 to 1, and not shorter than what whisper.cpp takes.
fn floats(samples: &[i16]) -> Vec<f32> {
    let mut floats: Vec<f32> = samples
        .iter()
        .map(|sample| f32::from(*sample) / 32_768.0)
        .collect();
    floats.resize(floats.len().max(LEAST_SAMPLES), 0.0);
    floats
}

/// Has whisper.cpp and ggml write nothing by themselves: they would tell what people say. What goes wrong is told without words.
fn quieten() {
    static ONCE: Once = Once::new();
    // SAFETY: the function lives as long as the program and uses no data of its own.
    ONCE.call_once(|| unsafe { whisper_rs::set_log_callback(Some(log), std::ptr::null_mut()) });
}

/// # Safety
/// Takes anything.
unsafe extern "C" fn log(level: u32, _text: *const c_char, _: *mut c_void) {
    /// GGML_LOG_LEVEL_ERROR.
    const ERROR: u32 = 4;
    if level == ERROR {
        debug!("whisper.cpp reports an error.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_sound_is_made_longer_with_silence() {
        assert_eq!(floats(&[i16::MIN; 3]).len(), LEAST_SAMPLES);
        assert_eq!(floats(&[i16::MIN; 3])[..4], [-1.0, -1.0, -1.0, 0.0]);
        assert_eq!(floats(&[0; 20_000]).len(), 20_000);
    }
}
