//! How a call came to its end, and what the program says about it with its exit code.

use super::Failure;
use anyhow::anyhow;

/// Ends that belong to every call; any other reason is a server that broke the call off.
const ORDERLY: [&str; 4] = ["silence", "idle-timeout", "duration-limit", "message-limit"];

/// How a call came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// We hung up: `completed`, `timeout` or `quit`.
    HungUp(&'static str),
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The server ended the call as its settings want it, and all had been said.
    Limit(String),
    /// The server ended the call before we were through.
    BrokenOff(String),
    /// The server did not take the call, with its words.
    Refused(String),
    /// The connection went in mid-call.
    Lost(String),
}

impl Ending {
    /// The server's last message; `unsaid` when some of the file was still to be played.
    pub fn by_server(reason: String, unsaid: bool) -> Self {
        if !unsaid && ORDERLY.contains(&reason.as_str()) {
            Self::Limit(reason)
        } else {
            Self::BrokenOff(reason)
        }
    }

    /// One word or two for the `end` event.
    pub fn reason(&self) -> &str {
        match self {
            Self::HungUp(reason) => reason,
            Self::Interrupted => "interrupted",
            Self::Limit(reason) | Self::BrokenOff(reason) => reason,
            Self::Refused(_) => "refused",
            Self::Lost(_) => "connection-lost",
        }
    }

    /// What the exit code has to say; none when the call went as it should.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::HungUp(_) | Self::Limit(_) => None,
            Self::Interrupted => Some(Failure::Interrupted),
            Self::BrokenOff(reason) => Some(Failure::Failed(anyhow!(
                "the server ended the call in the middle of it: {reason}"
            ))),
            Self::Refused(why) => Some(Failure::Unreachable(anyhow!(
                "the server did not take the call: {why}"
            ))),
            Self::Lost(why) => Some(Failure::Failed(anyhow!(
                "the connection was lost in the middle of the call: {why}; does the server still run?"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_breaks_off_is_a_failure() {
        let after_all = Ending::by_server("idle-timeout".into(), false);
        assert!(after_all.failure().is_none());
        for broken in [
            Ending::by_server("idle-timeout".into(), true),
            Ending::by_server("hung-up".into(), false),
            Ending::Lost("reset".into()),
        ] {
            assert!(
                matches!(broken.failure(), Some(Failure::Failed(_))),
                "{broken:?}"
            );
        }
        assert!(Ending::HungUp("quit").failure().is_none());
    }
}
