//! Which words of a reply the caller has heard, told from the pacer's sample count.

/// How fast speech is taken to be while a clause's length is not yet known: 14 characters a second, at 48 kHz.
const SAMPLES_PER_CHAR: u64 = 48_000 / 14;
/// How fast it is taken to be where a word too few would be lost for good: 10 characters a second.
const CAUTIOUS_SAMPLES_PER_CHAR: u64 = 48_000 / 10;

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
    /// All its sound is there: the reply was cut at its end.
    is_closed: bool,
    /// Where its words begin, if the engine tells: in samples of the reply, and in characters of the clause.
    words: Vec<(u64, usize)>,
}

/// A place where a reply can be taken up again: a word begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which clause, from 0.
    clause: usize,
    /// Where in its text, in bytes.
    at: usize,
    /// Where in the reply's sound, in samples.
    pub sample: u64,
}

/// What is still to be said of a reply whose sound was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The number, from 1, of the clause that the rest is a part of.
    pub was: u64,
    /// The number that the rest has: the same, or the next, if the clause was cut in two. Clauses after it move on as far.
    pub clause: u64,
    /// The text of this clause that is to be said, from its beginning or from the middle of what it was.
    pub text: String,
    /// Where its sound will begin, in samples of the reply.
    pub from_sample: u64,
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
            is_closed: false,
            words: Vec::new(),
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

    /// A word of a clause begins at a sample of the reply; words come in order, with their clause's sound.
    pub fn word(&mut self, chunk: u64, offset_chars: usize, sample: u64) {
        let Some(mut index) = usize::try_from(chunk).unwrap_or(0).checked_sub(1) else {
            return;
        };
        let last = self
            .clauses
            .get(index)
            .and_then(|clause| clause.words.last());
        // A frame is named after the clause of its first sample; the next clause may begin in it.
        if last.is_some_and(|(_, before)| offset_chars <= *before) {
            index += 1;
        }
        if let Some(clause) = self.clauses.get_mut(index) {
            clause.words.push((sample, offset_chars));
        }
    }

    /// Where the word begins that is being said at a sample of the sound that has come so far. Where the engine does not tell,
    /// rather a word too early than one too late.
    pub fn place(&self, sample: u64) -> Place {
        let began = |clause: &Clause| clause.starts_at.is_some_and(|at| at <= sample);
        let last = self.sounding.unwrap_or(0);
        let index = self
            .clauses
            .iter()
            .take(last + 1)
            .rposition(began)
            .unwrap_or(0);
        let Some((clause, starts_at)) = self
            .clauses
            .get(index)
            .and_then(|clause| Some((clause, clause.starts_at?)))
        else {
            return Place {
                clause: index,
                at: 0,
                sample: self.samples.min(sample),
            };
        };
        let text = self
            .text
            .get(clause.begins..clause.ends)
            .unwrap_or_default();
        let within = sample.min(self.samples).saturating_sub(starts_at);
        let is_whole = clause.is_closed || last > index || self.complete;
        if is_whole && within >= clause.samples {
            return Place {
                clause: index,
                at: text.len(),
                sample: starts_at + clause.samples,
            };
        }
        let byte_of = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |it| it.0);
        let spoken = clause.words.iter().rev().find(|(at, _)| *at <= sample);
        if let Some((at, chars)) = spoken {
            return Place {
                clause: index,
                at: byte_of(*chars),
                sample: *at,
            };
        }
        let length = match is_whole {
            true => clause.samples,
            false => self.cautious_length(clause),
        };
        let at = match clause.words.is_empty() {
            true => whole_words(text, clause.chars, within, length),
            // Its first word is yet to come.
            false => 0,
        };
        let chars = text.get(..at).unwrap_or_default().chars().count() as u64;
        Place {
            clause: index,
            at,
            sample: starts_at + chars * length / clause.chars.max(1),
        }
    }

    /// How long a clause may become, at the pace of those before it, or slowly.
    fn cautious_length(&self, clause: &Clause) -> u64 {
        let whole = self.clauses.iter().take(self.sounding.unwrap_or(0));
        let (samples, chars) = whole.fold((0, 0), |(samples, chars), clause| {
            (samples + clause.samples, chars + clause.chars)
        });
        let per_char = match chars {
            0 => CAUTIOUS_SAMPLES_PER_CHAR,
            chars => (samples * 5 / 4 / chars).max(1),
        };
        (clause.chars * per_char).max(clause.samples * 5 / 4)
    }

    /// The sound ends at `sample` and is to go on at `place`, with other sound: what was laid along the sound after that is
    /// forgotten, and a clause that is cut in two is two from now on.
    pub fn cut(&mut self, place: Place, sample: u64) -> Rest {
        let Place {
            clause: index, at, ..
        } = place;
        self.samples = sample;
        self.hearing = self.hearing.min(index);
        for clause in self.clauses.iter_mut().skip(index + 1) {
            clause.starts_at = None;
            clause.samples = 0;
            clause.words.clear();
        }
        let mut rest = Rest {
            was: index as u64 + 1,
            clause: index as u64 + 1,
            text: String::new(),
            from_sample: sample,
        };
        let Some(clause) = self.clauses.get_mut(index) else {
            // Nothing of the reply is known yet: all of it is still to be said.
            (rest.was, rest.clause) = (0, 0);
            return rest;
        };
        let (begins, ends) = (clause.begins + at, clause.ends);
        rest.text = self.text.get(begins..ends).unwrap_or_default().to_owned();
        let starts_at = clause.starts_at.unwrap_or(sample);
        clause.words.retain(|(at, _)| *at < sample);
        if at == 0 {
            // Nothing of it was said to the end of a word: it begins anew.
            clause.starts_at = None;
            clause.samples = 0;
            clause.words.clear();
            // What is left of its first word belongs to what was before.
            self.sounding = index.checked_sub(1);
            if let Some(before) = self
                .sounding
                .and_then(|before| self.clauses.get_mut(before))
            {
                before.samples += sample.saturating_sub(starts_at);
                before.is_closed = true;
            }
            return rest;
        }
        clause.samples = sample.saturating_sub(starts_at);
        clause.is_closed = true;
        clause.ends = begins;
        let said = self.text.get(clause.begins..begins).unwrap_or_default();
        clause.chars = said.chars().count() as u64;
        self.sounding = Some(index);
        let chars = rest.text.chars().count() as u64;
        self.clauses.insert(
            index + 1,
            Clause {
                begins,
                ends,
                chars,
                starts_at: None,
                samples: 0,
                is_closed: false,
                words: Vec::new(),
            },
        );
        rest.clause += 1;
        rest
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
        } else if let Some(heard) = self.whole_marked_words(clause, samples) {
            heard
        } else {
            let text = self
                .text
                .get(clause.begins..clause.ends)
                .unwrap_or_default();
            clause.begins + whole_words(text, clause.chars, within, self.length(index))
        };
        self.text.get(..heard).unwrap_or_default().trim()
    }

    /// Where the words end that were said to their end, if the engine tells where each begins.
    fn whole_marked_words(&self, clause: &Clause, samples: u64) -> Option<usize> {
        clause.words.first()?;
        let saying = clause.words.iter().rev().find(|(at, _)| *at < samples);
        let text = self.text.get(clause.begins..clause.ends)?;
        let said = saying.map_or(0, |(_, chars)| {
            text.char_indices()
                .nth(*chars)
                .map_or(text.len(), |(at, _)| at)
        });
        Some(clause.begins + said)
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
        if clause.is_closed || self.complete || self.sounding > Some(index) {
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
    fn where_the_engine_tells_a_word_is_heard_when_the_next_begins() {
        let mut captions = Captions::default();
        captions.clause("one two three");
        captions.sound(1, 48_000);
        for (chars, at) in [(0, 0), (4, 30_000), (8, 40_000)] {
            captions.word(1, chars, at);
        }
        assert_eq!(captions.heard(29_999), "");
        assert_eq!(captions.heard(30_001), "one");
        assert_eq!(captions.heard(40_001), "one two");
        captions.finish();
        assert_eq!(captions.heard(48_000), "one two three");
    }

    #[test]
    fn a_reply_that_broke_goes_on_with_the_word_that_was_being_said() {
        let mut captions = Captions::default();
        captions.clause("one two three ");
        captions.clause("four five");
        captions.sound(1, 48_000);
        for (chars, at) in [(0, 0), (4, 20_000), (8, 40_000)] {
            captions.word(1, chars, at);
        }
        let place = captions.place(48_000);
        assert_eq!(place.sample, 40_000);
        let rest = captions.cut(place, 39_360);
        assert_eq!(
            rest,
            Rest {
                was: 1,
                clause: 2,
                text: "three ".into(),
                from_sample: 39_360
            }
        );
        // The next worker says it, and what was announced before follows it.
        captions.sound(2, 960 * 10);
        captions.sound(3, 960 * 20);
        captions.finish();
        assert_eq!(captions.heard(39_360), "one two");
        assert_eq!(captions.heard(39_360 + 9_600), "one two three");
        assert_eq!(captions.heard(39_360 + 28_800), "one two three four five");
    }

    #[test]
    fn where_the_engine_does_not_tell_no_word_is_lost() {
        let text = "a rather long clause that takes several seconds to say";
        for per_char in [2_500, 3_400, 4_600] {
            for heard in [0, 960, 48_000, 96_000, 120_000] {
                let mut captions = Captions::default();
                captions.clause(text);
                if heard > 0 {
                    captions.sound(1, heard);
                }
                let rest = captions.cut(captions.place(heard), heard);
                let said = text.chars().count() - rest.text.chars().count();
                assert!(said as u64 * per_char <= heard + 4_600, "{said} at {heard}");
                assert!(text.ends_with(&rest.text));
            }
        }
    }

    #[test]
    fn a_second_break_before_any_sound_takes_nothing_back_that_was_said() {
        let mut captions = Captions::default();
        captions.clause("one two three four");
        captions.sound(1, 48_000);
        for (chars, at) in [(0, 0), (4, 20_000), (8, 40_000)] {
            captions.word(1, chars, at);
        }
        let rest = captions.cut(captions.place(u64::MAX), 39_360);
        assert_eq!((rest.clause, rest.text.as_str()), (2, "three four"));
        let place = captions.place(u64::MAX);
        assert_eq!(place.sample, 39_360);
        let again = captions.cut(place, 39_360);
        assert_eq!((again.was, again.clause, again.text.as_str()), (1, 2, ""));
        // What was the second is the third now.
        captions.sound(3, 96_000);
        captions.finish();
        assert_eq!(captions.heard(39_360), "one two");
        assert_eq!(captions.heard(39_360 + 96_000), "one two three four");
    }

    #[test]
    fn a_break_before_the_first_clause_leaves_all_to_be_said() {
        let mut captions = Captions::default();
        let rest = captions.cut(captions.place(u64::MAX), 0);
        assert_eq!((rest.was, rest.clause), (0, 0));
    }

    #[test]
    fn a_clause_of_which_no_word_was_said_begins_anew() {
        let mut captions = Captions::default();
        captions.clause("one ");
        captions.clause("two");
        captions.sound(1, 9_600);
        captions.sound(2, 960);
        let rest = captions.cut(captions.place(10_560), 10_560);
        assert_eq!((rest.clause, rest.text.as_str()), (2, "two"));
        captions.sound(2, 9_600);
        captions.finish();
        assert_eq!(captions.heard(10_560), "one");
        assert_eq!(captions.heard(20_160), "one two");
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
