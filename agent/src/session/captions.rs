//! Which words of a reply the caller has heard, told from the pacer's sample count.

/// How fast speech is taken to be while a clause's length is not yet known: 14 characters a second, at 48 kHz.
const SAMPLES_PER_CHAR: u64 = 48_000 / 14;

/// A clause as it was handed to synthesis and what came back for it so far.
#[derive(Debug)]
struct Clause {
    /// Where its text begins and ends in the reply's text, in bytes.
    begins: usize,
    ends: usize,
    chars: u64,
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
    text: String,
    clauses: Vec<Clause>,
    samples: u64,
    complete: bool,
    /// The last clause that any sound has come for.
    sounding: Option<usize>,
    /// The clause that was being heard when last asked: those before it need no second look.
    hearing: usize,
}

impl Captions {
    /// Adds the next clause of the reply.
    pub fn clause(&mut self, text: &str) {
        let begins = self.text.len();
        self.text.push_str(text);
        self.clauses.push(Clause {
            begins,
            ends: self.text.len(),
            chars: text.chars().count() as u64,
            starts_at: None,
            samples: 0,
        });
    }

    /// Whether there is no clause yet.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// A frame of sound came for the text chunk of this number; 0 where the worker does not say which.
    pub fn sound(&mut self, chunk: u64, samples: u64) {
        let last = self.clauses.len().saturating_sub(1);
        let index = match usize::try_from(chunk) {
            Ok(0) | Err(_) => self.sounding.unwrap_or(0),
            Ok(chunk) => (chunk - 1).min(last),
        };
        // A clause that was passed over has no sound of its own: it is heard with the next.
        let first = self.sounding.map_or(0, |sounding| sounding + 1).min(index);
        for clause in self.clauses.iter_mut().take(index + 1).skip(first) {
            clause.starts_at.get_or_insert(self.samples);
        }
        if let Some(clause) = self.clauses.get_mut(index) {
            clause.samples += samples;
            self.sounding = self.sounding.max(Some(index));
        }
        self.samples += samples;
    }

    /// All sound of the reply is there.
    pub fn finish(&mut self) {
        self.complete = true;
    }

    /// All words of the reply so far, heard or not.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The words that were heard once `samples` of the reply were heard, cut after a whole word.
    pub fn heard(&mut self, samples: u64) -> &str {
        let mut index = self.hearing;
        // Frames that turned out not to have left take the clock back.
        while index > 0 && self.within(index, samples).is_none() {
            index -= 1;
        }
        while self.is_heard_to_its_end(index, samples) && self.within(index + 1, samples).is_some()
        {
            index += 1;
        }
        self.hearing = index;
        let (Some(clause), Some(within)) = (self.clauses.get(index), self.within(index, samples))
        else {
            return "";
        };
        let heard = if within >= self.length(index) {
            clause.ends
        } else {
            let text = self
                .text
                .get(clause.begins..clause.ends)
                .unwrap_or_default();
            clause.begins + whole_words(text, clause.chars, within, self.length(index))
        };
        self.text.get(..heard).unwrap_or_default().trim()
    }

    /// How many samples of a clause were heard; none if nothing of it was.
    fn within(&self, index: usize, samples: u64) -> Option<u64> {
        let starts_at = self.clauses.get(index)?.starts_at?;
        samples.checked_sub(starts_at).filter(|within| *within > 0)
    }

    fn is_heard_to_its_end(&self, index: usize, samples: u64) -> bool {
        self.within(index, samples)
            .is_some_and(|within| within >= self.length(index))
    }

    /// How many samples a clause has, or is taken to have while more of it may come.
    fn length(&self, index: usize) -> u64 {
        let Some(clause) = self.clauses.get(index) else {
            return 0;
        };
        if self.complete || self.sounding > Some(index) {
            clause.samples
        } else {
            clause.samples.max(clause.chars * SAMPLES_PER_CHAR)
        }
    }
}

/// The length in bytes of the part of `text` whose words have been spoken wholly when `within` of `length` samples have.
fn whole_words(text: &str, chars: u64, within: u64, length: u64) -> usize {
    let spoken = usize::try_from(chars * within / length.max(1)).unwrap_or(usize::MAX);
    let cut = text
        .char_indices()
        .nth(spoken)
        .map_or(text.len(), |(at, _)| at);
    let (said, rest) = text.split_at(cut);
    if rest.is_empty() || rest.starts_with(char::is_whitespace) {
        return said.len();
    }
    // In the middle of a word: that word was not heard.
    said.rfind(char::is_whitespace).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_one_by_one_and_only_whole() {
        let mut captions = Captions::default();
        captions.clause("one two ");
        captions.clause("three four");
        captions.sound(1, 8_000);
        captions.sound(2, 10_000);
        captions.finish();
        assert_eq!(captions.heard(0), "");
        assert_eq!(captions.heard(2_000), "");
        assert_eq!(captions.heard(3_500), "one");
        assert_eq!(captions.heard(8_000), "one two");
        assert_eq!(captions.heard(13_500), "one two three");
        assert_eq!(captions.heard(18_000), "one two three four");
        // Frames came back unsent.
        assert_eq!(captions.heard(13_500), "one two three");
        assert_eq!(captions.heard(3_500), "one");
        assert_eq!(captions.heard(0), "");
        assert_eq!(captions.heard(18_000), "one two three four");
        assert_eq!(captions.text(), "one two three four");
    }

    #[test]
    fn a_clause_that_is_still_being_made_is_not_heard_to_its_end() {
        let mut captions = Captions::default();
        captions.clause("a rather long clause that takes several seconds to say");
        captions.sound(1, 960);
        assert_eq!(captions.heard(960), "");
    }

    #[test]
    fn blanks_around_a_text_are_no_words() {
        let mut captions = Captions::default();
        captions.clause(" Hello. ");
        captions.sound(1, 960);
        captions.finish();
        assert_eq!(captions.heard(960), "Hello.");
        assert_eq!(captions.text(), "Hello.");
    }

    #[test]
    fn a_clause_without_sound_of_its_own_is_heard_with_the_next() {
        let mut captions = Captions::default();
        captions.clause("one ");
        captions.clause("... ");
        captions.clause("two");
        captions.sound(1, 960);
        captions.sound(3, 960);
        captions.finish();
        assert_eq!(captions.heard(960), "one");
        assert_eq!(captions.heard(1920), "one ... two");
    }
}
