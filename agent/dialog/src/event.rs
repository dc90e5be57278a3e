//! What the dialog is told and what it answers.

use crate::state::StateName;
use crate::time::SessionTime;
use crate::words::Words;
use std::fmt;

/// Names one thing that the agent says, from the moment it is asked for. Ids start at 1, only grow and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

impl fmt::Display for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How sure a turn model is, in thousandths, so that it reads the same in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Probability(u16);

impl Probability {
    /// From 0.0 to 1.0, rounded to thousandths; what lies outside is clamped and NaN is 0.
    pub fn new(probability: f64) -> Self {
        // A cast of a clamped number loses nothing, and NaN becomes 0.
        Self((probability.clamp(0.0, 1.0) * 1000.0).round() as u16)
    }

    /// Thousandths: 0 to 1000.
    pub const fn per_mille(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1000.0)
    }
}

/// Why a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// Nobody answered the re-prompts.
    Silence,
    /// Nothing happened at all for the idle time-out.
    IdleTimeout,
    /// The call reached its longest duration.
    DurationLimit,
    /// The call reached its number of user turns.
    MessageLimit,
    /// Somebody hung up; the text says who or why, in one or a few words.
    HungUp(String),
}

impl From<&str> for EndReason {
    fn from(text: &str) -> Self {
        match text {
            "silence" => Self::Silence,
            "idle-timeout" => Self::IdleTimeout,
            "duration-limit" => Self::DurationLimit,
            "message-limit" => Self::MessageLimit,
            other => Self::HungUp(other.to_owned()),
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "silence",
            Self::IdleTimeout => "idle-timeout",
            Self::DurationLimit => "duration-limit",
            Self::MessageLimit => "message-limit",
            Self::HungUp(reason) => reason,
        })
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The caller can hear and be heard.
    Connected,
    /// The ear noticed speech.
    SpeechStart {
        /// When the speech began; earlier than now by what the ear needed to be sure.
        onset: SessionTime,
    },
    /// The ear noticed that the speech is over.
    SpeechEnd {
        /// When the last of it was heard; earlier than now by the silence that the ear waited for.
        last: SessionTime,
    },
    /// The voice over a reply pauses, too shortly for the speech to be over.
    Lull {
        /// When the last of it was heard.
        last: SessionTime,
    },
    /// The voice that paused goes on.
    Voice {
        /// Since when it is heard again.
        onset: SessionTime,
    },
    /// What the recogniser believes so far.
    Partial(Words),
    /// What the recogniser settled on. Empty when there was speech but no word in it.
    Final(Words),
    /// The turn model's belief that the turn is complete.
    EndOfTurn(Probability),
    /// A typed question for the responder.
    Ask(Words),
    /// Words to be spoken as they stand.
    Speak(Words),
    /// The first frame of this reply is leaving.
    PlayoutStart(ReplyId),
    /// The last frame of this reply has been heard.
    PlayoutEnd(ReplyId),
    /// This reply cannot be made or cannot go on.
    Failed(ReplyId),
    /// The client's pause button.
    Pause,
    /// The client's resume button.
    Resume,
    /// The client's stop button.
    Stop,
    /// The turn ends here: the push-to-talk button was let go.
    Commit,
    /// The caller or the server ends the call.
    Hangup(EndReason),
    /// Time went by.
    Tick,
}

/// Something said that is no answer to a user turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saying {
    /// The first words of a call.
    Greeting,
    /// A question whether anyone is there.
    Reprompt,
    /// Words in the place of an answer that did not come in time.
    Apology,
    /// The last words of a call.
    Goodbye,
    /// A client's words, as they stand.
    Text(Words),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The dialog is now in this state.
    State(StateName),
    /// Answer the user's turn.
    Reply {
        /// The answer's name from now on.
        id: ReplyId,
        /// All the words of the turn.
        words: Words,
    },
    /// Say something that is no answer.
    Say {
        /// Its name from now on.
        id: ReplyId,
        /// What to say.
        saying: Saying,
    },
    /// Hold this reply: keep what is not yet heard.
    Pause(ReplyId),
    /// Go on with this reply where it was held.
    Resume(ReplyId),
    /// Nothing of this reply was heard in time: tell the caller. Its cancel follows.
    Late(ReplyId),
    /// End this reply and drop what is not yet heard.
    Cancel(ReplyId),
    /// Discard what the caller says (mute-on-speak).
    Mute,
    /// Hear the caller again.
    Unmute,
    /// The call is over.
    End(EndReason),
}

/// An output and the moment it belongs to: that of its input or of its deadline, however late the wall's clock was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// When.
    pub at: SessionTime,
    /// What.
    pub output: Output,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_makes_a_probability() {
        for (number, text) in [
            (0.85, "0.85"),
            (f64::NAN, "0"),
            (-1.0, "0"),
            (7.0, "1"),
            (0.0049, "0.005"),
        ] {
            assert_eq!(Probability::new(number).to_string(), text);
        }
    }
}
