//! What the server says.

use super::mend::Mending;
use super::{DEAF_FOR, Participant};
use crate::link::Closed;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{
    DisconnectReason, LeaveRequest, MuteTrackRequest, ParticipantInfo, SessionDescription,
    SignalTarget, TrickleRequest, leave_request::Action,
};
use livekit_signaling::SignalEvent;
use serde::Deserialize;

/// A candidate as it is trickled.
#[derive(Deserialize)]
struct Candidate {
    #[serde(default)]
    candidate: String,
}

impl Participant {
    pub(super) fn on_signal(&mut self, event: Option<SignalEvent>) {
        match event {
            Some(SignalEvent::Message(message)) => self.on_response(*message),
            // While a connection is being mended, this is of the one that was just made.
            Some(SignalEvent::Close(_)) | None if self.mending.is_some() => {
                self.next_attempt(self.clock.now());
            }
            Some(SignalEvent::Close(_)) | None => self.lost("the signalling connection is lost"),
        }
    }

    fn on_response(&mut self, response: Response) {
        match response {
            Response::Offer(offer) => self.on_offer(offer),
            Response::Answer(answer) => {
                let now = self.clock.instant(self.clock.now());
                if let Err(error) = self.publisher.answered(now, answer.sdp) {
                    tracing::debug!(%error, "The server's answer cannot be used.");
                    self.rejoin();
                }
            }
            Response::Trickle(trickle) => self.on_candidate(&trickle),
            // After a resume the server begins with everybody who is there, ourselves among them.
            Response::Update(update)
                if self.expects_everybody
                    && update.participants.iter().any(|info| self.is_me(info)) =>
            {
                self.expects_everybody = false;
                let mut others = update.participants;
                others.retain(|info| !self.is_me(info));
                let before = self.crowd.present();
                let changes = self.crowd.resumed(&others);
                self.follow(changes, self.crowd.present() < before);
            }
            Response::Update(update) => {
                for info in update.participants {
                    self.on_participant(&info);
                }
            }
            Response::TrackPublished(published) => {
                self.track_sid = published.track.map(|track| track.sid);
            }
            Response::TrackSubscribed(subscribed)
                if self.track_sid.as_ref() == Some(&subscribed.track_sid) =>
            {
                self.is_heard();
            }
            Response::Mute(mute) => self.on_mute(mute),
            Response::Leave(leave) => self.on_leave(&leave),
            Response::RoomMoved(moved) => {
                if let Some(me) = moved.participant {
                    self.identity = me.identity;
                    self.sid = me.sid;
                }
                let before = self.crowd.present();
                let changes = self.crowd.rejoined(&moved.other_participants);
                self.follow(changes, self.crowd.present() < before);
            }
            Response::SubscriptionResponse(response) => {
                tracing::debug!(error = response.err, "A track cannot be heard.");
            }
            Response::RequestResponse(response) if response.reason != 0 => {
                tracing::debug!(
                    reason = response.reason,
                    "The server did not do what was asked."
                );
            }
            // Who is loud, how good lines are, what concerns video, and answers that are awaited elsewhere.
            _ => {}
        }
    }

    fn on_offer(&mut self, offer: SessionDescription) {
        let now = self.clock.instant(self.clock.now());
        match self.subscriber.answer(now, offer.sdp) {
            Ok(sdp) => {
                if !self.subscriber.is_connected() {
                    self.deaf_until.get_or_insert(self.clock.now() + DEAF_FOR);
                }
                self.signal.send(Request::Answer(SessionDescription {
                    r#type: "answer".to_owned(),
                    sdp,
                    id: offer.id,
                    ..SessionDescription::default()
                }));
            }
            Err(error) => {
                tracing::debug!(%error, "The server's offer cannot be used.");
                self.rejoin();
            }
        }
    }

    fn on_candidate(&mut self, trickle: &TrickleRequest) {
        let Ok(Candidate { candidate }) = serde_json::from_str(&trickle.candidate_init) else {
            return;
        };
        // Empty at their end; without UDP they are not for us.
        if candidate.is_empty() || !candidate.to_ascii_lowercase().contains(" udp ") {
            return;
        }
        let transport = match trickle.target() {
            SignalTarget::Publisher => &mut self.publisher,
            SignalTarget::Subscriber => &mut self.subscriber,
        };
        let route = transport.route_candidate(&candidate);
        transport.add_remote(candidate);
        if let Some(candidate) = route {
            let init =
                serde_json::json!({ "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0 });
            self.signal.send(Request::Trickle(TrickleRequest {
                candidate_init: init.to_string(),
                target: trickle.target,
                r#final: false,
            }));
        }
    }

    fn on_participant(&mut self, info: &ParticipantInfo) {
        if self.is_me(info) {
            return;
        }
        let before = self.crowd.present();
        let changes = self.crowd.update(info);
        let has_left = info.state() == State::Disconnected && self.crowd.present() < before;
        if has_left {
            self.streams.forget(&info.identity);
        }
        self.follow(changes, has_left);
    }

    /// Somebody with authority muted our track, or let it speak again; the server waits for our word.
    fn on_mute(&mut self, mute: MuteTrackRequest) {
        if self.track_sid.as_ref() == Some(&mute.sid) {
            self.is_muted = mute.muted;
            self.signal.send(Request::Mute(mute));
        }
    }

    fn on_leave(&mut self, leave: &LeaveRequest) {
        match leave.action() {
            Action::Resume => return self.lost("the server asks to come again"),
            Action::Reconnect => return self.rejoin(),
            Action::Disconnect => {}
        }
        match leave.reason() {
            DisconnectReason::DuplicateIdentity => self.end(Closed::Replaced),
            DisconnectReason::ParticipantRemoved => self.end(Closed::Removed),
            // The server has noticed first that everybody is gone.
            DisconnectReason::RoomClosed if self.is_deserted => self.end(Closed::ByCaller),
            DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed => {
                self.end(Closed::RoomClosed);
            }
            DisconnectReason::ClientInitiated => self.end(Closed::ByCaller),
            // A server that is going down, moves us, or has lost its place: another try is worth it.
            _ => self.rejoin(),
        }
    }

    /// The stay in the room is over for the server; it has to be begun anew.
    pub(super) fn rejoin(&mut self) {
        let Some(mending) = &mut self.mending else {
            return self.away(Mending::rejoin());
        };
        if !mending.begin_anew() {
            // The new stay is over already.
            self.next_attempt(self.clock.now());
        }
    }

    /// The connection broke; the server may still know us.
    pub(super) fn lost(&mut self, why: &str) {
        if self.mending.is_none() && self.last_words.is_none() {
            tracing::debug!(why, "The connection to a room is lost; it is being mended.");
            self.away(Mending::resume());
        }
    }
}
