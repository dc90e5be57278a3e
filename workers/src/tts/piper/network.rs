//! The network of a Piper voice: rows of ids in, samples out.
//!
//! It takes several rows at once, filled up to one length, and gives sound of one length for all of them. Where each ends it does
//! not say, except where the file was changed to tell how long every id is (Piper's own tool for alignments does that); only
//! such a voice is asked for several at once. What is cut off then is exact to the sample.

use super::super::onnx::{self, Input};
use super::Config;
use ort::session::Session;
use ort::value::{Tensor, TensorElementType};
use tracing::info;

/// Who speaks, and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Manner {
    /// The speaker's number.
    pub speaker: i64,
    /// 1.0 is the voice's own pace.
    pub speed: f32,
}

/// The network, of which the inputs and outputs are known to be Piper's.
pub(super) struct Network {
    session: Session,
    output: String,
    /// The output that tells how many steps each id lasts; none if there is none that is right.
    lengths: Option<String>,
    /// Whether it wants to be told who speaks.
    takes_speaker: bool,
}

impl Network {
    pub(super) fn of(session: Session, config: &Config) -> Result<Self, String> {
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
        let mut numbers = outputs
            .iter()
            .map(|output| output.name())
            .filter(|name| onnx::type_of(outputs, name) == Some(TensorElementType::Float32))
            .map(str::to_owned);
        let output = numbers.next().ok_or("the model has no output of samples")?;
        let lengths = numbers.next();
        Ok(Self {
            output,
            lengths,
            takes_speaker,
            session,
        })
    }

    /// Whether it tells how long each of several rows is.
    pub(super) fn tells_lengths(&self) -> bool {
        self.lengths.is_some()
    }

    /// The samples for a row of ids, at the model's rate.
    pub(super) fn run(
        &mut self,
        config: &Config,
        row: Vec<i64>,
        manner: Manner,
    ) -> Result<Vec<i16>, String> {
        let inputs = self.inputs(config, &[row], manner)?;
        let samples = onnx::run(&mut self.session, inputs, &self.output)?;
        Ok(onnx::to_i16(&samples))
    }

    /// The samples for each of several rows.
    pub(super) fn run_batch(
        &mut self,
        config: &Config,
        rows: &[Vec<i64>],
        manner: Manner,
    ) -> Result<Vec<Vec<i16>>, String> {
        let Some(lengths) = self.lengths.clone() else {
            let each = rows.iter();
            return each
                .map(|row| self.run(config, row.clone(), manner))
                .collect();
        };
        let inputs = self.inputs(config, rows, manner)?;
        let outputs = [self.output.as_str(), lengths.as_str()];
        let [samples, steps] = onnx::run_for(&mut self.session, inputs, outputs)?;
        cut(&samples, &steps, rows, config.hop_samples)
    }

    /// Says a row, and finds out whether it can be trusted with several at once: with that row and a shorter one.
    pub(super) fn try_out(
        &mut self,
        config: &Config,
        row: &[i64],
        manner: Manner,
    ) -> Result<Vec<i16>, String> {
        let samples = self.run(config, row.to_vec(), manner)?;
        if self.lengths.is_some() {
            let (shorter, _) = row.split_at(row.len().div_ceil(2));
            let rows = [row.to_vec(), shorter.to_vec()];
            if let Err(reason) = self.run_batch(config, &rows, manner) {
                info!(%reason, "A Piper voice has a second output, which does not tell lengths; it says its clauses one by one.");
                self.lengths = None;
            }
        }
        Ok(samples)
    }

    /// Its inputs for these rows, filled up to the longest.
    fn inputs(
        &self,
        config: &Config,
        rows: &[Vec<i64>],
        manner: Manner,
    ) -> Result<Vec<Input<'static>>, String> {
        let count = rows.len();
        let longest = rows.iter().map(Vec::len).max().unwrap_or_default();
        let lengths: Vec<i64> = rows.iter().map(|row| row.len() as i64).collect();
        let filler = std::iter::repeat(config.padding());
        let ids: Vec<i64> = rows
            .iter()
            .flat_map(|row| row.iter().copied().chain(filler.clone()).take(longest))
            .collect();
        let scales = vec![
            config.noise_scale,
            config.length_scale / manner.speed.clamp(0.25, 4.0),
            config.noise_w,
        ];
        let odd = |error: ort::Error| error.to_string();
        let mut inputs = ort::inputs![
            "input" => Tensor::from_array(([count, longest], ids)).map_err(odd)?,
            "input_lengths" => Tensor::from_array(([count], lengths)).map_err(odd)?,
            "scales" => Tensor::from_array(([3], scales)).map_err(odd)?,
        ];
        if self.takes_speaker {
            let speakers = vec![manner.speaker; count];
            let speakers = Tensor::from_array(([count], speakers)).map_err(odd)?;
            inputs.push(("sid".into(), speakers.into()));
        }
        Ok(inputs)
    }
}

/// Cuts the sound of several rows, which lie one after the other and are as long as the longest of them, to their own lengths, by
/// the steps that each id lasts.
///
/// # Errors
/// That sound and lengths do not fit each other.
fn cut(
    samples: &[f32],
    steps: &[f32],
    rows: &[Vec<i64>],
    hop_samples: usize,
) -> Result<Vec<Vec<i16>>, String> {
    let odd = || "the lengths that the model tells do not fit its sound".to_owned();
    let count = rows.len().max(1);
    let (room, ids) = (samples.len() / count, steps.len() / count);
    let is_even = samples.len().is_multiple_of(count) && steps.len().is_multiple_of(count);
    if room == 0 || ids == 0 || !is_even {
        return Err(odd());
    }
    let mut longest = 0;
    let each = samples.chunks(room).zip(steps.chunks(ids)).zip(rows);
    let cut: Result<Vec<Vec<i16>>, String> = each
        .map(|((samples, steps), row)| {
            let (of_row, filler) = steps.split_at_checked(row.len()).ok_or_else(odd)?;
            if filler.iter().any(|steps| *steps != 0.0) || of_row.iter().any(|steps| *steps < 0.0) {
                return Err(odd());
            }
            // Whole numbers, and far fewer than a float can count.
            let length = of_row.iter().sum::<f32>() as usize * hop_samples;
            longest = longest.max(length);
            let (own, _) = samples.split_at_checked(length).ok_or_else(odd)?;
            Ok(onnx::to_i16(own))
        })
        .collect();
    let cut = cut?;
    // The sound is as long as the longest row, or the steps are of another length.
    match longest == room {
        true => Ok(cut),
        false => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_gets_its_own_sound_and_nothing_behind_it() {
        let rows = [vec![1, 5, 2], vec![1, 2]];
        // Steps of two samples; the second row is filled up.
        let steps = [1.0, 2.0, 1.0, 1.0, 1.0, 0.0];
        let sound: Vec<f32> = (0..16).map(|n| n as f32 / 100.0).collect();
        let got = cut(&sound, &steps, &rows, 2).unwrap();
        assert_eq!(got[0], onnx::to_i16(&sound[..8]));
        assert_eq!(got[1], onnx::to_i16(&sound[8..12]));
    }

    #[test]
    fn lengths_that_do_not_fit_are_not_believed() {
        let rows = [vec![1, 5, 2], vec![1, 2]];
        let sound = [0.0; 16];
        let fits = [1.0, 2.0, 1.0, 1.0, 1.0, 0.0];
        assert!(cut(&sound, &fits, &rows, 2).is_ok());
        // Another step, sound of the filler, too much, too little, not for each id.
        assert!(cut(&sound, &fits, &rows, 4).is_err());
        assert!(cut(&sound, &[1.0, 2.0, 1.0, 1.0, 1.0, 1.0], &rows, 2).is_err());
        assert!(cut(&sound, &[1.0, 2.0, 9.0, 1.0, 1.0, 0.0], &rows, 2).is_err());
        assert!(cut(&sound, &[1.0; 4], &rows, 2).is_err());
        assert!(cut(&[0.0; 15], &fits, &rows, 2).is_err());
        assert!(cut(&[], &[], &rows, 2).is_err());
    }
}
