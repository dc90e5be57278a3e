//! From words to phonemes: what voices are given that were trained on phonemes and the marks between them.

use super::{Error, espeak};
use crate::text::Clauses;

/// Phonemes given to a model at a time: Kokoro takes no more, and what Piper needs grows with the square of it.
pub(super) const MOST: usize = 510;

/// What a voice of espeak-ng makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phonemiser {
    /// Whose sentences it makes, for its errors.
    pub engine: &'static str,
    /// The name or language of espeak-ng's voice, as in `en-us`.
    pub voice: String,
    /// What stands between the letters of one phoneme, such as a diphthong's; none: nothing does.
    pub tie: Option<char>,
}

impl Phonemiser {
    /// Whether espeak-ng is there and has the voice.
    ///
    /// # Errors
    /// [`Error::Missing`] with what to type when it is not there, [`Error::Start`] when it has no such voice.
    pub(super) fn check(&self) -> Result<(), Error> {
        match espeak::has_voice(&self.voice) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Start {
                engine: self.engine,
                reason: format!("espeak-ng has no voice {:?} to pronounce with", self.voice),
            }),
            Err(error) => Err(self.own(error)),
        }
    }

    /// The phonemes of each sentence of a text, made one by one as they are asked for; a long sentence comes in parts. Each holds
    /// the phonemes of words with blanks between, and the marks of the text where a voice makes a pause.
    pub(super) fn sentences<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = Result<String, Error>> + 'a {
        Clauses::of(text)
            .map(|clause| self.sentence(clause.text))
            .filter(|phonemes| !phonemes.as_ref().is_ok_and(String::is_empty))
    }

    fn sentence(&self, text: &str) -> Result<String, Error> {
        let mut sentence = String::new();
        for Part { words, mark } in parts(text) {
            let tie = self.tie.and_then(|tie| u8::try_from(tie).ok());
            let phonemes = if words.trim().is_empty() {
                String::new()
            } else {
                espeak::phonemes(&self.voice, &words, tie).map_err(|error| self.own(error))?
            };
            let phonemes = tidy(&phonemes);
            if !phonemes.is_empty() {
                if !sentence.is_empty() {
                    sentence.push(' ');
                }
                sentence.push_str(&phonemes);
            }
            // A mark before any word, or after another mark, is no pause.
            let spoken = sentence.chars().last().is_some_and(|last| !is_mark(last));
            if let Some(mark) = mark
                && spoken
            {
                sentence.push(mark);
            }
        }
        Ok(sentence)
    }

    fn own(&self, error: Error) -> Error {
        match error {
            Error::Missing(missing) => Error::Missing(crate::Missing {
                engine: self.engine,
                ..missing
            }),
            Error::Start { reason, .. } => Error::Start {
                engine: self.engine,
                reason: format!("espeak-ng: {reason}"),
            },
            Error::Failed { reason, .. } => Error::Failed {
                engine: self.engine,
                reason: format!("espeak-ng: {reason}"),
            },
            Error::Busy(_) => Error::Busy(self.engine),
            Error::Stopped(_) => Error::Stopped(self.engine),
        }
    }
}

/// Some words, and the mark that ends them.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    words: String,
    mark: Option<char>,
}

/// A clause cut at its marks; control characters are blanks.
fn parts(clause: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut words = String::new();
    let mut letters = clause.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match mark(letter, next) {
            Some(mark) => parts.push(Part {
                words: std::mem::take(&mut words),
                mark: Some(mark),
            }),
            None if letter.is_control() => words.push(' '),
            None => words.push(letter),
        }
    }
    if !words.trim().is_empty() {
        parts.push(Part { words, mark: None });
    }
    parts
}

/// The mark that a letter of the text is, in the alphabet that voices are trained with.
fn mark(letter: char, next: Option<char>) -> Option<char> {
    // Inside 3.14, 10:30 and the like they are read out.
    let ends = next.is_none_or(|next| next.is_whitespace() || !next.is_alphanumeric());
    match letter {
        // One that does not end the clause belongs to an abbreviation.
        '.' if next.is_none_or(|next| "\"')”’»".contains(next)) => Some('.'),
        ',' | ';' | ':' | '!' | '?' if ends => Some(letter),
        '。' | '۔' | '।' => Some('.'),
        '、' | '，' | '،' => Some(','),
        '；' | '؛' => Some(';'),
        '：' => Some(':'),
        '！' => Some('!'),
        '？' | '؟' => Some('?'),
        '—' | '…' => Some(letter),
        _ => None,
    }
}

pub(super) fn is_mark(letter: char) -> bool {
    matches!(letter, '.' | ',' | ';' | ':' | '!' | '?' | '—' | '…')
}

/// Without what is no phoneme: names of languages in brackets, joiners, blanks too many.
fn tidy(phonemes: &str) -> String {
    let mut tidy = String::with_capacity(phonemes.len());
    let mut in_brackets = false;
    for letter in phonemes.chars() {
        match letter {
            '(' => in_brackets = true,
            ')' => in_brackets = false,
            _ if in_brackets => {}
            '_' | '\u{200c}' | '\u{200d}' => {}
            _ if letter.is_whitespace() => {
                if !tidy.is_empty() && !tidy.ends_with(' ') {
                    tidy.push(' ');
                }
            }
            _ => tidy.push(letter),
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

/// Cuts phonemes into pieces of at most [`MOST`], behind a mark if there is one in the last half, or else behind a word.
pub(super) fn pieces(phonemes: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = phonemes.trim();
    while let Some((most, _)) = rest.char_indices().nth(MOST) {
        let (head, _) = rest.split_at(most);
        let behind = |found: Option<(usize, char)>| found.map(|(at, found)| at + found.len_utf8());
        let mut letters = head.char_indices().rev();
        let mark = behind(letters.find(|(_, letter)| is_mark(*letter)));
        let blank = behind(head.char_indices().rev().find(|(_, letter)| *letter == ' '));
        let end = mark.filter(|end| *end > most / 2).or(blank).unwrap_or(most);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece.trim());
        rest = after.trim_start();
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(words: &str, mark: Option<char>) -> Part {
        Part {
            words: words.to_owned(),
            mark,
        }
    }

    #[test]
    fn a_clause_is_cut_at_its_marks_and_not_inside_numbers() {
        assert_eq!(
            parts("At 10:30, say 3.14 to Mr. Brown!"),
            [
                part("At 10:30", Some(',')),
                part(" say 3.14 to Mr. Brown", Some('!'))
            ]
        );
        assert_eq!(
            parts("今日は、元気？"),
            [part("今日は", Some(',')), part("元気", Some('?'))]
        );
        assert_eq!(parts("a\u{7}b"), [part("a b", None)]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn what_is_no_phoneme_is_left_out() {
        assert_eq!(tidy(" (en)hˈaʊs(de)  haʊs\n"), "hˈaʊs haʊs");
        assert_eq!(tidy("a_b\u{200d}c"), "abc");
    }

    #[test]
    fn a_long_row_is_cut_behind_a_word_and_nothing_is_lost() {
        let row = "həlˈoʊ ".repeat(1_000);
        let cut = pieces(&row);
        assert!(cut.iter().all(|piece| piece.chars().count() <= MOST));
        assert!(cut.iter().all(|piece| piece.ends_with("həlˈoʊ")));
        assert_eq!(cut.join(" "), row.trim());
        let word = "ə".repeat(2_000);
        assert_eq!(pieces(&word).concat(), word);
        assert!(pieces("  ").is_empty());
    }
}
