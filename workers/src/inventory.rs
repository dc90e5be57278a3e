//! Which engines are on this machine, and how to get the others.

use crate::places::Places;
use crate::settings::{Kind, SttEngine, SttSettings, TtsEngine};
use crate::{stt, tts};

/// Voices named in a note; the rest is counted.
const NAMED: usize = 6;

/// An engine, and whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it does.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Whether it is installed.
    pub present: bool,
    /// What it brings, or what is missing.
    pub note: String,
    /// What to type to get it; empty when it is present.
    pub fix: String,
    /// Its voices, as in `flite:slt`.
    pub voices: Vec<String>,
}

/// Looks for every engine there is, and for its files in these places.
pub fn inventory(places: &Places) -> Vec<Item> {
    let speaking = [
        TtsEngine::Flite,
        TtsEngine::Espeak,
        TtsEngine::Piper,
        TtsEngine::Kokoro,
        TtsEngine::Mock,
    ]
    .map(|engine| speaker(engine, places));
    let listening = [
        SttEngine::Pocketsphinx,
        SttEngine::Whisper,
        SttEngine::Scripted,
    ]
    .map(|engine| listener(engine, places));
    speaking.into_iter().chain(listening).collect()
}

fn speaker(engine: TtsEngine, places: &Places) -> Item {
    let item = Item {
        kind: Kind::Tts,
        name: engine.to_string(),
        present: false,
        note: String::new(),
        fix: match engine {
            TtsEngine::Flite => format!("apt install {}", tts::flite::PACKAGE),
            TtsEngine::Espeak => format!("apt install {}", tts::espeak::PACKAGE),
            TtsEngine::Piper | TtsEngine::Kokoro => {
                "mend the voice pack, as docs/engines.md shows it".to_owned()
            }
            TtsEngine::Mock => String::new(),
        },
        voices: Vec::new(),
    };
    match tts::open(engine, places) {
        // What is missing of these depends on what is there already.
        Err(tts::Error::Missing(missing))
            if matches!(engine, TtsEngine::Piper | TtsEngine::Kokoro) =>
        {
            Item {
                note: missing.to_string(),
                fix: missing.remedy,
                ..item
            }
        }
        Err(error) => Item {
            note: error.to_string(),
            ..item
        },
        Ok(adapter) => {
            let voices = adapter.voices();
            let mut names: Vec<&str> = voices
                .iter()
                .take(NAMED)
                .map(|voice| voice.name.as_str())
                .collect();
            let more = format!("and {} more", voices.len().saturating_sub(NAMED));
            if voices.len() > NAMED {
                names.push(&more);
            }
            let plural = if voices.len() == 1 { "voice" } else { "voices" };
            Item {
                present: true,
                note: format!("{} {plural}: {}", voices.len(), names.join(", ")),
                fix: String::new(),
                voices: voices
                    .iter()
                    .map(|voice| format!("{engine}:{}", voice.name))
                    .collect(),
                ..item
            }
        }
    }
}

fn listener(engine: SttEngine, places: &Places) -> Item {
    let item = Item {
        kind: Kind::Stt,
        name: engine.to_string(),
        present: false,
        note: String::new(),
        fix: match engine {
            SttEngine::Pocketsphinx => format!(
                "apt install {} {}",
                stt::pocketsphinx::PACKAGES,
                stt::pocketsphinx::MODEL_PACKAGE
            ),
            SttEngine::Whisper => "parlor models fetch whisper-base.en".to_owned(),
            SttEngine::Scripted => String::new(),
        },
        voices: Vec::new(),
    };
    let settings = SttSettings {
        adapter: engine,
        ..SttSettings::default()
    };
    match stt::open(&settings, places) {
        Err(stt::Error::Missing(missing)) if engine == SttEngine::Whisper => Item {
            note: missing.to_string(),
            fix: missing.remedy,
            ..item
        },
        Err(error) => Item {
            note: error.to_string(),
            ..item
        },
        Ok(adapter) => {
            let note = match engine {
                SttEngine::Pocketsphinx => format!("model {}, English", adapter.model()),
                SttEngine::Whisper => {
                    let languages = adapter.languages().len();
                    let plural = if languages == 1 {
                        "language"
                    } else {
                        "languages"
                    };
                    format!("model {}, {languages} {plural}", adapter.model())
                }
                SttEngine::Scripted => "for tests".to_owned(),
            };
            Item {
                present: true,
                note,
                fix: String::new(),
                ..item
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_is_listed_with_a_remedy_if_it_is_missing() {
        let items = inventory(&Places::default());
        let names: Vec<_> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "flite",
                "espeak",
                "piper",
                "kokoro",
                "mock",
                "pocketsphinx",
                "whisper",
                "scripted"
            ]
        );
        for item in &items {
            assert!(!item.note.is_empty());
            assert_eq!(item.present, item.fix.is_empty(), "{item:?}");
        }
        assert_eq!(items[4].voices, ["mock:440hz"]);
    }
}
