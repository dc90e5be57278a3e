//! `<model>.onnx.json`: what a Piper voice was trained with.

use super::super::phonemes::Phonemiser;
use super::NAME;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The first, the last and the padding symbol of a row.
const BEGIN: char = '^';
const END: char = '$';
const PAD: char = '_';
/// Ids that one symbol may stand for; Piper's own have one.
const MOST_IDS: usize = 16;
/// What a step is where the configuration does not say it.
const HOP_SAMPLES: usize = 256;
/// More speakers than any voice has.
const MOST_SPEAKERS: i64 = 10_000;

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// Samples a second.
    pub rate_hz: u32,
    /// The language as the file names it.
    pub language: String,
    pub noise_scale: f32,
    pub length_scale: f32,
    pub noise_w: f32,
    /// The speakers' names, by number; empty where there is one.
    pub speakers: BTreeMap<i64, String>,
    /// Samples of a step of the network, in which it tells how long phonemes are.
    pub hop_samples: usize,
    /// espeak-ng's voice; none where the model reads letters.
    espeak_voice: Option<String>,
    ids: HashMap<char, Vec<i64>>,
    begin: Vec<i64>,
    end: Vec<i64>,
    pad: Vec<i64>,
}

#[derive(Deserialize)]
struct Json {
    audio: Audio,
    #[serde(default)]
    espeak: Espeak,
    #[serde(default)]
    inference: Inference,
    phoneme_type: Option<String>,
    #[serde(default)]
    phoneme_id_map: HashMap<String, Vec<i64>>,
    num_symbols: Option<i64>,
    num_speakers: Option<i64>,
    hop_length: Option<usize>,
    speaker_id_map: Option<BTreeMap<String, i64>>,
    #[serde(default)]
    language: Language,
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Deserialize, Default)]
struct Espeak {
    #[serde(default)]
    voice: String,
}

#[derive(Deserialize)]
#[serde(default)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for Inference {
    fn default() -> Self {
        // Those of Piper's own documentation.
        Self {
            noise_scale: 0.667,
            length_scale: 1.0,
            noise_w: 0.8,
        }
    }
}

#[derive(Deserialize, Default)]
struct Language {
    #[serde(default)]
    code: String,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text)
            .map_err(|error| format!("it is no configuration of a Piper voice: {error}"))?;
        let rate_hz = json.audio.sample_rate;
        if !(8_000..=192_000).contains(&rate_hz) {
            return Err(format!("audio.sample_rate is {rate_hz}"));
        }
        let Inference {
            noise_scale,
            length_scale,
            noise_w,
        } = json.inference;
        let is_scale = |scale: f32| (0.0..=100.0).contains(&scale);
        if !is_scale(noise_scale)
            || !is_scale(noise_w)
            || !is_scale(length_scale)
            || length_scale < 0.01
        {
            return Err("the scales under inference are out of range".to_owned());
        }
        let espeak_voice = match json.phoneme_type.as_deref() {
            None | Some("espeak") if json.espeak.voice.is_empty() => {
                return Err("espeak.voice is missing".to_owned());
            }
            None | Some("espeak") => Some(json.espeak.voice.clone()),
            Some("text") => None,
            Some(other) => {
                return Err(format!(
                    "phoneme_type is {other:?}; only espeak and text are known"
                ));
            }
        };
        let language = [json.language.code, json.espeak.voice]
            .into_iter()
            .find(|language| !language.is_empty())
            .unwrap_or_default();
        let ids = ids(json.phoneme_id_map, json.num_symbols)?;
        let of = |symbol: char| {
            let ids = ids.get(&symbol).filter(|ids| !ids.is_empty()).cloned();
            ids.ok_or_else(|| format!("phoneme_id_map lacks {symbol:?}"))
        };
        Ok(Self {
            rate_hz,
            language,
            noise_scale,
            length_scale,
            noise_w,
            speakers: speakers(json.num_speakers, json.speaker_id_map)?,
            hop_samples: json.hop_length.unwrap_or(HOP_SAMPLES),
            espeak_voice,
            begin: of(BEGIN)?,
            end: of(END)?,
            pad: of(PAD)?,
            ids,
        })
    }

    /// What makes phonemes for the model; none if it reads letters.
    pub(super) fn phonemiser(&self) -> Option<Phonemiser> {
        self.espeak_voice.as_ref().map(|voice| Phonemiser {
            engine: NAME,
            voice: voice.clone(),
            tie: None,
        })
    }

    /// The row of ids for some phonemes, with padding between them; empty if the model knows none of them.
    pub(super) fn row(&self, phonemes: &str) -> Vec<i64> {
        let mut row = self.begin.clone();
        row.extend(&self.pad);
        let mut known = false;
        for symbol in phonemes.chars().flat_map(decomposed) {
            if let Some(ids) = self.ids_of(symbol) {
                known |= symbol != ' ';
                row.extend(ids);
                row.extend(&self.pad);
            }
        }
        row.extend(&self.end);
        if known { row } else { Vec::new() }
    }

    /// What rows of a batch are filled up with behind their ends; the network is told where those are.
    pub(super) fn padding(&self) -> i64 {
        self.pad.first().copied().unwrap_or_default()
    }

    /// A row of what the model knows, for a trial without words.
    pub(super) fn trial(&self) -> String {
        const SYMBOLS: usize = 20;
        let mut known: Vec<char> = self
            .ids
            .keys()
            .copied()
            .filter(|symbol| symbol.is_alphabetic())
            .collect();
        known.sort_unstable();
        known.into_iter().take(SYMBOLS).collect()
    }

    fn ids_of(&self, symbol: char) -> Option<&[i64]> {
        // Two marks that Piper's own alphabet lacks.
        let instead = match symbol {
            '…' => Some('.'),
            '—' => Some(','),
            _ => None,
        };
        self.ids
            .get(&symbol)
            .or_else(|| self.ids.get(&instead?))
            .map(Vec::as_slice)
            .filter(|_| ![BEGIN, END, PAD].contains(&symbol))
    }
}

fn ids(
    map: HashMap<String, Vec<i64>>,
    symbols: Option<i64>,
) -> Result<HashMap<char, Vec<i64>>, String> {
    if map.is_empty() {
        return Err("phoneme_id_map is missing or empty".to_owned());
    }
    let most = symbols.unwrap_or(i64::from(u16::MAX));
    if let Some(id) = map.values().flatten().find(|id| !(0..most).contains(*id)) {
        return Err(format!(
            "phoneme_id_map has the id {id}, and num_symbols is {most}"
        ));
    }
    if map.values().any(|ids| ids.len() > MOST_IDS) {
        return Err(format!(
            "phoneme_id_map has more than {MOST_IDS} ids for one symbol"
        ));
    }
    let mut ids = HashMap::new();
    for (symbol, of) in map {
        let mut letters = symbol.chars();
        // A symbol of several letters never comes out of espeak-ng letter by letter.
        if let (Some(letter), None) = (letters.next(), letters.next()) {
            ids.insert(letter, of);
        }
    }
    Ok(ids)
}

fn speakers(
    count: Option<i64>,
    named: Option<BTreeMap<String, i64>>,
) -> Result<BTreeMap<i64, String>, String> {
    let count = count.unwrap_or(1);
    if !(0..=MOST_SPEAKERS).contains(&count) {
        return Err(format!("num_speakers is {count}"));
    }
    if count <= 1 {
        return Ok(BTreeMap::new());
    }
    let mut speakers: BTreeMap<i64, String> = (0..count)
        .map(|number| (number, number.to_string()))
        .collect();
    for (name, number) in named.into_iter().flatten() {
        match speakers.get_mut(&number) {
            Some(speaker) => *speaker = name,
            None => {
                return Err(format!(
                    "speaker_id_map gives {name:?} the number {number}, and num_speakers is {count}"
                ));
            }
        }
    }
    Ok(speakers)
}

/// A letter taken apart into its base and its accent, as Piper's voices were trained; espeak-ng puts out few that can be.
fn decomposed(letter: char) -> impl Iterator<Item = char> {
    let (base, accent) = match letter {
        'ç' => ('c', Some('\u{327}')),
        'ã' => ('a', Some('\u{303}')),
        'ẽ' => ('e', Some('\u{303}')),
        'ĩ' => ('i', Some('\u{303}')),
        'õ' => ('o', Some('\u{303}')),
        'ũ' => ('u', Some('\u{303}')),
        'ä' => ('a', Some('\u{308}')),
        'ë' => ('e', Some('\u{308}')),
        'ö' => ('o', Some('\u{308}')),
        'ü' => ('u', Some('\u{308}')),
        'á' => ('a', Some('\u{301}')),
        'é' => ('e', Some('\u{301}')),
        'í' => ('i', Some('\u{301}')),
        'ó' => ('o', Some('\u{301}')),
        'ú' => ('u', Some('\u{301}')),
        _ => (letter, None),
    };
    std::iter::once(base).chain(accent)
}

#[cfg(test)]
mod tests;
