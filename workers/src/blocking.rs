//! Work that takes long, on a named thread, away from those that carry calls.

use std::thread;
use tokio::sync::oneshot;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There can be no more threads.
    #[error("cannot start the thread {name:?}: {source}")]
    Start {
        /// What it was to be called.
        name: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// It panicked.
    #[error("the thread {0:?} ended without a result")]
    Ended(&'static str),
}

/// Does `work` on a thread of its own and waits for the result. If nobody waits any more, the work is done all the same.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || drop(tell.send(work())))
        .map_err(|source| Error::Start { name, source })?;
    told.await.map_err(|_| Error::Ended(name))
}
