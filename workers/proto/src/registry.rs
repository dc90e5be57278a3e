//! What a worker says about itself in the registry, for agents to find it.
//!
//! The names of the fields are shared with readers that know no others at the top level, so what is ours stands inside
//! `capabilities` and `metrics`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a worker's record begins so, unless the settings say otherwise; its name follows.
pub const DEFAULT_PREFIX: &str = "worker:";

/// Names of the metrics that a router reads.
pub mod metric {
    /// Clauses or utterances that wait.
    pub const QUEUE_DEPTH: &str = "queue_depth";
    /// Sessions that may be open at a time.
    pub const SLOTS: &str = "slots";
    /// Sessions that are open.
    pub const SLOTS_IN_USE: &str = "slots_in_use";
    /// 1 while the worker takes nobody new.
    pub const DRAINING: &str = "draining";
    /// The median time to the first result, in milliseconds.
    pub const P50_MS: &str = "p50_ms";
    /// Computing time over the length of the sound.
    pub const RTF: &str = "rtf";
}

/// A worker's record: JSON in the registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Unique among all workers, as in `tts-piper@0`.
    pub name: String,
    /// Where it answers, as in `grpc://host:7001`; `grpcs://` where it wants TLS.
    pub addr: String,
    /// What it can do.
    #[serde(default)]
    pub capabilities: RecordCapabilities,
    /// The models that are in its memory.
    #[serde(default)]
    pub resident_models: Vec<String>,
    /// How busy and how fast it is; see [`metric`].
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// When it wrote this, in seconds since 1970.
    #[serde(default)]
    pub last_heartbeat_ts: f64,
}

/// What a worker can do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordCapabilities {
    /// Whether sound leaves before all of it is made.
    pub streaming: bool,
    /// Whether it can speak with a voice that it was given a sample of.
    pub zero_shot: bool,
    /// Whether it can load adapted weights.
    pub lora: bool,
    /// Whether it runs without a GPU.
    pub cpu_ok: bool,
    /// The languages it knows, as BCP 47 tags; none: any.
    pub languages: Vec<String>,
    /// Whether the mood can be given in words.
    pub emotive_zero_prompt: bool,
    /// What it does.
    pub kind: RecordKind,
    /// The models that it can load.
    pub models: Vec<String>,
    /// The voices it has, as in `flite:slt`, and the model that each needs.
    pub voices: BTreeMap<String, String>,
    /// The GPU it runs on; none: it runs on the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
    /// The version of the program.
    pub version: String,
}

/// Which of the services a worker offers.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// Synthesis; also that of a record that does not say.
    #[default]
    Tts,
    /// Recognition.
    Stt,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// It is no JSON, or of another shape.
    #[error("it does not parse: {0}")]
    Json(#[from] serde_json::Error),
    /// It lacks what nobody can do without.
    #[error("it has no {0}")]
    Lacks(&'static str),
}

impl WorkerRecord {
    /// Reads a record; what is not known is ignored.
    ///
    /// # Errors
    /// [`BadRecord`] when it is no record.
    pub fn parse(json: &[u8]) -> Result<Self, BadRecord> {
        let record: Self = serde_json::from_slice(json)?;
        if record.name.is_empty() {
            return Err(BadRecord::Lacks("name"));
        }
        if record.addr.is_empty() {
            return Err(BadRecord::Lacks("addr"));
        }
        Ok(record)
    }

    /// The record as JSON.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists always can be written; a number that is none is written as null.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A metric; 0 where the worker does not tell.
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or(0.0)
    }

    /// Whether it takes nobody new.
    pub fn is_draining(&self) -> bool {
        self.metric(metric::DRAINING) > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_six_keys_that_every_reader_knows_and_no_other() {
        let record = WorkerRecord {
            name: "tts-piper@0".into(),
            addr: "grpc://host:7001".into(),
            metrics: BTreeMap::from([(metric::SLOTS.into(), 10.0)]),
            ..WorkerRecord::default()
        };
        let json: serde_json::Value = serde_json::from_str(&record.to_json()).unwrap();
        let keys: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "addr",
                "capabilities",
                "last_heartbeat_ts",
                "metrics",
                "name",
                "resident_models"
            ]
        );
        assert_eq!(
            WorkerRecord::parse(record.to_json().as_bytes()).unwrap(),
            record
        );
    }

    #[test]
    fn the_earlier_systems_records_are_read() {
        let json = br#"{"name":"tts-mock@0","addr":"grpc://localhost:7001","capabilities":{"streaming":true,"zero_shot":false,
            "lora":false,"cpu_ok":true,"languages":["en"],"emotive_zero_prompt":false},"resident_models":["mock-440hz"],
            "metrics":{"rtf":0.1,"queue_depth":0},"last_heartbeat_ts":1730000000,"something":"new"}"#;
        let record = WorkerRecord::parse(json).unwrap();
        assert_eq!(record.capabilities.kind, RecordKind::Tts);
        assert_eq!(record.resident_models, ["mock-440hz"]);
        assert!(!record.is_draining());
    }

    #[test]
    fn what_is_no_record_is_told_why() {
        for (json, why) in [
            ("", "does not parse"),
            ("[]", "does not parse"),
            (r#"{"name":"a"}"#, "addr"),
            (r#"{"name":"","addr":"grpc://h:1"}"#, "name"),
            (
                r#"{"name":"a","addr":"grpc://h:1","metrics":{"rtf":"fast"}}"#,
                "does not parse",
            ),
            (
                r#"{"name":"a","addr":"grpc://h:1","capabilities":{"kind":"llm"}}"#,
                "does not parse",
            ),
        ] {
            let error = WorkerRecord::parse(json.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
    }
}
