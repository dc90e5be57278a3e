//! What holds in every call, however oddly the world behaves.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "properties/world.rs"]
mod world;

use dialog::call::{CallFile, Recorder, Redaction, replay};
use dialog::{Dialog, Input, Mode, Output, Policy, Stamped, State};
use proptest::prelude::*;
use world::{Action, Observer, World, actions, policies};

fn config() -> ProptestConfig {
    // PROPTEST_CASES may ask for more.
    let cases = ProptestConfig::default().cases.max(1000);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs the actions and checks every output on the way.
fn run(policy: Policy, actions: &[Action]) -> (World, Observer) {
    let mut world = World::new(policy.clone());
    let mut observer = Observer::new(policy.mode);
    for action in actions {
        let (now, input) = world.next(action);
        observer.step(&mut world.dialog, now, input);
        world.last_id = observer.last_id;
    }
    (world, observer)
}

fn outputs_of(policy: &Policy, steps: &[(dialog::SessionTime, Input)]) -> Vec<String> {
    let mut dialog = Dialog::new(policy.clone());
    let mut outputs = Vec::new();
    for (now, input) in steps {
        dialog.handle(*now, input.clone());
        outputs.extend(
            std::iter::from_fn(|| dialog.poll_output())
                .map(|Stamped { at, output }| format!("{at} {output}")),
        );
    }
    outputs
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_order_of_events_breaks_a_rule(policy in policies(), actions in actions(80)) {
        let (mut world, mut observer) = run(policy, &actions);
        let now = world.dialog.now();
        observer.step(&mut world.dialog, now, Input::Hangup("left".into()));
        prop_assert_eq!(observer.live, None, "a reply outlived the call");
        prop_assert!(!observer.muted, "the microphone stayed muted");
        prop_assert!(observer.ended);
    }

    #[test]
    fn left_alone_every_call_ends_by_itself(policy in policies(), actions in actions(40)) {
        let (mut world, mut observer) = run(policy, &actions);
        let mut wake_ups = 0;
        while let Some(at) = world.dialog.next_timeout() {
            observer.step(&mut world.dialog, at, Input::Tick);
            prop_assert_eq!(world.dialog.now(), at);
            wake_ups += 1;
            prop_assert!(wake_ups < 200, "a busy loop: {:?}", world.dialog.state());
        }
        prop_assert!(observer.ended, "stuck: {:?}", world.dialog.state());
    }

    #[test]
    fn a_late_or_needless_wake_up_changes_nothing(
        policy in policies(),
        actions in actions(60),
        ticks in prop::collection::vec(0..400u64, 60),
    ) {
        let mut world = World::new(policy.clone());
        let mut observer = Observer::new(policy.mode);
        let mut seldom = Vec::new();
        let mut often = Vec::new();
        for (action, tick) in actions.iter().zip(ticks) {
            let before = world.dialog.now();
            let (now, input) = world.next(action);
            observer.step(&mut world.dialog, now, input.clone());
            world.last_id = observer.last_id;
            let between = before + std::time::Duration::from_millis(tick);
            if between <= now {
                often.push((between, Input::Tick));
            }
            often.push((now, input.clone()));
            seldom.push((now, input));
        }
        prop_assert_eq!(outputs_of(&policy, &often), outputs_of(&policy, &seldom));
    }

    #[test]
    fn a_recorded_call_replays_the_same_with_and_without_its_words(policy in policies(), actions in actions(60)) {
        for redaction in [Redaction::KeepWords, Redaction::CountsOnly] {
            let mut world = World::new(policy.clone());
            let mut recorder = Recorder::new(&policy, redaction);
            let mut text = recorder.take();
            for action in &actions {
                let (now, input) = world.next(action);
                for Stamped { output, .. } in recorder.handle(&mut world.dialog, now, input) {
                    if let Output::Reply { id, .. } | Output::Say { id, .. } = output {
                        world.last_id = id;
                    }
                }
                text.push_str(&recorder.take());
            }
            let call = CallFile::parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(&call.to_string(), &text);
            replay(&call).map_err(|difference| TestCaseError::fail(format!("{difference}\n{text}")))?;
        }
    }

    #[test]
    fn after_whatever_happened_a_spoken_turn_is_answered(policy in policies(), actions in actions(40)) {
        // No limit, no patience too short for the recogniser, and nothing that the user has to hear out first.
        let Policy { final_timeout, uninterruptible, .. } = Policy::default();
        let reprompt_after = None;
        let unlimited = Policy { message_limit: None, duration_limit: None, reprompt_after, ..policy };
        let policy = Policy { final_timeout, uninterruptible, ..unlimited };
        let (mut world, mut observer) = run(policy.clone(), &actions);
        let now = world.dialog.now();
        observer.step(&mut world.dialog, now, Input::Connected);
        while let Some(id) = observer.live {
            observer.step(&mut world.dialog, now, Input::PlayoutEnd(id));
        }
        let said = "where did i leave my umbrella";
        let ms = std::time::Duration::from_millis;
        let rest = [
            (now + ms(60), Input::SpeechStart { onset: now + ms(1) }),
            (now + ms(500), Input::SpeechEnd { last: now + ms(200) }),
            (now + ms(600), Input::Final(said.into())),
        ];
        for (at, input) in rest {
            observer.step(&mut world.dialog, at, input);
        }
        if policy.mode == Mode::Manual {
            observer.step(&mut world.dialog, now + ms(650), Input::Commit);
        }
        // Long enough for every end of turn, too short for an idle time-out.
        observer.step(&mut world.dialog, now + ms(5000), Input::Tick);
        let answered = observer.answers.iter().any(|words| words.contains(said) || words.ends_with("words»"));
        let ended = matches!(world.dialog.state(), State::Terminated { .. });
        prop_assert!(answered || ended, "not answered: {:?}", world.dialog.state());
    }
}
