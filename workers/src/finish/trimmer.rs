//! Cuts the silence around a clause.

/// Samples that are lower than this when they are heard are silence: -42 dBFS, which is 26 dB under the speech.
const SILENCE: f32 = 260.0;
/// What is kept of the silence before a clause, so that its first sound is not cut.
const LEAD_MS: usize = 20;
/// What is kept of the silence after a clause, so that it can die away.
pub const TAIL_MS: usize = 50;

/// Cuts the silence before and after a clause, and keeps all silence inside it.
#[derive(Debug, Clone, Default)]
pub struct Trimmer {
    /// Samples no higher than this are silence.
    silence: u16,
    lead: usize,
    tail: usize,
    begun: bool,
    /// Silence that may turn out to be the clause's end.
    held: Vec<i16>,
    cut: usize,
}

impl Trimmer {
    /// For one clause at this rate, which will be heard with this gain.
    pub fn new(rate_hz: u32, gain: f32) -> Self {
        let rate = rate_hz as usize;
        Self {
            silence: (SILENCE / gain.max(0.01)).round() as u16,
            lead: rate * LEAD_MS / 1000,
            tail: rate * TAIL_MS / 1000,
            ..Self::default()
        }
    }

    /// Takes more of the clause and appends to `out` what surely belongs to it.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let silence = self.silence;
        let is_sound = |sample: &i16| sample.unsigned_abs() > silence;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(height: f32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| ((n as f32 * 0.3).sin() * height) as i16)
            .collect()
    }

    #[test]
    fn silence_is_cut_around_a_clause_but_not_inside_it() {
        let mut clause = vec![3; 4_000];
        clause.extend(tone(5_000.0, 1_600));
        clause.extend(vec![-2; 3_200]);
        clause.extend(tone(5_000.0, 1_600));
        clause.extend(vec![1; 5_000]);
        for step in [7, 320, 20_000] {
            let mut trimmer = Trimmer::new(16_000, 1.0);
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
    fn what_is_silence_depends_on_how_loud_it_will_be() {
        let kept = |gain: f32| {
            let mut trimmer = Trimmer::new(16_000, gain);
            let mut out = Vec::new();
            trimmer.process(&[200; 9_000], &mut out);
            trimmer.finish(&mut out);
            out.len()
        };
        assert_eq!((kept(1.0), kept(2.0)), (0, 9_000));
    }

    #[test]
    fn a_silent_clause_is_nothing() {
        let mut trimmer = Trimmer::new(16_000, 1.0);
        let mut out = Vec::new();
        trimmer.process(&[5; 9_000], &mut out);
        trimmer.finish(&mut out);
        assert!(out.is_empty());
    }
}
