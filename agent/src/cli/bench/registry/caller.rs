//! A caller who talks as long as the bench lasts, by text and by voice in turn.

use crate::cli::bench::sentence::{self, Lost, Said};
use bytes::Bytes;
use media::clock::monotonic_ns;
use std::ops::Range;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is said by text, one after the other.
const TEXTS: [&str; 3] = [
    "The ferry leaves at seven, and it is back before nine.",
    "It is a little colder than it was yesterday, so bring a coat.",
    "Good morning.",
];
/// What is said by voice. Recognisers of the bench hear this whatever is said.
pub const WORDS: &str = "repeat after me the keys are on the table";
/// What is answered.
const ANSWER: &str = "The keys are on the table.";
/// Each third thing is said by voice.
const BY_VOICE: usize = 3;
/// More than this between two frames, less the 20 ms that there always are, is heard: a listener's buffer hides two frames.
const LATE_MS: f64 = 20.0;

/// What all callers share.
#[derive(Debug)]
pub struct Shared {
    /// The server's address.
    pub url: String,
    /// [`WORDS`], as 20 ms of PCM each.
    pub speech: Vec<Bytes>,
    /// 20 ms of silence.
    pub silence: Bytes,
    /// Cancelled when the callers shall hang up.
    pub stop: CancellationToken,
}

/// How something was said by a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By text, to be spoken as it stands.
    Text,
    /// By voice, to be recognised and answered.
    Voice,
}

/// Something that a caller said, and what came of it.
#[derive(Debug)]
pub struct Turn {
    /// How it was said.
    pub means: Means,
    /// When it began and ended, in milliseconds of the machine's monotonic clock.
    pub lasted: Range<f64>,
    /// What was heard, or why nothing.
    pub heard: Result<Said, String>,
}

/// What one caller went through.
#[derive(Debug, Default)]
pub struct Talked {
    /// Its turns, in order.
    pub turns: Vec<Turn>,
    /// Why it lost its call, if it did.
    pub dropped: Option<String>,
}

impl Turn {
    /// Whether all of it was heard.
    pub fn is_whole(&self) -> bool {
        self.heard.as_ref().is_ok_and(|said| said.is_whole)
    }

    /// Whether it fell, or a part of it, into this time.
    pub fn touches(&self, time: &Range<f64>) -> bool {
        self.lasted.start < time.end && self.lasted.end > time.start
    }

    /// Frames that came in this time, those of them that came late, and the longest gap in milliseconds.
    pub fn frames(&self, time: &Range<f64>) -> (u64, u64, f64) {
        let Ok(said) = &self.heard else {
            return (0, 0, 0.0);
        };
        let all = said.came_ms.iter().filter(|at| time.contains(at)).count();
        let gaps = said.came_ms.iter().skip(1).zip(said.gaps_ms());
        let gaps = gaps.filter(|(at, _)| time.contains(at));
        let (mut late, mut longest) = (0, 0.0_f64);
        for (_, gap) in gaps {
            late += u64::from(gap > LATE_MS);
            longest = longest.max(gap);
        }
        (all as u64, late, longest)
    }
}

/// Calls, tells by dropping `begun` that the call has begun (or will not), and talks until it is stopped.
pub async fn talk(shared: &Shared, number: usize, begun: mpsc::Sender<()>) -> Talked {
    let mut talked = Talked::default();
    let mut line = match sentence::call(&shared.url).await {
        Ok(line) => line,
        Err(lost) => {
            talked.dropped = Some(lost.to_string());
            return talked;
        }
    };
    drop(begun);
    // Every caller begins with another thing.
    let texts = TEXTS.iter().cycle().skip(number);
    for (turn, text) in (number..).zip(texts) {
        if shared.stop.is_cancelled() {
            break;
        }
        let began = now_ms();
        let (means, heard) = if turn % BY_VOICE == 0 {
            let asked = sentence::ask(&mut line, &shared.speech, &shared.silence, ANSWER);
            (Means::Voice, asked.await)
        } else {
            (Means::Text, sentence::say(&mut line, text, |_| ()).await)
        };
        let is_dropped = matches!(heard, Err(Lost::Call(_)));
        let heard = heard.map_err(|lost| lost.to_string());
        let heard = heard.map(|said| Said {
            // Only when it came is asked for later.
            samples: Vec::new(),
            ..said
        });
        if is_dropped {
            talked.dropped = heard.as_ref().err().cloned();
        }
        talked.turns.push(Turn {
            means,
            lasted: began..now_ms(),
            heard,
        });
        if is_dropped {
            return talked;
        }
    }
    line.hang_up().await;
    talked
}

/// Milliseconds of the machine's monotonic clock, by which frames are stamped too.
pub fn now_ms() -> f64 {
    monotonic_ns() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(came_ms: &[f64]) -> Turn {
        Turn {
            means: Means::Text,
            lasted: 100.0..200.0,
            heard: Ok(Said {
                came_ms: came_ms.to_vec(),
                ..Said::default()
            }),
        }
    }

    #[test]
    fn late_frames_are_those_after_a_gap_that_is_heard() {
        let turn = turn(&[100.0, 120.0, 165.0, 185.0]);
        assert_eq!(turn.frames(&(0.0..1e9)), (4, 1, 25.0));
        assert_eq!(turn.frames(&(170.0..1e9)), (1, 0, 0.0));
    }

    #[test]
    fn a_turn_touches_a_time_when_a_part_of_it_falls_there() {
        let turn = turn(&[]);
        assert!(turn.touches(&(0.0..101.0)) && turn.touches(&(150.0..160.0)));
        assert!(!turn.touches(&(0.0..100.0)) && !turn.touches(&(200.0..300.0)));
    }
}
