//! What the names of Kokoro's voices say.

use super::super::Gender;
use super::super::phonemes::Phonemiser;
use super::NAME;
use super::symbols::{Accent, TIE};

/// What a voice's name says: its language, whose voice it is like, and a name, as in `af_heart`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The name of its styles.
    pub style: String,
    pub language: &'static str,
    /// espeak-ng's voice.
    espeak_voice: &'static str,
    pub accent: Accent,
    pub gender: Gender,
}

impl Named {
    /// None where the first letter is that of no language that espeak-ng pronounces for Kokoro.
    pub(super) fn of(style: &str) -> Option<Self> {
        let mut letters = style.chars();
        let (language, espeak_voice, accent) = match letters.next()? {
            'a' => ("en-US", "en-us", Accent::American),
            'b' => ("en-GB", "en-gb", Accent::British),
            'e' => ("es", "es", Accent::Other),
            'f' => ("fr-FR", "fr-fr", Accent::Other),
            'h' => ("hi", "hi", Accent::Other),
            'i' => ("it", "it", Accent::Other),
            'p' => ("pt-BR", "pt-br", Accent::Other),
            // j and z: Japanese and Chinese have pronunciations of their own, which espeak-ng does not make.
            _ => return None,
        };
        let gender = match letters.next() {
            Some('f') => Gender::Female,
            Some('m') => Gender::Male,
            _ => Gender::Unknown,
        };
        Some(Self {
            style: style.to_owned(),
            language,
            espeak_voice,
            accent,
            gender,
        })
    }

    /// What pronounces for the voice.
    pub(super) fn phonemiser(&self) -> Phonemiser {
        Phonemiser {
            engine: NAME,
            voice: self.espeak_voice.to_owned(),
            tie: Some(TIE),
        }
    }

    /// The name alone, for people: `Heart` of `af_heart`.
    pub(super) fn title(&self) -> String {
        let name = self
            .style
            .split_once('_')
            .map_or(self.style.as_str(), |(_, name)| name);
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    }
}

/// Whether a file of this name may be a voice: two letters, and perhaps a name behind an underscore.
pub(super) fn is_voice(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|letter| letter.is_ascii_lowercase())
        && matches!(letters.next(), Some('f' | 'm'))
        && matches!(letters.next(), None | Some('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_language_and_gender() {
        let of = |name| Named::of(name).map(|named| (named.language, named.gender, named.title()));
        assert_eq!(
            of("af_heart"),
            Some(("en-US", Gender::Female, "Heart".to_owned()))
        );
        assert_eq!(
            of("pm_alex"),
            Some(("pt-BR", Gender::Male, "Alex".to_owned()))
        );
        assert_eq!(of("jf_alpha"), None);
        assert_eq!(of("zm_yunxi"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn other_files_of_a_pack_are_no_voices() {
        assert!(is_voice("af") && is_voice("bm_george"));
        assert!(!is_voice("pytorch_model") && !is_voice("voices-v1.0") && !is_voice(""));
    }
}
