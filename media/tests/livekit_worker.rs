//! The agent worker's protocol against a LiveKit server that is played by the test, message by message.
#![cfg(feature = "livekit")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use livekit_protocol as proto;
use media::link::livekit::worker::{
    Event, JobKind, Outcome, Participant, REGISTERED_WITHIN, Status, TARGET_LOAD, Taking, Worker,
    address,
};
use prost::Message as _;
use proto::server_message::Message as FromServer;
use proto::worker_message::Message as FromWorker;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Hands a message of the server to the worker.
fn says(worker: &mut Worker, now: Duration, message: FromServer) {
    let message = proto::ServerMessage {
        message: Some(message),
    };
    worker
        .handle_message(now, &message.encode_to_vec())
        .unwrap();
}

/// All that the worker sends now.
fn sent(worker: &mut Worker) -> Vec<FromWorker> {
    std::iter::from_fn(|| worker.poll_transmit())
        .map(|bytes| proto::WorkerMessage::decode(bytes).unwrap())
        .map(|message| message.message.unwrap())
        .collect()
}

fn registered(now: Duration) -> Worker {
    let mut worker = Worker::new(now, "", "1.2.3");
    let register = proto::RegisterWorkerResponse {
        worker_id: "AW_1".into(),
        ..Default::default()
    };
    assert_eq!(sent(&mut worker).len(), 1);
    says(&mut worker, now, FromServer::Register(register));
    assert!(
        matches!(worker.poll_event(), Some(Event::Registered { worker_id }) if worker_id == "AW_1")
    );
    sent(&mut worker);
    worker
}

fn job(id: &str) -> proto::Job {
    proto::Job {
        id: id.into(),
        dispatch_id: "AD_1".into(),
        room: Some(proto::Room {
            name: "kitchen".into(),
            sid: "RM_1".into(),
            ..Default::default()
        }),
        metadata: "call me Ada".into(),
        agent_name: "waiter".into(),
        ..Default::default()
    }
}

fn statuses(messages: Vec<FromWorker>) -> Vec<proto::UpdateWorkerStatus> {
    messages
        .into_iter()
        .filter_map(|message| match message {
            FromWorker::UpdateWorker(status) => Some(status),
            _ => None,
        })
        .collect()
}

#[test]
fn nothing_goes_before_the_server_knows_the_worker() {
    let mut worker = Worker::new(ms(0), "waiter", "1.2.3");
    worker.set_status(ms(0), Status::default());
    worker.update_job("AJ_0", &Outcome::Running);
    let first = sent(&mut worker);
    let [FromWorker::Register(register)] = &first[..] else {
        panic!("{first:?}");
    };
    assert_eq!(
        (register.r#type(), register.agent_name.as_str()),
        (proto::JobType::JtRoom, "waiter")
    );
    assert_eq!(register.version, "1.2.3");
    let permissions = register.allowed_permissions.as_ref().unwrap();
    assert!(permissions.can_publish && permissions.can_subscribe && permissions.can_publish_data);
    assert!(permissions.can_update_metadata && !permissions.hidden);
    assert_eq!(
        permissions.can_publish_sources,
        [i32::from(proto::TrackSource::Microphone)]
    );

    says(&mut worker, ms(5), FromServer::Register(Default::default()));
    let then = sent(&mut worker);
    assert!(matches!(&then[0], FromWorker::UpdateJob(job) if job.job_id == "AJ_0"));
    assert!(matches!(&then[1], FromWorker::UpdateWorker(_)));
}

#[test]
fn a_room_is_offered_accepted_given_and_taken_back() {
    let mut worker = registered(ms(0));
    let offer = proto::AvailabilityRequest {
        job: Some(job("AJ_1")),
        resuming: true,
    };
    says(&mut worker, ms(10), FromServer::Availability(offer));
    let Some(Event::Offered(offered)) = worker.poll_event() else {
        panic!("no offer");
    };
    assert_eq!(
        (
            offered.id.as_str(),
            offered.room.as_str(),
            offered.room_sid.as_str()
        ),
        ("AJ_1", "kitchen", "RM_1")
    );
    assert_eq!((offered.kind, offered.is_resuming), (JobKind::Room, true));
    assert_eq!(
        (offered.dispatch_id.as_str(), offered.agent_name.as_str()),
        ("AD_1", "waiter")
    );
    assert!(
        !format!("{offered:?}").contains("Ada"),
        "metadata is private"
    );

    let participant = Participant {
        identity: "agent-AJ_1".into(),
        name: "waiter".into(),
        attributes: BTreeMap::from([("lk.agent.state".into(), "initializing".into())]),
    };
    worker.accept("AJ_1", &participant);
    worker.decline("AJ_2");
    let answers = sent(&mut worker);
    let [FromWorker::Availability(yes), FromWorker::Availability(no)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(yes.available && yes.job_id == "AJ_1" && !yes.terminate);
    assert_eq!(yes.participant_identity, "agent-AJ_1");
    assert_eq!(yes.participant_attributes["lk.agent.state"], "initializing");
    assert!(!no.available && no.job_id == "AJ_2");

    let assignment = proto::JobAssignment {
        job: Some(job("AJ_1")),
        url: Some(String::new()),
        token: "a.secret.token".into(),
    };
    says(&mut worker, ms(20), FromServer::Assignment(assignment));
    let Some(Event::Assigned(assigned)) = worker.poll_event() else {
        panic!("no assignment");
    };
    assert_eq!((assigned.job.id.as_str(), &assigned.url), ("AJ_1", &None));
    assert_eq!(assigned.token.expose_secret(), "a.secret.token");
    assert!(!format!("{assigned:?}").contains("secret.token"));

    for (outcome, status, error) in [
        (Outcome::Running, proto::JobStatus::JsRunning, ""),
        (Outcome::Succeeded, proto::JobStatus::JsSuccess, ""),
        (
            Outcome::Failed("no media".into()),
            proto::JobStatus::JsFailed,
            "no media",
        ),
    ] {
        worker.update_job("AJ_1", &outcome);
        let update = sent(&mut worker);
        let [FromWorker::UpdateJob(update)] = &update[..] else {
            panic!("{update:?}");
        };
        assert_eq!((update.status(), update.error.as_str()), (status, error));
    }

    let ended = proto::JobTermination {
        job_id: "AJ_1".into(),
    };
    says(&mut worker, ms(30), FromServer::Termination(ended));
    assert!(matches!(worker.poll_event(), Some(Event::Ended(job)) if job == "AJ_1"));
}

#[test]
fn a_status_is_told_on_change_but_not_at_each_and_now_and_then_anyway() {
    let mut worker = Worker::new(ms(0), "", "1");
    sent(&mut worker);
    says(&mut worker, ms(0), FromServer::Register(Default::default()));
    let status = |jobs: u32| Status {
        taking: Taking::Jobs,
        load: 0.1 * jobs as f32,
        jobs,
    };
    assert_eq!(statuses(sent(&mut worker)).len(), 1, "the first at once");
    for n in 1..=40 {
        let now = ms(u64::from(n) * 10);
        worker.set_status(now, status(n));
    }
    assert_eq!(statuses(sent(&mut worker)).len(), 0, "not yet");
    assert_eq!(worker.next_timeout(), Some(ms(500)));
    worker.handle_timeout(ms(500));
    let told = statuses(sent(&mut worker));
    assert_eq!((told.len(), told[0].job_count), (1, 40));

    // A little more load is no change, and is told when the time has come.
    worker.set_status(
        ms(1100),
        Status {
            load: 4.02,
            ..status(40)
        },
    );
    assert_eq!(statuses(sent(&mut worker)).len(), 0);
    assert_eq!(worker.next_timeout(), Some(ms(3000)));
    worker.handle_timeout(ms(3000));
    let again = statuses(sent(&mut worker));
    assert_eq!(again[0].load, 4.02);
    assert!(
        again[0].seq > told[0].seq,
        "an older word cannot undo a newer"
    );

    for (taking, full, draining) in [(Taking::Nothing, true, false), (Taking::NoMore, true, true)] {
        let now = worker.next_timeout().unwrap();
        let full_now = Status {
            taking,
            load: TARGET_LOAD,
            jobs: 40,
        };
        worker.set_status(now + ms(500), full_now);
        let told = statuses(sent(&mut worker));
        let last = told.last().unwrap();
        assert_eq!(last.status() == proto::WorkerStatus::WsFull, full);
        assert_eq!(last.draining, draining);
    }
}

#[test]
fn a_server_that_falls_silent_is_noticed_and_one_that_answers_is_not() {
    let mut worker = registered(ms(0));
    let mut now = ms(0);
    let mut pings = 0;
    while now < ms(300_000) {
        now = worker.next_timeout().unwrap();
        worker.handle_timeout(now);
        for message in sent(&mut worker) {
            if let FromWorker::Ping(ping) = message {
                pings += 1;
                let pong = proto::WorkerPong {
                    last_timestamp: ping.timestamp,
                    ..Default::default()
                };
                says(&mut worker, now, FromServer::Pong(pong));
                assert!(matches!(worker.poll_event(), Some(Event::Pong)));
            }
        }
        assert!(worker.poll_event().is_none());
    }
    assert_eq!(pings, 30);
    let quiet_since = now;
    let silent_at = loop {
        now = worker.next_timeout().unwrap();
        worker.handle_timeout(now);
        if matches!(worker.poll_event(), Some(Event::Silent)) {
            break now;
        }
    };
    assert_eq!(silent_at, quiet_since + ms(30_000));
    assert_eq!(worker.next_timeout(), None, "it is said once");
}

#[test]
fn a_server_that_never_answers_the_registration_is_given_up() {
    let mut worker = Worker::new(ms(7), "", "1");
    sent(&mut worker);
    assert_eq!(worker.next_timeout(), Some(ms(7) + REGISTERED_WITHIN));
    worker.handle_timeout(ms(7) + REGISTERED_WITHIN);
    assert!(matches!(worker.poll_event(), Some(Event::Silent)));
}

#[test]
fn what_is_not_of_the_protocol_harms_nothing() {
    let mut worker = registered(ms(0));
    assert!(worker.handle_message(ms(1), b"\xff\xff\xff").is_err());
    // A newer server's message, an offer without a job, one without a room, an assignment of nothing.
    worker.handle_message(ms(2), &[0xfa, 0x01, 0x00]).unwrap();
    let nowhere = proto::Job {
        room: None,
        ..job("AJ_1")
    };
    for job in [None, Some(nowhere), Some(job(""))] {
        let offer = proto::AvailabilityRequest {
            job: job.clone(),
            resuming: false,
        };
        says(&mut worker, ms(3), FromServer::Availability(offer));
        let assignment = proto::JobAssignment {
            job,
            ..Default::default()
        };
        says(&mut worker, ms(3), FromServer::Assignment(assignment));
    }
    assert!(worker.poll_event().is_none());
    assert!(sent(&mut worker).is_empty());
}

#[test]
fn every_way_to_write_an_address_leads_to_the_same_place() {
    for url in ["ws://host:7880", "http://host:7880/", "WS://host:7880"] {
        assert_eq!(
            address(url).as_deref(),
            Some("ws://host:7880/agent"),
            "{url}"
        );
    }
    for url in ["wss://host/path", "https://host/path//"] {
        assert_eq!(
            address(url).as_deref(),
            Some("wss://host/path/agent"),
            "{url}"
        );
    }
    for url in ["", "host:7880", "ftp://host", "ws://", "ws://host?x=1"] {
        assert_eq!(address(url), None, "{url}");
    }
}
