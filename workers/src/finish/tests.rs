use super::*;

fn tone(height: f32, rate_hz: u32, seconds: usize) -> Vec<i16> {
    let step = std::f32::consts::TAU * 440.0 / rate_hz as f32;
    (0..rate_hz as usize * seconds)
        .map(|n| ((n as f32 * step).sin() * height) as i16)
        .collect()
}

fn finished(
    finisher: &mut Finisher,
    rate_hz: u32,
    treatment: Treatment,
    sound: &[i16],
) -> Vec<i16> {
    let mut out = Vec::new();
    finisher.begin(rate_hz, treatment).unwrap();
    for part in sound.chunks(333) {
        finisher.process(part, &mut out);
    }
    finisher.end(&mut out);
    out
}

#[test]
fn soft_and_loud_voices_come_out_equally_loud_at_any_rate() {
    let mut finisher = Finisher::default();
    for (height, rate_hz) in [
        (1_500.0, 8_000),
        (4_000.0, 22_050),
        (12_000.0, 24_000),
        (20_000.0, 48_000),
    ] {
        let sound = tone(height, rate_hz, 2);
        let treatment = Treatment::Speech(loudness_lufs(&sound, rate_hz));
        let out = finished(&mut finisher, rate_hz, treatment, &sound);
        let got = loudness_lufs(&out, SAMPLE_RATE_HZ).unwrap();
        assert!((got - SPEECH_LUFS).abs() < 0.3, "{got} LUFS of {height}");
        let expected = 2 * SAMPLE_RATE_HZ as usize;
        assert!(out.len().abs_diff(expected) < 500, "{} samples", out.len());
    }
}

#[test]
fn the_next_clause_is_not_touched_by_the_one_before() {
    let sound = tone(9_000.0, 16_000, 1);
    let mut finisher = Finisher::default();
    let treatment = Treatment::Speech(Some(-30.0));
    let first = finished(&mut finisher, 16_000, treatment, &sound);
    finished(&mut finisher, 16_000, treatment, &tone(30_000.0, 16_000, 1));
    let again = finished(&mut finisher, 16_000, treatment, &sound);
    assert_eq!(first, again);
}

#[test]
fn what_is_to_be_left_as_it_is_is() {
    let mut sound = vec![0; 4_800];
    sound.extend(tone(32_000.0, SAMPLE_RATE_HZ, 1));
    let out = finished(
        &mut Finisher::default(),
        SAMPLE_RATE_HZ,
        Treatment::AsItIs,
        &sound,
    );
    assert_eq!(out, sound);
}

#[test]
fn nobody_is_made_louder_than_is_sensible() {
    assert_eq!(gain(None), 1.0);
    assert!((gain(Some(SPEECH_LUFS - 6.0)) - 1.995).abs() < 0.01);
    assert_eq!(gain(Some(-70.0)), gain(Some(-36.0)));
    assert_eq!(gain(Some(10.0)), gain(Some(4.0)));
}
