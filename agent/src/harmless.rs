//! Text of strangers, fit to be shown: what a registry holds may have been written by anybody who reaches it.

/// What stands for the rest of a text that is too long.
const MORE: char = '…';

/// The text in one line of at most `most` characters. What would steer a terminal, turn the direction of writing or not be
/// seen at all is written as an escape.
pub fn line(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    let mut length = 0_usize;
    for character in text.chars() {
        let before = shown.len();
        length += match steers(character) {
            true => {
                shown.extend(character.escape_unicode());
                shown.len() - before
            }
            false => {
                shown.push(character);
                1
            }
        };
        if length > most {
            shown.truncate(before);
            shown.push(MORE);
            break;
        }
    }
    shown
}

/// JSON with the same characters escaped, which changes nothing for those who parse it.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // They stand in strings only, and all of them have four digits.
        match character == '\u{7f}' || (steers(character) && !character.is_ascii()) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => shown.push(character),
        }
    }
    shown
}

/// Whether a character does something instead of showing something.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_not_obeyed() {
        assert_eq!(line("tts-piper@0", 40), "tts-piper@0");
        assert_eq!(line("Stimme für Ægir 声", 40), "Stimme für Ægir 声");
        assert_eq!(line("\x1b[2Jgone", 40), "\\u{1b}[2Jgone");
        assert_eq!(line("a\tb\r\nc", 40), "a\\u{9}b\\u{d}\\u{a}c");
        assert_eq!(line("\u{9b}31m", 40), "\\u{9b}31m");
        assert_eq!(line("gpj\u{202e}exe", 40), "gpj\\u{202e}exe");
    }

    #[test]
    fn what_is_too_long_ends_in_dots_and_no_escape_is_cut() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abcdef…");
        assert_eq!(line("声声声", 2), "声声…");
        assert_eq!(line("ab\x1bc", 6), "ab…");
        assert_eq!(line("x", 0), "…");
        assert_eq!(line("", 0), "");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let strange = "a\u{9b}\u{7f}\u{202e}\u{feff}\x1b\"\\ü";
        let json_text = serde_json::to_string(strange).unwrap();
        let harmless = json(&json_text);
        assert!(!harmless.chars().any(steers), "{harmless}");
        assert_eq!(serde_json::from_str::<String>(&harmless).unwrap(), strange);
    }
}
