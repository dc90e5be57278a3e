//! Where the model workers are and how a call reaches them. Always gRPC: in memory here, over the network elsewhere.
//!
//! ```text
//!   call ──wish──► Fleet: who is there ──► router: in which order ──► at most 3 tries of 500 ms ──► a session at a worker
//!                    ▲                                                                                │ breaks
//!                    └──────────────────────── left alone for a while ◄───────────────────────────────┘
//! ```

pub mod announce;
mod breaker;
pub mod credentials;
mod error;
mod fleet;
mod hearing;
pub mod local;
pub mod registry;
mod router;
mod speaking;
mod watch;

pub use credentials::Access;
pub use error::Error;
pub use fleet::{Fleet, Seen};
pub use speaking::SpeechSession;
pub use watch::watch;

use futures_util::future::join_all;
use proto::registry::RecordKind;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::tts::{ListVoicesRequest, VoiceInfo};
use std::time::Duration;
use tokio::time::timeout;
use workers::Embedded;

const MAX: usize = proto::MAX_MESSAGE_BYTES;
/// Workers elsewhere that are asked before a call is told that there is no place for it.
const TRIES: usize = 3;
/// How long each of them may take to accept.
const TRY: Duration = Duration::from_millis(500);
/// How long the worker inside may take, and one that nobody can stand in for and that has to load its model: it is the last.
const LAST_TRY: Duration = Duration::from_secs(5);
/// How long a worker may take to obey: it is to do so in 50 ms.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);

/// How a reply shall sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Voice {
    /// `adapter:voice`, as in `flite:slt`; empty for the worker's default.
    pub id: String,
    /// 0.25 to 4.0 times the voice's own speed; none for 1.0.
    pub speed: Option<f32>,
    /// No other voice will do where this one is not to be had.
    pub is_must: bool,
}

/// All workers that this program can reach; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    fleet: Fleet,
}

impl Cluster {
    /// The workers of this fleet.
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet }
    }

    /// The workers inside this program alone.
    pub fn of(embedded: &Embedded) -> Self {
        let fleet = Fleet::new(String::new(), Access::default());
        embed(&fleet, embedded, |_| true);
        Self::new(fleet)
    }

    /// Who is there.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Asks workers for their voices that have not been asked yet, all at once. Who does not answer is asked again another time.
    pub async fn ask_voices(&self) {
        let asked =
            self.fleet
                .without_voices()
                .into_iter()
                .map(async |(name, wire, is_embedded)| {
                    let patience = if is_embedded { LAST_TRY } else { TRY };
                    let mut tts = TtsServiceClient::new(wire);
                    let asked = timeout(patience, tts.list_voices(ListVoicesRequest {})).await;
                    if let Ok(Ok(answer)) = asked {
                        self.fleet.has_voices(&name, answer.into_inner().voices);
                    }
                });
        join_all(asked).await;
    }

    /// The voices that can be asked for, of all workers that have told theirs; each once.
    pub fn voices(&self) -> Vec<VoiceInfo> {
        self.fleet.voices()
    }
}

/// Adds the workers inside the program that are wanted to a fleet, or renews what they say.
pub fn embed(fleet: &Fleet, embedded: &Embedded, is_wanted: impl Fn(RecordKind) -> bool) {
    let records = embedded.records().into_iter();
    for record in records.filter(|record| is_wanted(record.capabilities.kind)) {
        let channel = match record.capabilities.kind {
            RecordKind::Tts => embedded.tts(),
            RecordKind::Stt => embedded.stt(),
        };
        fleet.embed(record, &channel);
    }
}
