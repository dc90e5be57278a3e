//! What a worker process gets from the program that started it: one line of JSON on its standard input. Nobody else can read
//! it there, unlike its arguments.

use crate::config::{Config, Telemetry};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use workers::{Kind, ModelManagerSettings, Settings, SttSettings, TtsSettings};

/// Settings as they were when the program started, whatever has become of its files since, and the secret of its workers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    token: String,
    tts: TtsSettings,
    stt: SttSettings,
    model_manager: ModelManagerSettings,
    /// The form of its log, which goes where that of the program goes.
    pub telemetry: Telemetry,
}

// The secret is in it.
impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

impl Handover {
    /// What the processes of this configuration get.
    pub(super) fn new(config: &Config, token: &SecretString) -> Self {
        let mut stt = config.stt.clone();
        let recognisers = config.local_workers().into_iter();
        let recognisers: u32 = recognisers
            .filter(|workers| workers.kind == Kind::Stt)
            .map(|workers| workers.count)
            .sum();
        // Where there is no other, a place that is free in a moment is worth the wait.
        if recognisers == 1 && config.cluster.redis.is_none() {
            stt.wait_ms.get_or_insert(SttSettings::WAIT_MS);
        }
        Self {
            token: token.expose_secret().to_owned(),
            tts: config.tts.clone(),
            stt,
            model_manager: config.model_manager.clone(),
            telemetry: Telemetry {
                log_format: config.telemetry.log_format,
                // That port is the program's own.
                metrics_listen: None,
            },
        }
    }

    /// As a line, with its end.
    ///
    /// # Errors
    /// When a path of the settings is no text.
    pub(super) fn to_line(&self) -> serde_json::Result<SecretString> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line.into())
    }

    /// Reads such a line.
    ///
    /// # Errors
    /// When it is none. The line itself is not quoted.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| {
            let (column, category) = (error.column(), error.classify());
            format!("column {column}: {category:?}")
        })
    }

    /// What those who want something of the process must show.
    pub fn token(&self) -> SecretString {
        self.token.clone().into()
    }

    /// The engines' settings.
    pub fn settings(&self) -> Settings {
        Settings {
            tts: self.tts.clone(),
            stt: self.stt.clone(),
            model_manager: self.model_manager.clone(),
            places: crate::server::engines::places(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LocalWorkers;

    #[test]
    fn what_is_handed_over_arrives_and_is_never_shown() {
        let mut config = Config::default();
        config.stt.script = vec!["one\ntwo".into()];
        config.tts.max_sessions = Some(3);
        config.telemetry.metrics_listen = Some(([127, 0, 0, 1], 9).into());
        let token = SecretString::from("very-secret");
        let handover = Handover::new(&config, &token);
        let line = handover.to_line().unwrap();
        let text = line.expose_secret();
        assert_eq!(text.matches('\n').count(), 1, "it is one line");
        let read = Handover::parse(text.as_bytes()).unwrap();
        assert_eq!(read.token().expose_secret(), "very-secret");
        assert_eq!(read.settings().stt.script, config.stt.script);
        assert_eq!(read.settings().tts, config.tts);
        assert_eq!(read.telemetry.metrics_listen, None);
        assert!(!format!("{read:?}").contains("secret"));
        let wrong = Handover::parse(b"{\"token\":\"very-secret\",\"x\":1}").unwrap_err();
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn the_only_recogniser_lets_an_utterance_wait() {
        let waits = |count: u32| {
            let mut config = Config::default();
            config.cluster.local = vec![LocalWorkers {
                count,
                ..LocalWorkers::one(Kind::Stt, "scripted")
            }];
            let handover = Handover::new(&config, &SecretString::from(""));
            handover.settings().stt.wait_ms
        };
        assert_eq!(waits(1), Some(SttSettings::WAIT_MS));
        assert_eq!(waits(2), None);
    }
}
