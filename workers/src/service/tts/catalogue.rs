//! Which voice a session gets.

use crate::tts::{Class, NoClass, TtsAdapter, Voice};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The slowest and the fastest that a session may ask for.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;
/// Voices named in a refusal; the rest is counted.
const NAMED: usize = 8;

/// Why a session cannot have what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such voice.
    #[error("there is no voice {asked:?}; there is {known}")]
    Voice {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// No such model.
    #[error("there is no model {asked:?}; there is {known}")]
    Model {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// Nobody speaks it.
    #[error("no voice speaks {asked:?}; there is {known}")]
    Language {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// The voice belongs to another model.
    #[error("the voice {voice} belongs to the model {model:?}, not to {asked:?}")]
    Mismatch {
        /// The voice.
        voice: String,
        /// Its model.
        model: String,
        /// The model asked for.
        asked: String,
    },
    /// No such speed.
    #[error("the speed {0:?} is no number from 0.25 to 4.0")]
    Speed(String),
    /// No such priority.
    #[error(transparent)]
    Priority(#[from] NoClass),
    /// There is no engine at all.
    #[error("there is no engine that speaks; type `parlor doctor` to see what is missing")]
    Nobody,
}

/// What a session speaks with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// `adapter:voice`.
    pub id: String,
    pub voice: Voice,
    pub speed: f32,
    pub class: Class,
}

/// All voices of all engines, the preferred ones first.
pub(super) struct Catalogue {
    voices: Vec<(String, Voice)>,
    default: usize,
}

impl Catalogue {
    pub(super) fn new(
        adapters: &[Arc<dyn TtsAdapter>],
        default_voice: &str,
        default_model: &str,
    ) -> Result<Self, Refusal> {
        let voices = adapters.iter().flat_map(|adapter| {
            let family = adapter.family();
            adapter
                .voices()
                .into_iter()
                .map(move |voice| (format!("{family}:{}", voice.name), voice))
        });
        let mut catalogue = Self {
            voices: voices.collect(),
            default: 0,
        };
        if catalogue.voices.is_empty() {
            return Err(Refusal::Nobody);
        }
        let default = catalogue.find(default_model, default_voice, "")?.0.clone();
        catalogue.default = catalogue
            .voices
            .iter()
            .position(|(id, _)| *id == default)
            .unwrap_or(0);
        Ok(catalogue)
    }

    /// The model of the default voice.
    pub(super) fn default_model(&self) -> &str {
        self.voices
            .get(self.default)
            .map_or("", |(_, voice)| voice.model.as_str())
    }

    pub(super) fn voices(&self) -> impl Iterator<Item = (&str, &Voice)> {
        self.voices.iter().map(|(id, voice)| (id.as_str(), voice))
    }

    /// The voice for a session that names this model and these options; what is empty or `default` leaves the choice free.
    pub(super) fn choose(
        &self,
        model: &str,
        options: &HashMap<String, String>,
    ) -> Result<Choice, Refusal> {
        let option = |name: &str| options.get(name).map_or("", |value| value.trim());
        let speed = match option("speed") {
            "" => 1.0,
            text => match text.parse::<f32>() {
                Ok(speed) if SPEEDS.contains(&speed) => speed,
                _ => return Err(Refusal::Speed(text.to_owned())),
            },
        };
        let class = option("priority").parse::<Class>()?;
        let voice = match option("voice") {
            "default" => "",
            voice => voice,
        };
        let (id, voice) = self.find(model.trim(), voice, option("language"))?;
        Ok(Choice {
            id: id.clone(),
            voice: voice.clone(),
            speed,
            class,
        })
    }

    fn find(&self, model: &str, voice: &str, language: &str) -> Result<&(String, Voice), Refusal> {
        let of_model = |voice: &Voice| model.is_empty() || voice.model == model;
        if !self.voices.iter().any(|(_, voice)| of_model(voice)) {
            return Err(Refusal::Model {
                asked: model.to_owned(),
                known: self.models(),
            });
        }
        if !voice.is_empty() {
            // A name without its adapter is looked for in the model asked for.
            let named = |(id, known): &&(String, Voice)| {
                id.eq_ignore_ascii_case(voice)
                    || (of_model(known) && known.name.eq_ignore_ascii_case(voice))
            };
            let found = self
                .voices
                .iter()
                .find(named)
                .ok_or_else(|| Refusal::Voice {
                    asked: voice.to_owned(),
                    known: self.names(),
                })?;
            if !of_model(&found.1) {
                return Err(Refusal::Mismatch {
                    voice: found.0.clone(),
                    model: found.1.model.clone(),
                    asked: model.to_owned(),
                });
            }
            return Ok(found);
        }
        // The default voice before all others, if it will do.
        let candidates = || {
            let default = self.voices.get(self.default);
            default
                .into_iter()
                .chain(&self.voices)
                .filter(|(_, voice)| of_model(voice))
        };
        if language.is_empty() {
            return candidates().next().ok_or(Refusal::Nobody);
        }
        candidates()
            .find(|(_, voice)| voice.language.eq_ignore_ascii_case(language))
            .or_else(|| {
                candidates().find(|(_, voice)| {
                    primary(&voice.language).eq_ignore_ascii_case(primary(language))
                })
            })
            .ok_or_else(|| Refusal::Language {
                asked: language.to_owned(),
                known: self.languages(),
            })
    }

    fn models(&self) -> String {
        let models: BTreeSet<&str> = self
            .voices
            .iter()
            .map(|(_, voice)| voice.model.as_str())
            .collect();
        models.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> String {
        let named: Vec<&str> = self
            .voices
            .iter()
            .take(NAMED)
            .map(|(id, _)| id.as_str())
            .collect();
        match self.voices.len() - named.len() {
            0 => named.join(", "),
            more => format!(
                "{} and {more} more, which ListVoices tells",
                named.join(", ")
            ),
        }
    }

    fn languages(&self) -> String {
        let languages: BTreeSet<&str> = self
            .voices
            .iter()
            .map(|(_, voice)| primary(&voice.language))
            .collect();
        languages.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// The language of a tag, without its region: `pt` of `pt-BR`. Two languages that people ask for by their group's name are
/// known to the engines by their own.
fn primary(tag: &str) -> &str {
    match tag.split(['-', '_']).next().unwrap_or(tag) {
        "zh" => "cmn",
        "no" => "nb",
        language => language,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::mock::Mock;

    fn catalogue() -> Catalogue {
        Catalogue::new(&[Arc::new(Mock)], "", "").unwrap()
    }

    fn options(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn a_session_that_asks_for_nothing_gets_the_default_voice() {
        let choice = catalogue()
            .choose("", &options(&[("unknown", "ignored")]))
            .unwrap();
        assert_eq!((choice.id.as_str(), choice.speed), ("mock:440hz", 1.0));
        assert_eq!(
            catalogue()
                .choose("mock-440hz", &options(&[("voice", "default")]))
                .unwrap()
                .id,
            "mock:440hz"
        );
        assert_eq!(
            catalogue()
                .choose("", &options(&[("language", "en-GB")]))
                .unwrap()
                .id,
            "mock:440hz"
        );
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let refused = |model: &str, pairs: &[(&str, &str)]| {
            catalogue()
                .choose(model, &options(pairs))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("x", &[]),
            "there is no model \"x\"; there is mock-440hz"
        );
        assert_eq!(
            refused("", &[("voice", "x:y")]),
            "there is no voice \"x:y\"; there is mock:440hz"
        );
        assert_eq!(
            refused("", &[("language", "pt")]),
            "no voice speaks \"pt\"; there is en"
        );
        for speed in ["0.2", "4.1", "fast", "NaN", "-1"] {
            assert!(
                refused("", &[("speed", speed)]).contains("0.25 to 4.0"),
                "{speed}"
            );
        }
        assert!(refused("", &[("priority", "urgent")]).contains("real_time and batch"));
        let batch = catalogue().choose("", &options(&[("priority", "batch")]));
        assert_eq!(batch.unwrap().class, Class::Batch);
        assert_eq!(
            catalogue()
                .choose("", &options(&[("speed", "0.25")]))
                .unwrap()
                .speed,
            0.25
        );
    }

    #[test]
    fn a_wrong_default_voice_is_found_at_the_start() {
        assert!(Catalogue::new(&[Arc::new(Mock)], "flite:slt", "").is_err());
        assert_eq!(Catalogue::new(&[], "", "").err(), Some(Refusal::Nobody));
    }
}
