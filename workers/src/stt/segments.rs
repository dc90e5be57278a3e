//! Cuts a long recording at its pauses, so that a recogniser gets it in pieces that it can hold.

use super::RATE_HZ;
use media::level;
use std::ops::Range;

/// A piece is cut at the first good pause after so much of it.
const GOOD_SAMPLES: usize = 12 * RATE_HZ as usize;
/// A piece is never longer than this: without a pause it is cut where it is softest.
const MOST_SAMPLES: usize = 25 * RATE_HZ as usize;
/// Levels are taken over 20 ms.
const PART_SAMPLES: usize = RATE_HZ as usize / 50;
/// A good pause lasts 300 ms.
const PAUSE_PARTS: usize = 15;
/// A pause is so much softer than the piece as a whole: 20 dB.
const PAUSE_RATIO: f32 = 0.1;
/// A piece whose loudest 20 ms are softer than this (in 16-bit units) holds no speech.
const SILENT_RMS: f32 = 60.0;

/// The pieces of a recording at 16 kHz, in order and without gaps; each is up to 25 s long and cut in a pause if there is one.
pub fn segments(samples: &[i16]) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut start = 0;
    while start < samples.len() {
        let rest = samples.get(start..).unwrap_or_default();
        let end = start + cut(rest);
        segments.push(start..end);
        start = end;
    }
    segments
}

/// Whether nothing can be said in these samples.
pub fn is_silent(samples: &[i16]) -> bool {
    samples
        .chunks(PART_SAMPLES)
        .all(|part| level::rms(part) < SILENT_RMS)
}

/// How much of `rest` the next piece takes.
fn cut(rest: &[i16]) -> usize {
    if rest.len() <= MOST_SAMPLES {
        return rest.len();
    }
    let levels: Vec<f32> = rest
        .chunks_exact(PART_SAMPLES)
        .take(MOST_SAMPLES / PART_SAMPLES)
        .map(level::rms)
        .collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    let pause = loudest * PAUSE_RATIO;
    let after = GOOD_SAMPLES / PART_SAMPLES;
    let windows = levels.windows(PAUSE_PARTS).enumerate().skip(after);
    let good = windows
        .clone()
        .find(|(_, window)| window.iter().all(|level| *level < pause));
    // Without a good pause, the softest 300 ms must do.
    let softest = || {
        let sum = |window: &[f32]| window.iter().sum::<f32>();
        windows.min_by(|(_, a), (_, b)| sum(a).total_cmp(&sum(b)))
    };
    match good.or_else(softest) {
        Some((part, _)) => (part + PAUSE_PARTS / 2) * PART_SAMPLES,
        None => MOST_SAMPLES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(seconds: f32) -> Vec<i16> {
        (0..(seconds * RATE_HZ as f32) as usize)
            .map(|n| if n / 40 % 2 == 0 { 5_000 } else { -5_000 })
            .collect()
    }

    #[test]
    fn a_short_recording_is_one_piece() {
        assert_eq!(segments(&speech(20.0)), vec![(0..320_000)]);
        assert!(segments(&[]).is_empty());
    }

    #[test]
    fn a_long_recording_is_cut_in_its_pauses_and_nothing_is_lost() {
        let mut samples = speech(14.0);
        samples.extend(vec![20; 8_000]);
        samples.extend(speech(40.0));
        let cuts = segments(&samples);
        assert!((14 * 16_000..14 * 16_000 + 8_000).contains(&cuts[0].end));
        assert_eq!(cuts.last().unwrap().end, samples.len());
        for pair in cuts.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        assert!(cuts.iter().all(|cut| cut.len() <= MOST_SAMPLES));
    }

    #[test]
    fn silence_is_known_as_such() {
        assert!(is_silent(&[30; 50_000]));
        assert!(!is_silent(&speech(0.1)));
    }
}
