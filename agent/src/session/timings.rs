//! Where a turn's time goes, from the caller's last word to the first frame of the answer.

use super::protocol::Timings;
use crate::telemetry::metrics as names;
use std::time::Duration;

/// The moments of the turn in progress, on the call's clock.
#[derive(Debug, Default)]
pub struct TurnClock {
    turn: u64,
    speech_ended: Option<Duration>,
    asked: Option<Duration>,
    recognised: Option<Duration>,
    decided: Option<Duration>,
    first_clause: Option<Duration>,
    first_sound: Option<Duration>,
}

impl TurnClock {
    /// The caller speaks on: what was measured for this turn is void.
    pub fn speech_started(&mut self) {
        self.speech_ended = None;
        self.asked = None;
        self.recognised = None;
    }

    /// The caller's last speech was heard at `last`.
    pub fn speech_ended(&mut self, last: Duration) {
        self.speech_ended = Some(last);
    }

    /// A typed question came.
    pub fn asked(&mut self, now: Duration) {
        self.asked = Some(now);
        self.speech_ended = None;
        self.recognised = None;
    }

    /// The final transcript came.
    pub fn recognised(&mut self, now: Duration) {
        self.recognised = Some(now);
    }

    /// The turn was taken to be over.
    pub fn decided(&mut self, now: Duration) {
        self.turn += 1;
        self.decided = Some(now);
        self.first_clause = None;
        self.first_sound = None;
    }

    /// Something is said that answers nobody: it has no timings.
    pub fn said(&mut self) {
        self.decided = None;
    }

    /// The first clause went to synthesis.
    pub fn first_clause(&mut self, now: Duration) {
        self.first_clause.get_or_insert(now);
    }

    /// The first sound came back.
    pub fn first_sound(&mut self, now: Duration) {
        self.first_sound.get_or_insert(now);
    }

    /// The first frame left: the turn's figures, once.
    pub fn started(&mut self, now: Duration) -> Option<Timings> {
        let decided = self.decided.take()?;
        let between = |from: Option<Duration>, to: Option<Duration>| {
            Some(u64::try_from(to?.saturating_sub(from?).as_millis()).unwrap_or(u64::MAX))
        };
        let spoken = self.speech_ended;
        Some(Timings {
            turn: self.turn,
            endpointing_ms: between(spoken, Some(decided)),
            stt_ms: between(spoken, self.recognised),
            responder_ms: between(Some(decided), self.first_clause),
            tts_ms: between(self.first_clause, self.first_sound),
            total_ms: between(spoken.or(self.asked).or(Some(decided)), Some(now)),
        })
    }
}

/// Counts a turn's figures.
pub fn observe(timings: &Timings) {
    let stages = [
        ("endpointing", timings.endpointing_ms),
        ("stt", timings.stt_ms),
        ("responder", timings.responder_ms),
        ("tts", timings.tts_ms),
    ];
    for (stage, ms) in stages {
        if let Some(ms) = ms {
            metrics::histogram!(names::TURN_STAGE_SECONDS, "stage" => stage)
                .record(ms as f64 / 1000.0);
        }
    }
    if let Some(ms) = timings.total_ms {
        metrics::histogram!(names::TURN_RESPONSE_SECONDS).record(ms as f64 / 1000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoken_turn_is_measured_from_the_last_speech() {
        let ms = Duration::from_millis;
        let mut clock = TurnClock::default();
        clock.speech_ended(ms(1000));
        clock.recognised(ms(1400));
        clock.decided(ms(1700));
        clock.first_clause(ms(1701));
        clock.first_sound(ms(1720));
        let timings = clock.started(ms(1730)).unwrap();
        assert_eq!(timings.endpointing_ms, Some(700));
        assert_eq!(timings.stt_ms, Some(400));
        assert_eq!(
            (timings.responder_ms, timings.tts_ms, timings.total_ms),
            (Some(1), Some(19), Some(730))
        );
        assert_eq!(clock.started(ms(1800)), None);
    }
}
