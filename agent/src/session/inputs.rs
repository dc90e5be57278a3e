//! What can happen to a call, made into inputs of its dialog.

use super::downlink::Happened;
use super::protocol::{ClientMessage, Command, ErrorCode, Role, ServerMessage};
use super::tell::Finality;
use super::texts::Unfinished;
use super::uplink::Recognised;
use super::{Session, time, timings};
use crate::cluster::Error;
use crate::telemetry::metrics as names;
use dialog::{Input, ReplyId, Words};
use media::hear::SpeechEvent;
use media::link::{Closed, Inbound};
use std::time::Duration;
use tracing::{debug, warn};

impl Session {
    pub(super) fn on_tick(&mut self) {
        self.downlink.tick(self.clock.now());
        while let Some(happened) = self.downlink.poll() {
            self.on_happened(Some(happened));
        }
        if let Some((reply, text)) = self.downlink.newly_heard() {
            self.tell_agent_words(reply, text, Finality::Partial);
        }
    }

    pub(super) fn on_happened(&mut self, happened: Option<Happened>) {
        let now = self.clock.now();
        match happened {
            None => {}
            Some(Happened::Clause) => self.turn.first_clause(now),
            Some(Happened::FirstSound) => self.turn.first_sound(now),
            Some(Happened::Started(reply)) => {
                self.feed(Input::PlayoutStart(reply));
                if let Some(timings) = self.turn.started(now) {
                    timings::observe(&timings);
                    self.tell(ServerMessage::Timings(timings));
                }
            }
            Some(Happened::Ended(reply)) => {
                let heard = self.downlink.finish();
                self.account(reply, heard);
                self.feed(Input::PlayoutEnd(reply));
            }
            Some(Happened::Failed(reply, error)) => self.on_failed(reply, &error),
        }
    }

    pub(super) fn on_failed(&mut self, reply: ReplyId, error: &Error) {
        warn!(session = %self.admission.id, %reply, %error, "A reply broke off.");
        metrics::counter!(names::REPLIES_FAILED_TOTAL).increment(1);
        let heard = self.downlink.cancel();
        self.account(reply, heard);
        let code = match error {
            Error::Unavailable(_) => ErrorCode::WorkerUnavailable,
            Error::Refused(_) | Error::Failed(_) => ErrorCode::SynthesisFailed,
        };
        self.tell_error(code, format!("the reply could not be spoken: {error}"));
        self.feed(Input::Failed(reply));
    }

    fn on_heard(&mut self, event: Option<SpeechEvent>) {
        let now = self.clock.now();
        match event {
            None => {}
            Some(SpeechEvent::Start { onset_ago }) => {
                let onset = now.saturating_sub(onset_ago);
                self.barge_in_at = Some(onset);
                self.turn.speech_started();
                self.feed(Input::SpeechStart { onset: time(onset) });
                self.barge_in_at = None;
            }
            Some(SpeechEvent::End { last_ago }) => self.on_speech_end(now.saturating_sub(last_ago)),
            Some(SpeechEvent::Lull { last_ago }) => {
                let last = time(now.saturating_sub(last_ago));
                self.feed(Input::Lull { last });
            }
            Some(SpeechEvent::Voice { onset_ago }) => {
                let onset = time(now.saturating_sub(onset_ago));
                self.feed(Input::Voice { onset });
            }
        }
    }

    fn on_speech_end(&mut self, last: Duration) {
        self.turn.speech_ended(last);
        self.feed(Input::SpeechEnd { last: time(last) });
    }

    /// The caller's sound stays away while speech is open.
    pub(super) fn on_missing_sound(&mut self) {
        let event = self.uplink.miss();
        self.on_heard(event);
    }

    pub(super) fn on_inbound(&mut self, item: Option<Inbound>) {
        match item {
            Some(Inbound::Audio(frame)) => {
                let event = self.uplink.hear(self.clock.now(), &frame);
                self.on_heard(event);
            }
            Some(Inbound::Message(json)) => match ClientMessage::parse(&json) {
                Ok(message) => self.on_message(message),
                Err(why) => self.tell_error(ErrorCode::InvalidMessage, why),
            },
            Some(Inbound::Unsent { generation, frames }) => {
                if let Some(correction) = self.downlink.unsent(generation, frames) {
                    self.correct(correction);
                }
            }
            Some(Inbound::Invalid(why)) => self.tell_error(ErrorCode::InvalidMessage, why),
            Some(Inbound::Closed(closed)) => self.on_closed(&closed),
            None => self.on_closed(&Closed::ByCaller),
        }
    }

    pub(super) fn on_closed(&mut self, closed: &Closed) {
        let reason = match closed {
            Closed::ByCaller => "left",
            Closed::TooSlow => "too-slow",
            Closed::Failed(error) => {
                debug!(session = %self.admission.id, error, "The connection broke.");
                "connection-lost"
            }
        };
        self.feed(Input::Hangup(reason.into()));
    }

    pub(super) fn on_message(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::Text { text, is_final } => self.on_text(&text, is_final),
            ClientMessage::Ask(text) => {
                self.turn.asked(self.clock.now());
                self.segment += 1;
                let segment_id = format!("u{}", self.segment);
                self.tell(ServerMessage::Transcript {
                    role: Role::User,
                    text: text.clone(),
                    is_final: true,
                    segment_id,
                    interrupted: false,
                });
                self.feed(Input::Ask(Words::new(&text)));
            }
            ClientMessage::Control(Command::Pause) => self.feed(Input::Pause),
            ClientMessage::Control(Command::Resume) => self.feed(Input::Resume),
            ClientMessage::Control(Command::Stop) => {
                self.unfinished = Unfinished::default();
                self.feed(Input::Stop);
            }
            ClientMessage::Commit => {
                // What the caller is saying is said: its words are the turn.
                if self.uplink.close_speech() {
                    self.on_speech_end(self.clock.now());
                }
                self.feed(Input::Commit);
            }
            ClientMessage::Hangup => self.feed(Input::Hangup("completed".into())),
        }
    }

    pub(super) fn on_recognised(&mut self, result: Recognised) {
        match result {
            Recognised::Partial { utterance, text } => {
                self.tell_user_words(utterance, text.clone(), false);
                self.feed(Input::Partial(Words::new(&text)));
            }
            Recognised::Final { utterance, text } => {
                self.turn.recognised(self.clock.now());
                self.tell_user_words(utterance, text.clone(), true);
                self.feed(Input::Final(Words::new(&text)));
            }
            Recognised::Failed { error, .. } => {
                let code = match error {
                    Error::Unavailable(_) => ErrorCode::WorkerUnavailable,
                    Error::Refused(_) | Error::Failed(_) => ErrorCode::InternalError,
                };
                warn!(session = %self.admission.id, %error, "An utterance was not recognised.");
                self.tell_error(code, format!("you were not understood: {error}"));
                self.feed(Input::Final(Words::none()));
            }
        }
    }
}
