//! A worker breaks under a reply, and the next one goes on where the session has cut the sound.

use super::{Clause, Event, Orders, Pulse, Source, Task};
use crate::cluster::Error;
use crate::session::captions::Rest;
use crate::telemetry::metrics as names;
use tokio::sync::oneshot;

/// Workers that may break under one reply. If more do, it is the reply that breaks them.
const BREAKS: u32 = 3;

impl Task {
    /// The worker broke under the reply: the session says where to go on, and another is looked for.
    pub(super) fn on_break(&mut self, error: Error) {
        if let Some(session) = self.worker().map(|worker| worker.session().clone()) {
            session.broke(&error);
            if matches!(error, Error::Full(_)) {
                self.full.insert(session.worker().to_owned());
            }
        }
        self.breaks += 1;
        self.orders = Orders::default();
        self.pulse = Pulse::default();
        if self.breaks > BREAKS {
            return self.end(Event::Failed(error));
        }
        metrics::counter!(names::FAILOVERS_TOTAL, "kind" => "tts").increment(1);
        let (answer, rest) = oneshot::channel();
        self.waiting.push_back(Event::Broken(answer));
        if let Source::Open(worker) = std::mem::replace(&mut self.source, Source::Cut(rest)) {
            worker.leave();
        }
    }

    /// The session has cut the reply's sound.
    pub(super) fn on_rest(&mut self, rest: Option<Rest>) {
        let Some(rest) = rest else {
            // The session let go of the reply; the control channel says so too.
            self.source = Source::Ended;
            return;
        };
        // What was numbered after the clause that was cut in two moves on by one.
        let shift = rest.clause.saturating_sub(rest.was);
        self.last += shift;
        self.from_sample = rest.from_sample;
        self.handed = 0;
        self.open.retain(|open| open.number >= rest.was);
        for open in &mut self.open {
            open.number += shift;
        }
        let Rest { clause, text, .. } = rest;
        match self.open.front_mut() {
            Some(first) if first.number == clause => first.text = text,
            // It counted as said; its end was taken back.
            Some(_) | None if !text.is_empty() => self.open.push_front(Clause {
                number: clause,
                text,
            }),
            Some(_) | None => {}
        }
        if self
            .open
            .front()
            .is_some_and(|first| first.number == clause && first.text.trim().is_empty())
        {
            self.open.pop_front();
        }
        if self.open.is_empty() && self.is_whole {
            // It broke after the last word.
            return self.end(Event::Done);
        }
        self.find_worker();
    }
}
