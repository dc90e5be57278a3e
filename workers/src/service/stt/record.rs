//! What the worker says about itself.

use super::{Engine, Service};
use crate::service::unix;
use crate::stt::slots::{Slots, State};
use proto::registry::{RecordCapabilities, RecordKind, WorkerRecord, metric};
use proto::stt as wire;
use std::collections::{BTreeMap, HashMap};

impl Service {
    /// What the registry is told: the worker's name and address are the caller's to give. Without an engine there is no model.
    pub fn record(&self, name: &str, addr: &str) -> WorkerRecord {
        let mut capabilities = RecordCapabilities {
            streaming: true,
            cpu_ok: true,
            kind: RecordKind::Stt,
            gpu: self.0.gpu,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..RecordCapabilities::default()
        };
        let mut resident_models = Vec::new();
        if let Engine::Present(slots) = &self.0.engine {
            let adapter = slots.adapter();
            let languages = adapter.languages().iter();
            capabilities.languages = languages.map(|language| (*language).to_owned()).collect();
            capabilities.models = vec![adapter.model()];
            if slots.state() == State::Ready {
                resident_models.push(adapter.model());
            }
        }
        WorkerRecord {
            name: name.to_owned(),
            addr: addr.to_owned(),
            capabilities,
            resident_models,
            metrics: self.metrics(),
            last_heartbeat_ts: unix().as_secs_f64(),
        }
    }

    /// How it is and how busy, the same numbers as the registry's.
    pub(super) fn health_now(&self) -> wire::HealthResponse {
        let mut metadata: HashMap<String, String> = self
            .metrics()
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        let slots = match &self.0.engine {
            Engine::Present(slots) => slots,
            Engine::Missing(error) => {
                metadata.insert("message".to_owned(), error.to_string());
                return wire::HealthResponse {
                    status: "error".to_owned(),
                    metadata,
                    ..Default::default()
                };
            }
        };
        let languages = slots.adapter().languages().join(",");
        metadata.insert("languages".to_owned(), languages);
        let status = match slots.state() {
            State::Loading => "loading",
            State::Ready => "ok",
            State::Failed(error) => {
                metadata.insert("message".to_owned(), error.to_string());
                "error"
            }
        };
        wire::HealthResponse {
            status: status.to_owned(),
            model_name: slots.adapter().model(),
            engine: slots.adapter().engine().to_owned(),
            metadata,
        }
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        let of = |number: fn(&Slots) -> f64| match &self.0.engine {
            Engine::Present(slots) => number(slots),
            // Nobody is heard, so there is no place to be had.
            Engine::Missing(_) => 0.0,
        };
        let draining = f64::from(u8::from(self.0.condition.is_draining()));
        let more = [
            (metric::SLOTS, of(|slots| slots.most() as f64)),
            (metric::SLOTS_IN_USE, of(|slots| slots.in_use() as f64)),
            (metric::QUEUE_DEPTH, of(|slots| slots.waiting() as f64)),
            (metric::RTF, of(Slots::rtf)),
            (metric::DRAINING, draining),
        ];
        let mut metrics = self.0.meter.metrics();
        metrics.extend(more.map(|(name, value)| (name.to_owned(), value)));
        metrics
    }
}
