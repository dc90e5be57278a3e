//! The one service that a worker offers, whichever it is.

use crate::guard::Guard;
use crate::host::{self, Error, Host};
use crate::options::Options;
use crate::service::tts::Refusal;
use crate::service::{stt, tts};
use crate::settings::{Kind, Settings, SttSettings};
use proto::registry::WorkerRecord;
use proto::stt::stt_service_server::SttServiceServer;
use proto::tts::tts_service_server::TtsServiceServer;
use tonic::server::NamedService;
use tonic::service::Routes;

/// The service of a worker. Cheap to clone.
#[derive(Clone)]
pub(super) enum Service {
    Tts(tts::Service),
    Stt(stt::Service),
}

impl Service {
    /// Opens the engine of this name.
    pub(super) fn open(
        kind: Kind,
        adapter: &str,
        mut settings: Settings,
        options: &Options,
        host: &Host,
    ) -> Result<Self, Error> {
        settings.places.gpu = options.gpu.or(settings.places.gpu);
        match kind {
            Kind::Tts => {
                settings.tts.adapters = vec![adapter.parse()?];
                // A default meant for another engine is none here.
                if !settings
                    .tts
                    .default_voice
                    .starts_with(&format!("{adapter}:"))
                {
                    settings.tts.default_voice.clear();
                }
                let engine = crate::tts::open(adapter.parse()?, &settings.places())?;
                let models = engine.models();
                let has = |id: &str| models.iter().any(|model| model.id == id);
                let models = &mut settings.model_manager;
                if !has(&models.default_model_id) {
                    models.default_model_id.clear();
                }
                models.preload_model_ids.retain(|id| has(id));
                // What was asked of this very worker must be there.
                let asked = options.default_model.iter().chain(&options.preload);
                for id in asked {
                    if !has(id) {
                        return Err(Error::Voice(Refusal::Model {
                            asked: id.clone(),
                            known: known(&*engine),
                        }));
                    }
                }
                if let Some(id) = &options.default_model {
                    models.default_model_id.clone_from(id);
                    // The default voice may be one of another model.
                    settings.tts.default_voice.clear();
                }
                if !options.preload.is_empty() {
                    models.preload_model_ids.clone_from(&options.preload);
                }
                Ok(Self::Tts(host.tts(&settings, vec![engine])?))
            }
            Kind::Stt => {
                settings.stt.adapter = adapter.parse()?;
                crate::stt::open(&settings.stt, &settings.places)?;
                let wait_ms = match options.announcer {
                    // Who is refused asks another.
                    Some(_) => 0,
                    None => SttSettings::WAIT_MS,
                };
                settings.stt.wait_ms.get_or_insert(wait_ms);
                Ok(Self::Stt(host.stt(&settings)))
            }
        }
    }

    /// Its full name in gRPC.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Tts(_) => <TtsServiceServer<tts::Service> as NamedService>::NAME,
            Self::Stt(_) => <SttServiceServer<stt::Service> as NamedService>::NAME,
        }
    }

    pub(super) fn routes(&self, guard: Guard) -> Routes {
        match self {
            Self::Tts(tts) => host::tts_routes(tts.clone(), guard),
            Self::Stt(stt) => host::stt_routes(stt.clone(), guard),
        }
    }

    pub(super) fn record(&self, name: &str, addr: &str) -> WorkerRecord {
        match self {
            Self::Tts(tts) => tts.record(name, addr),
            Self::Stt(stt) => stt.record(name, addr),
        }
    }

    pub(super) fn is_well(&self) -> bool {
        match self {
            Self::Tts(tts) => tts.is_well(),
            Self::Stt(stt) => stt.is_well(),
        }
    }

    pub(super) fn drain(&self) {
        match self {
            Self::Tts(tts) => tts.drain(),
            Self::Stt(stt) => stt.drain(),
        }
    }

    /// Takes callers again after a drain.
    pub(super) fn resume(&self) {
        match self {
            Self::Tts(tts) => tts.resume(),
            Self::Stt(stt) => stt.resume(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Tts(tts) => tts.is_idle(),
            Self::Stt(stt) => stt.is_idle(),
        }
    }

    pub(super) fn stop_all(&self) {
        match self {
            Self::Tts(tts) => tts.stop_all(),
            Self::Stt(stt) => stt.stop_all(),
        }
    }
}

fn known(engine: &dyn crate::tts::TtsAdapter) -> String {
    let models = engine.models();
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    ids.join(", ")
}
