//! Which worker is asked first. A pure function: it is given all that is known, and tested by tables.
//!
//! ```text
//!   filter:  kind, needs, language, not draining, not left alone after a failure
//!   order:   fit ► remote ► has a free slot ► the call's last worker ► queue ► p50 ► same host ► served least
//! ```

use proto::registry::{RecordKind, WorkerRecord, metric};
use std::cmp::Ordering;

/// A median is compared in steps of so much: what is measured of two equal workers is never quite the same, and noise must
/// not send all calls to one of them.
const P50_STEP: f64 = 1.5;

/// What a call needs of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// What is to be done.
    pub kind: RecordKind,
    /// `adapter:voice`, or an adapter for its first voice; empty for any.
    pub voice: String,
    /// The model; empty for that of the voice, or any.
    pub model: String,
    /// As a BCP 47 tag; empty for any.
    pub language: String,
    /// It must be able to speak with a voice that it was given a sample of.
    pub zero_shot: bool,
    /// It must be able to load adapted weights.
    pub lora: bool,
    /// The worker that the call used last.
    pub affinity: Option<String>,
}

/// A worker as the agent knows it.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// What it said last.
    pub record: &'a WorkerRecord,
    /// It is inside this program, the last resort.
    pub is_embedded: bool,
    /// It is on this host.
    pub is_near: bool,
    /// It may be asked: it has not just failed.
    pub is_admitted: bool,
    /// Sessions that this agent has open there.
    pub open: u32,
    /// Sessions that this agent has opened there so far.
    pub served: u64,
}

/// How well a worker fits a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It has what is wished for in memory.
    Resident,
    /// It has to load a model first.
    Loadable,
    /// It can speak, with another voice.
    OtherVoice,
}

/// A worker to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Which of the members.
    pub index: usize,
    /// How well it fits.
    pub fit: Fit,
}

/// The workers to be asked, the best first.
pub fn rank(wish: &Wish, members: &[Member<'_>]) -> Vec<Choice> {
    let mut ranked: Vec<(Key<'_>, Choice)> = members
        .iter()
        .enumerate()
        .filter_map(|(index, member)| {
            let fit = fit(wish, member)?;
            Some((Key::of(wish, member, fit), Choice { index, fit }))
        })
        .collect();
    ranked.sort_by(|(one, _), (other, _)| one.compare(other));
    ranked.into_iter().map(|(_, choice)| choice).collect()
}

/// The model that a worker would need for a wish; none where its default does.
pub fn model_for<'a>(wish: &'a Wish, record: &'a WorkerRecord) -> Option<&'a str> {
    if !wish.model.is_empty() {
        return Some(&wish.model);
    }
    voice_model(&wish.voice, record)
}

fn fit(wish: &Wish, member: &Member<'_>) -> Option<Fit> {
    let record = member.record;
    let can = &record.capabilities;
    let is_able = can.kind == wish.kind
        && member.is_admitted
        && !record.is_draining()
        && (can.zero_shot || !wish.zero_shot)
        && (can.lora || !wish.lora)
        && speaks(&can.languages, &wish.language);
    if !is_able {
        return None;
    }
    let has_voice = wish.voice.is_empty() || voice_model(&wish.voice, record).is_some();
    let model = model_for(wish, record);
    let has_model =
        model.is_none_or(|model| can.models.is_empty() || can.models.iter().any(|it| it == model));
    if !has_voice || !has_model {
        // Words are recognised by the model that was asked for or not at all; speech is better than silence.
        return (wish.kind == RecordKind::Tts).then_some(Fit::OtherVoice);
    }
    let resident = &record.resident_models;
    let is_resident = match model {
        Some(model) => resident.iter().any(|it| it == model),
        // Whoever lists no models at all does not say.
        None => !resident.is_empty() || can.models.is_empty(),
    };
    Some(if is_resident {
        Fit::Resident
    } else {
        Fit::Loadable
    })
}

/// The model behind a voice of the worker; none if it has no such voice.
fn voice_model<'a>(voice: &str, record: &'a WorkerRecord) -> Option<&'a str> {
    let voices = &record.capabilities.voices;
    if voice.is_empty() {
        return None;
    }
    if let Some(model) = voices.get(voice) {
        return Some(model);
    }
    let of_adapter = |id: &str| {
        id.split_once(':')
            .is_some_and(|(adapter, _)| adapter == voice)
    };
    let named = voices.iter().find(|(id, _)| of_adapter(id));
    named.map(|(_, model)| model.as_str())
}

/// Whether a language is among those, by its first part: who asks for `pt` is content with `pt-BR`, and the other way round.
fn speaks(languages: &[String], wished: &str) -> bool {
    let primary = |tag: &str| {
        tag.split(['-', '_'])
            .next()
            .unwrap_or_default()
            .to_lowercase()
    };
    wished.is_empty()
        || languages.is_empty()
        || languages
            .iter()
            .any(|language| primary(language) == primary(wished))
}

/// What decides between two workers, the most important first.
struct Key<'a> {
    fit: Fit,
    is_embedded: bool,
    is_full: bool,
    is_strange: bool,
    depth: f64,
    p50: f64,
    is_far: bool,
    served: u64,
    name: &'a str,
}

impl<'a> Key<'a> {
    fn of(wish: &Wish, member: &Member<'a>, fit: Fit) -> Self {
        let record = member.record;
        // What the record says is up to a heartbeat old; what this agent has opened since is known.
        let open = record
            .metric(metric::SLOTS_IN_USE)
            .max(f64::from(member.open));
        let slots = record.metric(metric::SLOTS);
        Self {
            fit,
            is_embedded: member.is_embedded,
            is_full: slots > 0.0 && open >= slots,
            is_strange: wish
                .affinity
                .as_ref()
                .is_some_and(|last| *last != record.name),
            depth: record.metric(metric::QUEUE_DEPTH) + open,
            p50: step(record.metric(metric::P50_MS)),
            is_far: !member.is_near,
            served: member.served,
            name: &record.name,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.fit
            .cmp(&other.fit)
            .then(self.is_embedded.cmp(&other.is_embedded))
            .then(self.is_full.cmp(&other.is_full))
            .then(self.is_strange.cmp(&other.is_strange))
            .then(self.depth.total_cmp(&other.depth))
            .then(self.p50.total_cmp(&other.p50))
            .then(self.is_far.cmp(&other.is_far))
            .then(self.served.cmp(&other.served))
            .then(self.name.cmp(other.name))
    }
}

/// A median, in whole steps; one that is not known yet counts as the fastest, so that it will be.
fn step(p50_ms: f64) -> f64 {
    if p50_ms <= 1.0 {
        return 0.0;
    }
    (p50_ms.ln() / P50_STEP.ln()).round()
}

#[cfg(test)]
mod tests;
