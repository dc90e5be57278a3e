//! Told times and what comes of them.

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A process that is started at `ms` and says at once where it answers.
fn up_at(life: &mut Life, ms: u64) {
    assert_eq!(life.handle(at(ms), Input::Tick), Some(Order::Spawn));
    assert_eq!(life.handle(at(ms), Input::Told), None);
}

/// Asks at the time that is due, and tells this answer.
fn answer(life: &mut Life, answer: Answer) -> (Duration, Option<Order>) {
    let now = life.next_timeout().unwrap();
    assert_eq!(life.handle(now, Input::Tick), Some(Order::Ask));
    assert_eq!(life.next_timeout(), None, "one question at a time");
    (now, life.handle(now, Input::Answered(answer)))
}

/// The rests of a process that ends as soon as it is started, and whether each is news.
fn rests(life: &mut Life, times: usize) -> Vec<(u64, bool)> {
    let ended = (0..times).map(|_| {
        let now = life.next_timeout().unwrap();
        assert_eq!(life.handle(now, Input::Tick), Some(Order::Spawn));
        match life.handle(now, Input::Ended) {
            Some(Order::Rest { pause, is_news }) => (pause.as_millis() as u64, is_news),
            other => panic!("{other:?}"),
        }
    });
    ended.collect()
}

#[test]
fn a_process_that_ends_at_once_is_started_less_and_less_often_and_each_step_is_told_once() {
    let mut life = Life::new();
    let steps = [500, 1000, 2000, 4000, 8000, 16_000, 30_000];
    assert_eq!(rests(&mut life, 7), steps.map(|ms| (ms, true)));
    assert_eq!(rests(&mut life, 3), [(30_000, false); 3]);
}

#[test]
fn nothing_happens_before_its_time() {
    let mut life = Life::new();
    assert_eq!(life.next_timeout(), Some(at(0)));
    up_at(&mut life, 0);
    assert_eq!(life.handle(at(1999), Input::Tick), None);
    assert!(matches!(
        life.handle(at(1999), Input::Ended),
        Some(Order::Rest { .. })
    ));
    assert_eq!(life.next_timeout(), Some(at(2499)));
    assert_eq!(life.handle(at(2498), Input::Tick), None);
    assert_eq!(life.handle(at(2499), Input::Tick), Some(Order::Spawn));
}

#[test]
fn a_minute_of_health_makes_its_rest_short_again() {
    let mut life = Life::new();
    rests(&mut life, 5);
    let started = life.next_timeout().unwrap();
    up_at(&mut life, started.as_millis() as u64);
    let forgiven = loop {
        match answer(&mut life, Answer::Well) {
            (_, None) => {}
            (now, Some(order)) => break (now, order),
        }
    };
    assert_eq!(forgiven, (started + WELL_AFTER, Order::Forgive));
    assert_eq!(
        answer(&mut life, Answer::Well).1,
        None,
        "it is forgiven once"
    );
    let ended = life.handle(forgiven.0 + at(3000), Input::Ended);
    let first = Order::Rest {
        pause: FIRST,
        is_news: true,
    };
    assert_eq!(ended, Some(first));
}

#[test]
fn less_than_a_minute_of_health_does_not() {
    let mut life = Life::new();
    rests(&mut life, 2);
    let started = life.next_timeout().unwrap();
    up_at(&mut life, started.as_millis() as u64);
    let mut now = started;
    while now < started + at(50_000) {
        now = answer(&mut life, Answer::Well).0;
    }
    assert!(matches!(
        life.handle(now, Input::Ended),
        Some(Order::Rest { pause, .. }) if pause == at(2000)
    ));
}

#[test]
fn a_process_that_hangs_is_killed_after_three_silences_in_a_row() {
    let mut life = Life::new();
    up_at(&mut life, 0);
    assert_eq!(answer(&mut life, Answer::Silent).1, None);
    assert_eq!(answer(&mut life, Answer::Silent).1, None);
    // It was only short of breath.
    assert_eq!(answer(&mut life, Answer::Well).1, None);
    assert_eq!(answer(&mut life, Answer::Silent).1, None);
    assert_eq!(answer(&mut life, Answer::Silent).1, None);
    let (now, order) = answer(&mut life, Answer::Silent);
    assert_eq!(order, Some(Order::Kill(Why::Silent)));
    assert_eq!(life.next_timeout(), None, "its end is on the way");
    assert_eq!(life.handle(now, Input::Told), None);
    assert!(matches!(
        life.handle(now + at(1), Input::Ended),
        Some(Order::Rest { .. })
    ));
}

#[test]
fn a_process_that_says_for_half_a_minute_that_it_cannot_work_is_killed() {
    let mut life = Life::new();
    up_at(&mut life, 0);
    let (first, order) = answer(&mut life, Answer::Ill);
    assert_eq!(order, None);
    let (killed, order) = loop {
        let (now, order) = answer(&mut life, Answer::Ill);
        if order.is_some() {
            break (now, order);
        }
    };
    assert_eq!(order, Some(Order::Kill(Why::Ill)));
    assert_eq!(killed - first, ILL_FOR);
}

#[test]
fn a_process_that_never_says_where_it_answers_is_killed() {
    let mut life = Life::new();
    assert_eq!(life.handle(at(0), Input::Tick), Some(Order::Spawn));
    assert_eq!(life.next_timeout(), Some(STARTS_WITHIN));
    assert_eq!(
        life.handle(STARTS_WITHIN, Input::Tick),
        Some(Order::Kill(Why::NeverTold))
    );
}

#[test]
fn whoever_is_told_to_end_may_drain_and_is_not_started_again() {
    let mut life = Life::new();
    up_at(&mut life, 0);
    assert_eq!(life.handle(at(10), Input::Stop), Some(Order::Drain));
    assert!(life.is_stopping());
    // An answer that was on its way.
    assert_eq!(life.handle(at(11), Input::Answered(Answer::Silent)), None);
    assert_eq!(life.next_timeout(), Some(at(10) + DRAINS_WITHIN));
    let mut slow = life.clone();
    assert_eq!(life.handle(at(500), Input::Ended), None);
    assert!(life.is_gone() && life.next_timeout().is_none());

    let late = at(10) + DRAINS_WITHIN;
    assert_eq!(slow.handle(late, Input::Tick), Some(Order::Kill(Why::Slow)));
    assert_eq!(slow.handle(late, Input::Ended), None);
    assert!(slow.is_gone());
}

#[test]
fn whoever_is_not_there_ends_at_once() {
    let mut resting = Life::new();
    rests(&mut resting, 1);
    assert_eq!(resting.handle(at(1), Input::Stop), None);
    assert!(resting.is_gone());

    let mut killed = Life::new();
    killed.handle(at(0), Input::Tick);
    killed.handle(STARTS_WITHIN, Input::Tick);
    assert_eq!(killed.handle(STARTS_WITHIN, Input::Stop), None);
    assert!(!killed.is_gone(), "its end is awaited");
    assert_eq!(killed.handle(STARTS_WITHIN, Input::Ended), None);
    assert!(killed.is_gone());
}
