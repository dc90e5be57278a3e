//! What one caller saw of a call, with nanoseconds of the machine's monotonic clock, which server and callers share.

/// How long after its last word a caller's take may still be what the server stopped for.
pub const REACTION_NS: u64 = 500_000_000;

/// 20 ms of the server's voice as it came off the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// When.
    pub at: u64,
    /// Its place in the stream: counted by the sender where the transport numbers packets, by us otherwise.
    pub number: u64,
    /// Whether anything can be heard in it.
    pub sounds: bool,
}

/// What a decision of the server's means for its voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// The server's voice sounds from now on.
    Playing,
    /// The caller broke in: the voice stops.
    BargedIn,
    /// The server is silent for any other reason.
    Silent,
}

/// A decision of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// When the server took it, by its own word.
    pub at: u64,
    /// What it means.
    pub floor: Floor,
}

/// The caller said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// When its first audible sample was spoken: up to 20 ms before the frame that holds it was sent.
    pub onset: u64,
    /// When its last audible sample was sent; `u64::MAX` while it lasts.
    pub end: u64,
    /// Whether the server's voice sounded when it began.
    pub over_speech: bool,
}

/// How long the server says that an answer took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When it said so: when the answer began to sound.
    pub at: u64,
    /// From the caller's last word to the first sound.
    pub total_ms: Option<u64>,
    /// From the first clause's going to synthesis to its first sound.
    pub tts_ms: Option<u64>,
}

/// Everything that one caller saw.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// When it called.
    pub called_at: u64,
    /// The server's voice, in order of arrival.
    pub packets: Vec<Packet>,
    /// The server's decisions, in order.
    pub decisions: Vec<Decision>,
    /// The caller's own words, in order.
    pub takes: Vec<Take>,
    /// How long the answers took, in order.
    pub answers: Vec<Answer>,
    /// What the server said was wrong, as codes.
    pub errors: Vec<String>,
    /// Why the call ended before it was hung up, if it did.
    pub broke: Option<String>,
}

impl Take {
    /// Whether something that happened at `at` may be the server's answer to these words.
    pub fn covers(&self, at: u64) -> bool {
        (self.onset..=self.end.saturating_add(REACTION_NS)).contains(&at)
    }
}
