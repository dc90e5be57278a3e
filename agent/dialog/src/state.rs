//! The six states of a dialog, each with the data that only it needs.

use crate::event::{EndReason, ReplyId};
use crate::policy::Kind;
use crate::time::SessionTime;
use crate::words::Words;
use std::fmt;
use std::time::Duration;

/// Who has the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody is connected yet.
    Idle,
    /// The user has the floor: speech is open, or the end of the turn is being waited for.
    Listening,
    /// The agent has the floor.
    Speaking {
        /// What it says.
        reply: Reply,
        /// How far it is.
        phase: Phase,
    },
    /// The agent's reply is on hold until it is clear who gets the floor.
    BargedIn {
        /// What is on hold.
        reply: Reply,
        /// What holds it.
        hold: Hold,
    },
    /// Nobody has the floor.
    WaitingForInput {
        /// Since when.
        since: SessionTime,
    },
    /// The call is over.
    Terminated {
        /// Why.
        reason: EndReason,
    },
}

/// Something that the agent says or is about to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its name.
    pub id: ReplyId,
    /// Why it is said.
    pub purpose: Purpose,
}

/// Why something is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To answer these words of the user.
    Answer(Words),
    /// To begin the call.
    Greeting,
    /// To find out whether anyone is there.
    Reprompt,
    /// Because an answer did not come in time.
    Apology,
    /// To end the call, for this reason.
    Goodbye(EndReason),
    /// Because a client asked for these words.
    Text(Words),
}

impl Purpose {
    /// The kind that a policy speaks of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Answer(_) | Self::Apology => Kind::Reply,
            Self::Greeting => Kind::Greeting,
            Self::Reprompt => Kind::Reprompt,
            Self::Goodbye(_) => Kind::Goodbye,
            Self::Text(_) => Kind::Text,
        }
    }
}

/// How far a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asked for; nothing of it has been heard.
    Preparing {
        /// Since when.
        since: SessionTime,
    },
    /// It sounds.
    Playing {
        /// Since when, or since when again.
        since: SessionTime,
    },
}

/// What holds a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Somebody is speaking.
    Overlap {
        /// Since when.
        since: SessionTime,
    },
    /// Somebody spoke, without a word so far.
    Quiet {
        /// Since when it is quiet.
        since: SessionTime,
        /// How long the speech, if it is still open, has overlapped with the reply before it paused.
        sounded: Duration,
    },
    /// The client's pause button, for as long as it likes.
    Button,
}

impl State {
    /// The state without its data.
    pub fn name(&self) -> StateName {
        match self {
            Self::Idle => StateName::Idle,
            Self::Listening => StateName::Listening,
            Self::Speaking {
                phase: Phase::Preparing { .. },
                ..
            } => StateName::SpeakingPreparing,
            Self::Speaking {
                phase: Phase::Playing { .. },
                ..
            } => StateName::SpeakingPlaying,
            Self::BargedIn { .. } => StateName::BargedIn,
            Self::WaitingForInput { .. } => StateName::WaitingForInput,
            Self::Terminated { .. } => StateName::Terminated,
        }
    }

    /// What is being prepared, spoken or held.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Speaking { reply, .. } | Self::BargedIn { reply, .. } => Some(reply),
            Self::Idle
            | Self::Listening
            | Self::WaitingForInput { .. }
            | Self::Terminated { .. } => None,
        }
    }

    /// The value of LiveKit's `lk.agent.state`.
    pub fn agent_state(&self) -> &'static str {
        self.name().agent_state()
    }
}

/// A state without its data, as a `state` line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateName {
    /// Nobody is connected yet.
    Idle,
    /// The user has the floor.
    Listening,
    /// A reply is being made; nothing of it has been heard.
    SpeakingPreparing,
    /// A reply sounds.
    SpeakingPlaying,
    /// A reply is on hold.
    BargedIn,
    /// Nobody has the floor.
    WaitingForInput,
    /// The call is over.
    Terminated,
}

impl StateName {
    /// Every state, in the order of a call.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Listening,
        Self::SpeakingPreparing,
        Self::SpeakingPlaying,
        Self::BargedIn,
        Self::WaitingForInput,
        Self::Terminated,
    ];

    /// The name of the state alone: one of six.
    pub fn state(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Listening => "Listening",
            Self::SpeakingPreparing | Self::SpeakingPlaying => "Speaking",
            Self::BargedIn => "BargedIn",
            Self::WaitingForInput => "WaitingForInput",
            Self::Terminated => "Terminated",
        }
    }

    /// `preparing` or `playing` while speaking.
    pub fn phase(self) -> Option<&'static str> {
        match self {
            Self::SpeakingPreparing => Some("preparing"),
            Self::SpeakingPlaying => Some("playing"),
            Self::Idle
            | Self::Listening
            | Self::BargedIn
            | Self::WaitingForInput
            | Self::Terminated => None,
        }
    }

    /// The value of LiveKit's `lk.agent.state`. It has no word for a call that is over; like one that has not begun, it
    /// is "initializing": not to be talked to.
    pub fn agent_state(self) -> &'static str {
        match self {
            Self::Idle | Self::Terminated => "initializing",
            Self::Listening | Self::WaitingForInput | Self::BargedIn => "listening",
            Self::SpeakingPreparing => "thinking",
            Self::SpeakingPlaying => "speaking",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase() {
            Some(phase) => write!(f, "{}({phase})", self.state()),
            None => f.write_str(self.state()),
        }
    }
}
