//! What can happen to a call, made into inputs of its dialog.

use super::downlink::Happened;
use super::protocol::{ClientMessage, Command, ErrorCode, ServerMessage, check_chat};
use super::tell::Finality;
use super::texts::Unfinished;
use super::{Session, timings};
use crate::cluster::Error;
use crate::telemetry::metrics as names;
use dialog::{Input, ReplyId, Words};
use media::link::{Closed, Inbound, Speaker};
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
            Some(Happened::FirstSound) => {
                self.turn.first_sound(now);
                self.hold_while_away();
            }
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
            Error::Unavailable(_) | Error::Full(_) => ErrorCode::WorkerUnavailable,
            Error::Refused(_) | Error::Failed(_) => ErrorCode::SynthesisFailed,
        };
        self.tell_error(code, format!("the reply could not be spoken: {error}"));
        self.feed(Input::Failed(reply));
    }

    pub(super) fn on_inbound(&mut self, item: Option<Inbound>) {
        match item {
            Some(Inbound::Audio { speaker, frame }) => self.on_sound(speaker, &frame),
            Some(Inbound::Recorded { speaker, frames }) => self.on_recording(speaker, &frames),
            Some(Inbound::Joined { speaker, person }) => self.people.joined(speaker, &person),
            Some(Inbound::Left { speaker }) => self.on_left(speaker),
            Some(Inbound::Chat { speaker, text }) => {
                self.addressee = Some(speaker);
                self.on_chat(speaker, text);
                self.addressee = None;
            }
            Some(Inbound::Control { speaker, message }) => {
                self.addressee = Some(speaker);
                self.on_json(&message);
                self.addressee = None;
            }
            Some(Inbound::Away) => self.on_away(),
            Some(Inbound::Back) => self.on_back(),
            Some(Inbound::Message(json)) => self.on_json(&json),
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
        if let Closed::Failed(error) = closed {
            debug!(session = %self.admission.id, error, "The connection broke.");
        }
        self.feed(Input::Hangup(closed.reason().into()));
    }

    fn on_json(&mut self, json: &str) {
        match ClientMessage::parse(json) {
            Ok(message) => self.on_message(message),
            Err(why) => self.tell_error(ErrorCode::InvalidMessage, why),
        }
    }

    pub(super) fn on_message(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::Text { text, is_final } => self.on_text(&text, is_final),
            ClientMessage::Ask(text) => self.on_ask(self.addressee, &text),
            ClientMessage::Control(Command::Pause) => self.feed(Input::Pause),
            ClientMessage::Control(Command::Resume) => self.feed(Input::Resume),
            ClientMessage::Control(Command::Stop) => {
                self.unfinished = Unfinished::default();
                self.feed(Input::Stop);
            }
            ClientMessage::Commit => {
                self.close_speech();
                self.committed = true;
                self.feed(Input::Commit);
            }
            ClientMessage::Hangup => self.feed(Input::Hangup("completed".into())),
        }
    }

    /// Somebody wrote into the room's chat.
    fn on_chat(&mut self, speaker: Speaker, text: String) {
        match check_chat(&text) {
            // The room has seen it: a caption of it would stand there twice.
            Ok(()) => self.answer_typed(Some(speaker), &text),
            Err(why) => self.tell_error(ErrorCode::InvalidMessage, why),
        }
    }

    fn on_ask(&mut self, speaker: Option<Speaker>, text: &str) {
        self.tell_typed(speaker, text.to_owned());
        self.answer_typed(speaker, text);
    }

    fn answer_typed(&mut self, speaker: Option<Speaker>, text: &str) {
        self.turn.asked(self.clock.now());
        let name = speaker.and_then(|speaker| self.people.name(speaker));
        let words = self.said_by(name.as_ref(), Words::new(text));
        self.feed(Input::Ask(words));
    }
}
