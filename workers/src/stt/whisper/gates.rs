//! Keeps words out that nobody said: a model of Whisper writes something about any sound.

use super::words::{Heard, text};

/// Silence is likelier than this where the words are unlikely too: the thresholds of the model's authors.
const NO_SPEECH: f32 = 0.6;
const UNLIKELY: f32 = -1.0;
/// Words as unlikely as these are guesses, whatever the sound.
const GUESSED: f32 = -1.5;
/// Text that can be written so much shorter repeats itself: the threshold of the model's authors.
const REPEATING: f32 = 2.4;
/// What is found between brackets is a sound and no words if it has so many words at most.
const SOUND_WORDS: usize = 6;

/// What is to be thought of the words of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They were said.
    Said,
    /// They may have been said; another try may do better.
    Unlikely,
    /// They go round in circles; another try may do better.
    Repeating,
    /// Nobody said them.
    Invented,
}

/// Judges the words of one pass.
pub fn verdict(words: &[Heard], no_speech: f32) -> Verdict {
    let mean = mean_logprob(words);
    // A number that is none is no reason to believe anything.
    let is_guessed = words.is_empty() || mean.is_nan() || mean < GUESSED;
    if is_guessed || mean < UNLIKELY && no_speech > NO_SPEECH {
        Verdict::Invented
    } else if compression_ratio(&text(words)) > REPEATING {
        Verdict::Repeating
    } else if mean < UNLIKELY {
        Verdict::Unlikely
    } else {
        Verdict::Said
    }
}

/// The mean of the logarithms of the probabilities of these words' tokens.
pub fn mean_logprob(words: &[Heard]) -> f32 {
    let tokens: usize = words.iter().map(|word| word.tokens.len()).sum();
    words.iter().map(|word| word.logprob).sum::<f32>() / tokens.max(1) as f32
}

/// Drops what is not speech: `[BLANK_AUDIO]`, `(soft music)`. Brackets that close much later stay, without the marks' words being
/// judged.
pub fn without_sounds(words: Vec<Heard>) -> Vec<Heard> {
    let mut kept: Vec<Heard> = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        match sound(rest) {
            // A breath that ended with the sound ends before it.
            Some(count) => {
                let (sound, after) = rest.split_at(count);
                if sound.iter().any(|word| word.is_last)
                    && let Some(before) = kept.last_mut()
                {
                    before.is_last = true;
                }
                rest = after;
            }
            None => {
                kept.push(word.clone());
                rest = after;
            }
        }
    }
    kept
}

/// How many words the sound in brackets has that these begin with, if they do.
fn sound(words: &[Heard]) -> Option<usize> {
    let first = words.first()?.text.chars().next()?;
    let closing = match first {
        '[' => ']',
        '(' => ')',
        _ => return None,
    };
    let end = words
        .iter()
        .take(SOUND_WORDS)
        .position(|word| word.text.contains(closing));
    match end {
        Some(end) => Some(end + 1),
        // It may still be closed by words that come.
        None if words.len() < SOUND_WORDS => Some(words.len()),
        None => None,
    }
}

/// How much shorter a text can be written when repetitions are told by their place, as zlib does, by an estimate of zlib's bytes.
/// Ordinary sentences have 0.8 to 1.8. Every character counts as one byte: those of many scripts have three, the first of which
/// are always the same, and would look like repetitions.
pub fn compression_ratio(text: &str) -> f32 {
    /// zlib's frame.
    const FRAME_BITS: usize = 64;
    /// A letter, and a repetition, after Huffman's coding: typical of short English texts.
    const LETTER_BITS: usize = 6;
    const REPETITION_BITS: usize = 18;
    /// Shorter ones are not worth it; the longest that zlib knows.
    const SHORTEST: usize = 4;
    const LONGEST: usize = 258;
    let letters: Vec<char> = text.chars().collect();
    if letters.is_empty() {
        return 1.0;
    }
    let mut bits = FRAME_BITS;
    let mut at = 0;
    while at < letters.len() {
        let rest = letters.get(at..).unwrap_or_default();
        // A repetition may run on into itself.
        let common = |from: usize| {
            let earlier = letters.get(from..).unwrap_or_default();
            let common = earlier.iter().zip(rest).take_while(|(a, b)| a == b);
            common.take(LONGEST).count()
        };
        let longest = (0..at).map(common).max().unwrap_or(0);
        if longest >= SHORTEST {
            bits += REPETITION_BITS;
            at += longest;
        } else {
            bits += LETTER_BITS;
            at += 1;
        }
    }
    (letters.len() * 8) as f32 / bits as f32
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::word;
    use super::*;

    fn said(text: &str) -> Vec<Heard> {
        text.split(' ').map(|text| word(text, 0, 100)).collect()
    }

    fn with(text: &str, logprob: f32) -> Vec<Heard> {
        let mut words = said(text);
        words.iter_mut().for_each(|word| word.logprob = logprob);
        words
    }

    #[test]
    fn sounds_in_brackets_are_no_words() {
        let left = |text: &str| super::text(&without_sounds(said(text)));
        assert_eq!(left("[BLANK_AUDIO]"), "");
        assert_eq!(left("(soft music) Hello (door closes) you"), "Hello you");
        assert_eq!(left("Hello [inaudible]."), "Hello");
        assert_eq!(left("Hello (music"), "Hello");
        let long = "(one two three four five six seven)";
        assert_eq!(left(long), long);
        assert_eq!(left("a (b)"), "a");
    }

    #[test]
    fn a_breath_ends_before_the_sound_it_ended_with() {
        let mut words = said("Hello (music)");
        words[1].is_last = true;
        assert!(without_sounds(words)[0].is_last);
    }

    #[test]
    fn guesses_and_silence_are_told_from_speech() {
        for (logprob, no_speech, verdict) in [
            (-0.2, 0.0, Verdict::Said),
            (-0.2, 0.9, Verdict::Said),
            (-1.2, 0.9, Verdict::Invented),
            (-1.2, 0.1, Verdict::Unlikely),
            (-9.0, 0.1, Verdict::Invented),
            (f32::NAN, 0.1, Verdict::Invented),
        ] {
            let words = with("tell me a joke", logprob);
            assert_eq!(super::verdict(&words, no_speech), verdict, "{logprob}");
        }
        assert_eq!(super::verdict(&[], 0.0), Verdict::Invented);
    }

    #[test]
    fn what_goes_round_in_circles_is_told_from_speech() {
        let plain = "And so, my fellow Americans: ask not what your country can do for you, ask what you can do for your country.";
        let ratio = compression_ratio(plain);
        assert!((0.8..1.8).contains(&ratio), "{ratio}");
        assert!(compression_ratio("yes") < 1.0);
        let loops = "thank you ".repeat(30);
        assert!(compression_ratio(&loops) > REPEATING);
        let words = with(loops.trim(), -0.1);
        assert_eq!(verdict(&words, 0.0), Verdict::Repeating);
    }
}
