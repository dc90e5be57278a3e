//! Words and their times from the tokens that a pass over the sound brings forth.
//!
//! A token is a piece of a word; a blank before it begins a new word. Between them stand time stamps in steps of 20 ms, which
//! enclose what was said in one breath. Inside a breath the model tells at each token how likely which time stamp would be;
//! where it is sure enough, that is where the token begins. Between such places time is shared out by the letters.

use super::languages::is_without_blanks;

/// 20 ms at 16 kHz.
const STAMP_SAMPLES: u64 = 320;
/// A time that the model is less sure of is no time: the threshold of whisper.cpp.
const SURE: f32 = 0.01;

/// A token as the model gave it.
#[derive(Clone, PartialEq)]
pub struct Token {
    /// Its place in the vocabulary.
    pub id: i32,
    /// Its letters, or a part of one.
    pub bytes: Vec<u8>,
    /// How likely it is, from 0 to 1.
    pub probability: f32,
    /// The logarithm of that.
    pub logprob: f32,
    /// The likeliest time stamp in its place.
    pub stamp: i32,
    /// How likely that is, and all time stamps together.
    pub stamp_probability: f32,
    /// How likely any time stamp is.
    pub stamps_probability: f32,
}

/// Where the special tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specials {
    /// The end of the text; text tokens come before it.
    pub end: i32,
    /// The time stamp of 0 s; those that follow are 20 ms apart.
    pub zero: i32,
}

/// A word with its place in the sound.
#[derive(Clone, PartialEq)]
pub struct Heard {
    /// The word with its punctuation and no blanks.
    pub text: String,
    /// Whether it stands without a blank after the word before.
    pub is_joined: bool,
    /// Its first sample.
    pub start: u64,
    /// The sample after its last.
    pub end: u64,
    /// The mean probability of its tokens.
    pub probability: f32,
    /// The sum of their logarithms.
    pub logprob: f32,
    /// Its tokens.
    pub tokens: Vec<i32>,
    /// Whether a breath ends with it.
    pub is_last: bool,
    /// How likely nobody spoke in the sound in which it was heard.
    pub no_speech: f32,
}

impl Heard {
    /// Whether a sentence ends with it.
    pub fn ends_sentence(&self) -> bool {
        let end = self.text.trim_end_matches(['"', '\'', ')', '”', '’', '»']);
        end.ends_with(['.', '?', '!', '。', '？', '！', '।', '؟'])
    }
}

// What somebody said is private: debug output must not spill it.
impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Heard({} to {}, {})",
            self.start, self.end, self.probability
        )
    }
}

/// The words of a text.
pub fn text(words: &[Heard]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() && !word.is_joined {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

/// The words of the tokens that were heard in `language` from the sample `start` on, for so many samples.
pub fn words(
    tokens: &[Token],
    specials: Specials,
    language: &str,
    (start, samples): (u64, u64),
) -> Vec<Heard> {
    let place = |stamp: i32| {
        let steps = u64::try_from(stamp - specials.zero).unwrap_or(0);
        start + (steps * STAMP_SAMPLES).min(samples)
    };
    let mut words = Vec::new();
    let mut from = start;
    let mut breath: Vec<&Token> = Vec::new();
    for token in tokens {
        if token.id >= specials.zero {
            let to = place(token.id).max(from);
            let times = times(&breath, specials, (from, to), place);
            join(&breath, &times, to, language, &mut words);
            breath.clear();
            from = to;
        } else if token.id < specials.end {
            breath.push(token);
        }
    }
    // Not closed by a time stamp: it goes on to the end.
    let to = (start + samples).max(from);
    let times = times(&breath, specials, (from, to), place);
    join(&breath, &times, to, language, &mut words);
    words
}

/// Where each token of a breath begins.
fn times(
    breath: &[&Token],
    specials: Specials,
    (from, to): (u64, u64),
    place: impl Fn(i32) -> u64,
) -> Vec<u64> {
    let is_sure = |token: &Token| {
        token.stamp > specials.zero
            && token.stamp_probability > SURE
            && token.stamps_probability > SURE
    };
    let mut known = vec![(0, from)];
    for (number, &token) in breath.iter().enumerate().skip(1) {
        let last = known.last().map_or(from, |(_, place)| *place);
        let told = place(token.stamp);
        if is_sure(token) && told > last && told < to {
            known.push((number, told));
        }
    }
    known.push((breath.len(), to));
    let mut times = Vec::with_capacity(breath.len());
    for pair in known.windows(2) {
        let [(first, begins), (next, ends)] = pair else {
            continue;
        };
        let part = breath.get(*first..*next).unwrap_or_default();
        let all: u64 = part.iter().map(|&token| letters(token)).sum();
        let mut before = 0;
        for &token in part {
            times.push(begins + (ends - begins) * before / all.max(1));
            before += letters(token);
        }
    }
    times
}

fn letters(token: &Token) -> u64 {
    token.bytes.len().max(1) as u64
}

/// Joins the tokens of a breath, which ends at `to`, to words.
fn join(breath: &[&Token], times: &[u64], to: u64, language: &str, words: &mut Vec<Heard>) {
    let mut parts: Vec<(u64, Vec<&Token>)> = Vec::new();
    let mut is_whole = true;
    for (&token, &time) in breath.iter().zip(times) {
        let begins_word = token.bytes.starts_with(b" ")
            || is_without_blanks(language) && is_whole && !is_punctuation(&token.bytes);
        match parts.last_mut() {
            Some((_, part)) if !begins_word => part.push(token),
            Some(_) | None => parts.push((time, vec![token])),
        }
        // A letter may be spread over several tokens.
        is_whole = parts
            .last()
            .is_none_or(|(_, part)| std::str::from_utf8(&bytes(part)).is_ok());
    }
    let ends: Vec<u64> = parts
        .iter()
        .skip(1)
        .map(|(time, _)| *time)
        .chain([to])
        .collect();
    let count = words.len();
    for ((start, part), end) in parts.into_iter().zip(ends) {
        let bytes = bytes(&part);
        let text = String::from_utf8_lossy(&bytes);
        let is_joined = is_without_blanks(language) && !text.starts_with(' ');
        let text = text.trim();
        if !text.chars().any(char::is_alphanumeric) && !is_bracket(text) {
            continue;
        }
        words.push(Heard {
            text: text.to_owned(),
            is_joined,
            start,
            end,
            probability: part.iter().map(|token| token.probability).sum::<f32>()
                / part.len() as f32,
            logprob: part.iter().map(|token| token.logprob).sum(),
            tokens: part.iter().map(|token| token.id).collect(),
            is_last: false,
            no_speech: 0.0,
        });
    }
    if words.len() > count
        && let Some(last) = words.last_mut()
    {
        last.is_last = true;
    }
}

fn bytes(part: &[&Token]) -> Vec<u8> {
    part.iter()
        .flat_map(|token| token.bytes.iter().copied())
        .collect()
}

/// Brackets stay until what is in them has been looked at.
fn is_bracket(text: &str) -> bool {
    text.contains(['[', ']', '(', ')'])
}

fn is_punctuation(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        !text.trim().is_empty() && !text.chars().any(|letter| letter.is_alphanumeric())
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SPECIALS: Specials = Specials {
        end: 50_256,
        zero: 50_363,
    };

    fn token(text: &str) -> Token {
        Token {
            id: 7,
            bytes: text.as_bytes().to_vec(),
            probability: 0.5,
            logprob: -0.7,
            stamp: SPECIALS.zero,
            stamp_probability: 0.0,
            stamps_probability: 0.0,
        }
    }

    fn stamp(seconds: f32) -> Token {
        Token {
            id: SPECIALS.zero + (seconds * 50.0).round() as i32,
            bytes: b"[_TT_]".to_vec(),
            ..token("")
        }
    }

    fn heard(tokens: &[Token], language: &str) -> Vec<Heard> {
        words(tokens, SPECIALS, language, (16_000, 160_000))
    }

    #[test]
    fn tokens_are_joined_to_words_with_times_inside_their_breath() {
        let tokens = [
            stamp(0.0),
            token(" Hello"),
            token(","),
            token(" wor"),
            token("ld"),
            token("."),
            stamp(2.0),
            stamp(3.0),
            token(" Yes"),
            stamp(4.0),
        ];
        let words = heard(&tokens, "en");
        assert_eq!(text(&words), "Hello, world. Yes");
        let places: Vec<_> = words.iter().map(|word| (word.start, word.end)).collect();
        // Seven of fourteen letters, blanks included, are the first word's.
        let middle = 16_000 + 32_000 * 7 / 14;
        assert_eq!(
            places,
            [(16_000, middle), (middle, 48_000), (64_000, 80_000)]
        );
        assert_eq!(
            words.iter().map(|word| word.is_last).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(words[1].ends_sentence() && !words[0].ends_sentence());
        assert_eq!(words[0].tokens.len(), 2);
    }

    #[test]
    fn a_time_that_the_model_is_sure_of_is_taken() {
        let sure = Token {
            stamp: SPECIALS.zero + 25,
            stamp_probability: 0.3,
            stamps_probability: 0.4,
            ..token(" two")
        };
        let words = heard(&[stamp(0.0), token(" one"), sure, stamp(2.0)], "en");
        assert_eq!(
            (words[0].end, words[1].start),
            (16_000 + 8_000, 16_000 + 8_000)
        );
    }

    #[test]
    fn where_no_time_stamp_closes_the_words_go_on_to_the_end() {
        let words = heard(&[token(" one"), token(" two")], "en");
        assert_eq!((words[0].start, words[1].end), (16_000, 16_000 + 160_000));
        assert!(heard(&[], "en").is_empty());
        assert!(heard(&[stamp(0.0), token(" ..."), stamp(1.0)], "en").is_empty());
        // A time beyond the sound is its end.
        let words = heard(&[stamp(0.0), token(" one"), stamp(29.0)], "en");
        assert_eq!(words[0].end, 16_000 + 160_000);
    }

    #[test]
    fn letters_without_blanks_are_words_of_their_own_and_never_torn() {
        let mut parts = "你好".as_bytes().chunks(2).map(|bytes| Token {
            bytes: bytes.to_vec(),
            ..token("")
        });
        let mut tokens: Vec<_> = parts.by_ref().collect();
        tokens.push(token("世"));
        tokens.push(token("。"));
        let words = heard(&tokens, "zh");
        assert_eq!(text(&words), "你好世。");
        assert_eq!(words.len(), 2);
        assert!(words[1].ends_sentence());
    }

    /// A word of so many samples, for tests elsewhere.
    pub(in super::super) fn word(text: &str, start: u64, end: u64) -> Heard {
        Heard {
            text: text.to_owned(),
            is_joined: false,
            start,
            end,
            probability: 0.9,
            logprob: -0.1,
            tokens: vec![text.len() as i32],
            is_last: false,
            no_speech: 0.0,
        }
    }
}
