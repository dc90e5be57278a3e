//! The look at the files of models before engines may load them.

use super::{Catalogue, Guard, Memory, Store, Verdict};
use crate::config::Config;
use crate::server::engines;
use anyhow::bail;
use std::path::PathBuf;

/// The name of the voice detector that has a model, among the names of engines.
pub const SILERO: &str = "silero";

/// What stands before a pack's engine in a store, and not in a folder of voice packs.
const PACKS: &str = "voicepacks/";

/// Refuses to start engines, by name, when one of them would load a file that the catalogue knows and that is another one.
/// Files that the catalogue does not know are the user's own and are not looked at.
///
/// The first look at a file reads it whole; later ones only ask whether it has changed.
///
/// # Errors
/// A bad catalogue, a file that cannot be read, and all files that differ, each with what to type.
pub async fn check(
    config: &Config,
    engines: impl IntoIterator<Item = String>,
) -> anyhow::Result<()> {
    let prefixes: Vec<String> = engines
        .into_iter()
        .filter_map(|engine| prefix(&engine, config))
        .collect();
    if prefixes.is_empty() {
        return Ok(());
    }
    let look = Look {
        catalogue: Catalogue::open(config.models.catalogue.as_deref())?,
        stores: Store::new(engines::model_stores()).folders().to_vec(),
        packs: config.workers().places().voicepacks,
    };
    let memory = memory();
    tokio::task::spawn_blocking(move || look.at(&prefixes, Memory::open(memory))).await?
}

/// How the places of an engine's files in a store begin.
fn prefix(engine: &str, config: &Config) -> Option<String> {
    match engine {
        "piper" | "kokoro" => Some(format!("{PACKS}{engine}/")),
        // It has one model; others in the store are none of its business.
        "whisper" => Some(format!("whisper/ggml-{}.bin", config.stt.whisper.model)),
        SILERO => Some("silero-vad/".to_owned()),
        _ => None,
    }
}

/// The engines of a server that may load files, inside it and in processes of its own, and its voice detector.
pub fn inside(config: &Config) -> Vec<String> {
    let mut engines = speaking_and_listening(config);
    let processes = config.local_workers().into_iter();
    engines.extend(processes.map(|workers| workers.adapter));
    if config.vad.engine != media::hear::VadChoice::WebRtc {
        engines.push(SILERO.to_owned());
    }
    engines
}

/// The engines inside the program that may load files, where nothing is detected.
pub fn speaking_and_listening(config: &Config) -> Vec<String> {
    let mut engines: Vec<String> = config
        .tts
        .adapters
        .iter()
        .map(ToString::to_string)
        .collect();
    engines.push(config.stt.adapter.to_string());
    engines
}

/// Where the sums of files are remembered.
pub fn memory() -> PathBuf {
    engines::cache().join("model-sums.json")
}

struct Look {
    catalogue: Catalogue,
    stores: Vec<PathBuf>,
    packs: Vec<PathBuf>,
}

impl Look {
    fn at(&self, prefixes: &[String], memory: Memory) -> anyhow::Result<()> {
        let mut guard = Guard::new(&self.catalogue, memory);
        let mut differing = Vec::new();
        let files = self
            .catalogue
            .models()
            .iter()
            .flat_map(|model| &model.files);
        for file in files {
            let is_asked = |prefix: &String| file.path.starts_with(prefix.as_str());
            if !prefixes.iter().any(is_asked) {
                continue;
            }
            let Some(path) = self.find(&file.path) else {
                continue;
            };
            if let Verdict::Differs {
                model,
                wanted,
                found,
            } = guard.file_as(&path, &file.path)?
            {
                differing.push(format!(
                    "{} is not the file that the catalogue knows: its sha256 is {found} and should be {wanted}; \
                     type parlor models fetch {model}, or name your own file in a catalogue (models.catalogue)",
                    path.display()
                ));
            }
        }
        guard.finish();
        if !differing.is_empty() {
            bail!("{}", differing.join("\n"));
        }
        Ok(())
    }

    /// The file that an engine would take: of a pack's that in the first folder with a pack of that name, else the first.
    fn find(&self, relative: &str) -> Option<PathBuf> {
        let Some(inside) = relative.strip_prefix(PACKS) else {
            let mut paths = self.stores.iter().map(|store| store.join(relative));
            return paths.find(|path| path.is_file());
        };
        let mut paths = self.packs.iter().map(|folder| folder.join(inside));
        let path = paths.find(|path| path.parent().is_some_and(|pack| pack.is_dir()))?;
        path.is_file().then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Sum;
    use std::fs;

    #[test]
    fn a_file_of_another_sum_is_refused_where_the_engine_would_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (good, pack) = (at("good"), "piper/amy/amy.onnx");
        fs::write(&good, "abc").unwrap();
        let sum = Sum::of_file(&good).unwrap();
        let catalogue = Catalogue::parse(&format!(
            "[[model]]\nid = 'amy'\nkind = 'tts'\nlicence = 'MIT'\nsource = 'https://a.org'\ndescription = 'Amy.'\n\
             [[model.file]]\npath = 'voicepacks/{pack}'\nurl = 'https://a.org/x'\nsha256 = '{sum}'\nsize = 3\n"
        ));
        let look = Look {
            catalogue: catalogue.unwrap(),
            stores: vec![at("store")],
            packs: vec![at("own"), at("store/voicepacks")],
        };
        let refusal = |prefix: &str| match look.at(&[prefix.to_owned()], Memory::default()) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        let put = |folder: &str, text: &str| {
            let path = at(folder).join(pack);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let piper = "voicepacks/piper/";
        assert_eq!(refusal(piper), "", "nothing is there");
        put("store/voicepacks", "abd");
        assert!(
            refusal(piper).contains("parlor models fetch amy"),
            "{}",
            refusal(piper)
        );
        assert_eq!(
            refusal("voicepacks/kokoro/"),
            "",
            "another engine does not load it"
        );
        // The pack that is found first is the one that is loaded.
        put("own", "abc");
        assert_eq!(refusal(piper), "");
        put("own", "abd");
        assert!(refusal(piper).contains(&at("own").display().to_string()));
    }
}
