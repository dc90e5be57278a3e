//! Who is known, who is forgotten, who is left alone.

use super::*;
use proto::registry::metric;
use tokio::time::advance;

fn record(name: &str, addr: &str) -> WorkerRecord {
    WorkerRecord {
        name: name.into(),
        addr: addr.into(),
        ..WorkerRecord::default()
    }
}

fn draining(mut record: WorkerRecord) -> WorkerRecord {
    record.metrics.insert(metric::DRAINING.into(), 1.0);
    record
}

fn fleet() -> Fleet {
    Fleet::new("near".into(), Access::default())
}

fn chosen(fleet: &Fleet) -> Vec<String> {
    let wish = Wish::default();
    let chosen = fleet.choose(&wish, &BTreeSet::new());
    chosen.into_iter().map(|chosen| chosen.name).collect()
}

#[tokio::test(start_paused = true)]
async fn who_vanishes_from_the_registry_is_asked_for_a_while_and_who_was_draining_is_not() {
    let fleet = fleet();
    fleet.merge(vec![
        record("a", "grpc://a:7001"),
        draining(record("b", "grpc://b:7001")),
        record("c", "no address"),
    ]);
    assert_eq!(chosen(&fleet), ["a"]);
    assert_eq!(fleet.seen().len(), 2);
    // However long the registry was away: from the first look at it on.
    advance(Duration::from_secs(60)).await;
    fleet.merge(Vec::new());
    assert_eq!(fleet.seen().len(), 1, "the drained one has gone");
    assert_eq!(chosen(&fleet), ["a"]);
    advance(Duration::from_secs(29)).await;
    fleet.merge(Vec::new());
    assert_eq!(chosen(&fleet), ["a"]);
    advance(Duration::from_secs(1)).await;
    fleet.merge(Vec::new());
    assert!(fleet.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_failed_is_left_alone_and_tried_by_one_after_a_while() {
    let fleet = fleet();
    fleet.merge(vec![record("a", "grpc://a:1"), record("b", "grpc://b:1")]);
    fleet.failed("a", "it broke");
    assert_eq!(chosen(&fleet), ["b"]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(chosen(&fleet), ["a", "b"]);
    fleet.ask("a", Duration::from_millis(500));
    assert_eq!(chosen(&fleet), ["b"], "somebody is trying it");
    fleet.succeeded("a");
    assert_eq!(chosen(&fleet), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn sessions_go_in_turns_and_are_counted_until_they_end() {
    let fleet = fleet();
    fleet.merge(vec![
        record("a", "grpc://far:1"),
        record("b", "grpc://far:2"),
        record("c", "grpc://near:3"),
    ]);
    assert_eq!(chosen(&fleet), ["c", "a", "b"], "the near one first");
    let open: Vec<Open> = (0..30).map(|_| fleet.opened(&chosen(&fleet)[0])).collect();
    assert!(fleet.seen().iter().all(|seen| seen.open == 10));
    drop(open);
    assert!(
        fleet
            .seen()
            .iter()
            .all(|seen| seen.open == 0 && seen.served == 10)
    );
}

#[tokio::test(start_paused = true)]
async fn the_worker_inside_is_the_last_resort_and_never_left_alone() {
    let fleet = fleet();
    let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:9").connect_lazy();
    fleet.embed(record("inside", "memory:tts"), &channel);
    fleet.merge(vec![record("a", "grpc://a:1")]);
    assert_eq!(chosen(&fleet), ["a", "inside"]);
    fleet.failed("inside", "it broke");
    fleet.failed("a", "it broke");
    assert_eq!(chosen(&fleet), ["inside"]);
    // Missed at the next look, and forgotten half a minute later.
    for seconds in [1, 30] {
        advance(Duration::from_secs(seconds)).await;
        fleet.merge(Vec::new());
    }
    assert_eq!(chosen(&fleet), ["inside"]);
    assert_eq!(fleet.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_for_once_and_is_there_when_it_was_loaded() {
    let fleet = fleet();
    fleet.merge(vec![record("a", "grpc://a:1")]);
    assert!(fleet.loads("a", "m") && !fleet.loads("a", "m"));
    fleet.loaded("a", "m", true);
    assert_eq!(fleet.seen()[0].record.resident_models, ["m"]);
    assert!(fleet.loads("a", "m"));
    fleet.loaded("a", "m", false);
    assert_eq!(fleet.seen()[0].record.resident_models, ["m"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_open_at_a_worker_that_moved_does_not_count_for_the_new_one() {
    let fleet = fleet();
    fleet.merge(vec![record("a", "grpc://a:1")]);
    let before = fleet.opened("a");
    fleet.merge(vec![record("a", "grpc://a:2")]);
    let after = fleet.opened("a");
    before.failed("it is gone");
    drop(before);
    assert_eq!(fleet.seen()[0].open, 1);
    assert!(!fleet.seen()[0].is_left_alone, "it is another process");
    after.failed("it broke");
    assert!(fleet.seen()[0].is_left_alone);
    drop(after);
    assert_eq!(fleet.seen()[0].open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_read_before_does_not_undo_what_was_asked_since() {
    let fleet = fleet();
    let mut told = record("a", "grpc://a:1");
    fleet.merge(vec![told.clone()]);
    fleet.loaded("a", "m", true);
    fleet.merge(vec![told.clone()]);
    assert_eq!(fleet.seen()[0].record.resident_models, ["m"]);
    // Another writing of it does, even in the same second.
    told.metrics.insert(metric::QUEUE_DEPTH.into(), 1.0);
    fleet.merge(vec![told]);
    assert!(fleet.seen()[0].record.resident_models.is_empty());
}
