//! What was said, or only how much of it: the dialog decides by counts and classes, never by which words they are.

use std::fmt;

/// What kind of words these are, as far as the floor is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Words that want the floor.
    Speech,
    /// Nothing but signs of listening ("yeah", "mm-hm") or of hesitation: no claim to the floor.
    Backchannel,
}

/// One of several people, by a number that the session gives. The dialog treats all alike, and no recording tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who(pub u32);

/// Words, on one line unless made [`with_breaks`](Words::with_breaks), or the count and class of words that were left out of a recording.
///
/// `Words::new("«4 words»")` and `Words::new("«1 word, backchannel»")` stand for text of that count and class and print
/// back as themselves. Blanks, line breaks and control characters between words become one space.
///
/// `Display` shows what was said; `Debug` shows only the count, so that a stray `{:?}` in a log gives nobody away.
#[derive(Clone, PartialEq, Eq)]
pub struct Words {
    // None when only count and class are known.
    text: Option<String>,
    count: usize,
    class: Class,
    // Up to which byte of the text it is whose; empty while nobody needs to know.
    said_by: Vec<(usize, Option<Who>)>,
}

impl Words {
    /// The words of `text`, or the count and class that it stands for.
    pub fn new(text: &str) -> Self {
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let text = words.join(" ");
        parse_redacted(&text).unwrap_or_else(|| Self {
            class: class_of(&words),
            count: words.len(),
            text: Some(text),
            said_by: Vec::new(),
        })
    }

    /// The words of `text` with its line and paragraph breaks, for text that is to be spoken as it stands; otherwise as
    /// [`Words::new`]. A `.call` line has no room for the breaks.
    pub fn with_breaks(text: &str) -> Self {
        let words = Self::new(text);
        if words.text.is_none() {
            return words;
        }
        let mut kept = String::with_capacity(text.len());
        let mut breaks = 0;
        let mut between = false;
        for c in text.replace("\r\n", "\n").chars() {
            if c.is_whitespace() || c.is_control() {
                between = true;
                breaks += usize::from(matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}'));
                breaks += 2 * usize::from(c == '\u{2029}');
                continue;
            }
            if std::mem::take(&mut between) && !kept.is_empty() {
                kept.push_str(match breaks {
                    0 => " ",
                    1 => "\n",
                    _ => "\n\n",
                });
            }
            breaks = 0;
            kept.push(c);
        }
        Self {
            text: Some(kept),
            ..words
        }
    }

    /// No words at all.
    pub fn none() -> Self {
        Self::new("")
    }

    /// The text, unless only count and class are known.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The same words, said by one of several people.
    #[must_use]
    pub fn by(mut self, who: Who) -> Self {
        if let Some(text) = self.text.as_ref().filter(|text| !text.is_empty()) {
            self.said_by = vec![(text.len(), Some(who))];
        }
        self
    }

    /// The words in the order they were said, a part for each time that somebody else begins; none where it is not known who.
    pub fn parts(&self) -> Vec<(Option<Who>, &str)> {
        let text = self.text.as_deref().unwrap_or_default();
        if self.said_by.is_empty() {
            return vec![(None, text)];
        }
        let begins = std::iter::once(0).chain(self.said_by.iter().map(|(ends, _)| *ends));
        begins
            .zip(&self.said_by)
            .map(|(begins, (ends, who))| (*who, text.get(begins..*ends).unwrap_or_default().trim()))
            .collect()
    }

    /// How many words there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What kind of words they are; no words at all are a backchannel.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether these words claim the floor: at least one of them is no backchannel.
    pub fn claim_the_floor(&self) -> bool {
        self.class == Class::Speech
    }

    /// These words with more after them. The class is that of the parts: two backchannels never make a claim, and a
    /// claim stays one, however the joined text reads. Text joined to left-out words is left out too.
    #[must_use]
    pub fn joined(self, more: Self) -> Self {
        if self.is_empty() {
            return more;
        }
        if more.is_empty() {
            return self;
        }
        let class = if self.claim_the_floor() {
            self.class
        } else {
            more.class
        };
        let said_by = match (&self.text, &more.text) {
            (Some(said), Some(_)) if !(self.said_by.is_empty() && more.said_by.is_empty()) => {
                let mut said_by = self.shares();
                for (ends, who) in more.shares() {
                    if said_by.last().is_some_and(|(_, last)| *last == who) {
                        said_by.pop();
                    }
                    said_by.push((said.len() + 1 + ends, who));
                }
                said_by
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => Vec::new(),
        };
        let text = self
            .text
            .zip(more.text)
            .map(|(said, more)| format!("{said} {more}"));
        Self {
            text,
            count: self.count.saturating_add(more.count),
            class,
            said_by,
        }
    }

    fn shares(&self) -> Vec<(usize, Option<Who>)> {
        match &self.text {
            Some(text) if self.said_by.is_empty() => vec![(text.len(), None)],
            Some(_) | None => self.said_by.clone(),
        }
    }

    /// Only their count and class.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let text = self.text.as_ref().filter(|_| self.is_empty()).cloned();
        Self {
            text,
            count: self.count,
            class: self.class,
            said_by: Vec::new(),
        }
    }

    fn write_count(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.count == 1 { "word" } else { "words" };
        let class = match self.class {
            Class::Speech => "",
            Class::Backchannel => ", backchannel",
        };
        write!(f, "«{} {noun}{class}»", self.count)
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => self.write_count(f),
        }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_count(f)
    }
}

fn parse_redacted(text: &str) -> Option<Words> {
    let inner = text.strip_prefix('«')?.strip_suffix('»')?;
    let (inner, class) = match inner.strip_suffix(", backchannel") {
        Some(inner) => (inner, Class::Backchannel),
        None => (inner, Class::Speech),
    };
    let count = inner
        .split(' ')
        .next()?
        .parse()
        .ok()
        .filter(|count| *count > 0)?;
    let words = Words {
        text: None,
        count,
        class,
        said_by: Vec::new(),
    };
    // Only what prints back as itself is a count; anything else was said by somebody.
    (words.to_string() == text).then_some(words)
}

/// Signs of listening and of hesitation in English and Portuguese, without hyphens.
const BACKCHANNELS: &[&str] = &[
    "ah", "aha", "alright", "er", "hm", "hmm", "hmmm", "huh", "mhm", "mhmm", "mm", "mmhm", "mmhmm",
    "mmm", "oh", "ok", "okay", "ooh", "right", "sure", "uh", "uhhuh", "uhm", "um", "wow", "yah",
    "yeah", "yep", "yup", // Portuguese:
    "aham", "ahan", "ahã", "beleza", "certo", "claro", "entendi", "hum", "hã", "isso", "né",
    "pois", "sei", "ta", "tá", "uhum", "é",
];

/// Signs of listening that take two words.
const PHRASES: &[[&str; 2]] = &[
    ["all", "right"],
    ["go", "on"],
    ["got", "it"],
    ["i", "see"],
    ["of", "course"],
    ["tá", "bom"],
    ["é", "mesmo"],
];

fn class_of(words: &[&str]) -> Class {
    // What has no letter and no digit (a recogniser's "...") is no word that anyone said.
    let bare: Vec<String> = words
        .iter()
        .map(|word| bare(word))
        .filter(|word| !word.is_empty())
        .collect();
    let mut rest = bare.as_slice();
    loop {
        rest = match rest {
            [] => return Class::Backchannel,
            [first, second, rest @ ..]
                if PHRASES
                    .iter()
                    .any(|[one, two]| first == one && second == two) =>
            {
                rest
            }
            [word, rest @ ..] if BACKCHANNELS.contains(&word.as_str()) => rest,
            [..] => return Class::Speech,
        };
    }
}

fn bare(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_noises_are_backchannels_and_commands_are_not() {
        for text in [
            "yeah",
            "Mm-hm.",
            "uh-huh, I see",
            "OK, all right",
            "tá bom",
            "Pois é...",
            "...",
            "",
        ] {
            assert_eq!(Words::new(text).class(), Class::Backchannel, "{text}");
        }
        for text in ["stop", "yeah but wait", "i saw", "no", "yes", "não", "42"] {
            assert_eq!(Words::new(text).class(), Class::Speech, "{text}");
        }
    }

    #[test]
    fn counts_stand_for_words_and_print_back_as_themselves() {
        for text in [
            "«4 words»",
            "«1 word»",
            "«1 word, backchannel»",
            "«3 words, backchannel»",
        ] {
            let words = Words::new(text);
            assert_eq!(words.text(), None);
            assert_eq!(words.to_string(), text);
        }
        for text in [
            "«1 words»",
            "«0 words»",
            "«04 words»",
            "«x words»",
            "4 words",
            "«4 words» more",
        ] {
            assert_eq!(Words::new(text).text(), Some(text));
        }
    }

    #[test]
    fn a_text_to_be_spoken_keeps_its_paragraphs() {
        let text = "  One line,\tgo\u{0} on.\r\nAnother.\n \n\nA paragraph.\n";
        let words = Words::with_breaks(text);
        assert_eq!(
            words.text(),
            Some("One line, go on.\nAnother.\n\nA paragraph.")
        );
        assert_eq!(words.count(), Words::new(text).count());
        assert_eq!(Words::with_breaks("«4 words»").text(), None);
        assert!(Words::with_breaks(" \n ").is_empty());
    }

    #[test]
    fn joining_adds_counts_whether_or_not_the_words_are_known() {
        let said = Words::new("i would like").joined(Words::new(" two\n tickets "));
        assert_eq!(said.text(), Some("i would like two tickets"));
        assert_eq!(said.redacted().to_string(), "«5 words»");
        let claim = Words::new("stop").joined("yeah".into());
        assert!(claim.claim_the_floor());
        assert!(Words::new("yeah").joined("stop".into()).claim_the_floor());
        assert!(!Words::new("yeah").joined("okay".into()).claim_the_floor());
        let half = Words::new("i would like").joined(Words::new("«2 words»"));
        assert_eq!(half.to_string(), "«5 words»");
    }

    #[test]
    fn joined_words_still_tell_who_said_which() {
        let (ana, bo) = (Who(0), Who(1));
        let said = Words::new("what time").by(ana).joined("is it".into());
        let said = said.joined(Words::none().by(bo));
        assert_eq!(said.parts(), [(Some(ana), "what time"), (None, "is it")]);
        let said = Words::new("and").by(bo).joined(Words::new("where").by(bo));
        let said = said.joined(Words::new("do we meet").by(ana));
        assert_eq!(said.text(), Some("and where do we meet"));
        assert_eq!(
            said.parts(),
            [(Some(bo), "and where"), (Some(ana), "do we meet")]
        );
        assert_eq!(Words::new("hello there").parts(), [(None, "hello there")]);
        assert_eq!(said.redacted().parts(), [(None, "")]);
    }

    #[test]
    fn a_debug_print_gives_nobody_away() {
        assert_eq!(format!("{:?}", Words::new("my name is ada")), "«4 words»");
        assert_eq!(Words::none().redacted().to_string(), "");
    }
}
