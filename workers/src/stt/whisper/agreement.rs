//! Which words are certain, when the same sound is looked at again and again while it grows.
//!
//! A word counts once two passes after each other agree on it and on all before it. From then on it stays as it is, whatever
//! later passes make of it. Passes are laid side by side by their words and not by their times, which are less certain.
//!
//! ```text
//!   pass 1   tell me a jo
//!   pass 2   tell me a joke about        certain: tell me a
//!   pass 3   tell me a joke about cats   certain: tell me a joke about
//! ```

use super::words::Heard;

/// The words of an utterance, certain and not.
#[derive(Default)]
pub struct Agreement {
    confirmed: Vec<Heard>,
    /// How many of those were heard in sound that passes still begin with.
    looked_at: usize,
    /// What the last pass heard after them.
    tail: Vec<Heard>,
}

impl Agreement {
    /// Words that are certain.
    pub fn confirmed(&self) -> &[Heard] {
        &self.confirmed
    }

    /// Those of them that are in the sound that passes still begin with.
    pub fn looked_at(&self) -> &[Heard] {
        let out = self.confirmed.len().saturating_sub(self.looked_at);
        self.confirmed.get(out..).unwrap_or_default()
    }

    /// What the last pass heard after the words that are certain.
    pub fn tail(&self) -> &[Heard] {
        &self.tail
    }

    /// Another pass over the sound; whether more words are certain now.
    pub fn pass(&mut self, mut words: Vec<Heard>) -> bool {
        let known = after(self.looked_at(), &words);
        let mut tail = words.split_off(known.min(words.len()));
        let agreed = tail
            .iter()
            .zip(&self.tail)
            .take_while(|(new, old)| key(&new.text) == key(&old.text))
            .count();
        let rest = tail.split_off(agreed);
        self.confirm(tail);
        self.tail = rest;
        agreed > 0
    }

    /// So many words of the last pass are taken for certain without another.
    pub fn accept(&mut self, count: usize) {
        let rest = self.tail.split_off(count.min(self.tail.len()));
        let accepted = std::mem::replace(&mut self.tail, rest);
        self.confirm(accepted);
    }

    /// Passes begin at this sample from now on.
    pub fn cut(&mut self, at: u64) {
        let looked_at = self.looked_at().iter();
        self.looked_at = looked_at.filter(|word| word.end > at).count();
        self.tail.retain(|word| word.end > at);
    }

    fn confirm(&mut self, words: Vec<Heard>) {
        self.looked_at += words.len();
        for mut word in words {
            // Later passes may place words a little before those that are certain.
            let last = self.confirmed.last().map_or(0, |last| last.end);
            word.start = word.start.max(last);
            word.end = word.end.max(word.start);
            self.confirmed.push(word);
        }
    }
}

/// How many of `words` are those that are `known`: the beginning of `words` that differs from them in the fewest words. Of
/// beginnings that are equally good, the longest: a word that is heard otherwise now is still the same word.
fn after(known: &[Heard], words: &[Heard]) -> usize {
    let known: Vec<String> = known.iter().map(|word| key(&word.text)).collect();
    let words: Vec<String> = words.iter().map(|word| key(&word.text)).collect();
    // The edit distance of `known` so far to each beginning of `words`.
    let mut distances: Vec<usize> = (0..=words.len()).collect();
    for known in &known {
        let mut diagonal = distances.first().copied().unwrap_or(0);
        let mut left = diagonal + 1;
        if let Some(first) = distances.first_mut() {
            *first = left;
        }
        for (word, above) in words.iter().zip(distances.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(word != known);
            diagonal = *above;
            *above = replaced.min(*above + 1).min(left + 1);
            left = *above;
        }
    }
    let best = distances.iter().min();
    distances
        .iter()
        .rposition(|distance| Some(distance) == best)
        .unwrap_or(0)
}

/// What two words must have in common to be the same: letters and figures.
fn key(word: &str) -> String {
    let letters: String = word
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    match letters.is_empty() {
        true => word.to_owned(),
        false => letters,
    }
}

#[cfg(test)]
mod tests;
