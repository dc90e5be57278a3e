//! Why a room could not be joined.

/// Why a room could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The address is not one of a LiveKit server.
    #[error("this is no LiveKit address: {0}")]
    Address(String),
    /// The server does not accept the token.
    #[error("the LiveKit server refuses the access token: {0}")]
    Unauthorized(String),
    /// The server could not be reached, or did not answer in time.
    #[error("the LiveKit server cannot be reached: {0}")]
    Unreachable(String),
    /// The server answered and refused for another reason.
    #[error("the LiveKit server does not let the agent in: {0}")]
    Refused(String),
    /// There is a room, but no media connection to it.
    #[error("no media connection to the room: {0}")]
    NoMedia(String),
}
