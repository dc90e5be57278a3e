//! The ear with a detector that follows a script, so that every answer is known.

use super::*;
use crate::frame::FRAME_SAMPLES;
use std::collections::VecDeque;

/// Gives the answers it was told, then silence.
struct Scripted {
    answers: VecDeque<f32>,
    has_probability: bool,
}

impl Vad for Scripted {
    fn hear(&mut self, _: &[i16; VAD_FRAME_SAMPLES]) -> f32 {
        self.answers.pop_front().unwrap_or(0.0)
    }

    fn has_probability(&self) -> bool {
        self.has_probability
    }

    fn reset(&mut self) {}

    fn name(&self) -> &'static str {
        "scripted"
    }
}

fn ear(settings: EarSettings, answers: impl IntoIterator<Item = f32>) -> Ear {
    Ear::new(
        settings,
        Box::new(Scripted {
            answers: answers.into_iter().collect(),
            has_probability: true,
        }),
    )
}

/// A frame whose RMS is `level`.
fn sound(level: i16) -> AudioFrame {
    AudioFrame::padded(&std::array::from_fn::<_, FRAME_SAMPLES, _>(|n| {
        if n % 96 < 48 { level } else { -level }
    }))
}

/// Hears `levels` and returns each frame's number and event.
fn events(ear: &mut Ear, levels: &[i16]) -> Vec<(usize, SpeechEvent)> {
    let heard = levels.iter().enumerate();
    heard
        .filter_map(|(n, level)| ear.hear(&sound(*level)).event.map(|event| (n, event)))
        .collect()
}

fn start(ms: u64) -> SpeechEvent {
    SpeechEvent::Start {
        onset_ago: Duration::from_millis(ms),
    }
}

fn end(ms: u64) -> SpeechEvent {
    SpeechEvent::End {
        last_ago: Duration::from_millis(ms),
    }
}

#[test]
fn the_odds_are_scaled_and_not_the_probability() {
    assert!((scale_odds(0.5, 2.0) - 2.0 / 3.0).abs() < 1e-12);
    assert!((scale_odds(0.5, 1.2) - 6.0 / 11.0).abs() < 1e-12);
    assert_eq!(scale_odds(0.5, 1.0), 0.5);
    assert!(scale_odds(0.9, 2.0) < 1.0);
}

#[test]
fn speech_starts_after_100_ms_and_ends_after_300_ms() {
    let mut ear = ear(EarSettings::default(), [0.5; 10]);
    assert_eq!(
        events(&mut ear, &[3000; 40]),
        [(4, start(100)), (24, end(300))]
    );
    assert_eq!(ear.statistics().starts, 1);
    assert_eq!(ear.statistics().listening.speech, 20);
}

#[test]
fn while_the_machine_speaks_60_ms_of_a_clearer_voice_are_needed() {
    for (probability, expected) in [(0.66, vec![]), (0.67, vec![(2, start(60))])] {
        let mut ear = ear(EarSettings::default(), [probability; 8]);
        ear.set_floor(Floor::Speaking);
        assert_eq!(events(&mut ear, &[3000; 8]), expected);
        let silenced = ear.statistics().speaking.state_gated;
        assert_eq!(silenced, if expected.is_empty() { 8 } else { 0 });
    }
}

#[test]
fn over_the_machines_voice_a_pause_is_told_before_the_speech_is_over() {
    let lull = |ms| SpeechEvent::Lull {
        last_ago: Duration::from_millis(ms),
    };
    // 500 ms of "uh-huh", then quiet: the pause is told 100 ms later, the end 300 ms later as ever.
    for (floor, expected) in [
        (
            Floor::Speaking,
            vec![(2, start(60)), (29, lull(100)), (39, end(300))],
        ),
        (
            Floor::BargedIn,
            vec![(4, start(100)), (29, lull(100)), (39, end(300))],
        ),
        (Floor::Listening, vec![(4, start(100)), (39, end(300))]),
    ] {
        let mut ear = ear(EarSettings::default(), [0.9; 25]);
        ear.set_floor(floor);
        assert_eq!(events(&mut ear, &[3000; 50]), expected, "{floor:?}");
    }
}

#[test]
fn a_forgetful_ear_keeps_no_sound_and_begins_anew() {
    let mut ear = ear(EarSettings::default(), [0.9; 100]);
    assert_eq!(events(&mut ear, &[3000; 20]), [(4, start(100))]);
    ear.forget_speech();
    assert!(ear.is_settled());
    assert!(ear.preroll().is_empty());
    assert_eq!(events(&mut ear, &[3000; 5]), [(4, start(100))]);
    assert_eq!(ear.preroll().len(), 5 * VAD_FRAME_SAMPLES);
    assert!(ear.close_speech());
    assert!(!ear.close_speech() && !ear.is_settled());
}

#[test]
fn the_state_scales_the_gate_as_well() {
    for (floor, starts) in [
        (Floor::Listening, true),
        (Floor::BargedIn, true),
        (Floor::Speaking, false),
    ] {
        let mut ear = ear(EarSettings::default(), [1.0; 10]);
        ear.set_floor(floor);
        // In the warm-up the threshold is 200, so 400 while the machine speaks.
        assert_eq!(
            !events(&mut ear, &[300; 10]).is_empty(),
            starts,
            "{floor:?}"
        );
        assert_eq!(
            ear.statistics().state_gating_ratio(),
            if starts { 0.0 } else { 1.0 }
        );
        assert_eq!(
            ear.statistics().gate.ratio(),
            if starts { 0.0 } else { 1.0 }
        );
    }
}

#[test]
fn a_detector_without_probability_is_scaled_by_energy_only() {
    let mut settings = EarSettings::default();
    settings.vad.threshold = 0.9;
    settings.vad.speaking_threshold_multiplier = 100.0;
    settings.vad.noise_gate.enabled = false;
    let scripted = Scripted {
        answers: [0.95; 5].into(),
        has_probability: false,
    };
    let mut ear = Ear::new(settings, Box::new(scripted));
    ear.set_floor(Floor::Speaking);
    assert_eq!(events(&mut ear, &[3000; 5]), [(2, start(60))]);
}

#[test]
fn without_state_aware_gating_every_state_hears_alike() {
    let mut settings = EarSettings::default();
    settings.vad.state_aware_gating = false;
    let mut ear = ear(settings, [0.5; 10]);
    ear.set_floor(Floor::Speaking);
    assert_eq!(events(&mut ear, &[201; 10]), [(2, start(60))]);
}

#[test]
fn a_gated_frame_is_silence_before_speech_and_nothing_during_it() {
    let mut ear = ear(EarSettings::default(), [1.0; 200]);
    let quiet_then_loud = [[100; 50], [3000; 50]].concat();
    assert_eq!(events(&mut ear, &quiet_then_loud), [(54, start(100))]);
    assert_eq!(ear.statistics().gate.gated, 50);
    // The voice drops far below the threshold and goes on: speech stays open.
    assert_eq!(events(&mut ear, &[100; 100]), []);
    assert_eq!(ear.statistics().gate.gated, 50);
}

#[test]
fn a_long_talker_raises_no_floor_and_can_go_on_after_a_pause() {
    let talk = |frames: usize| (0..frames).map(|n| [600, 6000, 3000, 1500][n / 3 % 4]);
    let levels: Vec<i16> = std::iter::repeat_n(80, 150)
        .chain(talk(1000))
        .chain([80; 20])
        .chain(talk(50))
        .collect();
    let answers = levels
        .iter()
        .map(|level| if *level > 80 { 0.9 } else { 0.02 })
        .collect::<Vec<_>>();
    let mut ear = ear(EarSettings::default(), answers);
    assert_eq!(
        events(&mut ear, &levels),
        [(154, start(100)), (1164, end(300)), (1174, start(100))]
    );
    assert!(ear.statistics().gate.threshold_rms < 210.0);
}

#[test]
fn a_loud_step_is_heard_after_100_ms_at_once_and_in_a_noisy_room() {
    for noise in [0, 50, 400] {
        let levels = [vec![noise; 300], vec![noise * 8 + 1000; 10]].concat();
        let answers = [[0.01; 300].as_slice(), &[0.99; 10]].concat();
        let mut ear = ear(EarSettings::default(), answers);
        assert_eq!(
            events(&mut ear, &levels),
            [(304, start(100))],
            "noise of {noise}"
        );
    }
}

#[test]
fn preroll_and_the_samples_after_it_join_to_the_sample() {
    for (preroll_ms, floor, run_ms) in [
        (300, Floor::Listening, 100),
        (250, Floor::Speaking, 60),
        (0, Floor::Listening, 100),
    ] {
        let mut settings = EarSettings::default();
        settings.vad.preroll_ms = preroll_ms;
        settings.vad.noise_gate.enabled = false;
        let answers = [[0.0; 40].as_slice(), &[1.0; 30]].concat();
        let mut ear = ear(settings, answers);
        ear.set_floor(floor);
        let (mut all, mut recognised) = (Vec::new(), Vec::new());
        let mut started = None;
        for n in 0..60i16 {
            // A different sound in every frame, so that a lost or repeated one shows.
            let event = ear.hear(&sound(500 + n * 31)).event;
            all.extend_from_slice(ear.samples());
            match event {
                Some(SpeechEvent::Start { onset_ago }) => {
                    started = Some((all.len(), onset_ago));
                    recognised = ear.preroll();
                }
                _ if started.is_some() => recognised.extend_from_slice(ear.samples()),
                _ => {}
            }
        }
        let (at, onset_ago) = started.unwrap();
        assert_eq!(onset_ago, Duration::from_millis(run_ms));
        let first = at - (run_ms as usize + preroll_ms as usize) * 16;
        assert_eq!(recognised, all[first..], "preroll of {preroll_ms} ms");
    }
}

#[test]
fn wild_settings_do_not_panic() {
    let mut settings = EarSettings::default();
    settings.vad.min_speech_duration_ms = 0;
    settings.vad.min_silence_duration_ms = 0;
    settings.vad.preroll_ms = 0;
    settings.vad.speaking_threshold_multiplier = -1.0;
    settings.vad.noise_gate = NoiseGateSettings {
        window_size: 0,
        percentile: f64::NAN,
        update_interval_frames: 0,
        warmup_ms: 0,
        ..NoiseGateSettings::default()
    };
    let mut ear = ear(settings, [1.0; 5]);
    ear.set_floor(Floor::Speaking);
    for level in [0, i16::MAX, 0] {
        ear.hear(&sound(level));
    }
    ear.preroll();
}
