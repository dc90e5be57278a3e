//! Calls of several people, in virtual time.

mod room;

use media::AudioFrame;
use media::link::{Inbound, RECORDED_FRAMES, Speaker};
use room::{ANA, BO, Came, Room, voice};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn two_people_talk_in_turn_and_both_are_answered_by_name() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..2000, "what time is it")])
        .await;
    room.join(BO, "Bo", &[(6000..7000, "and what day")]).await;
    room.until(10_000).await;
    assert_eq!(
        room.turns(),
        [vec!["what time is it"], vec!["Bo: and what day"]]
    );
    let history: Vec<(Option<String>, String)> = room.asked()[1]
        .iter()
        .map(|message| {
            let who = message.who.as_ref().map(|who| who.to_string());
            (who, message.text.clone())
        })
        .collect();
    assert_eq!(
        history,
        [
            (Some("Ana".into()), "what time is it".into()),
            (None, "what time is it".into()),
            (Some("Bo".into()), "and what day".into()),
        ]
    );
    assert_eq!(
        room.captions(),
        [
            (Some(1), "what time is it"),
            (None, "what time is it"),
            (Some(2), "and what day"),
            (None, "and what day"),
        ]
    );
    let turn = ["listening", "thinking", "speaking"];
    let states = room.states();
    // "listening" is what it does before, between and after; the same is not said twice.
    assert_eq!(states, [&turn[..], &turn, &turn[..1]].concat());
    let timings = room.data("parlor.timings");
    assert_eq!(
        (timings.len(), &timings[1]["turn"]),
        (2, &serde_json::json!(2))
    );
    assert_eq!(room.data("parlor.session")[0]["type"], "session_start");
    assert!(room.data("parlor.state").len() > states.len());
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_agents_caption_grows_as_its_words_are_heard() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.chat(ANA, "one two three four five six").await;
    room.until(3000).await;
    let mut captions = room.came.iter().filter_map(|(at, came)| match came {
        Came::Caption(caption) if caption.speaker.is_none() => Some((at, caption)),
        _ => None,
    });
    let first = captions.next().unwrap();
    assert!(first.1.text.len() < 10 && !first.1.is_final);
    let (mut told, mut last) = (vec![first.1.text.clone()], *first.0);
    for (at, caption) in captions {
        assert_eq!(caption.segment, first.1.segment);
        assert!(caption.text.starts_with(told.last().unwrap()));
        assert!(*at > last || caption.is_final);
        last = *at;
        told.push(caption.text.clone());
    }
    assert_eq!(told.last().unwrap(), "one two three four five six");
    told.dedup();
    assert!(told.len() >= 5, "{told:?}");
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_speaks_under_another_is_part_of_that_turn() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..3000, "tell me about tea")])
        .await;
    room.join(BO, "Bo", &[(1500..2200, "and coffee")]).await;
    room.until(6000).await;
    assert_eq!(
        room.turns(),
        [vec!["Ana: tell me about tea", "Bo: and coffee"]]
    );
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_floor_passes_to_whoever_is_still_speaking() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..2000, "tell me about tea")])
        .await;
    room.join(BO, "Bo", &[(1500..4000, "no about coffee")])
        .await;
    room.until(4200).await;
    assert_eq!(room.sound().len(), 0, "nobody is interrupted");
    room.until(8000).await;
    assert_eq!(
        room.turns(),
        [vec!["Ana: tell me about tea", "Bo: no about coffee"]]
    );
    assert!(!room.sound().is_empty());
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_recogniser_of_one_loses_nothing_of_another() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..2000, "tell me about tea")])
        .await;
    room.join(BO, "Bo", &[]).await;
    // Known long after Ana's turn would have been over without it.
    room.says(BO, 1500..1900, "and coffee", 1500);
    room.until(7000).await;
    assert_eq!(
        room.turns(),
        [vec!["Ana: tell me about tea", "Bo: and coffee"]]
    );
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_voice_in_two_microphones_is_one_voice() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..2000, "what time is it")])
        .await;
    room.join(BO, "Bo", &[(1040..2000, "What time is it?")])
        .await;
    room.until(5000).await;
    assert_eq!(room.turns(), [vec!["what time is it"]]);
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn somebody_else_may_interrupt_what_is_said_to_one() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.join(BO, "Bo", &[(2000..3000, "stop it please")]).await;
    room.chat(ANA, &"blah ".repeat(60)).await;
    room.until(5000).await;
    assert_eq!(room.turns()[1], ["Bo: stop it please"]);
    let interrupted = room.captions()[1].1.len();
    assert!(interrupted < 250, "{interrupted} of 299 characters");
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_in_the_middle_of_a_word_has_said_the_rest() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..9000, "i have to go so")])
        .await;
    room.until(2000).await;
    room.leave(ANA).await;
    room.until(5000).await;
    assert_eq!(room.turns(), [vec!["i have to go so"]]);
    assert_eq!(Arc::strong_count(&room.ears), 2, "the maker of ears and we");
    assert_eq!(room.states().last(), Some(&"listening"));
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_chat_message_interrupts_and_is_answered() {
    let mut room = Room::open().await;
    let name = format!("Ana\nMaria {}", "a".repeat(100));
    room.join(ANA, "Bo", &[]).await;
    room.join(BO, &name, &[]).await;
    room.chat(ANA, &"blah ".repeat(60)).await;
    room.until(2000).await;
    room.chat(BO, "what time is it").await;
    room.chat(BO, " \n").await;
    room.chat(BO, &"x".repeat(100_001)).await;
    room.until(5000).await;
    let called = format!("Ana Maria {}", "a".repeat(54));
    assert_eq!(room.turns()[1], [format!("{called}: what time is it")]);
    let captions = room.captions();
    assert_eq!((captions[0].0, captions[0].1.len() < 250), (None, true));
    assert_eq!(captions[1], (None, "what time is it"));
    assert!(
        captions.iter().all(|(speaker, _)| speaker.is_none()),
        "the room has seen what was written"
    );
    let errors = room.data("parlor.error");
    assert_eq!(errors.len(), 2);
    assert!(
        errors
            .iter()
            .all(|error| error["code"] == "INVALID_MESSAGE")
    );
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_message_is_told_to_its_sender_alone() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.join(BO, "Bo", &[]).await;
    let control = |speaker, message: &str| Inbound::Control {
        speaker,
        message: message.to_owned(),
    };
    room.send(control(BO, "no JSON")).await;
    room.chat(ANA, " ").await;
    room.send(control(BO, r#"{"type":"ask","text":"what time is it"}"#))
        .await;
    room.until(3000).await;
    let errors: Vec<_> = room
        .addressed
        .iter()
        .filter(|(topic, _)| *topic == "parlor.error")
        .map(|(_, to)| *to)
        .collect();
    assert_eq!(errors, [Some(BO), Some(ANA)]);
    let for_all = room
        .addressed
        .iter()
        .filter(|(topic, _)| *topic != "parlor.error");
    assert!(for_all.clone().count() > 2);
    assert!(for_all.clone().all(|(_, to)| to.is_none()));
    assert_eq!(room.captions()[0], (Some(2), "what time is it"));
    room.close().await;
}

/// The agent's sound as it says a long sentence, and is away in between.
async fn told_with_a_gap(gap: Option<(u64, u64)>) -> Vec<(u64, AudioFrame)> {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.until(500).await;
    room.chat(ANA, &"blah ".repeat(40)).await;
    if let Some((away, back)) = gap {
        room.until(away).await;
        room.send(Inbound::Away).await;
        room.deaf_until(back).await;
        room.send(Inbound::Back).await;
    }
    room.until(room.now() + 8000).await;
    assert_eq!(room.turns().len(), 1);
    assert_eq!(room.captions()[0].1, "blah ".repeat(40).trim());
    assert_eq!(room.data("parlor.error").len(), 0);
    let sound = room.sound();
    let sound = sound.iter().map(|(at, frame)| (*at, (*frame).clone()));
    let sound = sound.collect();
    room.close().await;
    sound
}

#[tokio::test(start_paused = true)]
async fn what_is_said_while_the_connection_is_away_goes_on_at_the_sample() {
    let whole = told_with_a_gap(None).await;
    let cut = told_with_a_gap(Some((2000, 32_000))).await;
    let gap = cut
        .iter()
        .position(|(at, _)| *at > 2060)
        .expect("it goes on");
    assert!(cut[gap].0 >= 32_000);
    assert_eq!(cut.len(), whole.len() + 1, "and the fade");
    let frames = |sound: &[(u64, AudioFrame)]| -> Vec<AudioFrame> {
        sound.iter().map(|(_, frame)| frame.clone()).collect()
    };
    // The frame before the gap is the faded beginning of the one after it.
    assert_eq!(frames(&cut[..gap - 1]), frames(&whole[..gap - 1]));
    assert_eq!(frames(&cut[gap + 1..]), frames(&whole[gap..]));
    let half = media::FRAME_SAMPLES / 2;
    assert_eq!(
        cut[gap].1.samples()[half..],
        whole[gap - 1].1.samples()[half..]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_made_while_the_connection_is_away_waits_for_it() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(1000..9000, "what time is it")])
        .await;
    room.until(2000).await;
    room.send(Inbound::Away).await;
    room.deaf_until(60_000).await;
    assert_eq!(room.turns(), [vec!["what time is it"]]);
    assert_eq!(room.sound().len(), 0);
    room.send(Inbound::Back).await;
    room.deaf_until(62_000).await;
    assert_eq!(room.sound().len(), 25, "half a second, all of it");
    assert_eq!(room.captions()[1], (None, "what time is it"));
    assert_eq!(room.data("parlor.error").len(), 0);
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_paused_stays_paused_when_the_connection_is_back() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.chat(ANA, &"blah ".repeat(40)).await;
    room.until(1000).await;
    let pause = r#"{"type":"control","command":"PAUSE"}"#;
    room.send(Inbound::Message(pause.into())).await;
    room.until(1500).await;
    let frames = room.sound().len();
    room.send(Inbound::Away).await;
    room.deaf_until(2000).await;
    room.send(Inbound::Back).await;
    room.until(3000).await;
    assert_eq!(room.sound().len(), frames);
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_agent_came_is_heard() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    // The first words ended before the agent was there, the second go on.
    room.says(ANA, 0..500, "hello", 200);
    room.says(ANA, 0..0, "what time is it", 200);
    let mut frames = vec![voice(); 50];
    frames.extend(vec![AudioFrame::silence(); 25]);
    frames.extend(vec![voice(); 25]);
    let speaker = ANA;
    room.send(Inbound::Recorded { speaker, frames }).await;
    room.until(3000).await;
    assert_eq!(room.turns(), [vec!["hello what time is it"]]);
    let heard = room.script.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2);
    // Half a second before and half a second after the agent came, with 300 ms of silence on either side.
    assert!((25_000..27_000).contains(&heard[1].1), "{heard:?}");
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_recording_reaches_the_recogniser_whole_and_no_more_than_it_may() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[]).await;
    room.says(ANA, 0..0, "a long story", 200);
    let speaker = ANA;
    for _ in 0..2 {
        let frames = vec![voice(); RECORDED_FRAMES + 500];
        room.send(Inbound::Recorded { speaker, frames }).await;
    }
    room.until(4000).await;
    assert_eq!(room.turns(), [vec!["a long story"]]);
    let heard = room.script.heard.lock().unwrap().clone();
    let seconds = heard[0].1 as f64 / 16_000.0;
    assert!((29.9..30.5).contains(&seconds), "{seconds} s were heard");
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn sixteen_people_are_heard_and_the_next_when_one_has_left() {
    let mut room = Room::open().await;
    for n in 1..=20 {
        room.join(Speaker(n), &format!("number {n}"), &[]).await;
    }
    room.says(Speaker(20), 1000..1500, "hear me", 200);
    room.until(4000).await;
    assert_eq!(room.turns().len(), 0);
    assert_eq!(Arc::strong_count(&room.ears), 16 + 2);
    let errors = room.data("parlor.error");
    assert_eq!(
        (errors.len(), &errors[0]["code"]),
        (1, &"WORKER_UNAVAILABLE".into())
    );
    // Nobody of the others has an ear either.
    for n in [7, 17, 18, 19] {
        room.leave(Speaker(n)).await;
    }
    room.says(Speaker(20), 5000..5500, "hear me", 200);
    room.until(8000).await;
    assert_eq!(room.turns(), [vec!["hear me"]]);
    room.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_come_and_go_leave_no_ear_behind() {
    let mut room = Room::open().await;
    room.join(ANA, "Ana", &[(3000..4000, "what time is it")])
        .await;
    room.until(1000).await;
    for n in 10..1010 {
        let speaker = Speaker(n);
        room.join(speaker, "somebody", &[]).await;
        room.wire.inbox.audio_of(speaker, voice());
        room.leave(speaker).await;
    }
    room.until(2000).await;
    assert_eq!(Arc::strong_count(&room.ears), 1 + 2);
    room.until(7000).await;
    assert_eq!(room.turns(), [vec!["what time is it"]]);
    assert_eq!(room.data("parlor.error").len(), 0);
    room.close().await;
}
