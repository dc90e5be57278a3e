//! A recogniser: one utterance after another, by whoever speaks.

use super::file::Header;
use super::known;
use super::memory::Memory;
use super::native::Sight;
use super::utterance::{Plan, REMINDED_BY_CLIENT, Utterance};
use crate::stt::{Hints, Language, Opening, Recogniser, Speaker, Task, Transcript};
use std::sync::Arc;

/// Tokens of hot words, so that there is room for as much of a prompt.
const HOT_TOKENS: usize = 50;

/// A recogniser and the utterance that it listens to.
pub(super) struct Listener {
    sight: Sight,
    header: Header,
    language: Option<&'static str>,
    task: Task,
    memory: Arc<Memory>,
    speaker: Speaker,
    utterance: Option<Utterance>,
}

impl Listener {
    /// One that is set to this language and task.
    pub(super) fn new(
        sight: Sight,
        header: Header,
        language: Option<&'static str>,
        task: Task,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            sight,
            header,
            language,
            task,
            memory,
            speaker: Speaker::default(),
            utterance: None,
        }
    }

    fn plan(&self, opening: &Opening) -> Plan {
        let Hints {
            language,
            prompt,
            hot_words,
            task,
            temperature,
        } = &opening.hints;
        let has_several = self.header.languages() > 1;
        // The nearer a text is to the sound, the more it counts: the client's own comes last.
        let mut client = self.sight.model().tokens(&hot_words.join(", "));
        client.truncate(HOT_TOKENS);
        let prompt = self.sight.model().tokens(prompt);
        // Of a long prompt the end, so that the hot words stay.
        let room = REMINDED_BY_CLIENT.saturating_sub(client.len());
        client.extend_from_slice(
            prompt
                .get(prompt.len().saturating_sub(room)..)
                .unwrap_or_default(),
        );
        Plan {
            language: match language {
                Language::AsSet => self.language,
                Language::Unknown if has_several => None,
                Language::Unknown => Some("en"),
                Language::Is(named) => known(named, &self.header).or(self.language),
            },
            task: match task {
                Task::Transcribe => self.task,
                Task::Translate => Task::Translate,
            },
            temperature: temperature.clamp(0.0, 1.0),
            client,
            before: self.memory.of(&opening.speaker),
            wanted: opening.wanted.clone(),
        }
    }
}

impl Recogniser for Listener {
    fn begin(&mut self, opening: &Opening) {
        self.sight.mend();
        self.speaker = opening.speaker.clone();
        self.utterance = Some(Utterance::new(self.plan(opening)));
    }

    fn hear(&mut self, samples: &[i16]) -> Option<String> {
        self.utterance.as_mut()?.hear(samples, &mut self.sight)
    }

    fn finish(&mut self) -> Transcript {
        let Some(mut utterance) = self.utterance.take() else {
            return Transcript::default();
        };
        let transcript = utterance.finish(&mut self.sight);
        self.memory.keep(&self.speaker, utterance.tokens());
        transcript
    }
}
