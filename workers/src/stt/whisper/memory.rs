//! What each speaker said last, to remind the model of: names and the subject are then written as before.

use crate::stt::Speaker;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Speakers remembered; of more, those are forgotten that were heard first.
const SPEAKERS: usize = 1_024;

/// The last words of all speakers of late, as tokens.
#[derive(Default)]
pub struct Memory(Mutex<Speakers>);

#[derive(Default)]
struct Speakers {
    said: HashMap<Speaker, Vec<i32>>,
    order: VecDeque<Speaker>,
}

impl Memory {
    /// What a speaker said last. Of nobody in particular nothing is remembered: the next one who has no name is somebody else.
    pub fn of(&self, speaker: &Speaker) -> Vec<i32> {
        self.lock().said.get(speaker).cloned().unwrap_or_default()
    }

    /// Notes what a speaker said.
    pub fn keep(&self, speaker: &Speaker, tokens: Vec<i32>) {
        if speaker.0.is_empty() || tokens.is_empty() {
            return;
        }
        let mut speakers = self.lock();
        if speakers.said.insert(speaker.clone(), tokens).is_none() {
            speakers.order.push_back(speaker.clone());
        }
        while speakers.order.len() > SPEAKERS
            && let Some(first) = speakers.order.pop_front()
        {
            speakers.said.remove(&first);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Speakers> {
        // Every change is one step, so a panic elsewhere leaves the content whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_are_remembered_by_name_and_only_so_many() {
        let memory = Memory::default();
        let speaker = |n: i32| Speaker(format!("speaker {n}"));
        memory.keep(&Speaker::default(), vec![1]);
        assert!(memory.of(&Speaker::default()).is_empty());
        for n in 0..1_030 {
            memory.keep(&speaker(n), vec![n]);
            memory.keep(&speaker(n), vec![n, n]);
        }
        assert_eq!(memory.of(&speaker(1_029)), [1_029, 1_029]);
        assert_eq!(memory.of(&speaker(6)), [6, 6]);
        assert!(memory.of(&speaker(5)).is_empty());
        assert_eq!(memory.lock().said.len(), SPEAKERS);
    }
}
