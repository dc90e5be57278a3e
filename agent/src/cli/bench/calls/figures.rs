//! The figures that follow from what a caller saw.
//!
//! ```text
//!   packets   | | | | | | | |                 | | | | | |
//!   decisions ^ playing     ^ BargedIn        ^ playing       an utterance ends with the decision and what still
//!   takes               [caller speaks    ]                   leaves after it; a pause begins the next one
//! ```

use super::observed::{Floor, Observed, Packet, REACTION_NS};

/// A pause after which a packet belongs to the next utterance, once the server has stopped the one before. A held reply
/// is resumed after a second at the earliest, and a new one needs the silence that ends a turn.
const PAUSE_NS: u64 = 200_000_000;
/// From one packet to the next; a gap over twice this can be heard.
const FRAME_NS: u64 = 20_000_000;
/// What a listener's buffer hides is two frames; more is a hole in the sound.
const GAP_NS: u64 = 40_000_000;

/// The figures of one or many calls, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Of every packet: how much later it came than if all had come like the least delayed of its utterance.
    pub lateness: Vec<f64>,
    /// Gaps inside utterances that a listener hears.
    pub gaps: u64,
    /// From the decision to the last packet with sound; 0 where none left any more.
    pub decision: Vec<f64>,
    /// From the caller's first audible sample to the last packet with sound.
    pub onset: Vec<f64>,
    /// From the caller's last word to the answer's first sound, as the server says.
    pub answer: Vec<f64>,
    /// From the first clause to its first sound, as the server says.
    pub first_audio: Vec<f64>,
    /// Takes over the server's voice that did not stop it.
    pub missed: u64,
    /// Times that the server stopped although its caller said nothing.
    pub false_holds: u64,
}

impl Figures {
    /// Adds another call's figures.
    pub fn add(&mut self, other: Self) {
        let Self {
            lateness,
            gaps,
            decision,
            onset,
            answer,
            first_audio,
            missed,
            false_holds,
        } = other;
        self.lateness.extend(lateness);
        self.gaps += gaps;
        self.decision.extend(decision);
        self.onset.extend(onset);
        self.answer.extend(answer);
        self.first_audio.extend(first_audio);
        self.missed += missed;
        self.false_holds += false_holds;
    }
}

impl Observed {
    /// The figures of what fell between `from` and `to`.
    pub fn figures(&self, from: u64, to: u64) -> Figures {
        let window = from..to;
        let mut figures = Figures::default();
        for utterance in self.utterances() {
            let first = utterance.first().map_or(0, |packet| packet.number);
            let due = |packet: &Packet| {
                packet
                    .at
                    .saturating_sub(packet.number.saturating_sub(first) * FRAME_NS)
            };
            let Some(base) = utterance.iter().map(due).min() else {
                continue;
            };
            let inside = utterance
                .iter()
                .filter(|packet| window.contains(&packet.at));
            figures
                .lateness
                .extend(inside.map(|packet| ms(due(packet) - base)));
            figures.gaps += utterance
                .array_windows()
                .filter(|[before, after]| {
                    after.at - before.at > GAP_NS && window.contains(&after.at)
                })
                .count() as u64;
        }
        let answers = || {
            self.answers
                .iter()
                .filter(|answer| window.contains(&answer.at))
        };
        figures.answer.extend(
            answers()
                .filter_map(|answer| answer.total_ms)
                .map(|ms| ms as f64),
        );
        figures.first_audio.extend(
            answers()
                .filter_map(|answer| answer.tts_ms)
                .map(|ms| ms as f64),
        );
        self.interruptions(&window, &mut figures);
        figures
    }

    fn interruptions(&self, window: &std::ops::Range<u64>, figures: &mut Figures) {
        let holds = || {
            self.decisions
                .iter()
                .filter(|decision| decision.floor == Floor::BargedIn)
        };
        // The last moments are left out: what they would show came after the window.
        let whole =
            |at: u64| window.contains(&at) && at.saturating_add(2 * REACTION_NS) < window.end;
        for take in self
            .takes
            .iter()
            .filter(|take| take.over_speech && whole(take.onset))
        {
            match holds().find(|hold| take.covers(hold.at)) {
                None => figures.missed += 1,
                Some(hold) => {
                    let Some(last) = self.last_sound(hold.at) else {
                        continue;
                    };
                    figures.decision.push(ms(last.saturating_sub(hold.at)));
                    figures.onset.push(ms(last.saturating_sub(take.onset)));
                }
            }
        }
        let is_false = |at: u64| whole(at) && !self.takes.iter().any(|take| take.covers(at));
        figures.false_holds += holds().filter(|hold| is_false(hold.at)).count() as u64;
    }

    /// The packets cut where the server had stopped and a pause followed.
    fn utterances(&self) -> impl Iterator<Item = &[Packet]> {
        let mut rest = self.packets.as_slice();
        let mut stops = self.stops();
        std::iter::from_fn(move || {
            let first = rest.first()?;
            let length = stops
                .find(|stop| *stop >= first.at)
                .map_or(rest.len(), |stop| until_silence(rest, stop));
            let (utterance, later) = rest.split_at(length.max(1));
            rest = later;
            Some(utterance)
        })
    }

    /// When the server's voice was stopped or had ended.
    fn stops(&self) -> impl Iterator<Item = u64> {
        let mut playing = false;
        self.decisions.iter().filter_map(move |decision| {
            let was_playing = std::mem::replace(&mut playing, decision.floor == Floor::Playing);
            (was_playing && !playing).then_some(decision.at)
        })
    }

    /// When the last packet with sound came before the silence that follows `stop`.
    fn last_sound(&self, stop: u64) -> Option<u64> {
        let heard = self.packets.get(..until_silence(&self.packets, stop))?;
        heard
            .iter()
            .rfind(|packet| packet.sounds)
            .map(|packet| packet.at)
    }
}

/// How many packets came before the silence that follows `stop`: those up to it, and those after it that each follow
/// the one before without a pause.
fn until_silence(packets: &[Packet], stop: u64) -> usize {
    let before = packets.partition_point(|packet| packet.at <= stop);
    let mut last = stop;
    let after = packets.iter().skip(before);
    before
        + after
            .take_while(|packet| packet.at - std::mem::replace(&mut last, packet.at) <= PAUSE_NS)
            .count()
}

fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::observed::{Decision, Take};
    use super::*;

    const MS: u64 = 1_000_000;

    /// A call seen through arrivals in milliseconds; packets are numbered as they come and all sound.
    fn call(arrivals: &[u64], decisions: &[(u64, Floor)], takes: &[(u64, u64)]) -> Observed {
        let packet = |(number, at): (usize, &u64)| Packet {
            at: at * MS,
            number: number as u64,
            sounds: true,
        };
        Observed {
            packets: arrivals.iter().enumerate().map(packet).collect(),
            decisions: decisions
                .iter()
                .map(|(at, floor)| Decision {
                    at: at * MS,
                    floor: *floor,
                })
                .collect(),
            takes: takes
                .iter()
                .map(|(onset, end)| Take {
                    onset: onset * MS,
                    end: end * MS,
                    over_speech: true,
                })
                .collect(),
            ..Observed::default()
        }
    }

    fn figures(call: &Observed) -> Figures {
        call.figures(0, 1_000_000 * MS)
    }

    #[test]
    fn lateness_is_measured_from_the_least_delayed_packet() {
        let seen = call(&[105, 120, 147, 160], &[(100, Floor::Playing)], &[]);
        assert_eq!(figures(&seen).lateness, [5.0, 0.0, 7.0, 0.0]);
        assert_eq!(figures(&seen).gaps, 0);
    }

    #[test]
    fn lateness_that_stays_is_seen_in_every_packet_after_it() {
        let seen = call(&[100, 120, 170, 190], &[(100, Floor::Playing)], &[]);
        assert_eq!(figures(&seen).lateness, [0.0, 0.0, 30.0, 30.0]);
        assert_eq!(figures(&seen).gaps, 1);
    }

    #[test]
    fn a_lost_packet_is_a_gap_but_makes_no_other_late() {
        let mut seen = call(&[100, 120, 161, 181], &[(100, Floor::Playing)], &[]);
        seen.packets[2].number = 3;
        seen.packets[3].number = 4;
        assert_eq!(figures(&seen).lateness, [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(figures(&seen).gaps, 1);
    }

    #[test]
    fn gaps_count_only_inside_an_utterance() {
        let states = [
            (99, Floor::Playing),
            (130, Floor::BargedIn),
            (400, Floor::Silent),
            (1503, Floor::Playing),
        ];
        let seen = call(&[100, 120, 140, 1503, 1523, 1543], &states, &[(30, 1000)]);
        assert_eq!(figures(&seen).gaps, 0);
        assert_eq!(figures(&seen).lateness, [0.0; 6]);
        let without_states = call(&[100, 120, 140, 1503, 1523, 1543], &[], &[]);
        assert_eq!(figures(&without_states).gaps, 1);
    }

    #[test]
    fn a_gap_right_before_the_stop_is_inside() {
        let states = [(99, Floor::Playing), (290, Floor::BargedIn)];
        let seen = call(&[100, 120, 280, 300], &states, &[(200, 1000)]);
        assert_eq!(figures(&seen).gaps, 1);
    }

    #[test]
    fn two_utterances_have_a_least_delayed_packet_each() {
        let states = [
            (100, Floor::Playing),
            (140, Floor::Silent),
            (700, Floor::Playing),
        ];
        let seen = call(&[103, 120, 140, 711, 722, 742], &states, &[]);
        assert_eq!(figures(&seen).lateness, [3.0, 0.0, 0.0, 9.0, 0.0, 0.0]);
    }

    #[test]
    fn an_interruption_ends_with_the_last_packet_that_sounds() {
        let states = [
            (100, Floor::Playing),
            (250, Floor::BargedIn),
            (300, Floor::Silent),
            (2000, Floor::Playing),
        ];
        let mut seen = call(&[220, 240, 260, 280, 2001], &states, &[(131, 1500)]);
        seen.packets[3].sounds = false;
        let figures = figures(&seen);
        assert_eq!((figures.decision, figures.onset), (vec![10.0], vec![129.0]));
        assert_eq!((figures.missed, figures.false_holds), (0, 0));
    }

    #[test]
    fn when_nothing_leaves_after_the_decision_it_took_no_time() {
        let states = [(100, Floor::Playing), (250, Floor::BargedIn)];
        let seen = call(&[220, 240], &states, &[(131, 1500)]);
        let figures = figures(&seen);
        assert_eq!((figures.decision, figures.onset), (vec![0.0], vec![109.0]));
    }

    #[test]
    fn a_server_that_does_not_stop_is_seen_to_go_on() {
        let states = [(100, Floor::Playing), (250, Floor::BargedIn)];
        let arrivals: Vec<u64> = (5..60).map(|n| n * 20).collect();
        let figures = figures(&call(&arrivals, &states, &[(131, 1500)]));
        assert_eq!(figures.decision, [930.0]);
    }

    #[test]
    fn a_take_that_stops_nobody_and_a_stop_that_nobody_asked_for_are_counted() {
        let states = [
            (100, Floor::Playing),
            (5000, Floor::BargedIn),
            (6000, Floor::Playing),
        ];
        let seen = call(&[], &states, &[(1000, 2000)]);
        let figures = figures(&seen);
        assert_eq!((figures.missed, figures.false_holds), (1, 1));
        assert!(figures.decision.is_empty());
    }

    #[test]
    fn only_the_window_counts() {
        let states = [(100, Floor::Playing), (250, Floor::BargedIn)];
        let seen = call(&[200, 230, 260], &states, &[(131, 1500)]);
        let figures = seen.figures(230 * MS, 260 * MS);
        assert_eq!(figures.lateness, [10.0]);
        assert!(figures.onset.is_empty());
    }
}
