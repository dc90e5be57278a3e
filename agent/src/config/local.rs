//! `[[cluster.local]]`: the worker processes that the program starts itself.

use super::Config;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use workers::{Kind, SttEngine, TtsEngine};

/// The most processes that are alike. More of them than processors only wait for each other.
const MOST: u32 = 64;

/// Worker processes of one kind that the program starts, watches and starts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalWorkers {
    /// `tts` or `stt`.
    pub kind: Kind,
    /// Which engine, as `parlor worker --adapter` has it.
    pub adapter: String,
    /// How many processes.
    #[serde(default = "one")]
    pub count: u32,
    /// The GPU that their models run on, counted from 0; not set: they run on the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
    /// The model of a session that asks for none (tts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Models loaded at the start (tts).
    #[serde(default)]
    pub preload: Vec<String>,
    /// Sessions open at a time in each, or for stt utterances heard at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u32>,
}

fn one() -> u32 {
    1
}

impl LocalWorkers {
    /// One process that is as the other settings say.
    pub fn one(kind: Kind, adapter: impl ToString) -> Self {
        Self {
            kind,
            adapter: adapter.to_string(),
            count: one(),
            gpu: None,
            default_model: None,
            preload: Vec::new(),
            max_sessions: None,
        }
    }

    /// Checks the settings that stand at `key`.
    pub(super) fn check(&self, key: &str, must: &mut impl FnMut(bool, &str, &str)) {
        let unknown = match self.kind {
            Kind::Tts => self.adapter.parse::<TtsEngine>().err(),
            Kind::Stt => self.adapter.parse::<SttEngine>().err(),
        };
        if let Some(unknown) = unknown {
            must(
                false,
                &format!("{key}.adapter"),
                &format!("an engine: {unknown}"),
            );
        }
        must(
            (1..=MOST).contains(&self.count),
            &format!("{key}.count"),
            &format!("1 to {MOST}"),
        );
        must(
            self.max_sessions != Some(0),
            &format!("{key}.max_sessions"),
            "at least 1, or not set",
        );
        must(
            self.kind == Kind::Tts || (self.default_model.is_none() && self.preload.is_empty()),
            &format!("{key}.kind"),
            "tts for default_model and preload: a recogniser has one model",
        );
    }
}

impl Config {
    /// The worker processes to start: those of `cluster.local`, and one for a recogniser that may take the process with it
    /// when it fails.
    pub fn local_workers(&self) -> Vec<LocalWorkers> {
        let mut local = self.cluster.local.clone();
        let engine = self.stt.adapter.to_string();
        let is_there = local
            .iter()
            .any(|workers| workers.kind == Kind::Stt && workers.adapter == engine);
        if self.stt.runs_apart() && !is_there {
            local.push(LocalWorkers::one(Kind::Stt, engine));
        }
        local
    }

    /// Whether a worker process is to speak with this engine.
    pub(super) fn speaks_apart(&self, engine: &str) -> bool {
        let mut local = self.cluster.local.iter();
        local.any(|workers| workers.kind == Kind::Tts && workers.adapter == engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn load_local(value: &str) -> Result<Vec<LocalWorkers>, String> {
        let source = Source {
            file: None,
            flags: vec![("cluster.local".to_owned(), value.to_owned())],
        };
        let loaded = load(&source).map_err(|problems| problems.to_string())?;
        Ok(loaded.config.local_workers())
    }

    #[test]
    fn processes_are_read_from_a_file_and_from_a_flag() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("parlor.toml");
        let toml = "[[cluster.local]]\nkind = \"tts\"\nadapter = \"piper\"\ngpu = 0\npreload = [\"en_US-lessac-medium\"]\n\
                    [[cluster.local]]\nkind = \"stt\"\nadapter = \"pocketsphinx\"\ncount = 2\n";
        std::fs::write(&file, toml).unwrap();
        let source = Source {
            file: Some(file),
            flags: Vec::new(),
        };
        let read = load(&source).unwrap().config.local_workers();
        let piper = LocalWorkers {
            gpu: Some(0),
            preload: vec!["en_US-lessac-medium".into()],
            ..LocalWorkers::one(Kind::Tts, TtsEngine::Piper)
        };
        let sphinx = LocalWorkers {
            count: 2,
            ..LocalWorkers::one(Kind::Stt, SttEngine::Pocketsphinx)
        };
        assert_eq!(read, [piper, sphinx]);
        assert_eq!(
            load_local("[{kind=tts,adapter=mock}]").unwrap(),
            [LocalWorkers::one(Kind::Tts, TtsEngine::Mock)]
        );
    }

    #[test]
    fn each_mistake_is_named() {
        for (value, said) in [
            (
                "[{kind=tts,adapter=festival}]",
                "cluster.local[0].adapter must be an engine: there is no speaking engine \"festival\"",
            ),
            (
                "[{kind=tts,adapter=mock},{kind=stt,adapter=mock}]",
                "cluster.local[1].adapter must be an engine: there is no recogniser \"mock\"",
            ),
            ("[{kind=tts,adapter=mock,count=0}]", "count must be 1 to 64"),
            (
                "[{kind=tts,adapter=mock,max_sessions=0}]",
                "max_sessions must be at least 1",
            ),
            (
                "[{kind=stt,adapter=scripted,preload=[a]}]",
                "a recogniser has one model",
            ),
            ("[{adapter=mock}]", "kind"),
            ("[{kind=llm,adapter=mock}]", "cluster.local"),
            (
                "[{kind=tts,adapter=mock,cuont=2}]",
                "did you mean \"count\"",
            ),
        ] {
            let problems = load_local(value).unwrap_err();
            assert!(problems.contains(said), "{value}: {problems}");
        }
    }

    #[test]
    fn whisper_runs_apart_unless_it_is_told_not_to() {
        let mut config = Config::default();
        assert!(config.local_workers().is_empty() && config.hears_inside());
        config.stt.adapter = SttEngine::Whisper;
        let whisper = LocalWorkers::one(Kind::Stt, "whisper");
        assert_eq!(config.local_workers(), std::slice::from_ref(&whisper));
        assert_eq!(
            config.embedded_workers().stt.adapter,
            SttEngine::Pocketsphinx
        );
        let two = LocalWorkers {
            count: 2,
            ..whisper
        };
        config.cluster.local = vec![two.clone()];
        assert_eq!(config.local_workers(), [two], "no third");
        config.stt.whisper.model = "base".into();
        config.stt.whisper.language = "de".into();
        assert!(!config.hears_inside(), "English ears are of no use");

        config.cluster.local.clear();
        config.stt.in_process = true;
        assert!(config.local_workers().is_empty() && config.hears_inside());
        assert_eq!(config.embedded_workers().stt.adapter, SttEngine::Whisper);
    }

    #[test]
    fn a_default_voice_may_be_that_of_a_process() {
        let source = |local: &str| Source {
            file: None,
            flags: [
                ("tts.adapters", "[flite]"),
                ("tts.default_voice", "mock:440hz"),
                ("cluster.local", local),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        };
        let config = load(&source("[{kind=tts,adapter=mock}]")).unwrap().config;
        assert_eq!(config.embedded_workers().tts.default_voice, "");
        assert!(load(&source("[]")).is_err());
    }
}
