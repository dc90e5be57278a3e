use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio_util::task::TaskTracker;

/// What the registry does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Unreachable,
    Silent,
    ReadOnly,
}

/// A registry that can be emptied, cut off and made read-only. A record is forgotten when its time is over.
struct Fake {
    clock: Clock,
    mood: Mutex<Mood>,
    held: Mutex<Option<(WorkerRecord, Duration)>>,
    writes: AtomicUsize,
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::start(),
            mood: Mutex::new(Mood::Well),
            held: Mutex::default(),
            writes: AtomicUsize::new(0),
        })
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn become_(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn held(&self) -> Option<WorkerRecord> {
        let held = self.held.lock().unwrap();
        let (record, until) = held.as_ref()?;
        (self.clock.now() < *until).then(|| record.clone())
    }

    fn empty(&self) {
        *self.held.lock().unwrap() = None;
    }

    async fn reach(&self) -> Result<(), AnnounceError> {
        match self.mood() {
            Mood::Well | Mood::ReadOnly => Ok(()),
            Mood::Unreachable => Err(AnnounceError("connection refused".into())),
            Mood::Silent => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl Announcer for Fake {
    async fn announce(&self, record: &WorkerRecord, ttl: Duration) -> Result<(), AnnounceError> {
        self.reach().await?;
        if self.mood() == Mood::ReadOnly {
            return Err(AnnounceError("READONLY".into()));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        *self.held.lock().unwrap() = Some((record.clone(), self.clock.now() + ttl));
        Ok(())
    }

    async fn found(&self, own: &WorkerRecord) -> Result<Found, AnnounceError> {
        self.reach().await?;
        Ok(Found::of(self.held(), own))
    }

    async fn withdraw(&self, record: &WorkerRecord) -> Result<(), AnnounceError> {
        if self.found(record).await? == Found::Own {
            self.empty();
        }
        Ok(())
    }
}

struct Worker {
    registry: Arc<Fake>,
    busy: Arc<AtomicUsize>,
    draining: Arc<AtomicBool>,
    drain: CancellationToken,
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Worker {
    fn start() -> Self {
        Self::at("grpc://127.0.0.1:1", Fake::new())
    }

    /// A worker that answers there.
    fn at(addr: &str, registry: Arc<Fake>) -> Self {
        let busy = Arc::new(AtomicUsize::new(0));
        let draining = Arc::new(AtomicBool::new(false));
        let (is_busy, is_draining) = (busy.clone(), draining.clone());
        let (addr, clock) = (addr.to_owned(), registry.clock);
        let record = move || WorkerRecord {
            name: "tts-mock@0".into(),
            addr: addr.clone(),
            last_heartbeat_ts: clock.now().as_secs_f64(),
            metrics: [
                (name::SLOTS_IN_USE, is_busy.load(Ordering::Relaxed) as f64),
                (
                    name::DRAINING,
                    f64::from(u8::from(is_draining.load(Ordering::Relaxed))),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            ..WorkerRecord::default()
        };
        let (drain, end) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let presence = Presence::new(registry.clone(), Rhythm::default(), record, Arc::default());
        tasks.spawn(presence.run(drain.clone(), end.clone()));
        tasks.close();
        Self {
            registry,
            busy,
            draining,
            drain,
            end,
            tasks,
        }
    }

    /// Waits until the registry has the record, and returns how long that took.
    async fn known(&self) -> Duration {
        let clock = Clock::start();
        while self.registry.held().is_none() {
            passes(Duration::from_millis(10)).await;
        }
        clock.now()
    }
}

/// Virtual time goes by, and everybody does what is due meanwhile.
async fn passes(time: Duration) {
    tokio::time::sleep(time).await;
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_worker_is_known_at_once_and_stays_so_with_a_write_every_ten_seconds() {
    let worker = Worker::start();
    assert!(worker.known().await < Duration::from_millis(50));
    for _ in 0..600 {
        passes(Duration::from_millis(100)).await;
        assert!(worker.registry.held().is_some());
    }
    let writes = worker.registry.writes.load(Ordering::Relaxed);
    assert!((6..=7).contains(&writes), "{writes} writes in a minute");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_registry_knows_the_worker_again_within_five_seconds() {
    let worker = Worker::start();
    for wait in [3_100, 4_700, 9_900] {
        passes(Duration::from_millis(wait)).await;
        worker.registry.empty();
        assert!(worker.known().await < SOON);
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_was_gone_knows_the_worker_within_five_seconds_of_its_return() {
    for mood in [Mood::Unreachable, Mood::Silent, Mood::ReadOnly] {
        let worker = Worker::start();
        worker.known().await;
        worker.registry.become_(mood);
        // Long enough for the record to be forgotten.
        passes(Duration::from_millis(47_300)).await;
        assert!(worker.registry.held().is_none());
        worker.registry.become_(Mood::Well);
        assert!(worker.known().await < SOON);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_finds_no_registry_starts_without_it() {
    let worker = Worker::start();
    worker.registry.become_(Mood::Unreachable);
    worker.registry.empty();
    passes(Duration::from_secs(60)).await;
    worker.registry.become_(Mood::Well);
    assert!(worker.known().await < SOON);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_load_is_told_within_two_seconds() {
    let worker = Worker::start();
    worker.known().await;
    worker.busy.store(7, Ordering::Relaxed);
    passes(Duration::from_millis(2_100)).await;
    let record = worker.registry.held().unwrap();
    assert_eq!(record.metric(name::SLOTS_IN_USE), 7.0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_at_once_and_the_end_removes_the_record() {
    let worker = Worker::start();
    worker.known().await;
    passes(Duration::from_millis(300)).await;
    worker.draining.store(true, Ordering::Relaxed);
    worker.drain.cancel();
    passes(Duration::from_millis(10)).await;
    assert!(worker.registry.held().unwrap().is_draining());
    // It is still kept there, and not written over and over.
    passes(Duration::from_secs(60)).await;
    assert!(worker.registry.held().unwrap().is_draining());
    let writes = worker.registry.writes.load(Ordering::Relaxed);
    assert!(writes <= 9, "{writes} writes");
    worker.end.cancel();
    worker.tasks.wait().await;
    assert!(worker.registry.held().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_answer_holds_up_no_end() {
    let worker = Worker::start();
    worker.known().await;
    worker.registry.become_(Mood::Silent);
    passes(Duration::from_secs(3)).await;
    let clock = Clock::start();
    worker.end.cancel();
    worker.tasks.wait().await;
    assert!(clock.now() <= PATIENCE + Duration::from_millis(10));
}

/// An address at which somebody answers as long as the listener lives.
fn somebody() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = format!("grpc://{}", listener.local_addr().unwrap());
    (listener, addr)
}

/// A worker at this address that wants the name, and does not run yet.
fn newcomer(addr: &str, registry: &Arc<Fake>) -> Presence {
    let record = WorkerRecord {
        name: "tts-mock@0".into(),
        addr: addr.into(),
        ..WorkerRecord::default()
    };
    let record = move || record.clone();
    Presence::new(registry.clone(), Rhythm::default(), record, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_live_worker_has_is_given_to_nobody_else() {
    let (_listener, addr) = somebody();
    let worker = Worker::at(&addr, Fake::new());
    worker.known().await;
    let clock = Clock::start();
    let taken = newcomer("grpc://127.0.0.1:2", &worker.registry)
        .claim()
        .await;
    let taken = taken.unwrap_err();
    assert_eq!((taken.name.as_str(), taken.addr), ("tts-mock@0", addr));
    assert!(clock.now() < Duration::from_secs(15), "{:?}", clock.now());
    // It is still there, and undisturbed.
    assert_eq!(worker.registry.held().unwrap().name, "tts-mock@0");
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_worker_that_died_is_free_as_soon_as_its_record_is_gone() {
    let (_listener, addr) = somebody();
    let registry = Fake::new();
    let mut died = newcomer(&addr, &registry);
    died.step().await;
    assert!(registry.held().is_some());
    let clock = Clock::start();
    assert_eq!(
        newcomer("grpc://127.0.0.1:2", &registry).claim().await,
        Ok(())
    );
    assert!(clock.now() <= Duration::from_secs(34), "{:?}", clock.now());
    // Without a registry there is nobody to wait for.
    registry.become_(Mood::Unreachable);
    let clock = Clock::start();
    assert_eq!(
        newcomer("grpc://127.0.0.1:3", &registry).claim().await,
        Ok(())
    );
    assert!(clock.now() < SOON);
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_with_one_name_agents_find_one_until_that_one_ends() {
    let ((_here, one), (_there, two)) = (somebody(), somebody());
    let one = Worker::at(&one, Fake::new());
    one.known().await;
    // Both want it at the same moment.
    one.registry.empty();
    let other = Worker::at(&two, one.registry.clone());
    one.registry.become_(Mood::Unreachable);
    passes(Duration::from_secs(3)).await;
    one.registry.become_(Mood::Well);
    one.known().await;
    let first = one.registry.held().unwrap().addr;
    for _ in 0..600 {
        passes(Duration::from_millis(100)).await;
        assert_eq!(one.registry.held().unwrap().addr, first);
    }
    // The end of the one that is not told of takes nothing away.
    let (told, quiet) = match first == two {
        true => (other, one),
        false => (one, other),
    };
    quiet.end.cancel();
    quiet.tasks.wait().await;
    assert_eq!(told.registry.held().unwrap().addr, first);
    // And the other way round the name is free.
    let third = Worker::at("grpc://127.0.0.1:3", told.registry.clone());
    passes(Duration::from_secs(20)).await;
    assert_eq!(told.registry.held().unwrap().addr, first);
    told.end.cancel();
    told.tasks.wait().await;
    third.known().await;
    let record = third.registry.held().unwrap();
    assert_eq!(record.addr, "grpc://127.0.0.1:3");
}
