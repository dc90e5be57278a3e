//! Which words of a sentence were heard, told from its sound alone.
//!
//! ```text
//!   undisturbed   |one|two|three|  |four|five|
//!   heard         |one|tw                            the same samples up to where it was cut
//!                       |two|three|  |four|five|     as a worker says what is left: the rest of a clause from one of its words
//! ```
//! A voice that says the same text with the same samples each time leaves no doubt where the sentence was cut, and with which
//! word it went on: what is left is said by a worker beforehand, from each word on, and looked for.

use crate::cli::bench::speech::{is_audible, onset};
use crate::cluster::credentials::Wire;
use crate::session::clauses::Clauses;
use anyhow::Context as _;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{EndSessionRequest, StartSessionRequest, TextChunk};
use std::collections::HashMap;
use std::ops::Range;

/// Samples that are compared at a time to find where a sentence was cut: 5 ms.
const STEP: usize = 240;
/// By which the beginning of a rest is known: 200 ms of it, 50 ms after it can first be heard, where it has been faded in. It is
/// long enough to hold a vowel: the silence inside a consonant is like any other.
const PRINT: usize = 9_600;
const PRINT_AFTER: usize = 2_400;
/// A sentence is cut up to two frames before the word that it goes on with; the word before was heard all the same.
const CUT_BEFORE: usize = 1_920;
/// The rest begins so soon after the cut, for it may begin with a breath: 500 ms.
const GOES_ON_WITHIN: usize = 24_000;
/// Two samples of the same sound differ by less, in 16-bit units, and by less than a tenth of it.
const SLACK: u64 = 8;

/// A sentence as an undisturbed worker says it, and what is left of it from each of its words on.
#[derive(Debug)]
pub struct Reference {
    samples: Vec<i16>,
    /// Where each word has been heard whole.
    ends: Vec<usize>,
    /// The words of each clause.
    clauses: Vec<Range<usize>>,
    rests: Vec<Rest>,
}

/// What is left of a clause from one of its words on.
#[derive(Debug)]
struct Rest {
    /// The word.
    word: usize,
    /// A piece of its sound.
    print: Vec<i16>,
    /// Where that piece lies in it.
    lead: usize,
}

/// The words of one sentence that were not heard as they should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Not heard whole.
    pub lost: u64,
    /// Heard whole twice.
    pub repeated: u64,
}

impl Reference {
    /// Has a worker say `text`, and what is left of it from each word on; none where the worker does not tell of its words.
    ///
    /// # Errors
    /// When the worker does not speak.
    pub async fn of(
        tts: &mut TtsServiceClient<Wire>,
        voice: &str,
        text: &str,
    ) -> anyhow::Result<Option<Self>> {
        const SESSION: &str = "bench-words";
        let request = StartSessionRequest {
            session_id: SESSION.to_owned(),
            model_id: String::new(),
            options: HashMap::from([("voice".to_owned(), voice.to_owned())]),
        };
        let started = tts.start_session(request).await?.into_inner();
        anyhow::ensure!(started.success, "no session: {}", started.message);
        let mut clauses = Clauses::default();
        clauses.push(text);
        let mut texts: Vec<String> = std::iter::from_fn(|| clauses.pop()).collect();
        texts.extend(clauses.flush());
        let (samples, begins) = spoken(tts, SESSION, &texts).await?;
        let mut rests = Vec::new();
        let mut words = Vec::new();
        for text in &texts {
            let first = words.last().map_or(0, |before: &Range<usize>| before.end);
            let starts = starts(text);
            words.push(first..first + starts.len());
            for (word, start) in (first..).zip(starts) {
                let rest = text.get(start..).unwrap_or_default().to_owned();
                rests.push((word, spoken(tts, SESSION, &[rest]).await?.0));
            }
        }
        let request = EndSessionRequest {
            session_id: SESSION.to_owned(),
        };
        tts.end_session(request).await?;
        Ok(Self::new(samples, &begins, words, rests))
    }

    /// That of a sentence whose words begin at `begins`; `clauses` are the words of each clause, and `rests` the sound of what is
    /// left of a clause from a word on. None where the words do not fit the clauses, or a rest is too short to be known again.
    fn new(
        samples: Vec<i16>,
        begins: &[usize],
        clauses: Vec<Range<usize>>,
        rests: Vec<(usize, Vec<i16>)>,
    ) -> Option<Self> {
        if begins.is_empty() || clauses.last()?.end != begins.len() {
            return None;
        }
        let until = begins.iter().skip(1).copied().chain([samples.len()]);
        // A word ends with its last sound, not with the pause behind it.
        let ends = begins.iter().zip(until).map(|(begin, until)| {
            let word = samples.get(*begin..until).unwrap_or_default();
            let last = word.iter().rposition(|sample| is_audible(*sample));
            begin + last.map_or(0, |last| last + 1)
        });
        let rest = |(word, sound): (usize, Vec<i16>)| {
            let lead = onset(&sound)? + PRINT_AFTER;
            let print = sound.get(lead..lead + PRINT)?.to_vec();
            Some(Rest { word, print, lead })
        };
        Some(Self {
            ends: ends.collect(),
            rests: rests.into_iter().map(rest).collect::<Option<_>>()?,
            samples,
            clauses,
        })
    }

    /// The words of what was heard; none where its sound is not known.
    pub fn count(&self, heard: &[i16]) -> Option<Count> {
        let cut = self.same_until(heard);
        let whole = self.ends.iter().filter(|end| **end <= cut + CUT_BEFORE);
        let whole = whole.count();
        let words = self.ends.len();
        let is_over = heard
            .get(cut..)
            .is_none_or(|after| !after.iter().any(|sample| is_audible(*sample)));
        if is_over {
            return Some(Count {
                lost: (words - whole) as u64,
                repeated: 0,
            });
        }
        let (next, at) = self.goes_on(heard, cut)?;
        let mut lost = next.saturating_sub(whole);
        // What follows is said clause by clause as it always is.
        for clause in self.clauses.iter().filter(|clause| clause.start > next) {
            let is_there = |rest: &Rest| find(heard, at..heard.len(), &rest.print).is_some();
            let first = self.rests.iter().find(|rest| rest.word == clause.start)?;
            if !is_there(first) {
                lost += clause.len();
            }
        }
        Some(Count {
            lost: lost as u64,
            repeated: whole.saturating_sub(next) as u64,
        })
    }

    /// How far it is the undisturbed sentence, in samples.
    fn same_until(&self, heard: &[i16]) -> usize {
        let steps = self.samples.chunks(STEP).zip(heard.chunks(STEP));
        let same = steps.take_while(|(one, other)| {
            one.len() == other.len() && difference(one, other) <= most(one)
        });
        let same = same.map(|(step, _)| step.len()).sum::<usize>();
        same.min(heard.len())
    }

    /// The word with which it goes on after the cut, and where that is known.
    fn goes_on(&self, heard: &[i16], cut: usize) -> Option<(usize, usize)> {
        let from = cut.saturating_sub(CUT_BEFORE);
        let found = self.rests.iter().filter_map(|rest| {
            let range = from + rest.lead..cut + GOES_ON_WITHIN + rest.lead;
            let at = find(heard, range, &rest.print)?;
            Some((at - rest.lead, rest.word, at))
        });
        // A rest of few words may be found inside a longer one: that which begins first is the one.
        let (_, word, at) = found.min()?;
        Some((word, at))
    }
}

/// Where in `range` a piece of sound begins.
fn find(heard: &[i16], range: Range<usize>, print: &[i16]) -> Option<usize> {
    let most = most(print);
    range
        .take_while(|at| at + print.len() <= heard.len())
        .find(|at| {
            let piece = heard.get(*at..).unwrap_or_default();
            let mut all = 0;
            // Most places are found out to be others after a few samples.
            piece.iter().zip(print).all(|(one, other)| {
                all += u64::from(one.abs_diff(*other));
                all <= most
            })
        })
}

fn difference(one: &[i16], other: &[i16]) -> u64 {
    let each = one.iter().zip(other);
    each.map(|(one, other)| u64::from(one.abs_diff(*other)))
        .sum()
}

/// The most by which another sound may differ from this one and be the same.
fn most(sound: &[i16]) -> u64 {
    let size: u64 = sound
        .iter()
        .map(|sample| u64::from(sample.unsigned_abs()))
        .sum();
    size / 10 + SLACK * sound.len() as u64
}

/// Where the words of a text begin, in bytes.
fn starts(text: &str) -> Vec<usize> {
    let mut before = ' ';
    let begins = text.char_indices().filter(|(_, letter)| {
        let was_blank = std::mem::replace(&mut before, *letter).is_whitespace();
        was_blank && !letter.is_whitespace()
    });
    begins.map(|(at, _)| at).collect()
}

/// The sound of these chunks, and where in it words begin, in samples at 48 kHz.
async fn spoken(
    tts: &mut TtsServiceClient<Wire>,
    session: &str,
    texts: &[String],
) -> anyhow::Result<(Vec<i16>, Vec<usize>)> {
    let chunks: Vec<TextChunk> = (1..)
        .zip(texts)
        .map(|(number, text)| TextChunk {
            session_id: session.to_owned(),
            text: text.clone(),
            is_final: number == texts.len() as i64,
            sequence_number: number,
        })
        .collect();
    let answer = tts.synthesize(tokio_stream::iter(chunks)).await;
    let mut frames = answer.context("the worker does not speak")?.into_inner();
    let (mut samples, mut begins) = (Vec::new(), Vec::new());
    while let Some(frame) = frames.message().await? {
        let pairs = frame.audio_data.as_chunks::<2>().0.iter();
        samples.extend(pairs.map(|pair| i16::from_le_bytes(*pair)));
        let marks = frame.words.iter();
        begins.extend(marks.filter_map(|mark| usize::try_from(mark.at_sample).ok()));
    }
    Ok((samples, begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: usize = 14_400;
    const PAUSE: usize = 4_800;

    /// A sound like no other.
    fn noise(seed: u32, samples: usize) -> Vec<i16> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let sample = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 17) as i16 - 8_192
        };
        std::iter::repeat_with(sample).take(samples).collect()
    }

    /// What is left of the clause of a word: said from elsewhere, it sounds otherwise.
    fn rest(word: usize) -> Vec<i16> {
        let last = if word < 3 { 3 } else { 6 };
        noise(100 + word as u32, (last - word) * WORD)
    }

    /// Two clauses of three words, with a pause between.
    fn undisturbed() -> Vec<i16> {
        [rest(0), vec![0; PAUSE], rest(3)].concat()
    }

    fn reference() -> Reference {
        let second = 3 * WORD + PAUSE;
        let begins = [0, 1, 2].map(|word| word * WORD);
        let begins = [begins, begins.map(|begin| begin + second)].concat();
        let rests = (0..6).map(|word| (word, rest(word))).collect();
        Reference::new(undisturbed(), &begins, vec![0..3, 3..6], rests).unwrap()
    }

    /// The sentence up to a sample, and then other sound.
    fn cut(at: usize, then: &[Vec<i16>]) -> Option<Count> {
        let mut heard = undisturbed();
        heard.truncate(at);
        reference().count(&[&heard[..], &then.concat()].concat())
    }

    fn count(lost: u64, repeated: u64) -> Option<Count> {
        Some(Count { lost, repeated })
    }

    #[test]
    fn an_undisturbed_sentence_has_all_its_words_once() {
        assert_eq!(reference().count(&undisturbed()), count(0, 0));
        let mut louder = undisturbed();
        louder.iter_mut().for_each(|sample| *sample += *sample / 50);
        assert_eq!(reference().count(&louder), count(0, 0));
    }

    #[test]
    fn a_sentence_that_goes_on_with_the_next_word_lost_none() {
        let follows = [vec![0; PAUSE], rest(3)].concat();
        assert_eq!(cut(WORD - 500, &[rest(1), follows.clone()]), count(0, 0));
        // In the pause, and in the second clause.
        assert_eq!(cut(3 * WORD + 2_000, &[rest(3)]), count(0, 0));
        assert_eq!(cut(4 * WORD + PAUSE, &[rest(4)]), count(0, 0));
        // The word was broken off and is said again: once whole.
        assert_eq!(cut(WORD + 6_000, &[rest(1), follows]), count(0, 0));
    }

    #[test]
    fn words_that_are_said_again_or_never_are_counted() {
        let follows = [vec![0; PAUSE], rest(3)].concat();
        assert_eq!(cut(2 * WORD, &[rest(0), follows.clone()]), count(0, 2));
        assert_eq!(cut(WORD, &[rest(2), follows.clone()]), count(1, 0));
        assert_eq!(cut(WORD, &[rest(1)]), count(3, 0), "the second clause");
        assert_eq!(cut(WORD, &[]), count(5, 0), "nothing more came");
        assert_eq!(cut(WORD, &[noise(7, 90_000)]), None, "what is that?");
    }

    #[test]
    fn words_are_found_between_blanks() {
        assert_eq!(starts(" one  two, three "), [1, 6, 11]);
        assert!(starts("  ").is_empty());
        let spoken = std::iter::once(0..3).collect();
        let none = Reference::new(vec![0; 9], &[0, 4], spoken, Vec::new());
        assert!(none.is_none(), "three words, and two begin");
    }
}
