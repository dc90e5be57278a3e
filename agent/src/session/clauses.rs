//! Cuts a stream of text into clauses, so that speaking can begin before a sentence is written to its end.

/// A clause shorter than this waits for the next one: very short pieces sound chopped.
const MIN_CHARS: usize = 12;
/// A run of words without any punctuation is cut at a space here, so that a list without commas still starts.
const MAX_CHARS: usize = 180;

/// Collects text as it arrives and gives it back clause by clause.
#[derive(Debug, Default)]
pub struct Clauses {
    pending: String,
}

impl Clauses {
    /// Adds text as it came from the responder.
    pub fn push(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    /// The next whole clause, if one is there.
    pub fn pop(&mut self) -> Option<String> {
        let cut = self.boundary()?;
        let rest = self.pending.split_off(cut);
        let clause = std::mem::replace(&mut self.pending, rest);
        Some(clause)
    }

    /// How much waits, in bytes.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whatever is left at the end of the text; none if it is blank.
    pub fn flush(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.trim().is_empty()).then_some(rest)
    }

    /// All that waits, in one piece; none if it is blank.
    pub fn rest(mut self) -> Option<String> {
        self.flush()
    }

    /// The byte after the first clause and the blanks that follow it.
    fn boundary(&self) -> Option<usize> {
        let mut chars = self.pending.char_indices().peekable();
        let (mut count, mut last_space) = (0, None);
        let mut before: Option<char> = None;
        while let Some((at, c)) = chars.next() {
            count += 1;
            let next = chars.peek().map(|(_, next)| *next);
            let ends = match c {
                '\n' => true,
                // A full stop or comma inside a number or an abbreviation is followed by no blank.
                '.' | '!' | '?' | ';' | ':' | ',' | '…' | '。' | '！' | '？' | '，' => {
                    let wide = !c.is_ascii() && c != '…';
                    wide || (next.is_some_and(char::is_whitespace) && !is_initial(c, before))
                }
                _ => false,
            };
            if ends && count >= MIN_CHARS {
                let mut end = at + c.len_utf8();
                while let Some((at, blank)) = chars.next_if(|(_, c)| c.is_whitespace()) {
                    end = at + blank.len_utf8();
                }
                return Some(end);
            }
            if c.is_whitespace() {
                last_space = Some(at + c.len_utf8());
            }
            if count >= MAX_CHARS && last_space.is_some() {
                return last_space;
            }
            before = Some(c);
        }
        None
    }
}

/// Whether a full stop ends an initial or "Mr." and the like rather than a sentence: one capital letter stands before it.
fn is_initial(stop: char, before: Option<char>) -> bool {
    stop == '.' && before.is_some_and(|c| c.is_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut clauses = Clauses::default();
        let mut out = Vec::new();
        for c in text.chars() {
            clauses.push(&c.to_string());
            while let Some(clause) = clauses.pop() {
                out.push(clause);
            }
        }
        out.extend(clauses.flush());
        out
    }

    #[test]
    fn nothing_is_lost_or_changed() {
        let text = "Once upon a time, there was a mill. It cost 3.50 dollars; nobody knew why! J. R. agreed.\nThe end";
        assert_eq!(all(text).concat(), text);
    }

    #[test]
    fn clauses_end_at_punctuation_before_a_blank() {
        assert_eq!(
            all("It is half past three. The price is 3.50 dollars, no more."),
            [
                "It is half past three. ",
                "The price is 3.50 dollars, ",
                "no more."
            ]
        );
    }

    #[test]
    fn a_flood_without_punctuation_is_cut_at_a_space() {
        let text = "word ".repeat(100);
        let clauses = all(&text);
        assert!(clauses.len() > 2);
        assert!(
            clauses
                .iter()
                .all(|clause| clause.chars().count() <= MAX_CHARS)
        );
    }
}
