//! How we stand with the LiveKit server, said once and not at each try.

use tracing::{error, info, warn};

/// How we stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was tried yet.
    New,
    /// The server gives rooms.
    Registered,
    /// It cannot be reached.
    Unreachable,
    /// It does not take the key.
    WrongKey,
}

/// Says how we stand whenever that has changed.
#[derive(Debug)]
pub(super) struct Teller {
    server: String,
    standing: Standing,
}

impl Teller {
    /// For the server of that name.
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            standing: Standing::New,
        }
    }

    /// The server gives rooms now.
    pub(super) fn registered(&mut self, worker: &str, agent_name: &str) {
        if self.turn(Standing::Registered) {
            info!(server = %self.server, worker, agent_name, "Registered with the LiveKit server.");
        }
    }

    /// The server cannot be reached.
    pub(super) fn unreachable(&mut self, why: &str) {
        if self.turn(Standing::Unreachable) {
            warn!(server = %self.server, why, "Cannot reach the LiveKit server; trying on. Calls go on.");
        }
    }

    /// The server does not take the key.
    pub(super) fn wrong_key(&mut self) {
        if self.turn(Standing::WrongKey) {
            error!(
                server = %self.server,
                "The LiveKit server refuses the API key: set LIVEKIT_API_KEY and LIVEKIT_API_SECRET as it has them. Trying on, slowly."
            );
        }
    }

    fn turn(&mut self, standing: Standing) -> bool {
        std::mem::replace(&mut self.standing, standing) != standing
    }
}
