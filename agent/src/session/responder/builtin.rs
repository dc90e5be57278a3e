//! The built-in responder: small, deterministic and pleasant, so that a first call needs no key and no download.

use crate::session::conversation::Message;
use crate::session::protocol::Role;

/// Answers by a few plain rules over the words that it was given.
#[derive(Debug, Default)]
pub struct Builtin;

const JOKES: [&str; 5] = [
    "Why did the microphone go to school? It wanted to be heard in class.",
    "I told my speaker a secret. Now everybody knows.",
    "What does a very polite machine say? After you. No, after you. No, after you.",
    "Why was the echo never lonely? Somebody always answered.",
    "I know a joke about silence, but it is better when I do not tell it.",
];

const STORY: &str = "Once upon a time, on a hill above the sea, there stood a lighthouse with a very small keeper called Ada. \
Every evening Ada climbed one hundred and twelve steps, and every evening she counted them aloud, in case one had gone missing. \
One night a fog came in, so thick that the lamp could not be seen from the foot of the tower. \
Ada thought for a while, and then she opened the window and began to sing. \
Far out on the water, a fishing boat heard her, and turned its bow toward the song. \
Then a second boat heard the first one cheering, and a third boat heard the second. \
By midnight the whole fleet was sailing home along a line of voices, each boat singing to the next. \
In the harbour the bakers lit their ovens early, because they could hear that everyone would be hungry. \
When the sun came up the fog went away, and forty boats lay side by side in the quiet water. \
The captains climbed the hill to thank the keeper, and they counted the steps aloud, as was the custom. \
They counted one hundred and thirteen. \
Ada counted again, and she too counted one hundred and thirteen, and nobody ever found out where the new step had come from. \
But from that day on, whenever the fog came in, the lighthouse seemed to stand a little higher. \
And that is the end of the story.";

const ABILITIES: &str = "I can tell you the time and the date, repeat what you say, count, spell a word, tell a joke, \
or tell a long story. You can interrupt me at any moment: just start talking.";

impl Builtin {
    /// Answers the last message of `history`, and where several people said the turn each of its messages. The same history
    /// at the same time gets the same answer.
    pub fn answer(&self, history: &[Message], now: &jiff::Zoned) -> String {
        let of_turn = history
            .iter()
            .rev()
            .take_while(|message| message.role == Role::User && message.who.is_some())
            .count();
        let first = history.len() - of_turn.saturating_sub(1);
        let answers: Vec<String> = (first..=history.len())
            .filter_map(|upto| history.get(..upto))
            .map(|history| self.answer_last(history, now))
            .collect();
        answers.join(" ")
    }

    fn answer_last(&self, history: &[Message], now: &jiff::Zoned) -> String {
        let Some(last) = history.last() else {
            return ABILITIES.into();
        };
        let said = Said::new(&last.text);
        if said.words.is_empty() {
            return "I did not catch that. Could you say it again?".into();
        }
        if let Some(rest) =
            said.after(&["repeat after me", "repeat", "please repeat", "say after me"])
            && !rest.is_empty()
        {
            return format!("{}.", sentence(&rest));
        }
        if let Some(rest) = said.after(&["spell the word", "spell"])
            && let Some(word) = rest.split(' ').rfind(|word| !word.is_empty())
        {
            return spell(word);
        }
        if said.has(&["count"]) {
            return count(&said);
        }
        if said.has(&["story", "stories"]) {
            return STORY.into();
        }
        if said.has(&["joke", "jokes", "funny"]) {
            let told = history
                .iter()
                .filter(|m| m.role == Role::Agent && JOKES.contains(&m.text.as_str()))
                .count();
            return JOKES
                .get(told % JOKES.len())
                .copied()
                .unwrap_or_default()
                .into();
        }
        if said.has(&["time", "clock", "o'clock"]) && !said.has(&["date", "day"]) {
            return time(now);
        }
        if said.has(&["date", "day", "today", "month", "year"]) {
            return format!("Today is {}.", now.strftime("%A, %B %-d, %Y"));
        }
        if said.has(&["bye", "goodbye"]) {
            return "Goodbye. It was nice talking with you.".into();
        }
        if said.has(&["thanks", "thank"]) {
            return "You are welcome.".into();
        }
        if said.has(&["stop", "quiet", "enough", "wait"]) && said.words.len() <= 4 {
            return "All right, I stopped. What would you like instead?".into();
        }
        if said.has(&["help", "do", "can"]) && said.has(&["help", "what", "you"]) {
            return ABILITIES.into();
        }
        if said.has(&["who", "name"]) && said.has(&["you", "your"]) {
            return "I am parlor, a machine to talk with. What would you like to hear?".into();
        }
        if said.has(&["how"]) && said.has(&["you"]) {
            return "I am well, thank you. What can I do for you?".into();
        }
        if said.has(&["hello", "hi", "hey", "morning", "evening"]) {
            return "Hello! It is good to hear you. Ask me for the time, a joke, or a long story."
                .into();
        }
        format!(
            "I heard: {}. Ask me what I can do, if you like.",
            sentence(&said.words.join(" "))
        )
    }
}

/// The words of a message in lower case, without punctuation.
struct Said {
    words: Vec<String>,
}

impl Said {
    fn new(text: &str) -> Self {
        let words = text
            .split(|c: char| !(c.is_alphanumeric() || c == '\''))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        Self { words }
    }

    fn has(&self, any: &[&str]) -> bool {
        self.words.iter().any(|word| any.contains(&word.as_str()))
    }

    /// What follows the first of these phrases that the message begins with, give or take a polite word before it.
    fn after(&self, phrases: &[&str]) -> Option<String> {
        let joined = self.words.join(" ");
        let start = ["please ", "can you ", "could you ", "would you ", "now "]
            .iter()
            .fold(joined.as_str(), |rest, polite| {
                rest.strip_prefix(polite).unwrap_or(rest)
            });
        phrases.iter().find_map(|phrase| {
            let rest = start.strip_prefix(phrase)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim().to_owned())
        })
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn spell(word: &str) -> String {
    let letters: Vec<String> = word.chars().map(|c| c.to_uppercase().collect()).collect();
    format!("{}: {}.", sentence(word), letters.join(", "))
}

fn time(now: &jiff::Zoned) -> String {
    let (hour, minute) = (now.hour(), now.minute());
    let half = if hour < 12 {
        "in the morning"
    } else if hour < 18 {
        "in the afternoon"
    } else {
        "in the evening"
    };
    let hour = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    match minute {
        0 => format!("It is {hour} o'clock {half}."),
        1..=9 => format!("It is {hour} oh {minute} {half}."),
        _ => format!("It is {hour} {minute} {half}."),
    }
}

/// Counts to the last number in the message, ten where there is none, at most a hundred.
fn count(said: &Said) -> String {
    let numbers = numbers(&said.words);
    let to = numbers.last().copied().unwrap_or(10).clamp(1, 100);
    let from = match numbers.as_slice() {
        [from, .., _] if *from < to => (*from).max(0),
        _ => 1,
    };
    let numbers: Vec<String> = (from..=to).map(|n| n.to_string()).collect();
    format!("{}.", numbers.join(", "))
}

/// What a word is in a number.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// "20": a number by itself.
    Digits(i64),
    /// "five", "twelve", "zero".
    Small(i64),
    /// "twenty".
    Tens(i64),
    /// "hundred".
    Hundred,
}

/// The numbers in these words: "twenty five" is one, "three five" are two, "a hundred and one" is one.
fn numbers(words: &[String]) -> Vec<i64> {
    let mut numbers = Vec::new();
    // The number under way, and below what the next word must be to belong to it: 10 after "twenty", 100 after "hundred".
    let mut open: Option<(i64, i64)> = None;
    for (at, word) in words.iter().enumerate() {
        let Some(part) = part(word) else {
            let next = words.get(at + 1).and_then(|next| part(next));
            let joins = word == "and" && matches!(open, Some((_, 100)));
            if !(joins && matches!(next, Some(Part::Small(_) | Part::Tens(_)))) {
                numbers.extend(open.take().map(|(number, _)| number));
            }
            continue;
        };
        let joined = match (open, part) {
            (Some((number, below)), Part::Small(n)) if (1..below).contains(&n) => {
                Some((number + n, 0))
            }
            (Some((number, 100)), Part::Tens(n)) => Some((number + n, 10)),
            (Some((number, _)), Part::Hundred) if (1..100).contains(&number) => {
                Some((number * 100, 100))
            }
            _ => None,
        };
        if joined.is_none() {
            numbers.extend(open.map(|(number, _)| number));
        }
        open = joined.or(Some(match part {
            Part::Digits(n) | Part::Small(n) => (n, 0),
            Part::Tens(n) => (n, 10),
            Part::Hundred => (100, 100),
        }));
    }
    numbers.extend(open.map(|(number, _)| number));
    numbers
}

fn part(word: &str) -> Option<Part> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = [
        "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    // "to" and "for" are what a recogniser makes of two and four, but far more often they are just words.
    let place = |names: &[&str]| {
        let at = names.iter().position(|name| *name == word)?;
        i64::try_from(at).ok()
    };
    if word == "hundred" {
        return Some(Part::Hundred);
    }
    let digits = word.parse().ok().map(Part::Digits);
    digits
        .or_else(|| place(&SMALL).map(Part::Small))
        .or_else(|| place(&TENS).map(|tens| Part::Tens(10 * (tens + 2))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> String {
        let now: jiff::Zoned = "2026-11-21T15:05:00[UTC]".parse().unwrap();
        Builtin.answer(
            &[Message {
                role: Role::User,
                who: None,
                text: text.into(),
            }],
            &now,
        )
    }

    #[test]
    fn it_does_what_it_says_it_can() {
        assert_eq!(answer("What time is it?"), "It is 3 oh 5 in the afternoon.");
        assert_eq!(
            answer("what is the date today"),
            "Today is Saturday, November 21, 2026."
        );
        assert_eq!(
            answer("please repeat after me good morning"),
            "Good morning."
        );
        assert_eq!(answer("count to five"), "1, 2, 3, 4, 5.");
        assert_eq!(answer("count from three to six"), "3, 4, 5, 6.");
        assert_eq!(answer("spell the word house"), "House: H, O, U, S, E.");
        assert!(answer("tell me a long story").len() > 800);
        assert!(answer("what can you do").contains("interrupt me"));
        assert!(answer("tell me a joke").ends_with('.'));
        assert_eq!(
            answer("stop"),
            "All right, I stopped. What would you like instead?"
        );
        assert_eq!(
            answer("purple elephants"),
            "I heard: Purple elephants. Ask me what I can do, if you like."
        );
    }

    #[test]
    fn numbers_of_several_words_are_one_number() {
        for (said, expected) in [
            ("count to twenty five", vec![25]),
            ("count to twenty-five", vec![25]),
            ("from ninety eight to a hundred", vec![98, 100]),
            (
                "from one hundred and one to two hundred thirty four",
                vec![101, 234],
            ),
            ("three five", vec![3, 5]),
            ("twenty twenty", vec![20, 20]),
            ("twenty eleven", vec![20, 11]),
            ("twenty five six", vec![25, 6]),
            ("one hundred and then twenty", vec![100, 20]),
            ("between twenty and five", vec![20, 5]),
            ("to 25", vec![25]),
            ("nothing", vec![]),
        ] {
            assert_eq!(numbers(&Said::new(said).words), expected, "{said}");
        }
        assert!(answer("count to twenty five").ends_with(", 24, 25."));
        assert_eq!(
            answer("count from ninety seven to a hundred"),
            "97, 98, 99, 100."
        );
        assert!(answer("count to 99999999999999999999").ends_with(", 10."));
    }

    #[test]
    fn the_second_joke_is_another_one() {
        let now: jiff::Zoned = "2026-11-21T15:05:00[UTC]".parse().unwrap();
        let ask = Message {
            role: Role::User,
            who: None,
            text: "a joke".into(),
        };
        let first = Builtin.answer(std::slice::from_ref(&ask), &now);
        let history = [
            ask.clone(),
            Message {
                role: Role::Agent,
                who: None,
                text: first.clone(),
            },
            ask,
        ];
        assert_ne!(Builtin.answer(&history, &now), first);
    }

    #[test]
    fn everybody_who_said_a_part_of_the_turn_is_answered() {
        let now: jiff::Zoned = "2026-11-21T15:05:00[UTC]".parse().unwrap();
        let said = |who: &str, text: &str| Message {
            role: Role::User,
            who: Some(who.into()),
            text: text.into(),
        };
        let agent = Message {
            role: Role::Agent,
            who: None,
            text: "Hello!".into(),
        };
        let turn = [said("Ana", "count to two"), said("Bo", "spell ox")];
        let history = [&[said("Ana", "hello"), agent][..], &turn].concat();
        assert_eq!(Builtin.answer(&history, &now), "1, 2. Ox: O, X.");
    }
}
