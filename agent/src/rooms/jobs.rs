//! The jobs of this program: places that are kept for some, and rooms that are carried.

use crate::sessions::Admission;
use media::link::livekit::worker::Outcome;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How calls went that ended while no server listened; one that comes back after more has forgotten the oldest.
const UNSAID: usize = 64;

/// A place that is kept until the job comes.
#[derive(Debug)]
struct Reserved {
    admission: Admission,
    until: Duration,
}

/// A room that is carried.
#[derive(Debug)]
struct Going {
    room: String,
    hangup: CancellationToken,
    is_running: bool,
}

/// The jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    reserved: HashMap<String, Reserved>,
    going: HashMap<String, Going>,
    unsaid: VecDeque<(String, Outcome)>,
}

impl Jobs {
    /// Keeps a place for a job.
    pub(super) fn reserve(&mut self, job: &str, admission: Admission, until: Duration) {
        let reserved = Reserved { admission, until };
        self.reserved.insert(job.to_owned(), reserved);
    }

    /// Whether a place is kept for a job already.
    pub(super) fn is_reserved(&self, job: &str) -> bool {
        self.reserved.contains_key(job)
    }

    /// The place that was kept for a job.
    pub(super) fn claim(&mut self, job: &str) -> Option<Admission> {
        self.reserved.remove(job).map(|reserved| reserved.admission)
    }

    /// Frees the places whose jobs have not come by `now`.
    pub(super) fn expire(&mut self, now: Duration) {
        self.reserved.retain(|_, reserved| now < reserved.until);
    }

    /// Keeps no place for longer than `until`.
    pub(super) fn hurry(&mut self, until: Duration) {
        for reserved in self.reserved.values_mut() {
            reserved.until = reserved.until.min(until);
        }
    }

    /// Frees all places that are kept: nobody will bring those jobs.
    pub(super) fn forget_reserved(&mut self) {
        self.reserved.clear();
    }

    /// When the next place is to be freed.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.reserved.values().map(|reserved| reserved.until).min()
    }

    /// A job in the room of this name is carried from now on; `hangup` ends it.
    pub(super) fn begin(&mut self, job: &str, room: &str, hangup: CancellationToken) {
        let going = Going {
            room: room.to_owned(),
            hangup,
            is_running: false,
        };
        self.going.insert(job.to_owned(), going);
    }

    /// The agent is in the room.
    pub(super) fn running(&mut self, job: &str) {
        if let Some(going) = self.going.get_mut(job) {
            going.is_running = true;
        }
    }

    /// Whether a job is carried.
    pub(super) fn is_going(&self, job: &str) -> bool {
        self.going.contains_key(job)
    }

    /// Whether the agent is in the room of a job.
    pub(super) fn is_running(&self, job: &str) -> bool {
        self.going.get(job).is_some_and(|going| going.is_running)
    }

    /// Whether the agent is in a room of this name already.
    pub(super) fn is_in(&self, room: &str) -> bool {
        self.going
            .values()
            .any(|going| going.room == room && !going.hangup.is_cancelled())
    }

    /// The jobs in whose rooms the agent is.
    pub(super) fn all_running(&self) -> impl Iterator<Item = &str> {
        self.going
            .iter()
            .filter(|(_, going)| going.is_running)
            .map(|(job, _)| job.as_str())
    }

    /// How many are carried.
    pub(super) fn len(&self) -> usize {
        self.going.len()
    }

    /// Ends a job: hangs up, or frees its place.
    pub(super) fn end(&mut self, job: &str) {
        self.reserved.remove(job);
        if let Some(going) = self.going.get(job) {
            going.hangup.cancel();
        }
    }

    /// A job is over.
    pub(super) fn over(&mut self, job: &str) {
        self.going.remove(job);
    }

    /// Remembers how a job went until a server listens.
    pub(super) fn unsaid(&mut self, job: String, outcome: Outcome) {
        if self.unsaid.len() >= UNSAID {
            self.unsaid.pop_front();
        }
        self.unsaid.push_back((job, outcome));
    }

    /// How jobs went that no server was told of yet.
    pub(super) fn take_unsaid(&mut self) -> VecDeque<(String, Outcome)> {
        std::mem::take(&mut self.unsaid)
    }
}
