//! Kokoro's alphabet: which letters its phonemes are written with, and the number of each.
//!
//! It was trained on phonetic letters with signs of its own: `A` for the vowel of "day", `ʧ` for the sound of "church", no length
//! marks in American. espeak-ng writes the International Phonetic Alphabet, here with the letters of one phoneme tied by `^`.
//! (The correspondences are described in the project's misaki, EN_PHONES.md and espeak.py; the numbers are the `vocab` of
//! Kokoro-82M's config.json.)

use serde_json::Value;
use std::collections::HashMap;

/// Ties the letters of a phoneme.
pub(super) const TIE: char = '^';

/// In which language a sentence is pronounced, as far as the alphabet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accent {
    American,
    British,
    Other,
}

/// What both Englishes have in common.
const ENGLISH: [(&str, &str); 20] = [
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("e^ɪ", "A"),
    ("ɔ^ɪ", "Y"),
    ("d^ʒ", "ʤ"),
    ("t^ʃ", "ʧ"),
    ("ə^l", "ᵊl"),
    ("l\u{329}", "ᵊl"),
    ("n\u{329}", "ᵊn"),
    ("m\u{329}", "ᵊm"),
    ("ʔn\u{329}", "tᵊn"),
    ("ʔˌn\u{329}", "tᵊn"),
    ("ʔ", "t"),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
    ("r", "ɹ"),
    ("x", "k"),
    ("ç", "k"),
    ("ʲ", ""),
    ("\u{303}", ""),
];
const AMERICAN: [(&str, &str); 9] = [
    ("o^ʊ", "O"),
    ("ɜːɹ", "ɜɹ"),
    ("ɜː", "ɜɹ"),
    ("ɪə", "iə"),
    ("ɾ", "T"),
    ("o", "ɔ"),
    ("e", "A"),
    ("ɬ", "l"),
    ("ː", ""),
];
const BRITISH: [(&str, &str); 6] = [
    ("ə^ʊ", "Q"),
    ("e^ə", "ɛː"),
    ("iə", "ɪə"),
    ("o", "ɔ"),
    ("e", "A"),
    ("ɬ", "l"),
];
const OTHER: [(&str, &str); 11] = [
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("e^ɪ", "A"),
    ("ɔ^ɪ", "Y"),
    ("o^ʊ", "O"),
    ("ə^ʊ", "Q"),
    ("d^z", "ʣ"),
    ("d^ʒ", "ʤ"),
    ("s^s", "S"),
    ("t^s", "ʦ"),
    ("t^ʃ", "ʧ"),
];

/// A sentence of espeak-ng's in Kokoro's alphabet.
pub(super) fn translated(phonemes: &str, accent: Accent) -> String {
    let tables: [&[(&str, &str)]; 2] = match accent {
        Accent::American => [&AMERICAN, &ENGLISH],
        Accent::British => [&BRITISH, &ENGLISH],
        Accent::Other => [&OTHER, &[]],
    };
    let mut translated = String::with_capacity(phonemes.len());
    let mut rest = phonemes;
    while let Some(letter) = rest.chars().next() {
        // The longest that fits: `e^ɪ` before `e`.
        let fits = tables
            .into_iter()
            .flatten()
            .filter(|(from, _)| rest.starts_with(from))
            .max_by_key(|(from, _)| from.len());
        let taken = match fits {
            Some((from, to)) => {
                translated.push_str(to);
                from.len()
            }
            None => {
                if !matches!(letter, TIE | '-' | '\u{329}') {
                    translated.push(letter);
                }
                letter.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    translated
}

/// The number of each letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vocabulary(HashMap<char, i64>);

#[rustfmt::skip]
const VOCABULARY: [(char, i64); 114] = [
    (';', 1), (':', 2), (',', 3), ('.', 4), ('!', 5), ('?', 6), ('—', 9), ('…', 10), ('"', 11), ('(', 12), (')', 13),
    ('“', 14), ('”', 15), (' ', 16), ('\u{303}', 17), ('ʣ', 18), ('ʥ', 19), ('ʦ', 20), ('ʨ', 21), ('ᵝ', 22),
    ('\u{ab67}', 23), ('A', 24), ('I', 25), ('O', 31), ('Q', 33), ('S', 35), ('T', 36), ('W', 39), ('Y', 41), ('ᵊ', 42),
    ('a', 43), ('b', 44), ('c', 45), ('d', 46), ('e', 47), ('f', 48), ('h', 50), ('i', 51), ('j', 52), ('k', 53),
    ('l', 54), ('m', 55), ('n', 56), ('o', 57), ('p', 58), ('q', 59), ('r', 60), ('s', 61), ('t', 62), ('u', 63),
    ('v', 64), ('w', 65), ('x', 66), ('y', 67), ('z', 68), ('ɑ', 69), ('ɐ', 70), ('ɒ', 71), ('æ', 72), ('β', 75),
    ('ɔ', 76), ('ɕ', 77), ('ç', 78), ('ɖ', 80), ('ð', 81), ('ʤ', 82), ('ə', 83), ('ɚ', 85), ('ɛ', 86), ('ɜ', 87),
    ('ɟ', 90), ('ɡ', 92), ('ɥ', 99), ('ɨ', 101), ('ɪ', 102), ('ʝ', 103), ('ɯ', 110), ('ɰ', 111), ('ŋ', 112), ('ɳ', 113),
    ('ɲ', 114), ('ɴ', 115), ('ø', 116), ('ɸ', 118), ('θ', 119), ('œ', 120), ('ɹ', 123), ('ɾ', 125), ('ɻ', 126),
    ('ʁ', 128), ('ɽ', 129), ('ʂ', 130), ('ʃ', 131), ('ʈ', 132), ('ʧ', 133), ('ʊ', 135), ('ʋ', 136), ('ʌ', 138),
    ('ɣ', 139), ('ɤ', 140), ('χ', 142), ('ʎ', 143), ('ʒ', 147), ('ʔ', 148), ('ˈ', 156), ('ˌ', 157), ('ː', 158),
    ('ʰ', 162), ('ʲ', 164), ('↓', 169), ('→', 171), ('↗', 172), ('↘', 173), ('ᵻ', 177),
];

impl Default for Vocabulary {
    /// That of Kokoro-82M.
    fn default() -> Self {
        Self(VOCABULARY.into_iter().collect())
    }
}

impl Vocabulary {
    /// That of a model's `config.json` (`vocab`) or `tokenizer.json` (`model.vocab`); none where the file holds none.
    ///
    /// # Errors
    /// That the file is no JSON, or its numbers are none.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(vocab) = json
            .get("vocab")
            .or_else(|| json.pointer("/model/vocab"))
            .and_then(Value::as_object)
        else {
            return Ok(None);
        };
        let mut numbers = HashMap::new();
        for (symbol, number) in vocab {
            let number = number
                .as_i64()
                .filter(|number| (0..=i64::from(u16::MAX)).contains(number))
                .ok_or_else(|| format!("its vocabulary gives {symbol:?} the number {number}"))?;
            let mut letters = symbol.chars();
            if let (Some(letter), None) = (letters.next(), letters.next()) {
                numbers.insert(letter, number);
            }
        }
        Ok(Some(Self(numbers)))
    }

    /// The numbers of the letters; what has none is left out, and the padding is no letter.
    pub(super) fn numbers(&self, symbols: &str) -> Vec<i64> {
        symbols
            .chars()
            .filter_map(|symbol| self.0.get(&symbol).copied())
            .filter(|number| *number != 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_written_with_the_signs_that_the_model_knows() {
        let american = |phonemes| translated(phonemes, Accent::American);
        // "join our house boat", "better bottle button", "sure church bird"
        assert_eq!(
            american("d^ʒˈɔ^ɪn ˌa^ʊɚ hˈa^ʊs bˈo^ʊt"),
            "ʤˈYn ˌWəɹ hˈWs bˈOt"
        );
        assert_eq!(
            american("bˈɛɾɚ bˈɑːɾə^l bˈʌʔn\u{329}"),
            "bˈɛTəɹ bˈɑTᵊl bˈʌtᵊn"
        );
        assert_eq!(american("ʃˈʊ^ɹ t^ʃˈɜːt^ʃ bˈɜːd"), "ʃˈʊɹ ʧˈɜɹʧ bˈɜɹd");
        assert_eq!(translated("bˈə^ʊt ðˈe^ə", Accent::British), "bˈQt ðˈɛː");
        // Italian "pizza", French "vin".
        assert_eq!(translated("pˈit^sːa", Accent::Other), "pˈiʦːa");
        assert_eq!(translated("vˈɛ\u{303}", Accent::Other), "vˈɛ\u{303}");
    }

    #[test]
    fn every_sign_has_its_own_number() {
        let Vocabulary(numbers) = Vocabulary::default();
        assert_eq!(numbers.len(), VOCABULARY.len());
        let mut seen: Vec<_> = numbers.values().collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), VOCABULARY.len());
        let accents = [&AMERICAN[..], &BRITISH, &ENGLISH, &OTHER];
        for (_, to) in accents.into_iter().flatten() {
            assert!(to.chars().all(|sign| numbers.contains_key(&sign)), "{to}");
        }
    }

    #[test]
    fn a_model_brings_its_own_numbers_or_none() {
        let parsed = Vocabulary::parse(r#"{"vocab": {"a": 7, "ab": 8, "$": 0}}"#);
        let vocabulary = parsed.unwrap().unwrap();
        assert_eq!(vocabulary.numbers("aba$a"), [7, 7, 7]);
        let nested = Vocabulary::parse(r#"{"model": {"vocab": {"b": 9}}}"#);
        assert_eq!(nested.unwrap().unwrap().numbers("ab"), [9]);
        assert_eq!(Vocabulary::parse(r#"{"model_type": "style"}"#), Ok(None));
        assert!(Vocabulary::parse("{").is_err());
        assert!(Vocabulary::parse(r#"{"vocab": {"a": -1}}"#).is_err());
    }
}
