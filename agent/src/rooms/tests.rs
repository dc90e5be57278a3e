//! The dispatcher against a LiveKit server in memory, in virtual time.

mod server;

use super::dial::DialError;
use super::dispatch::{Dispatch, Settings};
use super::house::House;
use super::load::Load;
use crate::sessions::{Admission, Sessions, Transport};
use media::Clock;
use media::link::livekit::worker::{Assignment, Outcome, TARGET_LOAD};
use server::{Connection, FAILED, RUNNING, SUCCESS, Server};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Level;

/// Rooms that are carried until their calls are hung up, or until the test ends them.
#[derive(Clone)]
struct TestHouse {
    sessions: Sessions,
    /// Every room that was entered, in order.
    entered: Arc<Mutex<Vec<String>>>,
    /// Whether rooms can be entered.
    is_open: bool,
    over: CancellationToken,
}

impl House for TestHouse {
    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn carry(
        &self,
        admission: Admission,
        assignment: Assignment,
        running: oneshot::Sender<()>,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let house = self.clone();
        async move {
            if !house.is_open {
                return Outcome::Failed("no media connection to the room".into());
            }
            house.entered.lock().unwrap().push(assignment.job.id);
            running.send(()).unwrap();
            let hangup = admission.hangup();
            tokio::select! {
                () = hangup.cancelled() => {}
                () = house.over.cancelled() => {}
            }
            Outcome::Succeeded
        }
    }
}

/// A dispatcher at work.
struct Test {
    server: Server,
    accepted: mpsc::Receiver<Connection>,
    house: TestHouse,
    load: Load,
    draining: CancellationToken,
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Test {
    fn start(places: usize, plan: impl IntoIterator<Item = DialError>) -> Self {
        Self::with(places, plan, true)
    }

    fn with(places: usize, plan: impl IntoIterator<Item = DialError>, is_open: bool) -> Self {
        let (server, accepted) = Server::new(plan);
        let house = TestHouse {
            sessions: Sessions::new(places),
            entered: Arc::default(),
            is_open,
            over: CancellationToken::new(),
        };
        let load = Load::default();
        let settings = Settings {
            server: "rooms.example".into(),
            agent_name: String::new(),
            places,
        };
        let dispatch = Dispatch::new(
            settings,
            Box::new(server.clone()),
            house.clone(),
            load.clone(),
        );
        let (draining, closed) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        tasks.spawn(dispatch.run(draining.clone(), closed.clone()));
        tasks.close();
        Self {
            server,
            accepted,
            house,
            load,
            draining,
            closed,
            tasks,
        }
    }

    async fn registered(&mut self) -> Connection {
        Connection::registered(&mut self.accepted).await
    }

    fn calls(&self) -> usize {
        self.house.sessions.len()
    }

    fn entered(&self) -> Vec<String> {
        self.house.entered.lock().unwrap().clone()
    }

    /// Ends the dispatcher and waits until it has.
    async fn end(self) {
        self.closed.cancel();
        self.tasks.wait().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_is_taken_talked_in_and_left_when_the_server_takes_it_back() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    server.offer("AJ_1", false).await;
    let answer = server.answer().await;
    assert!(answer.available && answer.job == "AJ_1");
    assert_eq!(answer.identity, "agent-AJ_1");
    assert_eq!(test.calls(), 1, "the place is kept");

    server.assign("AJ_1").await;
    let running = server.job_status().await;
    assert_eq!((running.job.as_str(), running.status), ("AJ_1", RUNNING));
    assert_eq!(server.status(|status| status.jobs == 1).await.jobs, 1);
    assert_eq!(test.entered(), ["AJ_1"]);

    server.terminate("AJ_1").await;
    let over = server.job_status().await;
    assert_eq!((over.job.as_str(), over.status), ("AJ_1", SUCCESS));
    assert_eq!(test.calls(), 0);
    assert_eq!(server.status(|status| status.jobs == 0).await.load, 0.0);
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_cannot_be_joined_is_said_to_have_failed_and_why() {
    let mut test = Test::with(1, [], false);
    let mut server = test.registered().await;
    server.offer("AJ_1", false).await;
    assert!(server.answer().await.available);
    server.assign("AJ_1").await;
    let failed = server.job_status().await;
    assert_eq!(
        (failed.status, failed.error.as_str()),
        (FAILED, "no media connection to the room")
    );
    assert_eq!(test.calls(), 0, "the place is free again");
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn of_fifty_rooms_at_once_three_places_take_three_and_the_rest_hear_no_at_once() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    let clock = Clock::start();
    for n in 0..50 {
        server.offer(&format!("AJ_{n}"), false).await;
    }
    let mut answered = BTreeSet::new();
    let mut taken = Vec::new();
    for _ in 0..50 {
        let answer = server.answer().await;
        assert!(answered.insert(answer.job.clone()), "each once");
        if answer.available {
            taken.push(answer.job);
        }
    }
    assert_eq!(taken, ["AJ_0", "AJ_1", "AJ_2"]);
    assert_eq!(clock.now(), Duration::ZERO, "nobody waited");
    assert_eq!(
        server.status(|status| status.status == Some(1)).await.load,
        1.0
    );

    for job in &taken {
        server.assign(job).await;
        assert_eq!(server.job_status().await.status, RUNNING);
    }
    server.offer("AJ_50", false).await;
    assert!(!server.answer().await.available);
    server.terminate("AJ_1").await;
    assert_eq!(server.job_status().await.status, SUCCESS);
    server.offer("AJ_51", false).await;
    assert!(server.answer().await.available, "a place is free again");
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_when_no_assignment_comes() {
    let mut test = Test::start(1, []);
    let mut server = test.registered().await;
    let clock = Clock::start();
    server.offer("AJ_1", false).await;
    assert!(server.answer().await.available);
    clock.until(Duration::from_millis(9_900)).await;
    server.offer("AJ_2", false).await;
    assert!(!server.answer().await.available, "it is still kept");
    clock.until(Duration::from_millis(10_100)).await;
    server.offer("AJ_3", false).await;
    assert!(server.answer().await.available);

    // The first one's assignment comes after all, and its place has gone.
    server.assign("AJ_1").await;
    let late = server.job_status().await;
    assert_eq!((late.job.as_str(), late.status), ("AJ_1", FAILED));
    assert!(late.error.contains("full"), "{}", late.error);
    assert!(test.entered().is_empty());
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_given_twice_is_entered_once() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    server.offer("AJ_1", false).await;
    server.offer("AJ_1", false).await;
    assert!(server.answer().await.available && server.answer().await.available);
    assert_eq!(test.calls(), 1);
    server.assign("AJ_1").await;
    assert_eq!(server.job_status().await.status, RUNNING);
    server.assign("AJ_1").await;
    assert_eq!(server.job_status().await.status, RUNNING, "it still is");
    assert_eq!((test.entered(), test.calls()), (vec!["AJ_1".into()], 1));
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_the_agent_is_in_gets_no_second_one() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    // What follows a slash tells jobs in one room apart.
    server.offer("AJ_1/a", false).await;
    assert!(server.answer().await.available);
    server.assign("AJ_1/a").await;
    assert_eq!(server.job_status().await.status, RUNNING);
    server.offer("AJ_1/b", false).await;
    assert!(!server.answer().await.available, "the agent is there");
    server.offer("AJ_2/a", false).await;
    assert!(server.answer().await.available, "it is not in this one");
    assert_eq!(test.calls(), 2);
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn calls_go_on_without_the_server_and_it_hears_of_them_when_it_is_back() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    for job in ["AJ_1", "AJ_2", "AJ_3"] {
        server.offer(job, false).await;
        assert!(server.answer().await.available);
    }
    for job in ["AJ_1", "AJ_2"] {
        server.assign(job).await;
        assert_eq!(server.job_status().await.status, RUNNING);
    }
    drop(server);

    let mut server = test.registered().await;
    let again = [server.job_status().await, server.job_status().await];
    assert!(again.iter().all(|job| job.status == RUNNING));
    let jobs: BTreeSet<&str> = again.iter().map(|job| job.job.as_str()).collect();
    assert_eq!(jobs, BTreeSet::from(["AJ_1", "AJ_2"]));
    assert_eq!(
        test.calls(),
        2,
        "nobody brings the third; its place is free"
    );

    // The server asks who has a room that it lost sight of.
    server.offer("AJ_1", true).await;
    assert!(server.answer().await.available);
    server.assign("AJ_1").await;
    assert_eq!(server.job_status().await.status, RUNNING);
    assert_eq!((test.entered().len(), test.calls()), (2, 2));

    // A call that ends while nobody listens is told of later.
    drop(server);
    test.house.over.cancel();
    let mut server = test.registered().await;
    let ended = [server.job_status().await, server.job_status().await];
    assert!(ended.iter().all(|job| job.status == SUCCESS), "{ended:?}");
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_machine_takes_no_more_calls_beside_those_it_has() {
    let mut test = Test::start(10, []);
    let mut server = test.registered().await;
    test.load.set(0.95);
    server.offer("AJ_1", false).await;
    assert!(
        server.answer().await.available,
        "no call suffers by the first"
    );
    server.offer("AJ_2", false).await;
    assert!(!server.answer().await.available);
    let full = server.status(|status| status.status == Some(1)).await;
    assert!(full.load >= TARGET_LOAD && !full.draining);

    test.load.set(0.2);
    let calm = server.status(|status| status.status == Some(0)).await;
    assert!(calm.load < TARGET_LOAD);
    server.offer("AJ_3", false).await;
    assert!(server.answer().await.available);
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_free_place_is_still_on_offer() {
    let mut test = Test::start(10, []);
    let mut server = test.registered().await;
    let kept: Vec<Admission> = (0..9)
        .map(|_| test.house.sessions.admit(Transport::WebRtc).unwrap())
        .collect();
    let nearly = server.status(|status| status.load > 0.5).await;
    assert!(nearly.load < TARGET_LOAD, "at {TARGET_LOAD} servers stop");
    assert_eq!(nearly.status, Some(0));
    drop(kept);
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_takes_no_more_rooms_and_closes_after_the_last_call() {
    let mut test = Test::start(3, []);
    let mut server = test.registered().await;
    for job in ["AJ_1", "AJ_2"] {
        server.offer(job, false).await;
        assert!(server.answer().await.available);
    }
    server.assign("AJ_1").await;
    assert_eq!(server.job_status().await.status, RUNNING);

    test.draining.cancel();
    let last = server.status(|status| status.draining).await;
    assert_eq!(last.status, Some(1));
    server.offer("AJ_3", false).await;
    assert!(!server.answer().await.available);

    let sessions = test.house.sessions.clone();
    let closed = test.closed.clone();
    test.tasks.reopen();
    test.tasks.spawn(async move {
        sessions.drain(Duration::from_secs(60)).await;
        closed.cancel();
    });
    test.tasks.close();
    let clock = Clock::start();
    clock.until(Duration::from_secs(20)).await;
    assert_eq!(
        test.calls(),
        1,
        "the call goes on; the place that was kept is free"
    );
    test.house.over.cancel();
    let over = server.job_status().await;
    assert_eq!((over.job.as_str(), over.status), ("AJ_1", SUCCESS));
    while server.maybe_next().await.is_some() {}
    assert!(clock.now() < Duration::from_secs(30));
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left_and_dialed_again() {
    let mut test = Test::start(1, []);
    let silent = test.registered().await;
    let clock = Clock::start();
    let server = test.registered().await;
    let after = clock.now();
    assert!(
        after >= Duration::from_secs(30) && after < Duration::from_secs(31),
        "{after:?}"
    );
    drop(silent);
    for _ in 0..20 {
        clock.until(clock.now() + Duration::from_secs(10)).await;
        server.pong().await;
    }
    assert_eq!(test.server.tries(), 2, "one that answers is kept");
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_tried_for_ever_and_complained_of_once() {
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(said.clone());
    let nobody = || DialError::Unreachable("connection refused".into());
    let plan: Vec<DialError> = (0..40).map(|_| nobody()).collect();
    let mut test = Test::start(1, plan);
    let clock = Clock::start();
    let server = test.registered().await;
    assert_eq!(test.server.tries(), 41);
    // Six waits grow from 0.3 to 10 s, each somewhere between nothing and that; the rest average 5 s.
    let took = clock.now();
    assert!(
        took > Duration::from_secs(60) && took < Duration::from_secs(400),
        "{took:?}"
    );
    assert_eq!((said.count(Level::WARN), said.count(Level::INFO)), (1, 0));
    // Registered again: said, and once.
    drop(server);
    let server = test.registered().await;
    server.pong().await;
    clock.until(clock.now() + Duration::from_secs(1)).await;
    assert_eq!((said.count(Level::WARN), said.count(Level::INFO)), (2, 2));
    test.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_an_error_said_once_and_tried_slowly() {
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(said.clone());
    let mut test = Test::start(1, (0..10).map(|_| DialError::WrongKey));
    let clock = Clock::start();
    let _server = test.registered().await;
    assert_eq!(clock.now().as_secs(), 300);
    assert_eq!((said.count(Level::ERROR), said.count(Level::WARN)), (1, 0));
    test.end().await;
}

/// Counts what is said, by level.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<Level>>>);

impl Said {
    fn count(&self, level: Level) -> usize {
        let said = self.0.lock().unwrap();
        said.iter().filter(|said| **said == level).count()
    }
}

impl tracing::Subscriber for Said {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("parlor::rooms")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
