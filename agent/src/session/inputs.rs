//! What can happen to a call, made into inputs of its dialog.

use super::downlink::Happened;
use super::protocol::{self, ClientMessage, Command, ErrorCode, Role, ServerMessage};
use super::tell::Finality;
use super::uplink::Recognised;
use super::{Session, time, timings};
use crate::cluster::Error;
use crate::telemetry::metrics as names;
use dialog::{Input, ReplyId, Words};
use media::hear::SpeechEvent;
use media::link::{Closed, Inbound};
use tracing::{debug, warn};

impl Session {
    pub(super) fn on_tick(&mut self) {
        let happened = self.downlink.tick(self.clock.now());
        self.on_happened(happened);
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
            Some(Happened::Failed(reply, why)) => self.on_failed(reply, &why),
        }
    }

    pub(super) fn on_failed(&mut self, reply: ReplyId, why: &str) {
        warn!(session = %self.admission.id, %reply, why, "A reply broke off.");
        metrics::counter!(names::REPLIES_FAILED_TOTAL).increment(1);
        let heard = self.downlink.cancel();
        self.account(reply, heard);
        self.tell_error(
            ErrorCode::SynthesisFailed,
            format!("the reply could not be spoken: {why}"),
        );
        self.feed(Input::Failed(reply));
    }

    pub(super) fn on_inbound(&mut self, item: Option<Inbound>) {
        match item {
            Some(Inbound::Audio(frame)) => {
                let event = self.uplink.hear(&frame);
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
                    Some(SpeechEvent::End { last_ago }) => {
                        let last = now.saturating_sub(last_ago);
                        self.turn.speech_ended(last);
                        self.feed(Input::SpeechEnd { last: time(last) });
                    }
                }
            }
            Some(Inbound::Message(json)) => match ClientMessage::parse(&json) {
                Ok(message) => self.on_message(message),
                Err(why) => self.tell_error(ErrorCode::InvalidMessage, why),
            },
            Some(Inbound::Unsent { generation, frames }) => {
                self.downlink.unsent(generation, frames)
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
            ClientMessage::Text { text, is_final } => {
                self.unfinished_text.push_str(&text);
                if self.unfinished_text.len() > 4 * protocol::MAX_TEXT_CHARS {
                    self.unfinished_text.clear();
                    return self.tell_error(
                        ErrorCode::InvalidMessage,
                        "text: the utterance is too long".into(),
                    );
                }
                if is_final {
                    let text = std::mem::take(&mut self.unfinished_text);
                    if self.dialog.has_room() {
                        self.feed(Input::Speak(Words::new(&text)));
                    } else {
                        let why = format!(
                            "text: {} utterances wait already; wait for some to be spoken",
                            dialog::QUEUED_TEXTS
                        );
                        self.tell_error(ErrorCode::InvalidMessage, why);
                    }
                }
            }
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
            ClientMessage::Control(Command::Stop) => self.feed(Input::Stop),
            ClientMessage::Commit => self.feed(Input::Commit),
            ClientMessage::Hangup => self.feed(Input::Hangup("left".into())),
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
