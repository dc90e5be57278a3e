//! A worker in a process that has no file descriptor left. The limit is the whole process's, so this test has one of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/server.rs"]
mod server;

use proto::tts::ListModelsRequest;
use proto::tts::tts_service_client::TtsServiceClient;
use server::Served;
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::timeout;

/// Sets how many descriptors the process may have, and returns how many it might before.
#[allow(unsafe_code, reason = "std has no limits of the process")]
fn limit(most: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit that outlives both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = most;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

/// The time that all threads have computed.
#[allow(unsafe_code, reason = "std has no clock of the process")]
fn computed() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec that outlives the call.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(told, 0);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap(),
    )
}

#[tokio::test]
async fn a_worker_without_descriptors_waits_and_takes_those_who_came_meanwhile() {
    let worker = Served::mock().await;
    let channel = worker.channel().await;
    let mut tts = TtsServiceClient::new(channel);
    tts.list_models(ListModelsRequest {}).await.unwrap();
    // They wait in the system's queue: nothing else runs before the next await.
    let waiting: Vec<TcpStream> = (0..4)
        .map(|_| TcpStream::connect(worker.address).unwrap())
        .collect();
    let before = limit(3);
    let computed_before = computed();
    let window = Duration::from_secs(1);
    tokio::time::sleep(window).await;
    let busy = computed().saturating_sub(computed_before);
    // Who is in already notices nothing.
    let answered = timeout(window * 5, tts.list_models(ListModelsRequest {})).await;
    limit(before);
    assert!(busy < window / 4, "{busy:?} of {window:?}");
    assert!(answered.unwrap().is_ok());
    drop(waiting);
    let late = timeout(window * 10, worker.channel()).await.unwrap();
    let mut late = TtsServiceClient::new(late);
    assert!(late.list_models(ListModelsRequest {}).await.is_ok());
    drop((tts, late));
    worker.stop().await;
}
