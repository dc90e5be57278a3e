//! The estimate of a caller's microphone and room: the mean of the cepstra, which is taken off each frame before the search.

use super::super::Speaker;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Coefficients of a frame.
pub(super) const SIZE: usize = 13;
/// 10 ms of sound as the search hears it.
pub(super) type Frame = [f32; SIZE];

/// The mean of a microphone that nothing is known of: the mean over people reading aloud and over flite's voices.
const ANYBODY: Frame = [
    51.5, 4.7, 0.6, 17.3, -8.1, 1.7, -2.7, -4.0, -0.7, -0.8, 2.9, 1.4, 1.5,
];
/// How many frames of the caller's own speech weigh as much as that.
const ANYBODY_FRAMES: f32 = 70.0;
/// A known caller's past weighs no more than this many frames, so that the estimate follows a change within seconds.
const KNOWN_FRAMES: f32 = 300.0;
/// Callers remembered; a call more begins as if unknown.
const CALLERS: usize = 1_024;

/// What is known of one caller's microphone.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    sum: Frame,
    weight: f32,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            sum: ANYBODY.map(|mean| mean * ANYBODY_FRAMES),
            weight: ANYBODY_FRAMES,
        }
    }
}

impl Channel {
    /// Learns from one more frame.
    pub(super) fn hear(&mut self, frame: &Frame) {
        for (sum, part) in self.sum.iter_mut().zip(frame) {
            *sum += part;
        }
        self.weight += 1.0;
    }

    /// Takes the microphone off a frame.
    pub(super) fn normalise(&self, frame: &mut Frame) {
        for (part, sum) in frame.iter_mut().zip(&self.sum) {
            *part -= sum / self.weight;
        }
    }

    /// The same estimate, with a weight that lets the next utterance change it.
    fn aged(mut self) -> Self {
        if self.weight > KNOWN_FRAMES {
            let share = KNOWN_FRAMES / self.weight;
            self.sum = self.sum.map(|sum| sum * share);
            self.weight = KNOWN_FRAMES;
        }
        self
    }
}

/// The microphones of all callers of late.
#[derive(Default)]
pub(super) struct Channels(Mutex<HashMap<Speaker, Channel>>);

impl Channels {
    /// What is known of this caller's.
    pub(super) fn of(&self, speaker: &Speaker) -> Channel {
        self.lock().get(speaker).cloned().unwrap_or_default()
    }

    /// Remembers this caller's.
    pub(super) fn keep(&self, speaker: Speaker, channel: Channel) {
        if speaker.0.is_empty() {
            // That may be anybody.
            return;
        }
        let mut known = self.lock();
        if known.len() >= CALLERS && !known.contains_key(&speaker) {
            known.clear();
        }
        known.insert(speaker, channel.aged());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Speaker, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_moves_to_the_caller_and_is_there_at_the_next_utterance() {
        let channels = Channels::default();
        let speaker = Speaker("a".into());
        let mut channel = channels.of(&speaker);
        for _ in 0..1_000 {
            channel.hear(&[10.0; SIZE]);
        }
        channels.keep(speaker.clone(), channel);
        let known = channels.of(&speaker);
        assert_eq!(known.weight, KNOWN_FRAMES);
        let mut frame = [10.0; SIZE];
        known.normalise(&mut frame);
        assert!(frame.iter().all(|part| part.abs() < 4.0));
        let mut stranger = ANYBODY;
        channels.of(&Speaker("b".into())).normalise(&mut stranger);
        assert!(stranger.iter().all(|part| part.abs() < 0.01));
    }
}
