//! Who is in the room: whose tracks are heard, and whether anybody hears us.

use super::{HEARD_AFTER, Participant, SETTLED_AFTER};
use crate::link::Inbound;
use crate::link::livekit::Role;
use crate::link::livekit::crowd::Change;
use crate::link::livekit::room::Phase;
use livekit_protocol::UpdateSubscription;
use livekit_protocol::signal_request::Message as Request;

impl Participant {
    /// Does what changes in the room ask for. `has_left` tells that somebody has just left.
    pub(super) fn follow(&mut self, changes: Vec<Change>, has_left: bool) {
        let now = self.clock.now();
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Joined(speaker, person) => {
                    self.joined_at = now;
                    self.again_at = Some(now + SETTLED_AFTER);
                    self.held.push_back(Inbound::Joined { speaker, person });
                }
                Change::Left(speaker) => self.held.push_back(Inbound::Left { speaker }),
                Change::Wanted {
                    track,
                    speaker,
                    recorded,
                } => match self.hearing.add(now, track.clone(), speaker, recorded) {
                    Ok(true) => wanted.push(track),
                    Ok(false) => {
                        // Looked at again with the next news of its owner.
                        self.crowd.forget_track(&track);
                        tracing::debug!("Too many tracks are heard already.");
                    }
                    Err(error) => tracing::warn!(%error, "A track cannot be decoded."),
                },
                Change::Unwanted(track) => {
                    self.hearing.remove(&track);
                    unwanted.push(track);
                }
            }
        }
        self.subscribe(unwanted, false);
        self.subscribe(wanted, true);
        let is_alone = self.crowd.present() == 0;
        if !is_alone {
            self.alone_until = None;
            self.is_deserted = false;
            if matches!(*self.phase.borrow(), Phase::Joined) {
                self.heard_at.get_or_insert(now + HEARD_AFTER);
            }
        } else if has_left && self.settings.role == Role::Agent {
            self.heard_at = None;
            self.is_deserted = true;
            self.alone_until = Some(now + self.settings.stay);
        }
        self.tell_presence();
        if !self.early.is_empty() {
            self.take_early();
        }
    }

    /// Tells the session when nobody hears it any more, and when somebody does again.
    pub(super) fn tell_presence(&mut self) {
        let is_away = self.is_deserted || self.mending.is_some();
        if std::mem::replace(&mut self.is_away, is_away) != is_away {
            self.held.push_back(match is_away {
                true => Inbound::Away,
                false => Inbound::Back,
            });
        }
    }

    fn subscribe(&self, track_sids: Vec<String>, subscribe: bool) {
        if track_sids.is_empty() {
            return;
        }
        self.signal.send(Request::Subscription(UpdateSubscription {
            track_sids,
            subscribe,
            ..UpdateSubscription::default()
        }));
    }

    pub(super) fn is_heard(&mut self) {
        self.heard_at = None;
        self.heard_since.get_or_insert(self.clock.now());
        self.preroll.stop();
        self.phase.send_if_modified(|phase| {
            let is_first = matches!(phase, Phase::Joined);
            if is_first {
                *phase = Phase::Heard;
            }
            is_first
        });
    }
}
