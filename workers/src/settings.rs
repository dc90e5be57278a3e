//! What an operator may set about the engines.

use crate::places::Places;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Everything that can be set about the workers; a configuration may embed the three parts on their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Synthesis.
    pub tts: TtsSettings,
    /// Recognition.
    pub stt: SttSettings,
    /// Which models are kept in memory.
    pub model_manager: ModelManagerSettings,
    /// Where engines find their files; the program says it, not its configuration.
    #[serde(skip)]
    pub places: Places,
}

/// How text is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TtsSettings {
    /// The engines to offer, the preferred one first. Those that are not installed are left out.
    pub adapters: Vec<TtsEngine>,
    /// The voice of a session that asks for none, as in `flite:slt`; empty: the first engine's first voice.
    pub default_voice: String,
    /// Folders with voice packs as `<folder>/piper/<model>/` and `<folder>/kokoro/<model>/`, looked through before the stores of
    /// models.
    pub voicepacks: Vec<PathBuf>,
    /// Sessions open at a time; not set: as many as the engines take (the mock takes 10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u32>,
}

impl Settings {
    /// Where engines find their files, those folders first that the configuration names.
    pub fn places(&self) -> Places {
        let mut places = self.places.clone();
        places
            .voicepacks
            .splice(..0, self.tts.voicepacks.iter().cloned());
        places
    }
}

impl Default for TtsSettings {
    fn default() -> Self {
        Self {
            adapters: vec![TtsEngine::Flite, TtsEngine::Espeak, TtsEngine::Mock],
            default_voice: String::new(),
            voicepacks: Vec::new(),
            max_sessions: None,
        }
    }
}

/// How speech is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SttSettings {
    /// The engine.
    pub adapter: SttEngine,
    /// Recognisers that can listen at a time; 0: one for each processor core.
    pub slots: usize,
    /// How long an utterance waits for a free recogniser, in milliseconds; not set: 2000, and 0 in a worker that is in a registry,
    /// since another one may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What the scripted engine hears: the n-th utterance of a session is the n-th line, from the start again after the last.
    pub script: Vec<String>,
    /// Whether Whisper runs inside `parlor serve` instead of in a worker process of its own: it then needs no second process, and
    /// ends all calls should it fail badly.
    pub in_process: bool,
    /// How Whisper listens.
    pub whisper: WhisperSettings,
}

impl SttSettings {
    /// How long an utterance waits where nobody says so, in milliseconds.
    pub const WAIT_MS: u64 = 2_000;

    /// Whether the recogniser belongs into a process of its own.
    pub fn runs_apart(&self) -> bool {
        self.adapter.runs_apart() && !self.in_process
    }
}

impl SttEngine {
    /// Whether a fault in the engine may take down the process that it is in.
    pub fn runs_apart(self) -> bool {
        matches!(self, Self::Whisper)
    }
}

/// How Whisper listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WhisperSettings {
    /// The model: a name such as `base.en`, whose file is `whisper/ggml-base.en.bin` in a store of models, or the path of a file.
    /// Names that end in `.en` understand only English.
    pub model: String,
    /// The language that callers speak (ISO 639-1), or `auto`: found out from the first seconds of each utterance.
    pub language: String,
    /// Whether words of other languages are written in English.
    pub translate: bool,
    /// Processor threads for each recogniser; 0: up to four, with a core left for all else.
    pub threads: usize,
    /// Sentences followed at a time, from 1 (the likeliest word is taken each time, which is the fastest) to 8.
    pub beam: u8,
    /// How much time the model looks at: `fitted` to the length of the sound, or the `full` 30 s, which is many times slower.
    pub audio_context: AudioContext,
}

/// How much time Whisper looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AudioContext {
    /// The sound and a little more, at least 7.7 s.
    #[default]
    Fitted,
    /// 30 s.
    Full,
}

impl Default for WhisperSettings {
    fn default() -> Self {
        Self {
            model: "base.en".to_owned(),
            language: "auto".to_owned(),
            translate: false,
            threads: 0,
            beam: 1,
            audio_context: AudioContext::Fitted,
        }
    }
}

/// Which models are kept in memory, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelManagerSettings {
    /// The model of a session that names neither a model nor a voice; empty: that of the default voice.
    pub default_model_id: String,
    /// Models loaded at the start.
    pub preload_model_ids: Vec<String>,
    /// A model unused for so long is let go, in milliseconds.
    pub ttl_ms: u64,
    /// A model stays at least this long once loaded, in milliseconds.
    pub min_residency_ms: u64,
    /// How often to look for models to let go, in milliseconds.
    pub evict_check_interval_ms: u64,
    /// Models in memory at a time.
    pub resident_cap: usize,
    /// Models loaded at the same time.
    pub max_parallel_loads: usize,
    /// A load that is not done within so long is given up, in milliseconds.
    pub load_timeout_ms: u64,
}

impl Default for ModelManagerSettings {
    fn default() -> Self {
        Self {
            default_model_id: String::new(),
            preload_model_ids: Vec::new(),
            ttl_ms: 600_000,
            min_residency_ms: 120_000,
            evict_check_interval_ms: 30_000,
            resident_cap: 3,
            max_parallel_loads: 1,
            load_timeout_ms: 300_000,
        }
    }
}

/// An engine that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TtsEngine {
    /// English voices through libflite.
    Flite,
    /// Over a hundred languages through libespeak-ng.
    Espeak,
    /// Voices of the Piper project, each a model of its own, from voice packs.
    Piper,
    /// The voices of Kokoro-82M, from voice packs.
    Kokoro,
    /// A 440 Hz tone, for tests.
    Mock,
}

/// An engine that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SttEngine {
    /// English through PocketSphinx.
    #[default]
    Pocketsphinx,
    /// Up to 100 languages through whisper.cpp, with a model that is fetched.
    Whisper,
    /// Hears what its script says, for tests and benches.
    Scripted,
}

/// Which of the two services a worker offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Synthesis.
    Tts,
    /// Recognition.
    Stt,
}

/// A name that is none of the names there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {name:?}; there is {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: &'static str,
}

macro_rules! names {
    ($type:ident, $what:literal, $known:literal, $($variant:ident => $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName { what: $what, name: name.to_owned(), known: $known }),
                }
            }
        }
    };
}

names!(TtsEngine, "speaking engine", "flite, espeak, piper, kokoro and mock",
    Flite => "flite", Espeak => "espeak", Piper => "piper", Kokoro => "kokoro", Mock => "mock");
names!(SttEngine, "recogniser", "pocketsphinx, whisper and scripted",
    Pocketsphinx => "pocketsphinx", Whisper => "whisper", Scripted => "scripted");
names!(Kind, "kind of worker", "tts and stt", Tts => "tts", Stt => "stt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_engine_is_told_which_there_are() {
        let error = "festival".parse::<TtsEngine>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no speaking engine \"festival\"; there is flite, espeak, piper, kokoro and mock"
        );
        assert_eq!("stt".parse::<Kind>().unwrap(), Kind::Stt);
    }
}
