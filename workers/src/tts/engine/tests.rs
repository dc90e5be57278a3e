use super::*;
use crate::tts::Class;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

fn clause(text: &str) -> Clause {
    Clause {
        text: text.to_owned(),
        voice: "v".to_owned(),
        speed: 1.0,
        class: Class::RealTime,
    }
}

fn batch(text: &str) -> Clause {
    Clause {
        class: Class::Batch,
        ..clause(text)
    }
}

/// An engine that says a clause when it is let, and notes what it said; its steps are told.
struct Stage {
    engine: Engine,
    /// Tells that a turn has begun, with its clauses.
    turns: Receiver<Vec<String>>,
    go: SyncSender<()>,
}

struct Slow {
    together: usize,
    turns: SyncSender<Vec<String>>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl Slow {
    fn turn(&self, clauses: Vec<String>) {
        self.turns.send(clauses).unwrap();
        self.go.lock().unwrap().recv().unwrap();
    }
}

fn utter(clause: &Clause, mut sink: SpeechSink) {
    let _ = sink.push(8_000, &[clause.text.len() as i16]);
    sink.finish();
}

impl Say for Slow {
    fn say(&mut self, clause: &Clause, sink: SpeechSink) {
        self.turn(vec![clause.text.clone()]);
        utter(clause, sink);
    }

    fn together(&self) -> usize {
        self.together
    }

    fn say_batch(&mut self, jobs: Vec<Job>) {
        self.turn(jobs.iter().map(|job| job.clause.text.clone()).collect());
        for Job { clause, sink } in jobs {
            utter(&clause, sink);
        }
    }
}

impl Stage {
    fn new(together: usize) -> Self {
        let (turns, told) = sync_channel(64);
        let (go, wait) = sync_channel(64);
        let wait = Arc::new(Mutex::new(wait));
        let engine = Engine::start("test", "parlor-test".to_owned(), move || {
            Ok(Slow {
                together,
                turns: turns.clone(),
                go: wait.clone(),
            })
        });
        Self {
            engine: engine.unwrap(),
            turns: told,
            go,
        }
    }

    /// Waits for the next turn, and lets it end.
    fn turn(&self) -> Vec<String> {
        let turn = self.turns.recv().unwrap();
        self.go.send(()).unwrap();
        turn
    }
}

/// Whether all of a clause is heard.
async fn is_heard(speech: &mut Speech) -> bool {
    let piece = speech.next().await;
    piece.is_some_and(|piece| piece.is_ok()) && speech.next().await.is_none()
}

#[tokio::test]
async fn a_clause_that_nobody_wants_any_more_is_never_said_and_gives_its_place_back() {
    let stage = Stage::new(1);
    let mut first = stage.engine.speak(clause("one")).unwrap();
    // It has its turn: what comes now waits.
    assert_eq!(stage.turns.recv().unwrap(), ["one"]);
    let second = stage.engine.speak(clause("two")).unwrap();
    let mut third = stage.engine.speak(clause("three")).unwrap();
    assert_eq!(stage.engine.waiting(), 2);
    drop(second);
    assert_eq!(stage.engine.waiting(), 1);
    stage.go.send(()).unwrap();
    assert_eq!(stage.turn(), ["three"]);
    assert!(is_heard(&mut first).await);
    assert!(is_heard(&mut third).await);
    let took = third.took().unwrap();
    assert!(took.first <= took.time && took.waited > Duration::ZERO);
}

#[tokio::test]
async fn callers_go_before_batch_work_that_came_earlier() {
    let stage = Stage::new(1);
    let _first = stage.engine.speak(clause("first")).unwrap();
    let begun = stage.turns.recv().unwrap();
    let _said: Vec<_> = ["b1", "b2"]
        .map(|text| stage.engine.speak(batch(text)).unwrap())
        .into();
    let _caller = stage.engine.speak(clause("caller")).unwrap();
    stage.go.send(()).unwrap();
    assert_eq!(begun, ["first"]);
    assert_eq!(stage.turn(), ["caller"]);
    assert_eq!(stage.turn(), ["b1"]);
    assert_eq!(stage.turn(), ["b2"]);
}

#[tokio::test]
async fn batch_work_of_one_manner_is_one_turn_and_each_hears_its_own() {
    let stage = Stage::new(3);
    let _first = stage.engine.speak(clause("first")).unwrap();
    let begun = stage.turns.recv().unwrap();
    let mut said: Vec<_> = ["a", "bb", "ccc", "dddd"]
        .map(|text| stage.engine.speak(batch(text)).unwrap())
        .into();
    stage.go.send(()).unwrap();
    assert_eq!(begun, ["first"]);
    assert_eq!(stage.turn(), ["a", "bb", "ccc"]);
    // The last one waits for others, and then goes alone.
    assert_eq!(stage.turn(), ["dddd"]);
    for (speech, length) in said.iter_mut().zip(1..) {
        let piece = speech.next().await.unwrap().unwrap();
        assert_eq!(piece.samples, [length]);
    }
}

#[tokio::test]
async fn a_model_that_panics_is_loaded_anew_for_the_next_clause() {
    let loads = Arc::new(AtomicUsize::new(0));
    let count = loads.clone();
    let engine = Engine::start("test", "parlor-test".to_owned(), move || {
        let load = count.fetch_add(1, Ordering::SeqCst);
        if load == 1 {
            return Err(Error::Start {
                engine: "test",
                reason: "not yet".to_owned(),
            });
        }
        Ok(move |clause: &Clause, sink: SpeechSink| {
            assert!(clause.text != "poison", "as if the model had panicked");
            utter(clause, sink);
        })
    })
    .unwrap();
    let mut speech = engine.speak(clause("good")).unwrap();
    assert!(is_heard(&mut speech).await);
    assert!(!engine.has_failed());
    let mut speech = engine.speak(clause("poison")).unwrap();
    let error = speech.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    // It cannot be loaded yet: whoever wants it is told, and the thread goes on.
    let mut speech = engine.speak(clause("good")).unwrap();
    let error = speech.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not yet"), "{error}");
    assert!(engine.has_failed());
    let mut speech = engine.speak(clause("good")).unwrap();
    assert!(is_heard(&mut speech).await);
    assert!(!engine.has_failed());
    assert_eq!(loads.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_engine_that_is_let_go_says_what_it_was_told_and_then_ends() {
    let stage = Stage::new(8);
    let mut speech = stage.engine.speak(batch("one")).unwrap();
    stage.go.send(()).unwrap();
    stage.engine.end(Duration::from_secs(60));
    assert!(is_heard(&mut speech).await);
    // The thread is gone, and with it who would tell of turns.
    assert_eq!(stage.turns.recv().unwrap(), ["one"]);
    assert!(stage.turns.recv().is_err());
}

#[test]
fn a_library_that_does_not_start_says_why() {
    type Say = fn(&Clause, SpeechSink);
    let start = |start: fn() -> Result<Say, Error>| {
        let engine = Engine::start("test", "parlor-test".to_owned(), start);
        engine.err().unwrap().to_string()
    };
    let refused = start(|| {
        Err(Error::Start {
            engine: "test",
            reason: "no voices".into(),
        })
    });
    assert_eq!(refused, "cannot start the test engine: no voices");
    let broken = start(|| panic!("as if the library had"));
    assert!(broken.contains("broke off"), "{broken}");
}
