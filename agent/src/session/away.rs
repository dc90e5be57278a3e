//! The connection is lost for a while: nothing is said into the void, and what was being said goes on where it stopped.
//!
//! A reply that sounds is held as by the client's pause button, which has no timer. A reply that is still being made is
//! withheld by the pacer; with its first sound it counts as begun and held, so that it cannot be late. What a client had
//! paused before stays paused.

use super::Session;
use dialog::{Hold, Input, Phase, State};

/// Whether the link carries sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It does.
    Here,
    /// It does not.
    Away {
        /// Whether it was for that reason that something is held.
        holding: bool,
    },
}

impl Session {
    pub(super) fn on_away(&mut self) {
        if self.presence == Presence::Here {
            self.presence = Presence::Away { holding: false };
            self.withhold_while_away();
            self.hold_while_away();
        }
    }

    pub(super) fn on_back(&mut self) {
        let was = std::mem::replace(&mut self.presence, Presence::Here);
        if was == (Presence::Away { holding: true }) {
            self.feed(Input::Resume);
        }
        if was != Presence::Here
            && let State::Speaking {
                phase: Phase::Preparing { .. },
                ..
            } = self.dialog.state()
        {
            self.downlink.release();
        }
    }

    /// What has not begun to be heard does not begin while nobody can hear it.
    pub(super) fn withhold_while_away(&mut self) {
        if self.presence != Presence::Here {
            self.downlink.withhold();
        }
    }

    /// Holds what would sound now if somebody could hear it.
    pub(super) fn hold_while_away(&mut self) {
        if self.presence == Presence::Here {
            return;
        }
        match self.dialog.state() {
            State::Speaking {
                reply,
                phase: Phase::Preparing { .. },
            } if self.downlink.has_sound() => {
                let reply = reply.id;
                self.feed(Input::PlayoutStart(reply));
            }
            State::Speaking {
                phase: Phase::Playing { .. },
                ..
            }
            | State::BargedIn {
                hold: Hold::Overlap { .. } | Hold::Quiet { .. },
                ..
            } => {}
            State::Speaking {
                phase: Phase::Preparing { .. },
                ..
            }
            | State::BargedIn {
                hold: Hold::Button, ..
            }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => return,
        }
        self.feed(Input::Pause);
        self.presence = Presence::Away { holding: true };
    }
}
