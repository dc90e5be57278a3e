//! Which processes there are to be, and how each is started.

use crate::config::LocalWorkers;
use proto::registry::RecordKind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use workers::Kind;

/// How processes of this program are started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The program; none: this one.
    pub program: Option<PathBuf>,
    /// What every process is told besides what it is there for, as `-v`.
    pub arguments: Vec<String>,
}

impl Launch {
    /// The program to start.
    pub(super) fn program(&self) -> PathBuf {
        if let Some(program) = &self.program {
            return program.clone();
        }
        let own = std::env::current_exe().ok();
        // Its file may have been replaced by another version since: this name of it stays.
        own.filter(|path| path.is_file())
            .unwrap_or_else(|| Path::new("/proc/self/exe").to_owned())
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Unique among those of this program, and not to be mistaken for one of a registry.
    pub name: String,
    /// What it is there for.
    pub workers: LocalWorkers,
}

impl Plan {
    /// The processes that these settings want.
    pub(super) fn of(local: &[LocalWorkers]) -> Vec<Self> {
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let each = local
            .iter()
            .flat_map(|workers| (0..workers.count).map(move |_| workers));
        each.map(|workers| {
            let family = format!("{}-{}", workers.kind, workers.adapter);
            let number = numbers.entry(family.clone()).or_default();
            let name = format!("{family}@local-{number}");
            *number += 1;
            Self {
                name,
                workers: workers.clone(),
            }
        })
        .collect()
    }

    /// What it does, as its record says it.
    pub(super) fn kind(&self) -> RecordKind {
        match self.workers.kind {
            Kind::Tts => RecordKind::Tts,
            Kind::Stt => RecordKind::Stt,
        }
    }

    /// What it is told on its command line, for people who look at processes; all else it is told in private.
    pub(super) fn arguments(&self) -> Vec<String> {
        let LocalWorkers {
            kind,
            adapter,
            count: _,
            gpu,
            default_model,
            preload,
            max_sessions,
        } = &self.workers;
        let mut arguments: Vec<String> = [
            "worker",
            "--parent",
            "--kind",
            &kind.to_string(),
            "--adapter",
            adapter,
            "--name",
            &self.name,
            "--listen",
            "127.0.0.1:0",
        ]
        .map(str::to_owned)
        .into();
        // With an equals sign, so that no value is taken for a flag.
        arguments.extend(gpu.map(|gpu| format!("--gpu={gpu}")));
        arguments.extend(
            default_model
                .iter()
                .map(|model| format!("--default-model={model}")),
        );
        arguments.extend(preload.iter().map(|model| format!("--preload={model}")));
        arguments.extend(max_sessions.map(|most| format!("--max-sessions={most}")));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_one_engine_are_numbered_wherever_they_stand() {
        let workers = |kind, adapter: &str, count| LocalWorkers {
            count,
            ..LocalWorkers::one(kind, adapter)
        };
        let plans = Plan::of(&[
            workers(Kind::Tts, "piper", 2),
            workers(Kind::Stt, "whisper", 1),
            workers(Kind::Tts, "piper", 1),
        ]);
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "tts-piper@local-0",
                "tts-piper@local-1",
                "stt-whisper@local-0",
                "tts-piper@local-2"
            ]
        );
    }

    #[test]
    fn a_process_is_told_what_its_table_says() {
        let workers = LocalWorkers {
            gpu: Some(1),
            default_model: Some("a".into()),
            preload: vec!["-b".into(), "c".into()],
            max_sessions: Some(4),
            ..LocalWorkers::one(Kind::Tts, "piper")
        };
        let plans = Plan::of(&[workers]);
        let told = plans[0].arguments();
        let more = [
            "--gpu=1",
            "--default-model=a",
            "--preload=-b",
            "--preload=c",
            "--max-sessions=4",
        ];
        assert!(told.ends_with(&more.map(str::to_owned)), "{told:?}");
        assert!(told.contains(&"tts-piper@local-0".to_owned()));
    }
}
