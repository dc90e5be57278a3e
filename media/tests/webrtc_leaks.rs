//! After many calls nothing is left of them. Alone in its binary, since it counts the process's open files.
#![cfg(feature = "webrtc")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "webrtc/house.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod house;

use house::*;
use media::link::webrtc::EndpointSettings;
use media::link::{Closed, Generation, Inbound, Outbound};

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test]
async fn fifty_calls_leave_no_file_no_task_and_no_entry() {
    let endpoint = endpoint(EndpointSettings::default());
    let runtime = tokio::runtime::Handle::current();
    let (files, tasks) = (open_files(), runtime.metrics().num_alive_tasks());
    for round in 0..10 {
        let mut calls = Vec::new();
        for _ in 0..5 {
            calls.push(call(&endpoint).await);
        }
        // The callers here have a socket each, and nothing else may be open.
        assert!(open_files() <= files + 5, "round {round}");
        for (caller, mut answered) in calls {
            for tick in 0..5 {
                let audio = Outbound::Audio {
                    generation: Generation(1),
                    tick,
                    frame: tone(tick),
                };
                answered.link.outbound.send(audio).await.unwrap();
                assert!(caller.mouth().frame(tone(tick)).await);
            }
            within(caller.hang_up()).await;
            let last = within(inbound(&mut answered.link)).await;
            assert!(
                matches!(last, Inbound::Closed(Closed::ByCaller)),
                "{last:?}"
            );
            within(answered.call.ended()).await;
        }
    }
    let statistics = endpoint.statistics();
    assert_eq!((statistics.calls, statistics.remembered), (0, 0));
    within(async {
        while runtime.metrics().num_alive_tasks() > tasks || open_files() > files {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(endpoint.shutdown()).await;
}
