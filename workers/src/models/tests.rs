use super::*;
use crate::memory;
use crate::tts::{Clause, Gender, Newcomer, Piece, Speech, SpeechSink, Voice};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

fn model(id: &str) -> Model {
    Model {
        id: id.to_owned(),
        languages: Vec::new(),
        metadata: BTreeMap::new(),
    }
}

/// An engine with the models a, b and c, which counts its loads.
#[derive(Default)]
struct Shelf {
    loads: AtomicUsize,
}

impl TtsAdapter for Shelf {
    fn family(&self) -> &'static str {
        "shelf"
    }

    fn models(&self) -> Vec<Model> {
        ["a", "b", "c"].map(model).into()
    }

    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn load(&self, _model: &str) -> Result<(), tts::Error> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn unload(&self, _model: &str) {}

    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        Err(tts::Error::Stopped("shelf"))
    }
}

fn manager(settings: ModelManagerSettings) -> (Arc<ModelManager>, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    (
        Arc::new(ModelManager::new(
            settings,
            &[shelf.clone() as Arc<dyn TtsAdapter>],
            TaskTracker::new(),
        )),
        shelf,
    )
}

async fn evicted(manager: &ModelManager) -> Vec<String> {
    let gone = manager.evict().await;
    gone.into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_model_is_loaded_once_however_many_ask() {
    let (manager, shelf) = manager(ModelManagerSettings::default());
    let (one, two) = tokio::join!(manager.lease("a"), manager.lease("a"));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(shelf.loads.load(Ordering::Relaxed), 1);
    assert_eq!(manager.resident(), ["a"]);
}

#[tokio::test]
async fn a_model_that_speaks_is_not_unloaded() {
    let (manager, _) = manager(ModelManagerSettings::default());
    let lease = manager.lease("a").await.unwrap();
    assert_eq!(manager.unload("a").await, Err(Error::InUse("a".into())));
    drop(lease);
    assert!(matches!(manager.unload("a").await, Ok(Some(_))));
    assert_eq!(manager.unload("a").await, Ok(None));
    assert!(matches!(
        manager.unload("z").await,
        Err(Error::Unknown { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn the_cap_pushes_out_what_was_used_longest_ago() {
    let settings = ModelManagerSettings {
        resident_cap: 2,
        min_residency_ms: 1_000,
        ..Default::default()
    };
    let (manager, _) = manager(settings);
    manager.load("a").await.unwrap();
    manager.load("b").await.unwrap();
    // Nobody may go yet.
    assert_eq!(
        manager.load("c").await,
        Err(Error::Full {
            id: "c".into(),
            cap: 2
        })
    );
    tokio::time::advance(Duration::from_millis(1_001)).await;
    manager.load("a").await.unwrap();
    manager.load("c").await.unwrap();
    assert_eq!(manager.resident(), ["a", "c"]);
    assert_eq!(manager.account().evictions, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_model_is_let_go_and_one_in_use_is_not() {
    let settings = ModelManagerSettings {
        ttl_ms: 5_000,
        min_residency_ms: 1_000,
        ..Default::default()
    };
    let (manager, _) = manager(settings);
    let lease = manager.lease("a").await.unwrap();
    manager.load("b").await.unwrap();
    tokio::time::advance(Duration::from_millis(4_900)).await;
    assert!(evicted(&manager).await.is_empty());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(evicted(&manager).await, ["b"]);
    drop(lease);
    tokio::time::advance(Duration::from_millis(5_000)).await;
    assert_eq!(evicted(&manager).await, ["a"]);
}

/// What a step of the stage engine waits for, and where it says that it has come there.
struct Gate {
    arrived: SyncSender<&'static str>,
    go: std::sync::Mutex<Receiver<()>>,
}

impl Gate {
    fn pass(&self, step: &'static str) {
        self.arrived.send(step).unwrap();
        self.go.lock().unwrap().recv().unwrap();
    }
}

/// An engine with one model and one voice, whose every step waits to be let on. Each load is a new copy of the model, and what a
/// copy says is its number.
struct Stage {
    gate: Gate,
    copy: AtomicUsize,
    /// The clause that the current copy is saying, so that a test may end it.
    sinks: SyncSender<(SpeechSink, usize)>,
}

impl TtsAdapter for Stage {
    fn family(&self) -> &'static str {
        "stage"
    }

    fn models(&self) -> Vec<Model> {
        vec![model("a")]
    }

    fn voices(&self) -> Vec<Voice> {
        vec![Voice {
            name: "v".into(),
            title: "V".into(),
            language: "en".into(),
            gender: Gender::Unknown,
            model: "a".into(),
            loudness_lufs: None,
        }]
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn fetch(&self, _model: &str) -> Result<(), tts::Error> {
        self.gate.pass("fetch");
        Ok(())
    }

    fn load(&self, _model: &str) -> Result<(), tts::Error> {
        self.gate.pass("load");
        self.copy.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn unload(&self, _model: &str) {
        self.gate.pass("unload");
    }

    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        let (sink, speech) = Speech::pair("stage");
        self.sinks
            .send((sink, self.copy.load(Ordering::Relaxed)))
            .unwrap();
        Ok(speech)
    }
}

/// A test's hands on the stage engine.
struct Hands {
    manager: Arc<ModelManager>,
    stage: Arc<Stage>,
    arrived: Receiver<&'static str>,
    go: SyncSender<()>,
    sinks: Receiver<(SpeechSink, usize)>,
}

impl Hands {
    fn new() -> Self {
        let (arrived, arrivals) = sync_channel(8);
        let (go, wait) = sync_channel(8);
        let (sinks, taken) = sync_channel(8);
        let stage = Arc::new(Stage {
            gate: Gate {
                arrived,
                go: std::sync::Mutex::new(wait),
            },
            copy: AtomicUsize::new(0),
            sinks,
        });
        let adapters = [stage.clone() as Arc<dyn TtsAdapter>];
        let settings = ModelManagerSettings::default();
        let manager = ModelManager::new(settings, &adapters, TaskTracker::new());
        Self {
            manager: Arc::new(manager),
            stage,
            arrived: arrivals,
            go,
            sinks: taken,
        }
    }

    fn state(&self) -> ModelState {
        self.manager.models()[0].state
    }

    /// Waits for a step to be reached. Everything else goes on meanwhile.
    async fn reach(&self, step: &str) {
        loop {
            match self.arrived.try_recv() {
                Ok(reached) => break assert_eq!(reached, step),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    fn pass(&self) {
        self.go.send(()).unwrap();
    }

    async fn until(&self, state: ModelState) {
        while self.state() != state {
            tokio::task::yield_now().await;
        }
    }

    /// The clause that the engine was asked for, and by which copy of the model it is said.
    async fn clause(&self) -> (SpeechSink, usize) {
        loop {
            match self.sinks.try_recv() {
                Ok(clause) => break clause,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Loads the model, with all that belongs to it.
    async fn load(&self) {
        let load = self.manager.load("a");
        let steps = async {
            self.reach("fetch").await;
            self.pass();
            self.reach("load").await;
            self.pass();
            self.clause().await.0.finish();
        };
        let (loaded, ()) = tokio::join!(load, steps);
        assert!(loaded.is_ok());
    }
}

#[tokio::test]
async fn a_model_goes_through_all_its_states_and_is_loaded_even_when_the_one_who_asked_has_gone() {
    let hands = Hands::new();
    assert_eq!(hands.state(), ModelState::Absent);
    // It asks, and goes as soon as that is under way.
    tokio::select! {
        biased;
        _ = hands.manager.load("a") => panic!("nothing was let on"),
        () = hands.reach("fetch") => {}
    }
    assert_eq!(hands.state(), ModelState::Fetching);
    hands.pass();
    hands.reach("load").await;
    assert_eq!(hands.state(), ModelState::Loading);
    assert_eq!(
        hands.manager.unload("a").await,
        Err(Error::Loading("a".into()))
    );
    hands.pass();
    let (mut warm_up, _) = hands.clause().await;
    assert_eq!(hands.state(), ModelState::Warming);
    assert!(hands.manager.resident().is_empty());
    // 300 ms are enough: nobody wants more.
    assert!(warm_up.push(8_000, &[1; 2_400]).is_continue());
    hands.until(ModelState::Ready).await;
    assert!(!warm_up.is_wanted());
    drop(warm_up);
    assert_eq!(hands.manager.resident(), ["a"]);
    assert_eq!(hands.manager.account().loads, 1);

    let gone = hands.manager.unload("a");
    let steps = async {
        hands.reach("unload").await;
        assert_eq!(hands.state(), ModelState::Draining);
        assert_eq!(hands.manager.unload("a").await, Ok(None));
        hands.pass();
    };
    let (gone, ()) = tokio::join!(gone, steps);
    assert!(gone.unwrap().is_some());
    assert_eq!(hands.state(), ModelState::Absent);
}

#[tokio::test]
async fn who_asks_while_a_model_goes_gets_it_back() {
    let hands = Hands::new();
    hands.load().await;
    let steps = async {
        hands.reach("unload").await;
        let load = hands.load();
        hands.pass();
        load.await;
    };
    let (gone, ()) = tokio::join!(hands.manager.unload("a"), steps);
    assert!(gone.unwrap().is_some());
    assert_eq!(hands.state(), ModelState::Ready);
}

#[tokio::test]
async fn a_model_that_cannot_speak_is_not_ready_and_is_tried_again() {
    let hands = Hands::new();
    let load = hands.manager.load("a");
    let steps = async {
        hands.reach("fetch").await;
        hands.pass();
        hands.reach("load").await;
        hands.pass();
        hands.clause().await.0.fail("no weights");
        hands.reach("unload").await;
        hands.pass();
    };
    let (loaded, ()) = tokio::join!(load, steps);
    let error = loaded.unwrap_err().to_string();
    assert!(error.contains("no weights"), "{error}");
    assert_eq!(hands.state(), ModelState::Absent);
    hands.load().await;
    assert_eq!(hands.state(), ModelState::Ready);
}

#[tokio::test]
async fn a_reload_puts_a_new_copy_under_those_who_are_speaking() {
    let hands = Hands::new();
    hands.load().await;
    let lease = hands.manager.lease("a").await.unwrap();
    let clause = || Clause {
        text: "hello".into(),
        voice: "v".into(),
        speed: 1.0,
        class: tts::Class::RealTime,
    };
    let mut before = lease.adapter().speak(clause()).unwrap();
    let (mut old, copy) = hands.clause().await;
    assert_eq!(copy, 1);
    let steps = async {
        hands.reach("load").await;
        // Nobody waits meanwhile: the old copy speaks on, for those who come now too.
        assert_eq!(hands.state(), ModelState::Ready);
        let _second = hands.manager.lease("a").await.unwrap();
        let _during = lease.adapter().speak(clause()).unwrap();
        assert_eq!(hands.clause().await.1, 1);
        hands.pass();
        let (warm_up, copy) = hands.clause().await;
        assert_eq!(copy, 2);
        warm_up.finish();
    };
    let (reloaded, ()) = tokio::join!(hands.manager.reload("a"), steps);
    assert!(reloaded.is_ok());
    assert_eq!(hands.stage.copy.load(Ordering::Relaxed), 2);
    // What was begun with the old copy is said to its end with it.
    assert!(old.push(8_000, &[1]).is_continue());
    old.finish();
    let piece = before.next().await.unwrap().unwrap();
    assert_eq!(
        piece,
        Piece {
            rate_hz: 8_000,
            samples: vec![1],
            marks: Vec::new()
        }
    );
    assert!(before.next().await.is_none());
    let _after = lease.adapter().speak(clause()).unwrap();
    assert_eq!(hands.clause().await.1, 2);
    // The lease is still counted.
    assert_eq!(
        hands.manager.unload("a").await,
        Err(Error::InUse("a".into()))
    );
    assert_eq!(hands.manager.account().loads, 2);
}

/// An engine whose model is 128 MiB large.
#[derive(Default)]
struct Large(std::sync::Mutex<Vec<u8>>);

impl TtsAdapter for Large {
    fn family(&self) -> &'static str {
        "large"
    }

    fn models(&self) -> Vec<Model> {
        vec![model("a")]
    }

    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn load(&self, _model: &str) -> Result<(), tts::Error> {
        *self.0.lock().unwrap() = vec![1; 128 << 20];
        Ok(())
    }

    fn unload(&self, _model: &str) {
        *self.0.lock().unwrap() = Vec::new();
    }

    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        Err(tts::Error::Stopped("large"))
    }
}

#[tokio::test]
async fn what_a_model_took_is_given_back_and_told() {
    let _alone = memory::MEASURING.lock().await;
    let large = Arc::new(Large::default());
    let adapters = [large as Arc<dyn TtsAdapter>];
    let settings = ModelManagerSettings::default();
    let manager = Arc::new(ModelManager::new(settings, &adapters, TaskTracker::new()));
    manager.load("a").await.unwrap();
    let freed = manager.unload("a").await.unwrap().unwrap();
    let Some(bytes) = freed.bytes else {
        // Only Linux tells.
        return;
    };
    assert!(bytes > 64 << 20, "{bytes} bytes");
    assert_eq!(manager.account().freed_bytes, bytes);
}

/// An engine that keeps copies of its model beside each other. What a copy says is its number; every copy is tried before it takes
/// over, and says something when the test lets it.
struct Copies {
    /// Numbers of the copies, the one that speaks last.
    speaking: Arc<AtomicUsize>,
    made: AtomicUsize,
    tried: SyncSender<SpeechSink>,
}

struct Copy {
    number: usize,
    speaking: Arc<AtomicUsize>,
    tried: SyncSender<SpeechSink>,
}

impl Newcomer for Copy {
    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        let (sink, speech) = Speech::pair("copies");
        self.tried.send(sink).unwrap();
        Ok(speech)
    }

    fn take_over(self: Box<Self>) {
        self.speaking.store(self.number, Ordering::Relaxed);
    }
}

impl TtsAdapter for Copies {
    fn family(&self) -> &'static str {
        "copies"
    }

    fn models(&self) -> Vec<Model> {
        vec![model("a")]
    }

    fn voices(&self) -> Vec<Voice> {
        vec![Voice {
            name: "v".into(),
            title: "V".into(),
            language: "en".into(),
            gender: Gender::Unknown,
            model: "a".into(),
            loudness_lufs: None,
        }]
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn load(&self, _model: &str) -> Result<(), tts::Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.speaking.store(number, Ordering::Relaxed);
        Ok(())
    }

    fn renew(&self, _model: &str) -> Result<Option<Box<dyn Newcomer>>, tts::Error> {
        Ok(Some(Box::new(Copy {
            number: self.made.fetch_add(1, Ordering::Relaxed),
            speaking: self.speaking.clone(),
            tried: self.tried.clone(),
        })))
    }

    fn unload(&self, _model: &str) {}

    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        let number = self.speaking.load(Ordering::Relaxed) as i16;
        Ok(Speech::made(std::iter::once(Piece {
            rate_hz: 8_000,
            samples: vec![number; 4_000],
            marks: Vec::new(),
        })))
    }
}

#[tokio::test]
async fn a_new_copy_speaks_when_it_has_shown_that_it_can_and_the_old_one_until_then() {
    let (tried, trials) = sync_channel(1);
    let copies = Arc::new(Copies {
        speaking: Arc::default(),
        made: AtomicUsize::new(0),
        tried,
    });
    let adapters = [copies.clone() as Arc<dyn TtsAdapter>];
    let settings = ModelManagerSettings::default();
    let manager = Arc::new(ModelManager::new(settings, &adapters, TaskTracker::new()));
    let lease = manager.lease("a").await.unwrap();
    let trial = async || {
        loop {
            match trials.try_recv() {
                Ok(sink) => break sink,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let speaking = || copies.speaking.load(Ordering::Relaxed);
    // One that cannot speak changes nothing, and is told.
    let steps = async { trial().await.fail("no weights") };
    let (end, ()) = tokio::join!(manager.reload("a"), steps);
    assert!(end.unwrap_err().to_string().contains("no weights"));
    assert_eq!(speaking(), 0);
    let listed = manager.models().remove(0);
    assert_eq!(listed.state, ModelState::Ready);
    assert!(listed.problem.unwrap().contains("no weights"));
    // One that can takes over, and not before.
    let steps = async {
        let sink = trial().await;
        assert_eq!(speaking(), 0);
        assert_eq!(manager.models()[0].state, ModelState::Ready);
        sink.finish();
    };
    let (end, ()) = tokio::join!(manager.reload("a"), steps);
    assert!(end.is_ok());
    assert_eq!(speaking(), 2);
    assert_eq!(manager.models()[0].problem, None);
    drop(lease);
    assert!(matches!(manager.unload("a").await, Ok(Some(_))));
}

/// An engine whose model a never comes, until the test lets it, and whose model b does at once.
struct Stuck {
    gate: Gate,
}

impl TtsAdapter for Stuck {
    fn family(&self) -> &'static str {
        "stuck"
    }

    fn models(&self) -> Vec<Model> {
        ["a", "b"].map(model).into()
    }

    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }

    fn max_sessions(&self) -> u32 {
        1
    }

    fn load(&self, model: &str) -> Result<(), tts::Error> {
        if model == "a" {
            self.gate.pass("load");
        }
        Ok(())
    }

    fn unload(&self, _model: &str) {
        self.gate.pass("unload");
    }

    fn speak(&self, _clause: Clause) -> Result<Speech, tts::Error> {
        Err(tts::Error::Stopped("stuck"))
    }
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_given_up_and_holds_up_nobody() {
    let (arrived, arrivals) = sync_channel(8);
    let (go, wait) = sync_channel(8);
    let gate = Gate {
        arrived,
        go: std::sync::Mutex::new(wait),
    };
    let settings = ModelManagerSettings {
        load_timeout_ms: 1_000,
        resident_cap: 1,
        min_residency_ms: 0,
        ..Default::default()
    };
    let adapters = [Arc::new(Stuck { gate }) as Arc<dyn TtsAdapter>];
    let manager = Arc::new(ModelManager::new(settings, &adapters, TaskTracker::new()));
    let reach = async |step: &str| {
        loop {
            match arrivals.try_recv() {
                Ok(reached) => break assert_eq!(reached, step),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let late = manager.load("a").await.unwrap_err();
    assert!(matches!(late, Error::Late { .. }), "{late}");
    assert!(late.to_string().contains("after 1 s"), "{late}");
    reach("load").await;
    let listed = manager.models().remove(0);
    assert_eq!(listed.state, ModelState::Absent);
    assert_eq!(listed.problem, Some(late.to_string()));
    // It takes neither the only permit nor the only room.
    manager.load("b").await.unwrap();
    assert_eq!(manager.resident(), ["b"]);
    // And nobody waits for it, or begins it a second time.
    assert_eq!(manager.load("a").await, Err(Error::Hangs("a".into())));
    // It ends after all: what it brought is let go, and it may be tried again.
    go.send(()).unwrap();
    reach("unload").await;
    go.send(()).unwrap();
    // b makes room for it then.
    go.send(()).unwrap();
    go.send(()).unwrap();
    while manager.load("a").await == Err(Error::Hangs("a".into())) {
        tokio::task::yield_now().await;
    }
    assert_eq!(manager.resident(), ["a"]);
    assert_eq!(manager.models()[0].problem, None);
}
