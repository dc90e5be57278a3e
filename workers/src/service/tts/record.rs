//! What the worker says about itself.

use super::Service;
use crate::service::unix;
use proto::registry::{RecordCapabilities, RecordKind, WorkerRecord, metric};
use std::collections::{BTreeMap, BTreeSet};

impl Service {
    /// What the registry is told: the worker's name and address are the caller's to give.
    pub fn record(&self, name: &str, addr: &str) -> WorkerRecord {
        let listed = self.0.models.models();
        let languages: BTreeSet<&String> = listed
            .iter()
            .flat_map(|listed| &listed.model.languages)
            .collect();
        let voices = self.0.catalogue.voices();
        WorkerRecord {
            name: name.to_owned(),
            addr: addr.to_owned(),
            capabilities: RecordCapabilities {
                streaming: true,
                zero_shot: false,
                lora: false,
                cpu_ok: true,
                languages: languages.into_iter().cloned().collect(),
                emotive_zero_prompt: false,
                kind: RecordKind::Tts,
                models: listed
                    .iter()
                    .map(|listed| listed.model.id.clone())
                    .collect(),
                voices: voices
                    .map(|(id, voice)| (id.to_owned(), voice.model.clone()))
                    .collect(),
                gpu: self.0.gpu,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            resident_models: self.0.models.resident(),
            metrics: self.metrics(),
            last_heartbeat_ts: unix().as_secs_f64(),
        }
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        let account = self.0.models.account();
        let open = self.0.open() as f64;
        let draining = f64::from(u8::from(self.0.condition.is_draining()));
        let more = [
            ("active_sessions", open),
            (metric::SLOTS, self.0.sessions.most() as f64),
            (metric::SLOTS_IN_USE, open),
            (metric::DRAINING, draining),
            ("model_loads_total", account.loads as f64),
            ("model_load_seconds_total", account.loading.as_secs_f64()),
            (
                "model_unload_seconds_total",
                account.unloading.as_secs_f64(),
            ),
            ("model_freed_bytes_total", account.freed_bytes as f64),
            ("evictions_total", account.evictions as f64),
        ];
        let mut metrics = self.0.meter.metrics();
        metrics.extend(more.map(|(name, value)| (name.to_owned(), value)));
        metrics
    }
}
