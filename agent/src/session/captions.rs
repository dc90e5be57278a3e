//! Which words of a reply the caller has heard, told from the pacer's sample count.

/// How fast speech is taken to be while a clause's length is not yet known: 14 characters a second, at 48 kHz.
const SAMPLES_PER_CHAR: u64 = 48_000 / 14;

/// A clause as it was handed to synthesis and what came back for it so far.
#[derive(Debug)]
struct Clause {
    text: String,
    /// Where its sound begins, in samples of the reply; none until its first frame.
    starts_at: Option<u64>,
    samples: u64,
}

/// The text of one reply laid along its sound.
///
/// A clause is known by the number of its text chunk (from 1). Inside a clause, characters are taken to be spoken evenly:
/// without word times from the engine that is within a word or two, and exact at every clause's end.
#[derive(Debug, Default)]
pub struct Captions {
    clauses: Vec<Clause>,
    samples: u64,
    complete: bool,
}

impl Captions {
    /// Adds the next clause of the reply.
    pub fn clause(&mut self, text: String) {
        self.clauses.push(Clause {
            text,
            starts_at: None,
            samples: 0,
        });
    }

    /// A frame of sound came for the text chunk of this number; 0 where the worker does not say which.
    pub fn sound(&mut self, chunk: u64, samples: u64) {
        let last = self.clauses.len().saturating_sub(1);
        let index = match usize::try_from(chunk) {
            Ok(0) | Err(_) => self
                .clauses
                .iter()
                .rposition(|clause| clause.starts_at.is_some())
                .unwrap_or(0),
            Ok(chunk) => (chunk - 1).min(last),
        };
        if let Some(clause) = self.clauses.get_mut(index) {
            clause.starts_at.get_or_insert(self.samples);
            clause.samples += samples;
        }
        self.samples += samples;
    }

    /// All sound of the reply is there.
    pub fn finish(&mut self) {
        self.complete = true;
    }

    /// All words of the reply so far, heard or not.
    pub fn text(&self) -> String {
        self.clauses
            .iter()
            .map(|clause| clause.text.as_str())
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// The words that were heard once `samples` of the reply were heard, cut after a whole word.
    pub fn heard(&self, samples: u64) -> String {
        let mut text = String::new();
        for (index, clause) in self.clauses.iter().enumerate() {
            let Some(starts_at) = clause.starts_at else {
                break;
            };
            let Some(within) = samples.checked_sub(starts_at).filter(|within| *within > 0) else {
                break;
            };
            let later = self
                .clauses
                .iter()
                .skip(index + 1)
                .any(|later| later.starts_at.is_some());
            let length = if later || self.complete {
                clause.samples
            } else {
                clause
                    .samples
                    .max(clause.text.chars().count() as u64 * SAMPLES_PER_CHAR)
            };
            if within >= length {
                text.push_str(&clause.text);
            } else {
                text.push_str(whole_words(&clause.text, within, length));
                break;
            }
        }
        text.trim_end().to_owned()
    }
}

/// The part of `text` whose words have been spoken wholly when `within` of `length` samples have.
fn whole_words(text: &str, within: u64, length: u64) -> &str {
    let chars = text.chars().count() as u64;
    let spoken = usize::try_from(chars * within / length.max(1)).unwrap_or(usize::MAX);
    let cut = text
        .char_indices()
        .nth(spoken)
        .map_or(text.len(), |(at, _)| at);
    let (said, rest) = text.split_at(cut);
    if rest.is_empty() || rest.starts_with(char::is_whitespace) {
        return said;
    }
    // In the middle of a word: that word was not heard.
    said.rfind(char::is_whitespace)
        .map_or("", |space| said.get(..space).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_one_by_one_and_only_whole() {
        let mut captions = Captions::default();
        captions.clause("one two ".into());
        captions.clause("three four".into());
        captions.sound(1, 8_000);
        captions.sound(2, 10_000);
        captions.finish();
        assert_eq!(captions.heard(0), "");
        assert_eq!(captions.heard(2_000), "");
        assert_eq!(captions.heard(3_500), "one");
        assert_eq!(captions.heard(8_000), "one two");
        assert_eq!(captions.heard(13_500), "one two three");
        assert_eq!(captions.heard(18_000), "one two three four");
    }

    #[test]
    fn a_clause_that_is_still_being_made_is_not_heard_to_its_end() {
        let mut captions = Captions::default();
        captions.clause("a rather long clause that takes several seconds to say".into());
        captions.sound(1, 960);
        assert_eq!(captions.heard(960), "");
    }
}
