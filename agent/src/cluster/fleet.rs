//! The agent's own copy of who is there. It goes on with it when the registry is gone.
//!
//! ```text
//!   registry ──every 2 s, or when it tells──► merge ──► members ──► router ──► one is asked
//!   embedded ─────────────────────────────────┘            ▲
//!                     how asking went: breaker, open sessions
//! ```

use super::breaker::Breaker;
use super::credentials::{Access, Wire};
use super::router::{self, Fit, Member, Wish};
use media::Clock;
use proto::registry::{RecordKind, WorkerRecord, metric};
use proto::tts::VoiceInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tonic::transport::Channel;
use tracing::{info, warn};

/// A worker whose record is gone is still asked for so long: the registry may have lost it, and a worker that has died is
/// left alone by the breaker.
const GRACE: Duration = Duration::from_secs(30);

/// Addresses that are none and are remembered, so that each is told of once.
const MOST_REFUSED: usize = 1024;

/// All workers that are known. Cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    clock: Clock,
    host: String,
    access: Access,
    workers: Mutex<BTreeMap<String, Worker>>,
    /// Addresses that are none and were told of.
    refused: Mutex<BTreeSet<String>>,
    numbers: AtomicU64,
}

struct Worker {
    /// Unique among all that were ever known: a name may be another process's later.
    number: u64,
    record: WorkerRecord,
    /// The record as the registry had it last.
    written: Option<WorkerRecord>,
    wire: Wire,
    is_embedded: bool,
    /// It is in a process that this program has started, and no registry's affair.
    is_own: bool,
    /// When its record was last there.
    seen: Duration,
    /// Since when it has been missing in the registry.
    missing: Option<Duration>,
    breaker: Breaker,
    open: u32,
    served: u64,
    /// Its voices, once it has told them.
    voices: Option<Vec<VoiceInfo>>,
    /// Models that it is loading because this agent asked for them.
    loading: BTreeSet<String>,
}

/// A worker that was chosen.
#[derive(Clone)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// The way to it.
    pub wire: Wire,
    /// How well it fits.
    pub fit: Fit,
    /// The model that it has to load first.
    pub to_load: Option<String>,
    /// It is inside this program.
    pub is_embedded: bool,
}

/// A worker for people to see.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it said last.
    pub record: WorkerRecord,
    /// It is inside this program.
    pub is_embedded: bool,
    /// It is in a process that this program has started.
    pub is_own: bool,
    /// How long ago its record was there.
    pub age: Duration,
    /// How long its record has been missing in the registry.
    pub missing_for: Option<Duration>,
    /// It has failed and is left alone.
    pub is_left_alone: bool,
    /// How much longer it is.
    pub left_alone_for: Option<Duration>,
    /// Voices that it has told of.
    pub voices: usize,
    /// Sessions that this agent has open there.
    pub open: u32,
    /// Sessions that it has opened there so far.
    pub served: u64,
}

impl Seen {
    /// The host in its address.
    pub fn host(&self) -> &str {
        host_of(&self.record.addr)
    }
}

impl Fleet {
    /// Nobody yet. `host` is this host's name, by which near workers are known.
    pub fn new(host: String, access: Access) -> Self {
        Self(Arc::new(Inner {
            clock: Clock::start(),
            host,
            access,
            workers: Mutex::default(),
            refused: Mutex::default(),
            numbers: AtomicU64::default(),
        }))
    }

    /// Adds a worker inside this program, or renews what it says.
    pub fn embed(&self, record: WorkerRecord, channel: &Channel) {
        let wire = Access::open(channel.clone());
        let now = self.0.clock.now();
        let mut workers = self.lock();
        let worker = workers
            .entry(record.name.clone())
            .or_insert_with(|| Worker::new(self.number(), record.clone(), wire, true));
        worker.record = record;
        worker.seen = now;
    }

    /// Takes what the registry lists now.
    pub fn merge(&self, records: Vec<WorkerRecord>) {
        let now = self.0.clock.now();
        let mut refused = self
            .0
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if refused.len() > MOST_REFUSED {
            refused.clear();
        }
        let mut workers = self.lock();
        for record in records {
            if let Some(worker) = workers.get_mut(&record.name) {
                if worker.is_embedded || worker.is_own {
                    continue;
                }
                worker.seen = now;
                worker.missing = None;
                if worker.record.addr == record.addr {
                    // The same writing as before says nothing new, and not yet what was asked of the worker since.
                    if worker.written.as_ref() == Some(&record) {
                        continue;
                    }
                    worker.written = Some(record.clone());
                    if worker.record.capabilities.voices != record.capabilities.voices {
                        worker.voices = None;
                    }
                    worker.record = record;
                    continue;
                }
            }
            // New, or somewhere else than before.
            match self.0.access.reach(&record.addr) {
                Ok(wire) => {
                    info!(
                        worker = record.name,
                        addr = record.addr,
                        "A worker was found."
                    );
                    if self.0.access.is_token_readable(&record.addr) && !self.is_near(&record.addr)
                    {
                        warn!(
                            worker = record.name,
                            "The workers' token goes to it unencrypted; start it with --tls-cert and --tls-key."
                        );
                    }
                    let mut worker = Worker::new(self.number(), record, wire, false);
                    worker.written = Some(worker.record.clone());
                    worker.seen = now;
                    // Otherwise it would get all calls until it has caught up.
                    let others = workers.values().filter(|other| !other.is_embedded);
                    worker.served = others.map(|other| other.served).min().unwrap_or(0);
                    workers.insert(worker.record.name.clone(), worker);
                }
                Err(error) if refused.insert(record.addr.clone()) => {
                    warn!(worker = record.name, %error, "A worker cannot be used.");
                }
                Err(_) => {}
            }
        }
        workers.retain(|name, worker| {
            if worker.is_embedded || worker.is_own || worker.seen == now {
                return true;
            }
            let missing = *worker.missing.get_or_insert(now);
            let is_gone = worker.record.is_draining() || now.saturating_sub(missing) >= GRACE;
            if is_gone {
                info!(worker = name, "A worker is gone.");
            }
            !is_gone
        });
    }

    /// The workers to be asked, the best first, without those in `tried`.
    pub fn choose(&self, wish: &Wish, tried: &BTreeSet<String>) -> Vec<Chosen> {
        let now = self.0.clock.now();
        let workers = self.lock();
        let workers: Vec<&Worker> = workers
            .values()
            .filter(|worker| !tried.contains(&worker.record.name))
            .collect();
        let members: Vec<Member<'_>> = workers
            .iter()
            .map(|worker| Member {
                record: &worker.record,
                is_embedded: worker.is_embedded,
                is_near: self.is_near(&worker.record.addr),
                is_admitted: worker.breaker.admits(now),
                open: worker.open,
                served: worker.served,
            })
            .collect();
        let ranked = router::rank(wish, &members);
        let chosen = ranked.into_iter().filter_map(|choice| {
            let worker = *workers.get(choice.index)?;
            let to_load = match choice.fit {
                Fit::Loadable => router::model_for(wish, &worker.record).map(str::to_owned),
                Fit::Resident | Fit::OtherVoice => None,
            };
            Some(Chosen {
                name: worker.record.name.clone(),
                wire: worker.wire.clone(),
                fit: choice.fit,
                to_load,
                is_embedded: worker.is_embedded,
            })
        });
        chosen.collect()
    }

    /// Somebody asks a worker, and has an answer within `patience`.
    pub fn ask(&self, name: &str, patience: Duration) {
        let now = self.0.clock.now();
        self.with(name, |worker| worker.breaker.ask(now, patience));
    }

    /// It answered.
    pub fn succeeded(&self, name: &str) {
        self.with(name, |worker| worker.breaker.succeeded());
    }

    /// It failed, and is left alone for a while.
    pub fn failed(&self, name: &str, why: &str) {
        let now = self.0.clock.now();
        self.with(name, |worker| worker.failed(now, why));
    }

    /// A session is open there until what is returned is dropped.
    pub fn opened(&self, name: &str) -> Open {
        let number = self.with(name, |worker| {
            worker.open += 1;
            worker.served += 1;
            worker.number
        });
        Open {
            fleet: self.clone(),
            name: name.to_owned(),
            number,
        }
    }

    /// A model is to be loaded there; `false` if this agent has asked for it already.
    pub fn loads(&self, name: &str, model: &str) -> bool {
        self.with(name, |worker| worker.loading.insert(model.to_owned()))
            .unwrap_or(false)
    }

    /// A model was loaded there, or was not.
    pub fn loaded(&self, name: &str, model: &str, is_resident: bool) {
        self.with(name, |worker| {
            worker.loading.remove(model);
            let resident = &mut worker.record.resident_models;
            // The record will say so with the next heartbeat.
            if is_resident && !resident.iter().any(|it| it == model) {
                resident.push(model.to_owned());
            }
        });
    }

    /// A worker was made to let a model go.
    pub fn unloaded(&self, name: &str, model: &str) {
        self.with(name, |worker| {
            worker.record.resident_models.retain(|it| it != model);
        });
    }

    /// A worker has said whether it takes nobody new; its record will say so in a moment.
    pub fn drains(&self, name: &str, is_draining: bool) {
        self.with(name, |worker| {
            let draining = f64::from(u8::from(is_draining));
            let metrics = &mut worker.record.metrics;
            metrics.insert(metric::DRAINING.to_owned(), draining);
        });
    }

    /// Everybody, by name.
    pub fn seen(&self) -> Vec<Seen> {
        let now = self.0.clock.now();
        let workers = self.lock();
        let seen = workers.values().map(|worker| Seen {
            record: worker.record.clone(),
            is_embedded: worker.is_embedded,
            is_own: worker.is_own,
            age: now.saturating_sub(worker.seen),
            missing_for: worker.missing.map(|since| now.saturating_sub(since)),
            is_left_alone: !worker.breaker.admits(now),
            left_alone_for: worker.breaker.left_alone_for(now),
            voices: worker.voices.as_ref().map_or(0, Vec::len),
            open: worker.open,
            served: worker.served,
        });
        seen.collect()
    }

    /// Speech workers that have not told their voices: name, the way to it, whether it is inside this program.
    pub fn without_voices(&self) -> Vec<(String, Wire, bool)> {
        let now = self.0.clock.now();
        let workers = self.lock();
        let silent = workers.iter().filter(|(_, worker)| {
            worker.record.capabilities.kind == RecordKind::Tts
                && worker.voices.is_none()
                && worker.breaker.admits(now)
        });
        silent
            .map(|(name, worker)| (name.clone(), worker.wire.clone(), worker.is_embedded))
            .collect()
    }

    /// A worker has told its voices.
    pub fn has_voices(&self, name: &str, voices: Vec<VoiceInfo>) {
        self.with(name, |worker| worker.voices = Some(voices));
    }

    /// All voices, each once: those of the workers inside this program come last.
    pub fn voices(&self) -> Vec<VoiceInfo> {
        let workers = self.lock();
        let mut known = BTreeSet::new();
        let mut sorted: Vec<&Worker> = workers.values().collect();
        sorted.sort_by_key(|worker| worker.is_embedded);
        let voices = sorted
            .into_iter()
            .flat_map(|worker| worker.voices.iter().flatten());
        voices
            .filter(|voice| known.insert(voice.voice_id.clone()))
            .cloned()
            .collect()
    }

    /// A voice's language; empty where nobody knows the voice.
    pub fn language_of(&self, voice: &str) -> String {
        let workers = self.lock();
        let mut voices = workers
            .values()
            .flat_map(|worker| worker.voices.iter().flatten());
        let known = voices.find(|known| known.voice_id == voice);
        known
            .map(|known| known.language.clone())
            .unwrap_or_default()
    }

    /// The way to a worker.
    pub fn wire(&self, name: &str) -> Option<Wire> {
        self.lock().get(name).map(|worker| worker.wire.clone())
    }

    fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Does something to the worker with this name and number, if it is still the same.
    fn with_same(&self, name: &str, number: Option<u64>, change: impl FnOnce(&mut Worker)) {
        self.with(name, |worker| {
            if Some(worker.number) == number {
                change(worker);
            }
        });
    }

    fn is_near(&self, addr: &str) -> bool {
        let host = host_of(addr);
        host == self.0.host
            || host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    fn with<T>(&self, name: &str, change: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        self.lock().get_mut(name).map(change)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Worker>> {
        // Every change is one step, so a panic elsewhere leaves the workers whole.
        self.0
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn new(number: u64, record: WorkerRecord, wire: Wire, is_embedded: bool) -> Self {
        Self {
            number,
            record,
            written: None,
            wire,
            is_embedded,
            is_own: false,
            seen: Duration::ZERO,
            missing: None,
            breaker: Breaker::default(),
            open: 0,
            served: 0,
            voices: None,
            loading: BTreeSet::new(),
        }
    }

    fn failed(&mut self, now: Duration, why: &str) {
        if !self.is_embedded {
            warn!(
                worker = self.record.name,
                why, "A worker failed and is left alone for a while."
            );
            self.breaker.failed(now);
        }
    }
}

/// A session that is open at a worker, as long as this lives.
pub struct Open {
    fleet: Fleet,
    name: String,
    /// Which of the workers that had this name; none if there was none.
    number: Option<u64>,
}

impl Open {
    /// The worker's name.
    pub fn worker(&self) -> &str {
        &self.name
    }

    /// The worker does what it is there for.
    pub fn succeeded(&self) {
        let succeeded = |worker: &mut Worker| worker.breaker.succeeded();
        self.fleet.with_same(&self.name, self.number, succeeded);
    }

    /// The worker failed under it.
    pub fn failed(&self, why: &str) {
        let now = self.fleet.0.clock.now();
        let failed = |worker: &mut Worker| worker.failed(now, why);
        self.fleet.with_same(&self.name, self.number, failed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let closed = |worker: &mut Worker| worker.open = worker.open.saturating_sub(1);
        self.fleet.with_same(&self.name, self.number, closed);
    }
}

mod own;
#[cfg(test)]
mod tests;

/// The host in an address such as `grpc://host:7001`.
fn host_of(addr: &str) -> &str {
    let rest = addr.split_once("://").map_or(addr, |(_, rest)| rest);
    rest.rsplit_once(':').map_or(rest, |(host, _)| host)
}
