//! One floor for several people: whose speech the dialog is told of, and what becomes of what others say meanwhile. No IO.
//!
//! ```text
//!   nobody ──somebody starts──► holder ──no utterance of theirs is left to be recognised──► whoever began first of those
//!                                 │ ▲                                                       who still speak or are being
//!                                 └─┘ starts again before that                              recognised; else nobody
//! ```
//!
//! # The rule
//!
//! Whoever speaks first has the floor, and the dialog hears that person alone: starts, lulls, partials, ends. The floor is
//! held until every utterance of the holder is over and recognised, has failed, or is overdue.
//!
//! The words of others wait, and go to the dialog **with the holder's next final**, as one input in the order in which they
//! were begun. So they are part of the same turn, and no reply can come between. When the holder's last final comes and
//! somebody else is still speaking or being recognised, the floor passes to the one who began first, and the dialog is told
//! of that speech **before** it gets the final: so the turn goes on without a moment in which it could end. Words
//! that come when nobody has the floor go to the dialog at once.
//!
//! Every utterance thus reaches the dialog exactly once: as the holder's, with the holder's, or with nobody there. Only an
//! **echo** does not: the same words as another person's, from an utterance of which more than four fifths lie beside the
//! other's (of the shorter one's length). That is one voice in two microphones, and what comes later of the two is dropped;
//! of those that wait and the holder's, the holder's stays.

use media::link::Speaker;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Utterances that are spoken or recognised at a time. Beyond it the oldest is taken for one whose words never come.
const OPEN: usize = 64;
/// Utterances of others that wait for the holder. Beyond it the oldest two count as one person's.
const WAITING: usize = 64;
/// Utterances that are remembered to know an echo of them.
const REMEMBERED: usize = 16;
/// An echo lies beside the original for more than this many fifths of the shorter one.
const ECHO_FIFTHS: u32 = 4;

/// Somebody speaks, or is being recognised.
#[derive(Debug, Clone)]
pub(super) struct Utterance {
    /// Counts the call's utterances.
    pub number: u64,
    /// Whose it is.
    pub speaker: Speaker,
    /// What they are called.
    pub name: Option<Arc<str>>,
    /// Since when.
    pub onset: Duration,
    /// When the last of it was heard; none while it goes on.
    pub last: Option<Duration>,
    /// Whether its words are told already: a recogniser may give up before the speech is over.
    pub recognised: bool,
}

/// What somebody has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Who.
    pub speaker: Speaker,
    /// What they are called.
    pub name: Option<Arc<str>>,
    /// The words; may be none.
    pub text: String,
    onset: Duration,
    last: Duration,
}

/// What the dialog is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whose speech it hears from now on, first.
    pub passed: Option<Passed>,
    /// Then the words, as one final; none of all if there is nothing to tell.
    pub said: Option<Vec<Said>>,
}

/// Somebody who has spoken for a while already gets the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// Since when they speak.
    pub onset: Duration,
    /// When they stopped, if they did.
    pub last: Option<Duration>,
}

/// Who has the floor among the people.
#[derive(Debug)]
pub(super) struct OneFloor {
    /// How long the words of speech that is over are waited for.
    patience: Duration,
    holder: Option<Speaker>,
    /// In the order in which they began.
    open: Vec<Utterance>,
    /// What others than the holder said since the holder's last final.
    waiting: Vec<Said>,
    /// What the dialog was told last.
    told: VecDeque<Said>,
}

impl OneFloor {
    /// Nobody has it. `patience` is how long the words of speech that is over are waited for.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            holder: None,
            open: Vec::new(),
            waiting: Vec::new(),
            told: VecDeque::new(),
        }
    }

    /// Somebody begins to speak. Whether they have the floor.
    pub fn started(&mut self, utterance: Utterance) -> bool {
        let speaker = utterance.speaker;
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push(utterance);
        *self.holder.get_or_insert(speaker) == speaker
    }

    /// What somebody is saying was last heard at `last`. Whether they have the floor. [`OneFloor::settle`] is to follow.
    pub fn ended(&mut self, speaker: Speaker, last: Duration) -> bool {
        for utterance in &mut self.open {
            if utterance.speaker == speaker {
                utterance.last.get_or_insert(last.max(utterance.onset));
            }
        }
        self.open
            .retain(|one| !(one.recognised && one.last.is_some()));
        self.is_held_by(speaker)
    }

    /// Whether somebody has the floor.
    pub fn is_held_by(&self, speaker: Speaker) -> bool {
        self.holder == Some(speaker)
    }

    /// The words of an utterance are there, or it is known that there are none.
    pub fn recognised(
        &mut self,
        now: Duration,
        speaker: Speaker,
        number: u64,
        text: String,
    ) -> Told {
        let known = self.open.iter_mut().find(|one| one.number == number);
        let (name, onset, last) = match known {
            Some(known) => {
                known.recognised = true;
                (known.name.clone(), known.onset, known.last.unwrap_or(now))
            }
            None => (None, now, now),
        };
        self.open
            .retain(|one| !(one.recognised && one.last.is_some()));
        let mut said = Said {
            speaker,
            name,
            text,
            onset,
            last,
        };
        if self.told.iter().any(|told| told.is_same_voice(&said)) {
            said.text = String::new();
        }
        let has_the_floor = self.holder.is_none_or(|holder| holder == speaker);
        if !has_the_floor {
            let echoes = self.waiting.iter().any(|other| other.is_same_voice(&said));
            if !said.text.trim().is_empty() && !echoes {
                self.wait(said);
            }
            return Told::default();
        }
        self.waiting.retain(|other| !other.is_same_voice(&said));
        let passed = self.pass_on(now);
        let mut all = std::mem::take(&mut self.waiting);
        all.push(said);
        Told {
            passed,
            said: Some(self.tell(all)),
        }
    }

    /// When the holder's words are overdue; none while nobody waits for them.
    pub fn next_timeout(&self) -> Option<Duration> {
        let holder = self.holder?;
        let is_waited_for =
            !self.waiting.is_empty() || self.open.iter().any(|other| other.speaker != holder);
        if !is_waited_for {
            return None;
        }
        let theirs = self.open.iter().filter(|one| one.speaker == holder);
        // Speech that goes on has no time-out: none, if any of it is none.
        let last = theirs.map(|one| one.last).collect::<Option<Vec<_>>>()?;
        Some(last.into_iter().max().unwrap_or_default() + self.patience)
    }

    /// Tells the time: words that are overdue are waited for no more.
    pub fn handle_timeout(&mut self, now: Duration) -> Told {
        if self.next_timeout().is_some_and(|at| now >= at) {
            let holder = self.holder;
            self.open.retain(|one| Some(one.speaker) != holder);
        }
        self.settle(now)
    }

    /// Gives the floor on if its holder is done, with the words that waited.
    pub fn settle(&mut self, now: Duration) -> Told {
        let before = self.holder;
        let passed = self.pass_on(now);
        let waiting = match self.holder == before {
            true => Vec::new(),
            false => std::mem::take(&mut self.waiting),
        };
        Told {
            passed,
            said: (!waiting.is_empty()).then(|| self.tell(waiting)),
        }
    }

    /// What was said and is not recognised yet concerns nobody any more.
    pub fn clear(&mut self) {
        self.holder = None;
        self.open.clear();
        self.waiting.clear();
    }

    /// Gives the floor on if its holder is done, and says to whom.
    fn pass_on(&mut self, now: Duration) -> Option<Passed> {
        let holder = self.holder?;
        if self.open.iter().any(|one| one.speaker == holder) {
            return None;
        }
        let is_overdue = |one: &Utterance| one.last.is_some_and(|last| now >= last + self.patience);
        let next = self
            .open
            .iter()
            .filter(|one| !one.recognised && !is_overdue(one))
            .min_by_key(|one| (one.onset, one.number));
        self.holder = next.map(|next| next.speaker);
        next.map(|next| Passed {
            onset: next.onset,
            last: next.last,
        })
    }

    fn wait(&mut self, said: Said) {
        if self.waiting.len() >= WAITING
            && let [first, second, ..] = self.waiting.as_mut_slice()
        {
            second.text = format!("{} {}", first.text, second.text);
            self.waiting.remove(0);
        }
        self.waiting.push(said);
    }

    fn tell(&mut self, mut said: Vec<Said>) -> Vec<Said> {
        said.sort_by_key(|one| one.onset);
        let worded = said.iter().filter(|one| !one.text.trim().is_empty());
        self.told.extend(worded.cloned());
        let surplus = self.told.len().saturating_sub(REMEMBERED);
        self.told.drain(..surplus);
        said
    }
}

impl Said {
    /// Whether this is one voice with `other`, heard through two microphones.
    fn is_same_voice(&self, other: &Self) -> bool {
        let together = self
            .last
            .min(other.last)
            .saturating_sub(self.onset.max(other.onset));
        let length = |one: &Self| one.last.saturating_sub(one.onset);
        let shorter = length(self).min(length(other));
        self.speaker != other.speaker
            && together * (ECHO_FIFTHS + 1) > shorter * ECHO_FIFTHS
            && bare(&self.text) == bare(&other.text)
    }
}

/// The words without case and punctuation.
fn bare(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|word| {
        let letters = word.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    });
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Speaker = Speaker(1);
    const BO: Speaker = Speaker(2);
    const CY: Speaker = Speaker(3);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn floor() -> OneFloor {
        OneFloor::new(ms(3000))
    }

    fn starts(floor: &mut OneFloor, speaker: Speaker, number: u64, onset: u64) -> bool {
        floor.started(Utterance {
            number,
            speaker,
            name: None,
            onset: ms(onset),
            last: None,
            recognised: false,
        })
    }

    fn texts(told: &Told) -> Vec<(u32, &str)> {
        let said = told.said.iter().flatten();
        said.map(|one| (one.speaker.0, one.text.as_str())).collect()
    }

    #[test]
    fn one_caller_always_has_the_floor() {
        let mut floor = floor();
        let caller = Speaker::CALLER;
        assert!(starts(&mut floor, caller, 1, 0));
        assert!(floor.ended(caller, ms(500)));
        // Goes on before the words of the first part are there.
        assert!(starts(&mut floor, caller, 2, 700));
        assert_eq!(floor.next_timeout(), None);
        let told = floor.recognised(ms(800), caller, 1, "one".into());
        assert_eq!((texts(&told), told.passed), (vec![(0, "one")], None));
        assert!(floor.ended(caller, ms(900)));
        let told = floor.recognised(ms(999), caller, 2, String::new());
        assert_eq!((texts(&told), told.passed), (vec![(0, "")], None));
        // Words whose speech was given up long ago are told all the same.
        let told = floor.recognised(ms(9999), caller, 7, "late".into());
        assert_eq!(texts(&told), [(0, "late")]);
    }

    #[test]
    fn words_beside_the_holders_come_with_the_holders() {
        let mut floor = floor();
        assert!(starts(&mut floor, ANA, 1, 0));
        assert!(!starts(&mut floor, BO, 2, 500));
        assert!(!floor.ended(BO, ms(800)));
        assert_eq!(
            floor.recognised(ms(900), BO, 2, "me too".into()),
            Told::default()
        );
        assert!(floor.ended(ANA, ms(2000)));
        let told = floor.recognised(ms(2100), ANA, 1, "i want tea".into());
        assert_eq!(texts(&told), [(1, "i want tea"), (2, "me too")]);
        assert_eq!(told.passed, None);
        assert!(starts(&mut floor, BO, 3, 3000), "the floor is free again");
    }

    #[test]
    fn the_floor_passes_to_whoever_speaks_longest() {
        let mut floor = floor();
        starts(&mut floor, ANA, 1, 0);
        starts(&mut floor, CY, 2, 400);
        starts(&mut floor, BO, 3, 600);
        floor.ended(ANA, ms(1000));
        floor.ended(CY, ms(1100));
        let told = floor.recognised(ms(1400), ANA, 1, "first".into());
        let passed = Passed {
            onset: ms(400),
            last: Some(ms(1100)),
        };
        assert_eq!(
            (texts(&told), told.passed),
            (vec![(1, "first")], Some(passed))
        );
        assert!(floor.is_held_by(CY));
        let told = floor.recognised(ms(1500), CY, 2, "second".into());
        assert_eq!(texts(&told), [(3, "second")]);
        assert_eq!(told.passed.unwrap().onset, ms(600));
        assert!(floor.is_held_by(BO));
        floor.ended(BO, ms(1550));
        let told = floor.recognised(ms(1600), BO, 3, "third".into());
        assert_eq!((texts(&told), told.passed), (vec![(2, "third")], None));
        assert!(floor.holder.is_none() && floor.open.is_empty() && floor.waiting.is_empty());
    }

    #[test]
    fn a_recogniser_that_never_answers_keeps_the_floor_from_nobody() {
        let mut floor = floor();
        starts(&mut floor, ANA, 1, 0);
        floor.ended(ANA, ms(1000));
        assert_eq!(floor.next_timeout(), None, "nobody waits for it");
        starts(&mut floor, BO, 2, 800);
        assert_eq!(floor.next_timeout(), Some(ms(4000)));
        floor.ended(BO, ms(1500));
        assert_eq!(
            floor.recognised(ms(2000), BO, 2, "hello".into()),
            Told::default()
        );
        assert_eq!(floor.handle_timeout(ms(3999)), Told::default());
        let told = floor.handle_timeout(ms(4000));
        assert_eq!((texts(&told), told.passed), (vec![(2, "hello")], None));
        let told = floor.recognised(ms(5000), ANA, 1, "at last".into());
        assert_eq!(texts(&told), [(1, "at last")]);
    }

    #[test]
    fn whoever_is_not_understood_has_the_floor_until_the_end_of_the_speech() {
        let mut floor = floor();
        starts(&mut floor, ANA, 1, 0);
        let told = floor.recognised(ms(200), ANA, 1, String::new());
        assert_eq!(texts(&told), [(1, "")]);
        assert!(!starts(&mut floor, BO, 2, 300));
        floor.ended(BO, ms(600));
        assert_eq!(
            floor.recognised(ms(700), BO, 2, "me".into()),
            Told::default()
        );
        assert!(!starts(&mut floor, CY, 3, 800));
        assert!(floor.ended(ANA, ms(1000)));
        let told = floor.settle(ms(1300));
        assert_eq!(texts(&told), [(2, "me")]);
        assert_eq!(told.passed.unwrap().onset, ms(800));
        assert!(floor.is_held_by(CY));
    }

    #[test]
    fn one_voice_in_two_microphones_counts_once() {
        // Both wait, the holder's words come last.
        let mut floor = floor();
        starts(&mut floor, ANA, 1, 0);
        starts(&mut floor, BO, 2, 100);
        floor.ended(BO, ms(900));
        floor.ended(ANA, ms(1000));
        floor.recognised(ms(1100), BO, 2, "What time is it".into());
        let told = floor.recognised(ms(1200), ANA, 1, "what time is it?".into());
        assert_eq!(texts(&told), [(1, "what time is it?")]);
        // The echo comes after the original was told.
        starts(&mut floor, ANA, 3, 5000);
        starts(&mut floor, BO, 4, 5100);
        floor.ended(ANA, ms(6000));
        floor.ended(BO, ms(6100));
        floor.recognised(ms(6200), ANA, 3, "stop".into());
        let told = floor.recognised(ms(6300), BO, 4, "Stop.".into());
        assert_eq!(texts(&told), [(2, "")], "the dialog still gets a final");
        // The same word a little later is somebody else's.
        starts(&mut floor, ANA, 5, 8000);
        floor.ended(ANA, ms(9000));
        floor.recognised(ms(9100), ANA, 5, "yes".into());
        starts(&mut floor, BO, 6, 8900);
        floor.ended(BO, ms(9900));
        let told = floor.recognised(ms(9950), BO, 6, "yes".into());
        assert_eq!(texts(&told), [(2, "yes")]);
    }

    #[test]
    fn whatever_happens_no_word_is_lost_or_told_twice() {
        // Three people in every order of beginning, ending and being recognised, from a small generator.
        let mut seed = 7u64;
        let mut dice = move |sides: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        for _ in 0..200 {
            let mut floor = floor();
            let (mut told, mut spoken) = (Vec::new(), 0);
            let mut speaking: Vec<(Speaker, u64)> = Vec::new();
            let mut pending: Vec<(Speaker, u64)> = Vec::new();
            let mut now = 0;
            let mut collect = |all: Told| {
                told.extend(all.said.into_iter().flatten().map(|one| one.text));
            };
            while spoken < 20 || !speaking.is_empty() || !pending.is_empty() {
                now += 1 + dice(900);
                let at = |len: usize, dice: &mut dyn FnMut(u64) -> u64| dice(len as u64) as usize;
                match dice(3) {
                    0 if spoken < 20 => {
                        let speaker = Speaker(dice(3) as u32);
                        if speaking.iter().all(|(who, _)| *who != speaker) {
                            spoken += 1;
                            starts(&mut floor, speaker, spoken, now);
                            speaking.push((speaker, spoken));
                        }
                    }
                    1 if !speaking.is_empty() => {
                        let one = speaking.remove(at(speaking.len(), &mut dice));
                        floor.ended(one.0, ms(now));
                        collect(floor.settle(ms(now)));
                        pending.push(one);
                    }
                    2 if !pending.is_empty() => {
                        let (who, number) = pending.remove(at(pending.len(), &mut dice));
                        collect(floor.recognised(ms(now), who, number, format!("w{number}")));
                    }
                    _ => collect(floor.handle_timeout(ms(now))),
                }
            }
            collect(floor.handle_timeout(ms(now + 10_000)));
            told.retain(|text| !text.is_empty());
            told.sort();
            let mut all: Vec<String> = (1..=spoken).map(|n| format!("w{n}")).collect();
            all.sort();
            assert_eq!(told, all);
        }
    }
}
