//! `grpc.health.v1`: whether a worker takes anybody, for probes and balancers.

use super::Service;
use crate::stt::slots::State;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// Keeps what probes are told true, until `stop`.
pub(super) async fn keep(service: Service, reporter: HealthReporter, stop: CancellationToken) {
    let (mut changes, mut states) = match &service {
        Service::Tts(tts) => (tts.changes(), None),
        Service::Stt(stt) => stt.changes(),
    };
    loop {
        tell(&service, &reporter).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = changes.next() => {}
            () = changed(&mut states) => {}
        }
    }
}

/// The worker as a whole has the empty name.
pub(super) async fn tell(service: &Service, reporter: &HealthReporter) {
    let status = match service.is_well() {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    };
    for name in ["", service.name()] {
        reporter.set_service_status(name, status).await;
    }
}

async fn changed(states: &mut Option<watch::Receiver<State>>) {
    let is_told = match states {
        Some(states) => states.changed().await.is_ok(),
        None => false,
    };
    if !is_told {
        // There is nothing more to come.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tts;
    use crate::settings::{ModelManagerSettings, TtsSettings};
    use crate::tts::{Clause, Error, Gender, Model, Speech, TtsAdapter, Voice};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio_util::task::TaskTracker;
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Told;
    use tonic_health::pb::health_server::Health as _;
    use tonic_health::server::HealthService;

    /// An engine whose library may be damaged.
    struct Fragile(Arc<AtomicBool>);

    impl TtsAdapter for Fragile {
        fn family(&self) -> &'static str {
            "fragile"
        }

        fn models(&self) -> Vec<Model> {
            let model = |id: &str| Model {
                id: id.into(),
                languages: Vec::new(),
                metadata: BTreeMap::new(),
            };
            vec![model("good"), model("bad")]
        }

        fn voices(&self) -> Vec<Voice> {
            vec![Voice {
                name: "v".into(),
                title: "V".into(),
                language: "en".into(),
                gender: Gender::Unknown,
                model: "good".into(),
                loudness_lufs: None,
            }]
        }

        fn max_sessions(&self) -> u32 {
            1
        }

        fn load(&self, model: &str) -> Result<(), Error> {
            match model == "bad" || self.0.load(Ordering::Relaxed) {
                true => Err(Error::Start {
                    engine: "fragile",
                    reason: "damaged".into(),
                }),
                false => Ok(()),
            }
        }

        fn unload(&self, _model: &str) {}

        fn speak(&self, _clause: Clause) -> Result<Speech, Error> {
            Ok(Speech::made(std::iter::empty()))
        }
    }

    #[tokio::test]
    async fn a_worker_whose_engine_failed_is_not_serving_until_it_works_again() {
        let is_damaged = Arc::new(AtomicBool::new(true));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let tts = tts::Service::new(
            vec![Arc::new(Fragile(is_damaged.clone()))],
            &TtsSettings::default(),
            ModelManagerSettings::default(),
            None,
            tasks.clone(),
        )
        .unwrap();
        let reporter = HealthReporter::new();
        let probes = HealthService::from_health_reporter(reporter.clone());
        let kept = keep(Service::Tts(tts.clone()), reporter, stop.clone());
        let kept = tasks.spawn(kept);
        let until = async |wanted: Told| {
            loop {
                let request = HealthCheckRequest {
                    service: "tts.TTSService".into(),
                };
                match probes.check(Request::new(request)).await {
                    Ok(answer) if answer.get_ref().status() == wanted => break,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        until(Told::Serving).await;
        // One model of several that cannot be read harms only those who want it.
        assert!(tts.load("bad").await.is_err());
        assert!(tts.is_well());
        assert!(tts.load("good").await.is_err());
        until(Told::NotServing).await;
        is_damaged.store(false, Ordering::Relaxed);
        assert!(tts.load("good").await.is_ok());
        until(Told::Serving).await;
        tts.drain();
        until(Told::NotServing).await;
        stop.cancel();
        kept.await.unwrap();
    }
}
