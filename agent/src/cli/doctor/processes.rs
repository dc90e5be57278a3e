//! The worker processes that `parlor serve` would start.

use super::Finding;
use crate::config::{Config, LocalWorkers};
use workers::{Kind, Settings, SttSettings, stt, tts};

/// Whether each has its engine; nothing where there are to be none.
pub(super) fn processes(config: &Config) -> Vec<Finding> {
    let settings = config.workers();
    let local = config.local_workers().into_iter();
    let found = local.map(|workers| {
        let what = format!("process {} {}", workers.kind, workers.adapter);
        match problem(&workers, &settings) {
            None => Finding::present(what, format!("{} to be started", workers.count)),
            Some(problem) => Finding::missing(
                what,
                problem,
                "or change cluster.local (stt.adapter for a recogniser that runs apart)",
            )
            .needed(),
        }
    });
    found.collect()
}

fn problem(workers: &LocalWorkers, settings: &Settings) -> Option<String> {
    let places = settings.places();
    // An unknown engine was refused with the settings.
    match workers.kind {
        Kind::Tts => {
            let opened = tts::open(workers.adapter.parse().ok()?, &places);
            opened.err().map(|error| error.to_string())
        }
        Kind::Stt => {
            let settings = SttSettings {
                adapter: workers.adapter.parse().ok()?,
                ..settings.stt.clone()
            };
            let opened = stt::open(&settings, &places);
            opened.err().map(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_process_without_its_engine_is_needed() {
        let mut config = Config::default();
        assert!(processes(&config).is_empty());
        config.cluster.local = vec![
            LocalWorkers::one(Kind::Tts, "mock"),
            LocalWorkers {
                count: 2,
                ..LocalWorkers::one(Kind::Stt, "scripted")
            },
        ];
        let found = processes(&config);
        let status: Vec<Status> = found.iter().map(|finding| finding.status).collect();
        assert_eq!(status, [Status::Present, Status::Present]);
        assert!(found[1].found.starts_with('2'));
        // Without places there are no voice packs.
        let piper = LocalWorkers::one(Kind::Tts, "piper");
        assert!(problem(&piper, &Settings::default()).is_some());
    }
}
