//! What is heard of the people, made into inputs of the dialog: as far as they have the floor.

use super::floor::{Passed, Said, Told, Utterance};
use super::people::{HeardSpeech, TooManyPeople};
use super::protocol::ErrorCode;
use super::uplink::{Outcome, Recognised};
use super::{Session, time};
use crate::cluster::Error;
use dialog::{Input, Words};
use media::AudioFrame;
use media::hear::SpeechEvent;
use media::link::Speaker;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

impl Session {
    pub(super) fn on_sound(&mut self, speaker: Speaker, frame: &AudioFrame) {
        match self.people.hear(self.clock.now(), speaker, frame) {
            Ok(Some(heard)) => self.on_heard(heard),
            Ok(None) => {}
            Err(TooManyPeople) => self.tell_too_many(),
        }
    }

    /// What somebody said before the agent was there: it happened before now, and some of it before the call.
    pub(super) fn on_recording(&mut self, speaker: Speaker, frames: &[AudioFrame]) {
        match self.people.hear_recorded(self.clock.now(), speaker, frames) {
            Ok(all) => all.into_iter().for_each(|heard| self.on_heard(heard)),
            Err(TooManyPeople) => self.tell_too_many(),
        }
    }

    /// When sound or words that do not come are to be given up.
    pub(super) fn next_hearing_timeout(&self) -> Option<Duration> {
        let timeouts = [self.people.next_timeout(), self.floor.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// Somebody's sound stays away while speech is open, or the words of whoever has the floor do.
    pub(super) fn on_hearing_timeout(&mut self) {
        let now = self.clock.now();
        if let Some(heard) = self.people.miss(now) {
            self.on_heard(heard);
        }
        let told = self.floor.handle_timeout(now);
        self.tell_dialog(told);
    }

    /// Whoever goes in the middle of a word has said what was heard of it.
    pub(super) fn on_left(&mut self, speaker: Speaker) {
        if self.people.left(speaker) {
            self.on_speech_end(speaker, self.clock.now());
        }
    }

    /// What people are saying is said: the words up to now are the turn.
    pub(super) fn close_speech(&mut self) {
        for speaker in self.people.close_speech() {
            self.on_speech_end(speaker, self.clock.now());
        }
    }

    fn on_heard(&mut self, heard: HeardSpeech) {
        let HeardSpeech {
            speaker,
            utterance,
            event,
            at,
        } = heard;
        match event {
            SpeechEvent::Start { onset_ago } => {
                let onset = at.saturating_sub(onset_ago);
                let utterance = Utterance {
                    number: utterance,
                    speaker,
                    name: self.people.name(speaker),
                    onset,
                    last: None,
                    recognised: false,
                };
                if self.floor.started(utterance) {
                    self.committed = false;
                    self.on_speech_start(onset);
                }
            }
            SpeechEvent::End { last_ago } => {
                self.on_speech_end(speaker, at.saturating_sub(last_ago));
            }
            SpeechEvent::Lull { last_ago } if self.floor.is_held_by(speaker) => {
                let last = time(at.saturating_sub(last_ago));
                self.feed(Input::Lull { last });
            }
            SpeechEvent::Voice { onset_ago } if self.floor.is_held_by(speaker) => {
                let onset = time(at.saturating_sub(onset_ago));
                self.feed(Input::Voice { onset });
            }
            SpeechEvent::Lull { .. } | SpeechEvent::Voice { .. } => {}
        }
    }

    fn on_speech_start(&mut self, onset: Duration) {
        self.barge_in_at = Some(onset);
        self.turn.speech_started();
        self.feed(Input::SpeechStart { onset: time(onset) });
        self.barge_in_at = None;
    }

    fn on_speech_end(&mut self, speaker: Speaker, last: Duration) {
        if self.floor.ended(speaker, last) {
            self.turn.speech_ended(last);
            self.feed(Input::SpeechEnd { last: time(last) });
        }
        let told = self.floor.settle(self.clock.now());
        self.tell_dialog(told);
    }

    pub(super) fn on_recognised(&mut self, recognised: Recognised) {
        let Recognised {
            speaker,
            utterance,
            result,
        } = recognised;
        let text = match result {
            Outcome::Partial(text) => {
                self.tell_user_words(speaker, utterance, text.clone(), false);
                if self.floor.is_held_by(speaker) {
                    self.feed(Input::Partial(Words::new(&text)));
                }
                return;
            }
            Outcome::Final(text) => {
                self.turn.recognised(self.clock.now());
                self.tell_user_words(speaker, utterance, text.clone(), true);
                text
            }
            Outcome::Failed(error) => {
                let code = match error {
                    Error::Unavailable(_) | Error::Full(_) => ErrorCode::WorkerUnavailable,
                    Error::Refused(_) | Error::Failed(_) => ErrorCode::InternalError,
                };
                warn!(session = %self.admission.id, %error, "An utterance was not recognised.");
                self.tell_error(code, format!("you were not understood: {error}"));
                String::new()
            }
        };
        let told = self
            .floor
            .recognised(self.clock.now(), speaker, utterance, text);
        self.tell_dialog(told);
    }

    fn tell_dialog(&mut self, told: Told) {
        let Told { passed, said } = told;
        if let Some(Passed { onset, last }) = passed {
            // Nobody spoke to the dialog before it was told so.
            self.on_speech_start(onset.max(self.last_input_at));
            if let Some(last) = last {
                self.turn.speech_ended(last);
                self.feed(Input::SpeechEnd { last: time(last) });
                // The commit was meant for this speech too, and a start takes it back.
                if self.committed {
                    self.feed(Input::Commit);
                }
            }
        }
        let Some(said) = said else { return };
        let mut words = Words::none();
        for Said { name, text, .. } in said {
            words = words.joined(self.said_by(name.as_ref(), Words::new(&text)));
        }
        self.feed(Input::Final(words));
    }

    /// The words, marked with the name if they have one.
    pub(super) fn said_by(&mut self, name: Option<&Arc<str>>, words: Words) -> Words {
        match name {
            Some(name) if !words.is_empty() => match self.conversation.who(name) {
                Some(who) => words.by(who),
                None => words,
            },
            Some(_) | None => words,
        }
    }

    fn tell_too_many(&mut self) {
        self.tell_error(
            ErrorCode::WorkerUnavailable,
            "too many people speak: somebody is not heard until another one leaves".into(),
        );
    }
}
