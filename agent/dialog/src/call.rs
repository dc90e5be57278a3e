//! A call as a text file: what happened, what was answered, and when.
//!
//! ```text
//! call 1
//! policy resume_after_ms=1500
//!   3100 < playout-start 1
//!   3100 > state Speaking(playing)
//!   5060 < speech-start 5000       # a comment
//!   5060 > pause 1
//! ```
//!
//! The first line is `call 1`. Then `policy key=value` for every setting that differs from its default. Then one line
//! for each input (`<`) and output (`>`) with its time in milliseconds, never earlier than the line before. `#` at the
//! start of a line or after a blank starts a comment; a word that begins with `#` or `\` is written with a `\` before it.
//!
//! | inputs | outputs |
//! |---|---|
//! | `connected`, `tick` | `state S` |
//! | `speech-start ONSET_MS`, `speech-end LAST_MS` | `reply N TEXT` |
//! | `partial TEXT`, `final TEXT`, `end-of-turn P` | `say greeting\|reprompt\|goodbye N`, `say text N TEXT` |
//! | `ask TEXT`, `speak TEXT` | `pause N`, `resume N`, `cancel N` |
//! | `playout-start N`, `playout-end N`, `failed N` | `mute`, `unmute` |
//! | `pause`, `resume`, `stop`, `commit`, `hangup REASON` | `end REASON` |
//!
//! A tick does only what time demands, so no file needs one. TEXT may be `«4 words»` or `«1 word, backchannel»`: see
//! [`Words`](crate::Words).

mod parse;
mod print;
mod record;
mod replay;

pub use parse::ParseError;
pub use record::Recorder;
pub use replay::{Difference, replay};

use crate::event::{Input, Output};
use crate::policy::Policy;
use crate::time::SessionTime;

/// The version of the grammar. It grows by need; the number rises when an old file would read differently.
pub const VERSION: u32 = 1;

/// A whole call. `Display` writes it as a file, without the comments it may have had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFile {
    /// The settings of the call.
    pub policy: Policy,
    /// What happened and what was answered, in order.
    pub lines: Vec<Line>,
}

/// One line of a call. `Display` writes it as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1; 0 if it comes from no file.
    pub number: usize,
    /// When.
    pub at: SessionTime,
    /// What.
    pub event: Event,
}

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `<`: what happened.
    Input(Input),
    /// `>`: what the dialog answered.
    Output(Output),
}

/// How much of what was said a recording keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redaction {
    /// Only counts and classes of words; the call replays the same.
    #[default]
    CountsOnly,
    /// Every word.
    KeepWords,
}

impl CallFile {
    /// Reads a call.
    ///
    /// # Errors
    /// [`ParseError`] with the first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::call(text)
    }

    /// The same call with only counts and classes of words.
    #[must_use]
    pub fn redacted(self) -> Self {
        let lines = self
            .lines
            .into_iter()
            .map(|line| Line {
                event: line.event.redacted(),
                ..line
            })
            .collect();
        Self { lines, ..self }
    }
}
