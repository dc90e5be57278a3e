//! English through PocketSphinx, found when the program runs.
//!
//! The library's own stream keeps one estimate of the microphone (the cepstral mean) for all who ever used a decoder, and changes
//! it only every few seconds. A slot serves another caller with each utterance, so here the front end is run by hand: each
//! speaker has an estimate of their own, it follows the utterance step by step, and it is there again at the speaker's next one.

mod cepstra;
mod ffi;

use super::{
    Error, Opening, Placement, RATE_HZ, Recogniser, Speaker, SttAdapter, Transcript, Word,
};
use crate::library::Missing;
use cepstra::{Channel, Channels};
use ffi::Decoder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "pocketsphinx";
/// The Debian packages of the library.
pub const PACKAGES: &str = "libpocketsphinx3 libsphinxbase3";
/// The Debian package of the model.
pub const MODEL_PACKAGE: &str = "pocketsphinx-en-us";
const FOLDERS: [&str; 2] = [
    "/usr/share/pocketsphinx/model/en-us",
    "/usr/local/share/pocketsphinx/model/en-us",
];
/// One frame of the front end.
const FRAME: Duration = Duration::from_millis(10);
/// An utterance is heard up to here; the library ends the process at 327 s.
const MOST_FRAMES: usize = 12_500;
/// The search needs this many frames before it may begin: its features look three frames around.
const FIRST_FRAMES: usize = 10;

/// The adapter.
pub struct PocketSphinx {
    found: ffi::Found,
    model: Model,
    channels: Arc<Channels>,
}

/// The files of a model.
#[derive(Debug, Clone)]
struct Model {
    acoustic: PathBuf,
    language: PathBuf,
    dictionary: PathBuf,
}

impl PocketSphinx {
    /// Finds the library and the model, and loads neither decoder nor model.
    ///
    /// # Errors
    /// [`Missing`] with what to type.
    pub fn open() -> Result<Self, Missing> {
        Ok(Self {
            found: ffi::find()?,
            model: Model::find()?,
            channels: Arc::default(),
        })
    }
}

impl Model {
    fn find() -> Result<Self, Missing> {
        let folder = FOLDERS
            .iter()
            .map(Path::new)
            .find(|folder| folder.is_dir())
            .unwrap_or(Path::new(FOLDERS[0]));
        let model = Self {
            acoustic: folder.join("en-us"),
            language: folder.join("en-us.lm.bin"),
            dictionary: folder.join("cmudict-en-us.dict"),
        };
        // The library would end the process over a missing file.
        let parts = [
            "mdef",
            "means",
            "variances",
            "transition_matrices",
            "sendump",
        ];
        let parts = parts.map(|part| model.acoustic.join(part));
        let absent = parts
            .iter()
            .chain([&model.language, &model.dictionary])
            .find(|path| !path.is_file())
            .cloned();
        match absent {
            Some(absent) => Err(Missing::file(NAME, &absent, MODEL_PACKAGE)),
            None => Ok(model),
        }
    }
}

impl SttAdapter for PocketSphinx {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn model(&self) -> String {
        "en-us".to_owned()
    }

    fn languages(&self) -> &'static [&'static str] {
        &["en"]
    }

    fn placement(&self) -> Placement {
        Placement::Slots
    }

    fn open(&self) -> Result<Box<dyn Recogniser>, Error> {
        let decoder = self.found.decoder(&self.model)?;
        Ok(Box::new(Listener {
            decoder,
            channels: self.channels.clone(),
            speaker: Speaker::default(),
            channel: Channel::default(),
            frames: Vec::new(),
            heard: 0,
            text: String::new(),
            listening: false,
        }))
    }
}

/// A decoder and the utterance it is listening to.
struct Listener {
    decoder: Decoder,
    channels: Arc<Channels>,
    speaker: Speaker,
    channel: Channel,
    /// Frames that the search has not had yet.
    frames: Vec<cepstra::Frame>,
    /// Frames that the front end has made of the utterance.
    heard: usize,
    text: String,
    listening: bool,
}

impl Listener {
    /// Gives the search what it has not had yet.
    fn search(&mut self) {
        for frame in &mut self.frames {
            self.channel.normalise(frame);
        }
        self.decoder.search(&mut self.frames);
        self.frames.clear();
    }
}

impl Recogniser for Listener {
    fn begin(&mut self, opening: &Opening) {
        if self.listening {
            self.decoder.end();
        }
        self.channel = self.channels.of(&opening.speaker);
        self.speaker = opening.speaker.clone();
        self.frames.clear();
        self.heard = 0;
        self.text.clear();
        self.decoder.begin();
        self.listening = true;
    }

    fn hear(&mut self, samples: &[i16]) -> Option<String> {
        if !self.listening || self.heard + samples.len() / 160 >= MOST_FRAMES {
            return None;
        }
        let before = self.frames.len();
        self.decoder.cepstra(samples, &mut self.frames);
        let new = self.frames.get(before..).unwrap_or_default();
        self.heard += new.len();
        new.iter().for_each(|frame| self.channel.hear(frame));
        if self.frames.len() < FIRST_FRAMES && self.heard == self.frames.len() {
            return None;
        }
        self.search();
        let text = self.decoder.words_so_far();
        (text != self.text && !text.is_empty()).then(|| {
            self.text.clone_from(&text);
            text
        })
    }

    fn finish(&mut self) -> Transcript {
        if !self.listening {
            return Transcript::default();
        }
        self.listening = false;
        let searched = self.heard > self.frames.len();
        self.decoder.last_cepstra(&mut self.frames);
        // Less than 100 ms is no word.
        if searched || self.frames.len() >= FIRST_FRAMES {
            self.search();
        }
        self.decoder.end();
        if self.heard < FIRST_FRAMES {
            return Transcript::default();
        }
        self.channels
            .keep(std::mem::take(&mut self.speaker), self.channel.clone());
        let words: Vec<Word> = self
            .decoder
            .segments()
            .into_iter()
            .map(|segment| Word {
                text: segment.word,
                start: FRAME * segment.first,
                end: FRAME * (segment.last + 1),
                probability: segment.probability,
            })
            .collect();
        let sum: f32 = words.iter().map(|word| word.probability).sum();
        Transcript {
            text: self.decoder.words_so_far(),
            confidence: if words.is_empty() {
                0.0
            } else {
                sum / words.len() as f32
            },
            words,
            ..Transcript::default()
        }
    }
}

const _: () = assert!(
    RATE_HZ == 16_000,
    "the model was trained on sound at 16 kHz"
);
