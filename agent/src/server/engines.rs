//! Which engines this machine has, and where their files are.

use crate::config::Config;
use crate::session::responder::Responder;
use media::hear::{Denoise, Opened};
use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;
use workers::Embedded;

/// The engines in use, for the start-up message, the page and `parlor doctor`.
#[derive(Debug, Clone, Serialize)]
pub struct Engines {
    /// Voice activity detection.
    pub vad: String,
    /// Noise suppression.
    pub denoise: String,
    /// Recognition.
    pub stt: String,
    /// Synthesis.
    pub tts: String,
    /// Answers.
    pub responder: String,
}

impl Engines {
    /// Names what is in use.
    pub fn describe(
        config: &Config,
        vad: &Opened,
        embedded: &Embedded,
        responder: &Responder,
    ) -> Self {
        Self {
            vad: vad.name.to_owned(),
            denoise: match config.audio.denoise {
                Denoise::Off => "off".into(),
                Denoise::RnNoise => "rnnoise".into(),
            },
            stt: embedded.stt_name().to_owned(),
            tts: embedded.tts_names().join(", "),
            responder: responder.name(),
        }
    }

    /// Names those in worker processes too, which are asked before those inside.
    pub fn with_processes(mut self, config: &Config) -> Self {
        for (kind, engines) in [
            (workers::Kind::Tts, &mut self.tts),
            (workers::Kind::Stt, &mut self.stt),
        ] {
            let local = config.local_workers().into_iter();
            let local = local.filter(|workers| workers.kind == kind);
            let mut named: Vec<String> = local
                .map(|workers| match workers.count {
                    1 => format!("{} in a process of its own", workers.adapter),
                    count => format!("{} in {count} processes", workers.adapter),
                })
                .collect();
            if named.is_empty() {
                continue;
            }
            let is_used = kind == workers::Kind::Tts || config.hears_inside();
            if is_used && engines.as_str() != "none" {
                named.push(std::mem::take(engines));
            }
            *engines = named.join(", ");
        }
        self
    }
}

/// `$PARLOR_CACHE`, or `parlor` in the user's cache folder.
pub fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("PARLOR_CACHE") {
        return cache.into();
    }
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("parlor")
}

/// Where models are looked for, in order.
pub fn model_stores() -> Vec<PathBuf> {
    let mut stores: Vec<PathBuf> = std::env::var_os("PARLOR_MODELS")
        .map(|paths| std::env::split_paths(&paths).collect())
        .unwrap_or_default();
    stores.push(cache().join("models"));
    stores
}

/// The first store that has this file.
pub fn find_model(relative: &str) -> Option<PathBuf> {
    model_stores()
        .into_iter()
        .map(|store| store.join(relative))
        .find(|path| path.is_file())
}

/// ONNX Runtime's library: `$ORT_DYLIB_PATH`, or where the set-up puts it.
pub fn onnx_runtime() -> Option<PathBuf> {
    std::env::var_os("ORT_DYLIB_PATH")
        .map(PathBuf::from)
        .into_iter()
        .chain([cache().join("lib/libonnxruntime.so")])
        .find(|path| path.is_file())
}

/// Where the speech engines find their files: voice packs lie in the folder `voicepacks` of each store of models.
pub fn places() -> workers::Places {
    workers::Places {
        onnx_runtime: onnx_runtime(),
        voicepacks: model_stores()
            .into_iter()
            .map(|store| store.join("voicepacks"))
            .collect(),
        models: model_stores(),
        gpu: None,
    }
}

/// Opens the detector that the settings ask for.
pub fn open_vad(config: &Config) -> Opened {
    let library = onnx_runtime();
    let model = find_model("silero-vad/silero_vad.onnx");
    media::hear::open_vad(config.vad.engine, library.as_deref(), model.as_deref())
}

/// This host's addresses that another host may use.
pub fn own_addresses() -> Vec<IpAddr> {
    if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|ip| ip.is_ipv4() && !ip.is_loopback())
        .collect()
}
