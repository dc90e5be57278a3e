//! What is being transcribed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// What is being transcribed, so that it can be cancelled by name.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    next: u64,
    running: HashMap<u64, Named>,
}

struct Named {
    request_id: String,
    session_id: String,
    token: CancellationToken,
}

impl Running {
    pub(super) fn begin(&self, request_id: &str, session_id: &str) -> Run {
        let token = CancellationToken::new();
        let named = Named {
            request_id: request_id.to_owned(),
            session_id: session_id.to_owned(),
            token: token.clone(),
        };
        let mut runs = self.lock();
        let number = runs.next;
        runs.next += 1;
        runs.running.insert(number, named);
        drop(runs);
        Run {
            number,
            token,
            running: self.clone(),
        }
    }

    /// Stops all that bears one of the names; whether there was any. An empty name is nobody's.
    pub(super) fn cancel(&self, request_id: &str, session_id: &str) -> bool {
        let is = |name: &str, asked: &str| !asked.is_empty() && name == asked;
        let mut found = false;
        for named in self.lock().running.values() {
            if is(&named.request_id, request_id) || is(&named.session_id, session_id) {
                named.token.cancel();
                found = true;
            }
        }
        found
    }

    pub(super) fn stop_all(&self) {
        self.lock()
            .running
            .values()
            .for_each(|named| named.token.cancel());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().running.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        // Every change is one step, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is being transcribed, until it is dropped.
pub(super) struct Run {
    number: u64,
    pub token: CancellationToken,
    running: Running,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.lock().running.remove(&self.number);
    }
}
