//! Writes inputs, outputs and whole calls as text.

use super::{CallFile, Event, Line, VERSION};
use crate::event::{Input, Output, Saying};
use std::fmt;

impl fmt::Display for CallFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "call {VERSION}")?;
        for (key, value) in self.policy.differences() {
            writeln!(f, "policy {key}={value}")?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} {}", self.at.as_ms(), self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(input) => write!(f, "< {input}"),
            Self::Output(output) => write!(f, "> {output}"),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::SpeechStart { onset } => write!(f, "speech-start {onset}"),
            Self::SpeechEnd { last } => write!(f, "speech-end {last}"),
            Self::Lull { last } => write!(f, "lull {last}"),
            Self::Voice { onset } => write!(f, "voice {onset}"),
            Self::Partial(words) => write!(f, "partial{}", Text(words)),
            Self::Final(words) => write!(f, "final{}", Text(words)),
            Self::EndOfTurn(complete) => write!(f, "end-of-turn {complete}"),
            Self::Ask(words) => write!(f, "ask{}", Text(words)),
            Self::Speak(words) => write!(f, "speak{}", Text(words)),
            Self::PlayoutStart(id) => write!(f, "playout-start {id}"),
            Self::PlayoutEnd(id) => write!(f, "playout-end {id}"),
            Self::Failed(id) => write!(f, "failed {id}"),
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Stop => f.write_str("stop"),
            Self::Commit => f.write_str("commit"),
            Self::Hangup(reason) => write!(f, "hangup{}", Text(reason)),
            Self::Tick => f.write_str("tick"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(name) => write!(f, "state {name}"),
            Self::Reply { id, words } => write!(f, "reply {id}{}", Text(words)),
            Self::Say {
                id,
                saying: Saying::Greeting,
            } => write!(f, "say greeting {id}"),
            Self::Say {
                id,
                saying: Saying::Reprompt,
            } => write!(f, "say reprompt {id}"),
            Self::Say {
                id,
                saying: Saying::Apology,
            } => write!(f, "say apology {id}"),
            Self::Say {
                id,
                saying: Saying::Goodbye,
            } => write!(f, "say goodbye {id}"),
            Self::Say {
                id,
                saying: Saying::Text(words),
            } => write!(f, "say text {id}{}", Text(words)),
            Self::Pause(id) => write!(f, "pause {id}"),
            Self::Resume(id) => write!(f, "resume {id}"),
            Self::Late(id) => write!(f, "late {id}"),
            Self::Cancel(id) => write!(f, "cancel {id}"),
            Self::Mute => f.write_str("mute"),
            Self::Unmute => f.write_str("unmute"),
            Self::End(reason) => write!(f, "end{}", Text(reason)),
        }
    }
}

impl Event {
    /// The same event with only counts and classes of words.
    #[must_use]
    pub fn redacted(self) -> Self {
        match self {
            Self::Input(input) => Self::Input(input.redacted()),
            Self::Output(output) => Self::Output(output.redacted()),
        }
    }
}

impl Input {
    /// The same input with only counts and classes of words.
    #[must_use]
    pub fn redacted(self) -> Self {
        match self {
            Self::Partial(words) => Self::Partial(words.redacted()),
            Self::Final(words) => Self::Final(words.redacted()),
            Self::Ask(words) => Self::Ask(words.redacted()),
            Self::Speak(words) => Self::Speak(words.redacted()),
            Self::Connected
            | Self::SpeechStart { .. }
            | Self::SpeechEnd { .. }
            | Self::Lull { .. }
            | Self::Voice { .. }
            | Self::EndOfTurn(_)
            | Self::PlayoutStart(_)
            | Self::PlayoutEnd(_)
            | Self::Failed(_)
            | Self::Pause
            | Self::Resume
            | Self::Stop
            | Self::Commit
            | Self::Hangup(_)
            | Self::Tick => self,
        }
    }
}

impl Output {
    /// The same output with only counts and classes of words.
    #[must_use]
    pub fn redacted(self) -> Self {
        match self {
            Self::Reply { id, words } => Self::Reply {
                id,
                words: words.redacted(),
            },
            Self::Say {
                id,
                saying: Saying::Text(words),
            } => Self::Say {
                id,
                saying: Saying::Text(words.redacted()),
            },
            Self::Say {
                saying: Saying::Greeting | Saying::Reprompt | Saying::Apology | Saying::Goodbye,
                ..
            }
            | Self::State(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Late(_)
            | Self::Cancel(_)
            | Self::Mute
            | Self::Unmute
            | Self::End(_) => self,
        }
    }
}

/// Text at the end of a line, with the blank before it, on one line and with nothing that reads as a comment.
struct Text<T>(T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let words = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty());
        for word in words {
            let escape = if word.starts_with(['#', '\\']) {
                "\\"
            } else {
                ""
            };
            write!(f, " {escape}{word}")?;
        }
        Ok(())
    }
}

/// What [`Text`] wrote, read back.
pub(super) fn unescape(text: &str) -> String {
    let words: Vec<_> = text
        .split_whitespace()
        .map(|word| word.strip_prefix('\\').unwrap_or(word))
        .collect();
    words.join(" ")
}
