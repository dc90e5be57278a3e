//! A Piper model in memory, which says clauses.

use super::super::levels::Levels;
use super::super::onnx::{self, Runtime};
use super::super::phonemes::{Phonemiser, pieces};
use super::super::{Clause, SpeechSink};
use super::{Config, Files};
use crate::text::Clauses;
use ort::session::Session;
use ort::value::{Tensor, TensorElementType};

/// Said once when a model is loaded: figures, for they are words in every language.
const TRIAL: &str = "1, 2, 3, 4.";

/// Says clauses; lives on one thread.
pub(super) struct Speaker {
    model: String,
    config: Config,
    phonemiser: Option<Phonemiser>,
    network: Network,
    levels: Levels,
}

/// The network, of which the inputs and outputs are known to be Piper's.
struct Network {
    session: Session,
    output: String,
    /// Whether it wants to be told who speaks.
    takes_speaker: bool,
}

impl Speaker {
    /// Loads a model and has it say something, which finds out whether it fits its configuration and how loud it is.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(super) fn load(runtime: &Runtime, model: &str, files: Files) -> Result<Self, String> {
        let Files {
            model: path,
            config,
        } = files;
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let network = Network::of(runtime.open(&path)?, &config).map_err(wrong)?;
        let mut speaker = Self {
            phonemiser: config.phonemiser(),
            model: model.to_owned(),
            config,
            network,
            levels: Levels::default(),
        };
        let samples = speaker.trial().map_err(wrong)?;
        speaker.levels.measure(&samples, speaker.config.rate_hz);
        Ok(speaker)
    }

    /// Says a clause into its sink, sentence by sentence.
    pub(super) fn say(&mut self, clause: &Clause, mut sink: SpeechSink) {
        let speaker = self.config.speaker(&self.model, &clause.voice);
        let voice = usize::try_from(speaker).unwrap_or_default();
        let rate_hz = self.config.rate_hz;
        for sentence in sentences(self.phonemiser.as_ref(), &clause.text) {
            let sentence = match sentence {
                Ok(sentence) => sentence,
                Err(reason) => return sink.fail(reason),
            };
            for piece in pieces(&sentence) {
                if !sink.is_wanted() {
                    return sink.finish();
                }
                let row = self.config.row(piece);
                if row.is_empty() {
                    continue;
                }
                match self.network.run(&self.config, row, speaker, clause.speed) {
                    Err(reason) => return sink.fail(reason),
                    Ok(mut samples) => {
                        let leveller = self.levels.leveller(voice);
                        self.levels.heard(voice, &samples, rate_hz);
                        leveller.process(&mut samples);
                        if sink.push(rate_hz, &samples).is_break() {
                            return sink.finish();
                        }
                    }
                }
            }
        }
        sink.finish();
    }

    fn trial(&mut self) -> Result<Vec<i16>, String> {
        let mut row = Vec::new();
        if let Some(sentence) = sentences(self.phonemiser.as_ref(), TRIAL).next() {
            row = self.config.row(&sentence?);
        }
        if row.is_empty() {
            row = self.config.row(&self.config.trial());
        }
        if row.is_empty() {
            return Err("the configuration's phoneme_id_map has no phonemes".to_owned());
        }
        let speaker = self.config.speaker(&self.model, &self.model);
        self.network.run(&self.config, row, speaker, 1.0)
    }
}

/// The sentences of a text in the alphabet of the model: phonemes, or plain small letters.
fn sentences<'a>(
    phonemiser: Option<&'a Phonemiser>,
    text: &'a str,
) -> Box<dyn Iterator<Item = Result<String, String>> + 'a> {
    match phonemiser {
        Some(phonemiser) => Box::new(
            phonemiser
                .sentences(text)
                .map(|sentence| sentence.map_err(|error| error.to_string())),
        ),
        None => Box::new(Clauses::of(text).map(|clause| Ok(clause.text.to_lowercase()))),
    }
}

impl Network {
    fn of(session: Session, config: &Config) -> Result<Self, String> {
        let inputs = session.inputs();
        let is = |name, wanted| onnx::type_of(inputs, name) == Some(wanted);
        let are_there = is("input", TensorElementType::Int64)
            && is("input_lengths", TensorElementType::Int64)
            && is("scales", TensorElementType::Float32);
        if !are_there {
            return Err(format!(
                "this is no Piper voice: its inputs are [{}], expected [input, input_lengths, scales] and perhaps sid",
                onnx::names(inputs)
            ));
        }
        let takes_speaker = is("sid", TensorElementType::Int64);
        if !takes_speaker && !config.speakers.is_empty() {
            return Err(format!(
                "the configuration names {} speakers and the model has no input sid",
                config.speakers.len()
            ));
        }
        let known = ["input", "input_lengths", "scales", "sid"];
        if let Some(other) = inputs.iter().find(|input| !known.contains(&input.name())) {
            return Err(format!(
                "the model wants an input {:?}, which is not known of Piper voices",
                other.name()
            ));
        }
        let outputs = session.outputs();
        let output = outputs
            .iter()
            .find(|output| {
                onnx::type_of(outputs, output.name()) == Some(TensorElementType::Float32)
            })
            .map(|output| output.name().to_owned())
            .ok_or("the model has no output of samples")?;
        Ok(Self {
            session,
            output,
            takes_speaker,
        })
    }

    /// The samples for a row of ids, at the model's rate.
    fn run(
        &mut self,
        config: &Config,
        row: Vec<i64>,
        speaker: i64,
        speed: f32,
    ) -> Result<Vec<i16>, String> {
        let length = row.len();
        let scales = vec![
            config.noise_scale,
            config.length_scale / speed.clamp(0.25, 4.0),
            config.noise_w,
        ];
        let odd = |error: ort::Error| error.to_string();
        let mut inputs = ort::inputs![
            "input" => Tensor::from_array(([1, length], row)).map_err(odd)?,
            "input_lengths" => Tensor::from_array(([1], vec![length as i64])).map_err(odd)?,
            "scales" => Tensor::from_array(([3], scales)).map_err(odd)?,
        ];
        if self.takes_speaker {
            let speaker = Tensor::from_array(([1], vec![speaker])).map_err(odd)?;
            inputs.push(("sid".into(), speaker.into()));
        }
        let samples = onnx::run(&mut self.session, inputs, &self.output)?;
        Ok(onnx::to_i16(&samples))
    }
}
