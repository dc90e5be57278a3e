//! What the worker says, as it is written on the wire.

use super::{Outcome, Participant, Status, Taking};
use bytes::Bytes;
use livekit_protocol as proto;
use prost::Message as _;
use proto::worker_message::Message;
use std::time::Duration;

/// Makes the worker known.
pub(super) fn register(agent_name: &str, version: &str, ping_every: Duration) -> Bytes {
    encode(Message::Register(proto::RegisterWorkerRequest {
        r#type: proto::JobType::JtRoom.into(),
        agent_name: agent_name.to_owned(),
        version: version.to_owned(),
        ping_interval: u32::try_from(ping_every.as_secs()).unwrap_or(u32::MAX),
        allowed_permissions: Some(permissions()),
        ..Default::default()
    }))
}

/// What tokens of this worker's jobs allow: to hear everyone, to speak, and to tell about itself.
fn permissions() -> proto::ParticipantPermission {
    proto::ParticipantPermission {
        can_subscribe: true,
        can_publish: true,
        can_publish_data: true,
        can_publish_sources: vec![proto::TrackSource::Microphone.into()],
        can_update_metadata: true,
        ..Default::default()
    }
}

/// Would take a job.
pub(super) fn accept(job: &str, participant: &Participant) -> Bytes {
    encode(Message::Availability(proto::AvailabilityResponse {
        job_id: job.to_owned(),
        available: true,
        supports_resume: true,
        participant_identity: participant.identity.clone(),
        participant_name: participant.name.clone(),
        participant_attributes: participant.attributes.clone().into_iter().collect(),
        ..Default::default()
    }))
}

/// Would not take a job.
pub(super) fn decline(job: &str) -> Bytes {
    encode(Message::Availability(proto::AvailabilityResponse {
        job_id: job.to_owned(),
        ..Default::default()
    }))
}

/// How a job goes.
pub(super) fn update_job(job: &str, outcome: &Outcome) -> Bytes {
    let (status, error) = match outcome {
        Outcome::Running => (proto::JobStatus::JsRunning, ""),
        Outcome::Succeeded => (proto::JobStatus::JsSuccess, ""),
        Outcome::Failed(why) => (proto::JobStatus::JsFailed, why.as_str()),
    };
    encode(Message::UpdateJob(proto::UpdateJobStatus {
        job_id: job.to_owned(),
        status: status.into(),
        error: error.to_owned(),
    }))
}

/// How busy the worker is; `sequence` grows, so that an older word cannot undo a newer one.
pub(super) fn status(status: &Status, sequence: u64) -> Bytes {
    let available = match status.taking {
        Taking::Jobs => proto::WorkerStatus::WsAvailable,
        Taking::Nothing | Taking::NoMore => proto::WorkerStatus::WsFull,
    };
    encode(Message::UpdateWorker(proto::UpdateWorkerStatus {
        status: Some(available.into()),
        load: status.load,
        job_count: status.jobs,
        draining: status.taking == Taking::NoMore,
        seq: sequence,
    }))
}

/// Asks for a sign of life; the server says the time back.
pub(super) fn ping(now: Duration) -> Bytes {
    encode(Message::Ping(proto::WorkerPing {
        timestamp: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    }))
}

fn encode(message: Message) -> Bytes {
    let message = proto::WorkerMessage {
        message: Some(message),
    };
    message.encode_to_vec().into()
}
