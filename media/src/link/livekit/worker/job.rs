//! Jobs: what they say, and how they go.

use livekit_protocol as proto;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// A whole room.
    Room,
    /// One who publishes in a room.
    Publisher,
    /// One who takes part in a room.
    Participant,
}

/// A room that wants the agent.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// Names it.
    pub id: String,
    /// The dispatch that it came from; empty for an automatic one.
    pub dispatch_id: String,
    /// The room's name.
    pub room: String,
    /// The room's id, which a later room of the same name does not have.
    pub room_sid: String,
    /// The agent that was asked for; empty for any.
    pub agent_name: String,
    /// What whoever asked for the agent says to it. Theirs alone: it is in no log.
    pub metadata: String,
    /// What it is for.
    pub kind: JobKind,
    /// The identity of the one whom it is for, if it is for one.
    pub participant: Option<String>,
    /// Whether another connection had it before.
    pub is_resuming: bool,
}

impl Job {
    /// `None` for a job that could not be answered or joined: one without an id or a room.
    pub(super) fn read(job: proto::Job, is_resuming: bool) -> Option<Self> {
        let kind = match job.r#type() {
            proto::JobType::JtRoom => JobKind::Room,
            proto::JobType::JtPublisher => JobKind::Publisher,
            proto::JobType::JtParticipant => JobKind::Participant,
        };
        let room = job.room?;
        if job.id.is_empty() || room.name.is_empty() {
            return None;
        }
        Some(Self {
            id: job.id,
            dispatch_id: job.dispatch_id,
            room: room.name,
            room_sid: room.sid,
            agent_name: job.agent_name,
            metadata: job.metadata,
            kind,
            participant: job.participant.map(|participant| participant.identity),
            is_resuming,
        })
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("room_sid", &self.room_sid)
            .field("metadata_bytes", &self.metadata.len())
            .finish_non_exhaustive()
    }
}

/// A job that is the worker's now.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Which.
    pub job: Job,
    /// Where the room is; none for the server that gave it.
    pub url: Option<String>,
    /// Lets the agent into the room.
    pub token: SecretString,
}

impl Assignment {
    pub(super) fn read(assignment: proto::JobAssignment) -> Option<Self> {
        Some(Self {
            job: Job::read(assignment.job?, false)?,
            url: assignment.url.filter(|url| !url.is_empty()),
            token: assignment.token.into(),
        })
    }
}

/// Who the agent would be in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Participant {
    /// Unique in the room.
    pub identity: String,
    /// What people see.
    pub name: String,
    /// What it says about itself from the first moment on.
    pub attributes: BTreeMap<String, String>,
}

/// How a job goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The agent is in the room.
    Running,
    /// The call was had.
    Succeeded,
    /// There was no call, or not as it should be.
    Failed(String),
}
