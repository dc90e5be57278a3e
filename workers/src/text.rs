//! Cuts text into clauses, so that an engine says one at a time and the first is heard soon.

pub mod ascii;

use std::iter::FusedIterator;

/// A clause is at most this long where its text has marks to cut at.
const GOOD_CHARS: usize = 120;
/// A clause is never longer than this; text without marks or blanks is cut here.
const MOST_CHARS: usize = 200;
/// A comma this close to the start is no place to cut.
const FEWEST_CHARS: usize = 20;

/// What a speaker does after a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Goes on: the text was cut between two words.
    None,
    /// Takes a breath: comma, semicolon, colon, dash.
    Breath,
    /// Ends a sentence.
    Sentence,
    /// Ends a paragraph.
    Paragraph,
}

impl Pause {
    /// How long it lasts at normal speed, in milliseconds.
    pub fn length_ms(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Breath => 130,
            Self::Sentence => 320,
            Self::Paragraph => 450,
        }
    }
}

/// Some words to say in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause<'a> {
    /// The words, without blanks around them.
    pub text: &'a str,
    /// Characters of the whole text before it.
    pub at_char: usize,
    /// What follows it.
    pub pause: Pause,
}

/// The clauses of a text, found one by one; blanks make none.
///
/// A sentence is left whole up to 120 characters; a longer one is cut at its last comma, or else between words.
#[derive(Debug, Clone)]
pub struct Clauses<'a> {
    rest: &'a str,
    at_char: usize,
}

impl<'a> Clauses<'a> {
    /// The clauses of `text`.
    pub fn of(text: &'a str) -> Self {
        Self {
            rest: text,
            at_char: 0,
        }
    }

    /// Where the next clause ends (in bytes) and what follows it.
    fn cut(&self) -> (usize, Pause) {
        let mut comma = None;
        let mut blank = None;
        let mut before = None;
        let mut marks = self.rest.char_indices().peekable();
        let mut count = 0;
        while let Some((at, mark)) = marks.next() {
            count += 1;
            let end = at + mark.len_utf8();
            let next = marks.peek().map(|(_, next)| *next);
            if mark == '\n' {
                return (end, Pause::Paragraph);
            }
            if ends_sentence(self.rest, at, mark, before, next) {
                return (end, Pause::Sentence);
            }
            if ends_phrase(mark, next) && count >= FEWEST_CHARS {
                comma = Some((end, Pause::Breath));
            }
            if mark.is_whitespace() && count >= FEWEST_CHARS {
                blank = Some((end, Pause::None));
            }
            if count >= GOOD_CHARS
                && let Some(comma) = comma
            {
                return comma;
            }
            if count >= MOST_CHARS {
                return blank.unwrap_or((end, Pause::None));
            }
            before = Some(mark);
        }
        (self.rest.len(), Pause::Sentence)
    }
}

impl<'a> Iterator for Clauses<'a> {
    type Item = Clause<'a>;

    fn next(&mut self) -> Option<Clause<'a>> {
        let words = self.rest.trim_start();
        let blanks = self.rest.len() - words.len();
        self.at_char += self
            .rest
            .get(..blanks)
            .map_or(0, |blanks| blanks.chars().count());
        self.rest = words;
        if words.is_empty() {
            return None;
        }
        let (end, pause) = self.cut();
        let (clause, rest) = words.split_at(end);
        let at_char = self.at_char;
        self.at_char += clause.chars().count();
        self.rest = rest;
        Some(Clause {
            text: clause.trim_end(),
            at_char,
            pause,
        })
    }
}

impl FusedIterator for Clauses<'_> {}

/// Whether a sentence ends with the mark at `at`.
fn ends_sentence(
    text: &str,
    at: usize,
    mark: char,
    before: Option<char>,
    next: Option<char>,
) -> bool {
    match mark {
        // These are followed by no blank.
        '。' | '！' | '？' | '।' | '۔' | '؟' => true,
        '!' | '?' | '…' => {
            next.is_none_or(|next| !is_closing(next) && !matches!(next, '!' | '?' | '.'))
        }
        '.' => next.is_none_or(char::is_whitespace) && !is_abbreviation(text, at),
        // The mark stood inside the quotation.
        _ if is_closing(mark) => {
            matches!(before, Some('.' | '!' | '?' | '…')) && next.is_none_or(char::is_whitespace)
        }
        _ => false,
    }
}

fn ends_phrase(mark: char, next: Option<char>) -> bool {
    match mark {
        '、' | '，' | '；' | '：' | '،' | '—' => true,
        ',' | ';' | ':' | '–' => next.is_none_or(char::is_whitespace),
        _ => false,
    }
}

fn is_closing(mark: char) -> bool {
    matches!(mark, '"' | '\'' | ')' | ']' | '”' | '’' | '»')
}

/// Whether the full stop at `at` belongs to a word such as "Mr." or to a single letter such as an initial.
fn is_abbreviation(text: &str, at: usize) -> bool {
    let Some(before) = text.get(..at) else {
        return false;
    };
    let word = before
        .rsplit(|mark: char| mark.is_whitespace() || mark == '(')
        .next()
        .unwrap_or(before);
    if word.chars().count() == 1 {
        // "I." ends a sentence more often than it begins a name.
        return word
            .chars()
            .all(|letter| letter.is_alphabetic() && letter != 'I');
    }
    const WORDS: [&str; 20] = [
        "mr", "mrs", "ms", "dr", "prof", "st", "mt", "vs", "etc", "e.g", "i.e", "approx", "dept",
        "no", "fig", "sr", "sra", "jr", "p.ex", "capt",
    ];
    // "No." and "etc." end a sentence unless it goes on in small letters or figures.
    let goes_on = text
        .get(at + 1..)
        .and_then(|after| after.trim_start().chars().next())
        .is_some_and(|next| next.is_lowercase() || next.is_numeric());
    let word = word.to_lowercase();
    WORDS.contains(&word.as_str()) && (goes_on || !matches!(word.as_str(), "no" | "etc" | "fig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        Clauses::of(text).map(|clause| clause.text).collect()
    }

    #[test]
    fn sentences_are_said_one_by_one() {
        assert_eq!(
            texts("Hello there. How are you?  Fine!"),
            ["Hello there.", "How are you?", "Fine!"]
        );
        assert_eq!(
            texts("He said \"stop.\" Then he left."),
            ["He said \"stop.\"", "Then he left."]
        );
        assert_eq!(texts("今日は。元気？"), ["今日は。", "元気？"]);
    }

    #[test]
    fn a_stop_inside_a_number_or_after_a_title_ends_nothing() {
        assert_eq!(texts("It is 3.14 or so."), ["It is 3.14 or so."]);
        assert_eq!(
            texts("Ask Mr. Brown, e.g. today."),
            ["Ask Mr. Brown, e.g. today."]
        );
        assert_eq!(
            texts("J. Smith is No. 5. No. He is not."),
            ["J. Smith is No. 5.", "No.", "He is not."]
        );
    }

    #[test]
    fn blanks_are_no_clause() {
        assert_eq!(Clauses::of(" \n\t ").next(), None);
        assert_eq!(Clauses::of("").next(), None);
    }

    #[test]
    fn a_long_sentence_is_cut_at_a_comma_and_else_between_words() {
        let with_commas = "one two three four five, ".repeat(20);
        for clause in Clauses::of(&with_commas) {
            assert!(clause.text.chars().count() <= GOOD_CHARS);
            assert!(clause.text.ends_with("five,"));
        }
        let without = "word ".repeat(1000);
        for clause in Clauses::of(&without) {
            assert!(clause.text.chars().count() <= MOST_CHARS);
            assert!(clause.text.split(' ').all(|word| word == "word"));
        }
    }

    #[test]
    fn nothing_is_lost_of_a_hundred_thousand_letters_without_a_blank() {
        let text = "é".repeat(100_000);
        let mut chars = 0;
        for clause in Clauses::of(&text) {
            assert_eq!(clause.at_char, chars);
            chars += clause.text.chars().count();
            assert!(clause.text.chars().count() <= MOST_CHARS);
        }
        assert_eq!(chars, 100_000);
    }

    #[test]
    fn a_clause_knows_where_it_stood() {
        let clauses: Vec<_> = Clauses::of("  Olá. Tudo bem?").collect();
        assert_eq!(
            clauses[1],
            Clause {
                text: "Tudo bem?",
                at_char: 7,
                pause: Pause::Sentence
            }
        );
    }
}
