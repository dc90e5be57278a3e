use super::*;
use crate::tts::{Clause, Speech, Voice};
use std::sync::atomic::{AtomicUsize, Ordering};

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
        let model = |id: &str| Model {
            id: id.to_owned(),
            languages: Vec::new(),
            metadata: BTreeMap::new(),
        };
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
        )),
        shelf,
    )
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
    assert_eq!(manager.unload("a"), Err(Error::InUse("a".into())));
    drop(lease);
    assert_eq!(manager.unload("a"), Ok(true));
    assert_eq!(manager.unload("a"), Ok(false));
    assert!(matches!(manager.unload("z"), Err(Error::Unknown { .. })));
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
    assert!(manager.evict().is_empty());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(manager.evict(), ["b"]);
    drop(lease);
    tokio::time::advance(Duration::from_millis(5_000)).await;
    assert_eq!(manager.evict(), ["a"]);
}
