use super::*;
use Class::{Batch, RealTime};
use proptest::prelude::*;
use std::collections::HashMap;

fn manner(voice: &str) -> Manner {
    Manner {
        voice: voice.to_owned(),
        speed: 1.0,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What is said at these times, when each of these came; `.` stands for nothing and `*` for waiting.
fn turns(together: usize, came: &[(u64, Class, &str)], at: &[u64]) -> Vec<String> {
    let mut queue = Queue::new();
    queue.say_together(together);
    let mut came = came.iter().peekable();
    at.iter()
        .map(|now| {
            while let Some((since, class, name)) = came.next_if(|(since, ..)| since <= now) {
                // Its first letter is the voice.
                queue
                    .push(ms(*since), *class, manner(&name[..1]), *name)
                    .unwrap();
            }
            match queue.next(ms(*now)) {
                Next::Turn(turn) => turn.join(" "),
                Next::At(at) => format!("* {}", at.as_millis()),
                Next::Nothing => ".".to_owned(),
            }
        })
        .collect()
}

#[test]
fn callers_go_first_in_the_order_they_came() {
    let came = [
        (0, Batch, "b1"),
        (0, RealTime, "r1"),
        (1, Batch, "b2"),
        (2, RealTime, "r2"),
    ];
    let at = [100, 100, 100, 100, 100];
    assert_eq!(turns(1, &came, &at), ["r1", "r2", "b1", "b2", "."]);
}

#[test]
fn a_batch_is_full_at_eight_or_due_after_75_ms() {
    let names = ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"];
    let came = names.map(|name| (0, Batch, name));
    let full = turns(8, &came, &[0, 0, 74, 75]);
    assert_eq!(full, ["b1 b2 b3 b4 b5 b6 b7 b8", "* 75", "* 75", "b9"]);
    // Who comes later within the window goes with the first, and the window does not begin anew.
    let came = [(0, Batch, "b1"), (60, Batch, "b2"), (80, Batch, "b3")];
    let due = turns(8, &came, &[0, 60, 75, 80, 155]);
    assert_eq!(due, ["* 75", "* 75", "b1 b2", "* 155", "b3"]);
    // More than eight are never said together, whatever an engine says of itself.
    let came = names.map(|name| (0, Batch, name));
    assert_eq!(turns(100, &came, &[100])[0].split(' ').count(), TOGETHER);
}

#[test]
fn only_what_is_said_in_one_manner_is_said_together() {
    let came = [
        (0, Batch, "b1"),
        (0, Batch, "c1"),
        (0, Batch, "b2"),
        (0, Batch, "c2"),
    ];
    assert_eq!(turns(8, &came, &[75, 75, 75]), ["b1 b2", "c1 c2", "."]);
    let mut queue = Queue::new();
    queue.say_together(8);
    for speed in [1.0, 1.5, 1.0] {
        let voice = "b".to_owned();
        queue
            .push(ms(0), Batch, Manner { voice, speed }, speed)
            .unwrap();
    }
    assert_eq!(queue.next(ms(75)), Next::Turn(vec![1.0, 1.0]));
}

#[test]
fn an_engine_that_says_one_at_a_time_does_not_wait_for_others() {
    let came = [(0, Batch, "b1"), (0, Batch, "b2")];
    assert_eq!(turns(1, &came, &[0, 0, 0]), ["b1", "b2", "."]);
}

#[test]
fn a_caller_goes_before_a_batch_that_is_still_gathering() {
    let came = [(0, Batch, "b1"), (10, RealTime, "r1")];
    assert_eq!(
        turns(8, &came, &[0, 10, 20, 75]),
        ["* 75", "r1", "* 75", "b1"]
    );
}

#[test]
fn what_has_waited_long_goes_before_who_came_after_it_in_every_second_turn() {
    let came = [
        (0, RealTime, "r0"),
        (1, Batch, "b1"),
        (2, Batch, "c1"),
        (3, RealTime, "r1"),
        (4, RealTime, "r2"),
        (5, RealTime, "r3"),
    ];
    // Not old yet.
    let young = turns(1, &came, &[10, 1_500, 1_999, 1_999]);
    assert_eq!(young, ["r0", "r1", "r2", "r3"]);
    // r0 came before them; then each second turn is theirs.
    let old = turns(1, &came, &[5_000; 7]);
    assert_eq!(old, ["r0", "b1", "r1", "c1", "r2", "r3", "."]);
}

#[test]
fn batch_work_fills_its_own_places_and_leaves_callers_theirs() {
    let mut queue = Queue::new();
    for _ in 0..BATCH_PLACES {
        queue.push(ms(0), Batch, manner("b"), ()).unwrap();
    }
    assert_eq!(queue.push(ms(0), Batch, manner("b"), ()), Err(Full));
    let mut last = 0;
    for _ in BATCH_PLACES..PLACES {
        last = queue.push(ms(0), RealTime, manner("b"), ()).unwrap();
    }
    assert_eq!(queue.push(ms(0), RealTime, manner("b"), ()), Err(Full));
    // What is cancelled gives its place back at once, and once.
    assert_eq!(queue.cancel(last), Some(()));
    assert_eq!(queue.cancel(last), None);
    queue.push(ms(0), RealTime, manner("b"), ()).unwrap();
}

#[test]
fn endless_calls_keep_no_batch_clause_waiting_for_ever() {
    const TURN: Duration = Duration::from_millis(50);
    let mut queue = Queue::new();
    let mut now = Duration::ZERO;
    // Ten callers wait at any time.
    for _ in 0..10 {
        queue.push(now, RealTime, manner("r"), "r").unwrap();
    }
    for _ in 0..5 {
        queue.push(now, Batch, manner("b"), "b").unwrap();
    }
    let mut said = Vec::new();
    for _ in 0..80 {
        match queue.next(now) {
            Next::Turn(turn) => said.extend(turn.into_iter().map(|item| (now, item))),
            other => panic!("{other:?}"),
        }
        now += TURN;
        while queue.callers.len() < 10 {
            queue.push(now, RealTime, manner("r"), "r").unwrap();
        }
    }
    let batch: Vec<Duration> = said
        .iter()
        .filter(|(_, item)| *item == "b")
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(batch.len(), 5);
    assert!(batch[0] >= AGED, "{batch:?}");
    assert!(batch[4] <= AGED + TURN * 10, "{batch:?}");
    // Callers hardly notice: no two turns in a row are taken from them.
    let next_to = |pair: &[(Duration, &str)]| pair[0].1 == "b" && pair[1].1 == "b";
    assert!(!said.windows(2).any(next_to));
}

/// Something that happens to a queue.
#[derive(Debug, Clone)]
enum Event {
    Push(Class, u8),
    Cancel(u64),
    Wait(u64),
    Next,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (prop_oneof![Just(RealTime), Just(Batch)], 0_u8..3)
            .prop_map(|(class, voice)| Event::Push(class, voice)),
        1 => (0_u64..200).prop_map(Event::Cancel),
        2 => (0_u64..1_500).prop_map(Event::Wait),
        4 => Just(Event::Next),
    ]
}

proptest! {
    #[test]
    fn no_clause_is_lost_or_said_twice_and_the_order_holds(
        together in 1_usize..12,
        events in proptest::collection::vec(event(), 1..300),
    ) {
        let mut queue = Queue::new();
        queue.say_together(together);
        let mut now = Duration::ZERO;
        // Who waits, by number: class, voice, since when.
        let mut waiting: HashMap<u64, (Class, u8, Duration)> = HashMap::new();
        let mut pushed = 0_u64;
        let mut after_batch = false;
        for event in events {
            match event {
                Event::Wait(wait) => now += ms(wait),
                Event::Push(class, voice) => {
                    // Its number is what waits, so that it is known again.
                    let number = queue.push(now, class, manner(&voice.to_string()), pushed).unwrap();
                    prop_assert_eq!(number, pushed);
                    waiting.insert(number, (class, voice, now));
                    pushed += 1;
                }
                Event::Cancel(number) => {
                    prop_assert_eq!(queue.cancel(number), waiting.remove(&number).map(|_| number));
                }
                Event::Next => {
                    let oldest = |class| {
                        let of_class = waiting.iter().filter(|(_, about)| about.0 == class);
                        of_class.map(|(number, _)| *number).min()
                    };
                    let (caller, batch) = (oldest(RealTime), oldest(Batch));
                    match queue.next(now) {
                        Next::Nothing => prop_assert!(waiting.is_empty()),
                        Next::At(at) => {
                            prop_assert_eq!(caller, None);
                            prop_assert_eq!(at, waiting[&batch.unwrap()].2 + WINDOW);
                            prop_assert!(at > now);
                        }
                        Next::Turn(turn) => {
                            let first = waiting[&turn[0]];
                            prop_assert!(turn.is_sorted());
                            prop_assert!(turn.len() <= together.min(TOGETHER));
                            for number in &turn {
                                let (class, voice, _) = waiting.remove(number).unwrap();
                                prop_assert_eq!((class, voice), (first.0, first.1));
                            }
                            match first.0 {
                                RealTime => {
                                    prop_assert_eq!(turn.len(), 1);
                                    prop_assert_eq!(Some(turn[0]), caller);
                                    after_batch = false;
                                }
                                Batch => {
                                    prop_assert_eq!(Some(turn[0]), batch);
                                    if let Some(caller) = caller {
                                        prop_assert!(now - first.2 >= AGED && turn[0] < caller);
                                        prop_assert!(!after_batch);
                                    }
                                    after_batch = true;
                                }
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(queue.len(), waiting.len());
        }
    }
}
