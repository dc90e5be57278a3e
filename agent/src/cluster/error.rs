//! What can go wrong between a call and its worker.

use tonic::{Code, Status};

/// What can go wrong between a call and its worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No worker, or none with a free slot.
    #[error("no worker is available: {0}")]
    Unavailable(String),
    /// A worker has no free slot, and is well.
    #[error("no worker is available: {0}")]
    Full(String),
    /// The worker refused what was asked of it.
    #[error("{0}")]
    Refused(String),
    /// The worker failed.
    #[error("the worker failed: {0}")]
    Failed(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => Self::Unavailable(message),
            Code::ResourceExhausted => Self::Full(message),
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => {
                Self::Refused(message)
            }
            _ => Self::Failed(message),
        }
    }
}

/// What a worker's answer says about the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// It is well, and full: another may have a place.
    Busy,
    /// It is well, and what was asked for is wrong, or it has lost a session that it was to know.
    Asker,
    /// It is not well.
    Worker,
}

/// Whether an answer, even a refusal, shows that somebody is there.
pub(super) fn is_sign_of_life<T>(answer: &Result<T, Status>) -> bool {
    answer.as_ref().err().is_none_or(|status| {
        !matches!(
            status.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Internal
                | Code::Cancelled
                | Code::DeadlineExceeded
        )
    })
}

/// Whose fault an error is.
pub(super) fn blame(status: &Status) -> Blame {
    match status.code() {
        Code::ResourceExhausted => Blame::Busy,
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::OutOfRange => {
            Blame::Asker
        }
        _ => Blame::Worker,
    }
}
