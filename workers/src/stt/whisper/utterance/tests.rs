use super::super::words::tests::word;
use super::*;

/// 100 ms.
const STEP: usize = SECOND / 10;

/// Hears what is truly said where, as a model does: of what is cut off at the end of the window, something else.
struct Listener {
    truth: Vec<Heard>,
    looks: Vec<(u64, usize, Effort)>,
    prompts: Vec<Vec<i32>>,
    took: Duration,
    logprob: f32,
    /// Stops after so many words, as models do at times.
    most: usize,
}

impl Listener {
    /// A word each 400 ms, of which it lasts 300; each tenth ends a sentence.
    fn new(words: usize) -> Self {
        let truth = (0..words as u64).map(|n| {
            let start = n * 6_400;
            let mark = if n % 10 == 9 { "." } else { "" };
            Heard {
                tokens: vec![n as i32],
                is_last: n % 10 == 9,
                ..word(&format!("word{n}{mark}"), start, start + 4_800)
            }
        });
        Self {
            truth: truth.collect(),
            looks: Vec::new(),
            prompts: Vec::new(),
            took: Duration::from_millis(100),
            logprob: -0.1,
            most: usize::MAX,
        }
    }

    fn text(&self) -> String {
        words::text(&self.truth)
    }

    /// The sound: loud while a word lasts.
    fn sound(&self) -> Vec<i16> {
        let mut sound = vec![0; self.truth.last().map_or(0, |word| word.end as usize)];
        for word in &self.truth {
            sound[word.start as usize..word.end as usize].fill(3_000);
        }
        sound
    }
}

impl Decoder for Listener {
    fn look(&mut self, look: &Look<'_>) -> Option<Pass> {
        if !look.wanted.is_wanted() {
            return None;
        }
        self.looks
            .push((look.start, look.samples.len(), look.effort));
        self.prompts.push(look.prompt.to_vec());
        let end = look.start + look.samples.len() as u64;
        let inside = self
            .truth
            .iter()
            .filter(|word| word.end > look.start + 1_600 && word.start < end);
        let words = inside.take(self.most).map(|word| {
            let mut word = word.clone();
            word.logprob = self.logprob;
            if word.end > end {
                word.text = format!("half{}", self.looks.len());
                word.is_last = true;
            }
            word
        });
        Some(Pass {
            words: words.collect(),
            no_speech: 0.1,
            took: self.took,
        })
    }

    fn detect(&mut self, samples: &[i16]) -> Option<(&'static str, f32)> {
        Some(match samples.len() {
            ..SECOND => ("fr", 0.3),
            _ => ("de", 0.9),
        })
    }
}

fn english() -> Plan {
    Plan {
        language: Some("en"),
        ..Plan::default()
    }
}

fn hear(utterance: &mut Utterance, sound: &[i16], listener: &mut Listener) -> Vec<String> {
    sound
        .chunks(STEP)
        .filter_map(|step| utterance.hear(step, listener))
        .collect()
}

#[test]
fn words_appear_while_they_are_spoken_and_stay_as_they_are() {
    let mut listener = Listener::new(300);
    let mut utterance = Utterance::new(english());
    let partials = hear(&mut utterance, &listener.sound(), &mut listener);
    // Two minutes: many partials, each the beginning of the next.
    assert!(partials.len() > 100, "{} partials", partials.len());
    assert!(
        partials
            .windows(2)
            .all(|pair| pair[1].starts_with(&pair[0]))
    );
    let last = utterance.finish(&mut listener);
    assert_eq!(last.text, listener.text());
    assert!(last.text.starts_with(partials.last().unwrap()));
    assert_eq!((last.words.len(), last.segments.len()), (300, 30));
    let places = last.words.windows(2);
    assert!(places.clone().all(|pair| pair[0].end <= pair[1].start));
    assert_eq!(last.words[1].start, Duration::from_millis(400));
    assert_eq!(last.language.as_deref(), Some("en"));
    // No look takes more than the model can hold, and the usual one much less.
    assert!(listener.looks.iter().all(|(_, length, _)| *length <= MOST));
    let longest = listener.looks.iter().map(|(_, length, _)| *length).max();
    assert!(longest.unwrap() < LONG, "{longest:?}");
    // Looks at later windows are reminded of the words before them, and of no more than that.
    let late = listener.prompts.last().unwrap();
    assert!(late.len() <= REMINDED && late.len() > 100);
    let first_in_window = listener.looks.last().unwrap().0 / 6_400;
    assert!(*late.last().unwrap() <= first_in_window as i32);
}

#[test]
fn speech_without_an_end_of_a_sentence_is_cut_all_the_same() {
    let mut listener = Listener::new(300);
    for word in &mut listener.truth {
        word.is_last = false;
        word.text.retain(|letter| letter != '.');
    }
    let mut utterance = Utterance::new(english());
    hear(&mut utterance, &listener.sound(), &mut listener);
    assert_eq!(utterance.finish(&mut listener).text, listener.text());
    assert!(listener.looks.iter().all(|(_, length, _)| *length <= MOST));
}

#[test]
fn a_machine_that_is_slow_looks_less_often() {
    let looks = |took: u64| {
        let mut listener = Listener::new(100);
        listener.took = Duration::from_millis(took);
        let mut utterance = Utterance::new(english());
        hear(&mut utterance, &listener.sound(), &mut listener);
        assert_eq!(utterance.finish(&mut listener).text, listener.text());
        listener.looks.len()
    };
    // Forty seconds.
    let (quick, slow) = (looks(100), looks(4_000));
    assert!((60..=81).contains(&quick), "{quick}");
    assert!((5..=10).contains(&slow), "{slow}");
}

#[test]
fn who_wants_only_the_final_gets_it_in_one_look() {
    let mut listener = Listener::new(50);
    let plan = english();
    plan.wanted.only_final();
    let mut utterance = Utterance::new(plan);
    assert!(hear(&mut utterance, &listener.sound(), &mut listener).is_empty());
    assert_eq!(utterance.finish(&mut listener).text, listener.text());
    assert_eq!(listener.looks.len(), 1);
    assert_eq!(listener.looks[0].2, Effort::Thorough);
}

#[test]
fn what_the_model_overlooked_is_looked_at_again() {
    let mut listener = Listener::new(36);
    listener.most = 12;
    let plan = english();
    plan.wanted.only_final();
    let mut utterance = Utterance::new(plan);
    hear(&mut utterance, &listener.sound(), &mut listener);
    assert_eq!(utterance.finish(&mut listener).text, listener.text());
    assert_eq!(listener.looks.len(), 3);
}

#[test]
fn silence_at_the_end_needs_no_other_look() {
    let mut listener = Listener::new(10);
    let mut sound = listener.sound();
    sound.extend([0; SECOND]);
    let mut utterance = Utterance::new(english());
    hear(&mut utterance, &sound, &mut listener);
    let before = listener.looks.len();
    // The last look may have come before the last word's end; what follows it is silence.
    assert_eq!(utterance.finish(&mut listener).text, listener.text());
    assert!(listener.looks.len() <= before + 1);
    let mut looked = Utterance::new(english());
    let mut all = Listener::new(10);
    all.truth.truncate(5);
    hear(&mut looked, &vec![3_000; 32_000], &mut all);
    let before = all.looks.len();
    assert_eq!(looked.finish(&mut all).text, all.text());
    assert_eq!(all.looks.len(), before, "the last look saw all there was");
}

#[test]
fn silence_and_crumbs_are_never_looked_at() {
    let mut listener = Listener::new(100);
    let mut utterance = Utterance::new(english());
    assert!(hear(&mut utterance, &vec![20; 60 * SECOND], &mut listener).is_empty());
    assert!(utterance.window.len() <= LEAD + STEP);
    assert_eq!(
        utterance.finish(&mut listener),
        Transcript {
            language: Some("en".into()),
            ..Transcript::default()
        }
    );
    let mut utterance = Utterance::new(english());
    utterance.hear(&[3_000; 800], &mut listener);
    assert_eq!(utterance.finish(&mut listener).text, "");
    assert!(listener.looks.is_empty());
}

#[test]
fn words_begin_where_they_are_said_after_a_long_silence() {
    let mut listener = Listener::new(12);
    for word in &mut listener.truth {
        word.start += 320_000;
        word.end += 320_000;
    }
    let mut utterance = Utterance::new(english());
    hear(&mut utterance, &listener.sound(), &mut listener);
    let heard = utterance.finish(&mut listener);
    assert_eq!(heard.words[0].start, Duration::from_secs(20));
    assert!(
        listener
            .looks
            .iter()
            .all(|(_, length, _)| *length < 6 * SECOND)
    );
}

#[test]
fn guesses_are_not_told() {
    let mut listener = Listener::new(20);
    listener.logprob = -8.0;
    let mut utterance = Utterance::new(english());
    assert!(hear(&mut utterance, &listener.sound(), &mut listener).is_empty());
    assert_eq!(utterance.finish(&mut listener).text, "");
    // A guess is no reason to look again and again at the end.
    let thorough = listener
        .looks
        .iter()
        .filter(|look| look.2 == Effort::Thorough);
    assert_eq!(thorough.count(), 1);
}

#[test]
fn a_language_is_asked_for_until_it_is_certain() {
    let mut listener = Listener::new(20);
    let mut utterance = Utterance::new(Plan::default());
    hear(&mut utterance, &listener.sound()[..9_600], &mut listener);
    assert_eq!(utterance.guess, Some("fr"));
    assert_eq!(utterance.plan.language, None);
    hear(&mut utterance, &listener.sound()[9_600..], &mut listener);
    assert_eq!(
        utterance.finish(&mut listener).language.as_deref(),
        Some("de")
    );
    let mut utterance = Utterance::new(Plan {
        task: Task::Translate,
        ..Plan::default()
    });
    hear(&mut utterance, &listener.sound(), &mut listener);
    assert_eq!(
        utterance.finish(&mut listener).language.as_deref(),
        Some("en")
    );
}

#[test]
fn the_model_is_reminded_of_the_client_s_words_and_of_the_speaker_s_last_ones() {
    let mut listener = Listener::new(2);
    let plan = Plan {
        client: (0..150).collect(),
        before: (1_000..1_500).collect(),
        ..english()
    };
    let mut utterance = Utterance::new(plan);
    hear(&mut utterance, &listener.sound(), &mut listener);
    utterance.finish(&mut listener);
    let prompt = &listener.prompts[0];
    assert_eq!(prompt.len(), REMINDED);
    assert_eq!(
        (prompt[0], prompt[99], prompt[100], prompt[199]),
        (50, 149, 1_400, 1_499)
    );
    assert_eq!(utterance.tokens(), [0, 1]);
}

#[test]
fn what_is_not_wanted_any_more_is_not_looked_at() {
    let mut listener = Listener::new(50);
    let plan = english();
    let wanted = plan.wanted.clone();
    let mut utterance = Utterance::new(plan);
    wanted.no_more();
    hear(&mut utterance, &listener.sound(), &mut listener);
    utterance.finish(&mut listener);
    assert!(listener.looks.is_empty());
}
