//! The languages of Whisper, by their places among the model's tokens.

/// The languages (ISO 639-1 where there is a code, else 639-3) in the order of their tokens. The last one is known to the newest
/// models only.
#[rustfmt::skip]
const CODES: [&str; 100] = [
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi", "fi", "vi",
    "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la", "mi", "ml", "cy", "sk",
    "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy", "ne", "mn", "bs", "kk", "sq", "sw",
    "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be", "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo",
    "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl", "mg", "as", "tt", "haw", "ln", "ha", "ba", "jw", "su", "yue",
];
static ALL: [&str; 100] = CODES;

/// Written without blanks between words.
const WITHOUT_BLANKS: [&str; 8] = ["zh", "ja", "th", "lo", "km", "my", "bo", "yue"];

/// The first so many languages.
pub fn first(count: usize) -> &'static [&'static str] {
    ALL.get(..count).unwrap_or(&ALL)
}

/// The language that a tag such as `pt-BR` names, if it is one of Whisper's.
pub fn named(tag: &str) -> Option<&'static str> {
    let language = tag.split(['-', '_']).next()?.to_ascii_lowercase();
    let language = match language.as_str() {
        // Names that Whisper has otherwise.
        "jv" => "jw",
        "nb" => "no",
        "iw" => "he",
        "fil" => "tl",
        "cmn" => "zh",
        other => other,
    };
    ALL.iter().copied().find(|code| *code == language)
}

/// Whether its words stand without blanks between.
pub fn is_without_blanks(language: &str) -> bool {
    WITHOUT_BLANKS.contains(&language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_languages() {
        assert_eq!(named("pt-BR"), Some("pt"));
        assert_eq!(named("NB_no"), Some("no"));
        assert_eq!(named("auto"), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn the_languages_are_those_of_whisper_cpp() {
        for (id, code) in (0..).zip(ALL) {
            assert_eq!(whisper_rs::get_lang_str(id), Some(code));
        }
        assert_eq!(whisper_rs::get_lang_max_id(), 99);
        assert_eq!(first(1), ["en"]);
        assert_eq!(first(99).last(), Some(&"su"));
        assert_eq!(first(100).last(), Some(&"yue"));
    }
}
