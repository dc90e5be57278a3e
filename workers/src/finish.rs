//! Makes an engine's raw speech fit to be heard: no dead air around it, and every voice equally loud.
//!
//! All of it works on the stream as it comes, without looking ahead, so it costs no delay.

use media::level;

/// The level of speech that listeners get, over the parts that are not silent.
pub const SPEECH_DBFS: f32 = -20.0;
/// The ceiling that no sample passes: -1 dBFS, which leaves room for what resampling adds.
const CEILING: f32 = 29_204.0;
/// Above this height (-4 dBFS) peaks are rounded off, more the higher they are.
const KNEE: f32 = 20_675.0;
/// No voice is made louder or softer than this.
const MOST_GAIN_DB: f32 = 15.0;
/// Samples lower than this are silence: -46 dBFS, which is 26 dB under the speech.
const SILENCE: u16 = 164;
/// What is kept of the silence before a clause, so that its first sound is not cut.
const LEAD_MS: usize = 20;
/// What is kept of the silence after a clause, so that it can die away.
pub const TAIL_MS: usize = 50;

/// Brings a voice to [`SPEECH_DBFS`] by a fixed gain, and rounds off peaks that would pass the ceiling.
///
/// The gain comes from the voice's measured level and not from the clause at hand: a soft word stays softer than a loud one.
#[derive(Debug, Clone, Copy)]
pub struct Leveller {
    gain: f32,
}

impl Leveller {
    /// For a voice whose speech is as loud as `level_dbfs`; without a level nothing is changed.
    pub fn new(level_dbfs: Option<f32>) -> Self {
        let gain_db = level_dbfs.map_or(0.0, |level| {
            (SPEECH_DBFS - level).clamp(-MOST_GAIN_DB, MOST_GAIN_DB)
        });
        Self {
            gain: 10_f32.powf(gain_db / 20.0),
        }
    }

    /// Changes the samples in place.
    pub fn process(self, samples: &mut [i16]) {
        if self.gain == 1.0 {
            return;
        }
        for sample in samples {
            let wanted = f32::from(*sample) * self.gain;
            *sample = rounded_off(wanted).round() as i16;
        }
    }
}

/// The same sample below the knee; above it, ever closer to the ceiling.
fn rounded_off(sample: f32) -> f32 {
    let over = sample.abs() - KNEE;
    if over <= 0.0 {
        return sample;
    }
    let room = CEILING - KNEE;
    (KNEE + room * (over / room).tanh()).copysign(sample)
}

/// Cuts the silence before and after a clause, and keeps all silence inside it.
#[derive(Debug, Clone, Default)]
pub struct Trimmer {
    lead: usize,
    tail: usize,
    begun: bool,
    /// Silence that may turn out to be the clause's end.
    held: Vec<i16>,
    cut: usize,
}

impl Trimmer {
    /// For one clause at this rate.
    pub fn new(rate_hz: u32) -> Self {
        let rate = rate_hz as usize;
        Self {
            lead: rate * LEAD_MS / 1000,
            tail: rate * TAIL_MS / 1000,
            ..Self::default()
        }
    }

    /// Takes more of the clause and appends to `out` what surely belongs to it.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let is_sound = |sample: &i16| sample.unsigned_abs() > SILENCE;
        let Some(last) = samples.iter().rposition(is_sound) else {
            self.held.extend_from_slice(samples);
            self.shorten();
            return;
        };
        let (sound, silence) = samples.split_at(last + 1);
        self.held.extend_from_slice(sound);
        if !self.begun {
            self.begun = true;
            let first = self.held.iter().position(is_sound).unwrap_or(0);
            let start = first.saturating_sub(self.lead);
            self.held.drain(..start);
            self.cut += start;
        }
        out.append(&mut self.held);
        self.held.extend_from_slice(silence);
    }

    /// Appends what is kept of the silence at the clause's end.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        if self.begun {
            self.held.truncate(self.tail);
            out.append(&mut self.held);
        }
        self.held.clear();
    }

    /// Samples that were cut from the start.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// Before the first sound only as much is kept as will be wanted.
    fn shorten(&mut self) {
        if !self.begun && self.held.len() > self.lead {
            let start = self.held.len() - self.lead;
            self.held.drain(..start);
            self.cut += start;
        }
    }
}

/// How loud some speech is: its level over the parts of 20 ms that are louder than -45 dBFS; none if no part is.
///
/// This is the measure by which the levels of the voices were found.
pub fn speech_level_dbfs(samples: &[i16], rate_hz: u32) -> Option<f32> {
    const LOUD_DBFS: f32 = -45.0;
    let part = (rate_hz as usize / 50).max(1);
    let levels = samples
        .chunks_exact(part)
        .map(level::rms)
        .filter(|rms| level::dbfs(*rms) > LOUD_DBFS);
    let (power, parts) = levels.fold((0.0_f64, 0_u32), |(power, parts), rms| {
        (power + f64::from(rms) * f64::from(rms), parts + 1)
    });
    (parts > 0).then(|| level::dbfs((power / f64::from(parts)).sqrt() as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(height: f32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| ((n as f32 * 0.3).sin() * height) as i16)
            .collect()
    }

    #[test]
    fn soft_and_loud_voices_come_out_equally_loud() {
        for height in [1_500.0, 4_000.0, 12_000.0] {
            let mut voice = tone(height, 16_000);
            let level = speech_level_dbfs(&voice, 16_000);
            Leveller::new(level).process(&mut voice);
            let got = speech_level_dbfs(&voice, 16_000).unwrap();
            assert!((got - SPEECH_DBFS).abs() < 0.3, "{got} dBFS");
        }
    }

    #[test]
    fn no_peak_passes_the_ceiling_and_order_is_kept() {
        let mut steps: Vec<i16> = (-320..=320).map(|n| (n * 102) as i16).collect();
        Leveller::new(Some(-35.0)).process(&mut steps);
        assert!(
            steps
                .iter()
                .all(|sample| f32::from(sample.unsigned_abs()) <= CEILING)
        );
        assert!(steps.is_sorted());
    }

    #[test]
    fn silence_is_cut_around_a_clause_but_not_inside_it() {
        let mut clause = vec![3; 4_000];
        clause.extend(tone(5_000.0, 1_600));
        clause.extend(vec![-2; 3_200]);
        clause.extend(tone(5_000.0, 1_600));
        clause.extend(vec![1; 5_000]);
        for step in [7, 320, 20_000] {
            let mut trimmer = Trimmer::new(16_000);
            let mut out = Vec::new();
            for part in clause.chunks(step) {
                trimmer.process(part, &mut out);
            }
            trimmer.finish(&mut out);
            let whole = 320 + 1_600 + 3_200 + 1_600 + 800;
            assert!(
                out.len().abs_diff(whole) < 40,
                "{} samples by steps of {step}",
                out.len()
            );
            assert!(trimmer.cut().abs_diff(4_000 - 320) < 40);
        }
    }

    #[test]
    fn a_silent_clause_is_nothing() {
        let mut trimmer = Trimmer::new(16_000);
        let mut out = Vec::new();
        trimmer.process(&[5; 9_000], &mut out);
        trimmer.finish(&mut out);
        assert!(out.is_empty());
    }
}
