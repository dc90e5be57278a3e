//! A Kokoro model in memory, which says clauses.

use super::super::engine::Say;
use super::super::levels::{Levels, PHRASE};
use super::super::onnx::{self, Runtime};
use super::super::phonemes::pieces;
use super::super::{Clause, SpeechSink};
use super::styles::{STYLE_VALUES, Styles};
use super::symbols::{Vocabulary, translated};
use super::{Files, Named, RATE_HZ};
use ort::session::Session;
use ort::value::{Tensor, TensorElementType};
use std::collections::HashMap;

/// Stands before and behind every row.
const PAD: i64 = 0;

/// Says clauses; lives on one thread.
pub(super) struct Speaker {
    network: Network,
    vocabulary: Vocabulary,
    voices: HashMap<String, Known>,
    levels: Levels,
}

struct Known {
    /// Its place among the model's voices, for its level.
    number: usize,
    named: Named,
    styles: Styles,
}

/// The network, of which the inputs and outputs are known to be Kokoro's.
struct Network {
    session: Session,
    row: &'static str,
    speed: TensorElementType,
    output: String,
}

impl Speaker {
    /// Loads a model with its voices and has the first say something, which finds out whether they fit and how loud they are.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(super) fn load(runtime: &Runtime, files: Files) -> Result<Self, String> {
        let Files {
            model,
            shelf,
            vocabulary,
            voices,
        } = files;
        let wrong = |reason: String| format!("{}: {reason}", model.display());
        let network = Network::of(runtime.open(&model)?).map_err(wrong)?;
        let mut styles = shelf.read(|name| voices.iter().any(|(_, voice)| voice.style == name))?;
        let first = voices.first().map(|(name, _)| name.clone());
        let voices = voices
            .into_iter()
            .enumerate()
            .filter_map(|(number, (name, named))| {
                let styles = styles.remove(&named.style)?;
                let known = Known {
                    number,
                    named,
                    styles,
                };
                Some((name, known))
            })
            .collect();
        let mut speaker = Self {
            network,
            vocabulary,
            voices,
            levels: Levels::default(),
        };
        let samples = speaker.trial(first.as_deref()).map_err(wrong)?;
        // The first voice's number is 0.
        speaker.levels.measure(0, &samples, RATE_HZ);
        Ok(speaker)
    }

    fn trial(&mut self, voice: Option<&str>) -> Result<Vec<i16>, String> {
        let voice = voice.and_then(|voice| self.voices.get(voice));
        let voice = voice.ok_or("it has no voices")?;
        let phonemiser = voice.named.phonemiser();
        let sentence = phonemiser.sentences(PHRASE).next();
        let sentence = sentence
            .ok_or("espeak-ng says nothing for figures")?
            .map_err(|error| error.to_string())?;
        let sentence = translated(&sentence, voice.named.accent);
        let samples = self.network.run(&self.vocabulary, voice, &sentence, 1.0)?;
        if samples.is_empty() {
            return Err("it says nothing; does its vocabulary fit?".to_owned());
        }
        Ok(samples)
    }
}

impl Say for Speaker {
    /// Sentence by sentence; between them, and between the parts of a long one, it looks whether anybody still listens.
    fn say(&mut self, clause: &Clause, mut sink: SpeechSink) {
        let Self {
            network,
            vocabulary,
            voices,
            levels,
        } = self;
        let Some(voice) = voices.get(&clause.voice) else {
            return sink.fail(format!("there is no voice {:?}", clause.voice));
        };
        if let Some(lufs) = levels.of(voice.number) {
            sink.loudness(lufs);
        }
        let phonemiser = voice.named.phonemiser();
        for sentence in phonemiser.sentences(&clause.text) {
            let sentence = match sentence {
                Ok(sentence) => translated(&sentence, voice.named.accent),
                Err(error) => return sink.fail(error.to_string()),
            };
            for piece in pieces(&sentence) {
                if !sink.is_wanted() {
                    return sink.finish();
                }
                match network.run(vocabulary, voice, piece, clause.speed) {
                    Err(reason) => return sink.fail(reason),
                    Ok(samples) => {
                        levels.hear(voice.number, &samples, RATE_HZ);
                        if sink.push(RATE_HZ, &samples).is_break() {
                            return sink.finish();
                        }
                    }
                }
            }
        }
        sink.finish();
    }
}

impl Network {
    fn of(session: Session) -> Result<Self, String> {
        let inputs = session.inputs();
        let type_of = |name| onnx::type_of(inputs, name);
        let row = ["input_ids", "tokens"]
            .into_iter()
            .find(|name| type_of(name) == Some(TensorElementType::Int64));
        let has_style = type_of("style") == Some(TensorElementType::Float32);
        let speed = type_of("speed").filter(|speed| {
            matches!(
                speed,
                TensorElementType::Float32
                    | TensorElementType::Float64
                    | TensorElementType::Int32
                    | TensorElementType::Int64
            )
        });
        let (Some(row), true, Some(speed), 3) = (row, has_style, speed, inputs.len()) else {
            return Err(format!(
                "this is no Kokoro model: its inputs are [{}], expected [input_ids or tokens, style, speed]",
                onnx::names(inputs)
            ));
        };
        // Some models also tell how long each phoneme is.
        let outputs = session.outputs();
        let is_sound =
            |name: &str| onnx::type_of(outputs, name) == Some(TensorElementType::Float32);
        let output = ["waveform", "audio"]
            .into_iter()
            .chain(outputs.iter().map(|output| output.name()))
            .find(|name| is_sound(name))
            .map(str::to_owned)
            .ok_or("the model has no output of samples")?;
        Ok(Self {
            session,
            row,
            speed,
            output,
        })
    }

    /// The samples for some phonemes, at 24 kHz; none where the model knows none of them.
    fn run(
        &mut self,
        vocabulary: &Vocabulary,
        voice: &Known,
        phonemes: &str,
        speed: f32,
    ) -> Result<Vec<i16>, String> {
        let numbers = vocabulary.numbers(phonemes);
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let style = voice.styles.for_length(numbers.len()).to_vec();
        let mut row = Vec::with_capacity(numbers.len() + 2);
        row.push(PAD);
        row.extend(numbers);
        row.push(PAD);
        let odd = |error: ort::Error| error.to_string();
        let speed = speed.clamp(0.25, 4.0);
        // Some exports take whole numbers only; then the pace is the nearest one.
        let whole = speed.round().max(1.0);
        let mut inputs = ort::inputs![
            self.row => Tensor::from_array(([1, row.len()], row)).map_err(odd)?,
            "style" => Tensor::from_array(([1, STYLE_VALUES], style)).map_err(odd)?,
        ];
        let speed = match self.speed {
            TensorElementType::Float64 => {
                Tensor::from_array(([1], vec![f64::from(speed)])).map(Into::into)
            }
            TensorElementType::Int32 => {
                Tensor::from_array(([1], vec![whole as i32])).map(Into::into)
            }
            TensorElementType::Int64 => {
                Tensor::from_array(([1], vec![whole as i64])).map(Into::into)
            }
            // The type was found to be one of these four.
            _ => Tensor::from_array(([1], vec![speed])).map(Into::into),
        };
        inputs.push(("speed".into(), speed.map_err(odd)?));
        let samples = onnx::run(&mut self.session, inputs, &self.output)?;
        Ok(onnx::to_i16(&samples))
    }
}
