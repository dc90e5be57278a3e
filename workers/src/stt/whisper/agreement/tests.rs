use super::super::words::tests::word;
use super::super::words::text;
use super::*;

/// Words of a tenth of a second each, from `start` on.
fn said(text: &str, start: u64) -> Vec<Heard> {
    let words = text.split_whitespace();
    words
        .zip(0..)
        .map(|(text, n)| word(text, start + n * 1_600, start + (n + 1) * 1_600))
        .collect()
}

#[test]
fn two_passes_that_agree_make_words_certain() {
    // What the passes hear, and what is certain after each.
    #[rustfmt::skip]
    let tables: [&[(&str, &str)]; 6] = [
        &[("tell", ""), ("tell me", "tell"), ("tell me a joke", "tell me"), ("tell me a joke", "tell me a joke")],
        // Case and punctuation are no disagreement; the newer form counts.
        &[("hello", ""), ("Hello, you", "Hello,"), ("hello you.", "Hello, you.")],
        // A word that changes is not certain, and neither are those behind it.
        &[("ice cream", ""), ("i scream", ""), ("I scream now", "I scream")],
        // What is certain stays, also when a pass hears it otherwise, or not at all.
        &[("a b c", ""), ("a b c d", "a b c"), ("a x c d", "a b c d"), ("", "a b c d"), ("a b c d e", "a b c d"), ("a b c d e", "a b c d e")],
        // A pass that hears nothing is one that agrees with nothing.
        &[("a", ""), ("", ""), ("a", ""), ("a", "a")],
        // Said twice is heard twice.
        &[("no no", ""), ("no no", "no no"), ("no no no", "no no"), ("no no no", "no no no")],
    ];
    for table in tables {
        let mut agreement = Agreement::default();
        for (heard, certain) in table {
            let before = agreement.confirmed().len();
            let more = agreement.pass(said(heard, 0));
            assert_eq!(text(agreement.confirmed()), *certain, "after {heard:?}");
            assert_eq!(more, agreement.confirmed().len() > before);
        }
    }
}

#[test]
fn what_is_cut_off_is_not_looked_for_any_more() {
    let mut agreement = Agreement::default();
    agreement.pass(said("one two three", 0));
    agreement.pass(said("one two three four", 0));
    agreement.cut(3_200);
    assert_eq!(text(agreement.looked_at()), "three");
    // The sound begins with the third word now.
    agreement.pass(said("three four five", 3_200));
    assert_eq!(text(agreement.confirmed()), "one two three four");
    agreement.accept(9);
    assert_eq!(text(agreement.confirmed()), "one two three four five");
    assert!(agreement.tail().is_empty());
    agreement.cut(u64::MAX);
    agreement.pass(said("one", 90_000));
    agreement.pass(said("one", 90_000));
    assert_eq!(text(agreement.confirmed()), "one two three four five one");
}

/// A generator of the same numbers each time (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn certain_words_never_change_whatever_the_passes_hear() {
    let vocabulary = ["a", "b", "no", "you", "A,", "..."];
    for seed in 0..2_000 {
        let mut numbers = Numbers(seed);
        let mut agreement = Agreement::default();
        let (mut start, mut before) = (0, Vec::<Heard>::new());
        for _ in 0..12 {
            let heard: Vec<&str> = (0..numbers.below(7))
                .map(|_| vocabulary[numbers.below(6) as usize])
                .collect();
            match numbers.below(6) {
                0 => {
                    start += numbers.below(8_000);
                    agreement.cut(start);
                }
                1 => agreement.accept(numbers.below(3) as usize),
                _ => {
                    agreement.pass(said(&heard.join(" "), start));
                }
            }
            let now = agreement.confirmed();
            assert!(now.starts_with(&before), "seed {seed}");
            assert!(
                now.windows(2).all(|pair| pair[0].end <= pair[1].start),
                "seed {seed}: words overlap"
            );
            assert!(now.iter().all(|word| word.start <= word.end));
            before = now.to_vec();
        }
    }
}

#[test]
fn a_true_speaker_is_understood_although_the_end_of_each_pass_is_wrong() {
    let truth: Vec<String> = (0..60).map(|n| format!("word{n}")).collect();
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let mut agreement = Agreement::default();
        let mut start = 0;
        let mut length = 0;
        while length < truth.len() {
            length = (length + 1 + numbers.below(3) as usize).min(truth.len());
            let mut heard = truth[start..length].to_vec();
            // The newest word is only half there.
            if let Some(last) = heard.last_mut() {
                *last = format!("x{}", numbers.below(1_000));
            }
            agreement.pass(said(&heard.join(" "), start as u64 * 1_600));
            let certain = agreement.confirmed().len();
            if certain > start + 10 {
                start = certain - 2;
                agreement.cut(start as u64 * 1_600);
            }
        }
        agreement.pass(said(&truth[start..].join(" "), start as u64 * 1_600));
        agreement.accept(usize::MAX);
        assert_eq!(text(agreement.confirmed()), truth.join(" "), "seed {seed}");
    }
}
