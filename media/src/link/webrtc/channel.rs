//! Our messages to the caller, kept until the data channel is open and while the caller does not take them.

use super::connection::{ChannelId, Connection};
use std::collections::VecDeque;
use std::time::Instant;

/// The data channel that carries our messages; the label chooses the dialect.
pub const LABEL: &str = "parlor";
/// Reserved for OpenAI's protocol, which is not spoken here: it is closed without a word.
pub const RESERVED_LABEL: &str = "oai-events";

/// Messages that wait for a channel. A page opens it with the call; one that never does loses the oldest.
const WAITING: usize = 256;
/// Bytes given to the stack that the caller has not confirmed, before more wait here.
const UNCONFIRMED_BYTES: usize = 64 * 1024;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// It is sent or waits.
    Kept,
    /// Too many wait while the channel is open: the caller has stopped reading.
    TooSlow,
}

/// The queue in front of the data channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    open: Option<ChannelId>,
    waiting: VecDeque<String>,
    dropped: u64,
}

impl Channel {
    /// The channel in use.
    pub(super) fn open(&self) -> Option<ChannelId> {
        self.open
    }

    /// From now on messages go over `channel`.
    pub(super) fn opened(&mut self, channel: ChannelId) {
        self.open = Some(channel);
    }

    /// `channel` is gone.
    pub(super) fn closed(&mut self, channel: ChannelId) {
        if self.open == Some(channel) {
            self.open = None;
        }
    }

    /// Messages dropped because no channel was open.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a message for the caller.
    pub(super) fn push(&mut self, message: String) -> Queued {
        if self.waiting.len() >= WAITING {
            if self.open.is_some() {
                return Queued::TooSlow;
            }
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(message);
        Queued::Kept
    }

    /// Whether everything was sent and confirmed, or cannot be.
    pub(super) fn is_done(&self, connection: &mut Connection) -> bool {
        self.open
            .is_none_or(|open| self.waiting.is_empty() && connection.unconfirmed_bytes(open) == 0)
    }

    /// Gives the stack what may go now.
    pub(super) fn flush(&mut self, now: Instant, connection: &mut Connection) {
        let Some(open) = self.open else {
            return;
        };
        while !self.waiting.is_empty() && connection.unconfirmed_bytes(open) < UNCONFIRMED_BYTES {
            let Some(message) = self.waiting.pop_front() else {
                return;
            };
            if let Err(error) = connection.send_text(now, open, message) {
                tracing::debug!(%error, "A message was not taken by the data channel.");
                self.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_channel_the_oldest_messages_are_lost_and_with_one_the_caller_is_too_slow() {
        let mut channel = Channel::default();
        for n in 0..WAITING + 3 {
            assert_eq!(channel.push(n.to_string()), Queued::Kept);
        }
        assert_eq!(channel.dropped(), 3);
        assert_eq!(channel.waiting.front().map(String::as_str), Some("3"));
        channel.opened(1);
        assert_eq!(channel.push("more".to_owned()), Queued::TooSlow);
        channel.closed(2);
        assert_eq!(channel.open(), Some(1));
        channel.closed(1);
        assert_eq!(channel.push("more".to_owned()), Queued::Kept);
    }
}
