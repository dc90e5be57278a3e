//! What is told of a worker, and whose fault a refusal is.

use super::*;
use axum::response::IntoResponse as _;

fn seen() -> Seen {
    Seen {
        record: WorkerRecord {
            name: "tts-piper@0".into(),
            addr: "grpc://gpu-1:7001".into(),
            resident_models: vec!["b".into(), "old".into()],
            metrics: [
                (metric::SLOTS.to_owned(), 10.0),
                (metric::SLOTS_IN_USE.to_owned(), 3.0),
                (metric::QUEUE_DEPTH.to_owned(), -1.0),
                (metric::P50_MS.to_owned(), 81.6),
            ]
            .into(),
            last_heartbeat_ts: 100.0,
            ..WorkerRecord::default()
        },
        is_embedded: false,
        is_own: false,
        age: Duration::from_millis(1_540),
        missing_for: None,
        is_left_alone: false,
        left_alone_for: None,
        voices: 2,
        open: 1,
        served: 7,
    }
}

#[test]
fn a_worker_is_told_with_its_load_and_its_models() {
    let mut seen = seen();
    seen.record.capabilities.models = vec!["a".into(), "b".into()];
    seen.record.capabilities.gpu = Some(0);
    seen.record.capabilities.version = "9.9\u{1b}[31m".into();
    assert_eq!(
        shown(&seen, 104.25),
        json!({
            "name": "tts-piper@0", "kind": "tts", "addr": "grpc://gpu-1:7001", "host": "gpu-1", "from": "registry",
            "state": "ready", "left_alone_seconds": null, "vanished_seconds": null,
            "slots": 10, "slots_in_use": 3, "open_here": 1, "queue": 0, "p50_ms": 82.0,
            "models": [{"id": "a", "resident": false}, {"id": "b", "resident": true}, {"id": "old", "resident": true}],
            "voices": 2, "gpu": 0, "version": "9.9\\u{1b}[31m", "seen_seconds_ago": 4.3,
        })
    );
    seen.record.last_heartbeat_ts = 0.0;
    seen.record.metrics.clear();
    let told = shown(&seen, 104.25);
    assert_eq!(told["seen_seconds_ago"], 1.5);
    assert_eq!(told["p50_ms"], Value::Null);
    assert_eq!(told["slots"], 0);
}

#[test]
fn the_state_is_what_matters_most() {
    let mut seen = seen();
    seen.is_left_alone = true;
    seen.left_alone_for = Some(Duration::from_millis(2_100));
    assert_eq!(state(&seen), "left_alone");
    assert_eq!(shown(&seen, 0.0)["left_alone_seconds"], 3.0);
    let draining = metric::DRAINING.to_owned();
    seen.record.metrics.insert(draining, 1.0);
    assert_eq!(state(&seen), "draining");
    seen.missing_for = Some(Duration::from_secs(9));
    assert_eq!(state(&seen), "vanished");
    assert_eq!(shown(&seen, 0.0)["vanished_seconds"], 9);
    seen.is_embedded = true;
    assert_eq!(state(&seen), "embedded");
    let told = shown(&seen, 0.0);
    assert_eq!(
        (&told["host"], &told["seen_seconds_ago"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_refusal_tells_whose_fault_it_is() {
    let status = |status: Status| refusal("a", &status).into_response().status();
    assert_eq!(
        status(Status::failed_precondition("it speaks")),
        StatusCode::CONFLICT
    );
    assert_eq!(status(Status::unavailable("gone")), StatusCode::BAD_GATEWAY);
    assert_eq!(
        status(Status::unauthenticated("no")),
        StatusCode::BAD_GATEWAY
    );
    assert_eq!(
        status(Status::deadline_exceeded("late")),
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(
        status(Status::unimplemented("what")),
        StatusCode::NOT_IMPLEMENTED
    );
}
