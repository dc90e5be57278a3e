//! Recognisers that are borrowed for an utterance, never for a call.
//!
//! A slot is a named thread with a recogniser on it. It is made when it is first needed and kept. What is on its way to it is
//! bounded; a slot that cannot keep up holds back the one who feeds it.

mod load;

use super::{
    Error, Hints, Opening, Placement, RATE_HZ, Recogniser, Speaker, SttAdapter, Transcript, Wanted,
};
use load::{Place, Waiting, Work};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

/// A recogniser is asked for words after each 100 ms.
pub const STEP_SAMPLES: usize = RATE_HZ as usize / 10;
/// Steps that may wait for a slot: 5 s, about what it needs to catch up after a slow start.
const STEPS_AHEAD: usize = 50;
/// Recognisers that cost nothing, where nobody says how many there may be.
const INLINE: usize = 4_096;
/// Partial transcripts that may wait; a newer one makes the older ones worthless.
const PARTIALS_AHEAD: usize = 16;

/// The recognisers of one worker.
pub struct Slots {
    adapter: Arc<dyn SttAdapter>,
    most: usize,
    wait: Duration,
    free: Arc<Semaphore>,
    /// One recogniser is made at a time; who needs one meanwhile may find that made for another.
    making: Semaphore,
    shared: Arc<Shared>,
    work: Arc<Work>,
}

#[derive(Default)]
struct Shared {
    idle: Mutex<Vec<Slot>>,
    made: AtomicUsize,
    state: watch::Sender<State>,
    waiting: AtomicUsize,
    /// One for each recogniser that is there, and this.
    alive: Arc<()>,
}

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// No recogniser has been made yet.
    #[default]
    Loading,
    /// It listens.
    Ready,
    /// The last attempt to make a recogniser failed.
    Failed(Error),
}

/// A recogniser's thread.
struct Slot {
    orders: mpsc::Sender<Order>,
    /// Counts those that are there.
    _alive: Arc<()>,
}

enum Order {
    Begin {
        opening: Opening,
        partials: mpsc::Sender<String>,
    },
    Hear(Vec<i16>),
    Finish(oneshot::Sender<Transcript>),
}

impl Slots {
    /// At most `most` recognisers of this engine; who finds none free waits so long.
    pub fn new(adapter: Arc<dyn SttAdapter>, most: usize, wait: Duration) -> Self {
        let most = match (most, adapter.placement()) {
            (0, Placement::Slots) => adapter.slots().max(1),
            (0, Placement::Inline) => INLINE,
            (most, _) => most,
        };
        let shared = Arc::new(Shared::default());
        if adapter.placement() == Placement::Inline {
            shared.state.send_replace(State::Ready);
        }
        Self {
            adapter,
            most,
            wait,
            free: Arc::new(Semaphore::new(most)),
            making: Semaphore::new(1),
            shared,
            work: Arc::default(),
        }
    }

    /// The engine behind them.
    pub fn adapter(&self) -> &dyn SttAdapter {
        self.adapter.as_ref()
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many are listening.
    pub fn in_use(&self) -> usize {
        self.most - self.free.available_permits().min(self.most)
    }

    /// How the engine is.
    pub fn state(&self) -> State {
        self.shared.state.borrow().clone()
    }

    /// To wait for the engine's state to change with.
    pub fn states(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// How many utterances wait for a recogniser.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// How long an utterance waits at most.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Time that the recognisers took over the length of what they heard, since the start.
    pub fn rtf(&self) -> f64 {
        self.work.rtf()
    }

    /// Makes the first recogniser ahead of time, so that the first utterance need not wait for it.
    pub async fn warm(&self) {
        if self.adapter.placement() == Placement::Inline {
            return;
        }
        let _turn = self.making.acquire().await;
        if self.shared.made.load(Ordering::Relaxed) > 0 {
            return;
        }
        // Whether it failed is told by `state`.
        if let Ok(slot) = self.make().await {
            lock(&self.shared.idle).push(slot);
        }
    }

    /// Borrows a recogniser for one utterance.
    ///
    /// # Errors
    /// [`Error::NoneFree`] after the wait, or why there can be none.
    pub async fn borrow(&self, speaker: Speaker, hints: Hints) -> Result<Utterance, Error> {
        self.borrow_within(self.wait, speaker, hints).await
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// [`Error::NoneFree`] after the wait, or why there can be none.
    pub async fn borrow_within(
        &self,
        wait: Duration,
        speaker: Speaker,
        hints: Hints,
    ) -> Result<Utterance, Error> {
        let place = self.place(wait).await?;
        let wanted = Wanted::default();
        let opening = Opening {
            speaker,
            hints,
            wanted: wanted.clone(),
        };
        if let Some(mut recogniser) = self.adapter.open_inline() {
            recogniser.begin(&opening);
            return Ok(Utterance(Ears::Inline {
                recogniser,
                partial: None,
                _place: place,
            }));
        }
        let slot = self.slot().await?;
        let (tell, partials) = mpsc::channel(PARTIALS_AHEAD);
        let begin = Order::Begin {
            opening,
            partials: tell,
        };
        let engine = self.adapter.engine();
        slot.orders
            .send(begin)
            .await
            .map_err(|_| Error::Stopped(engine))?;
        let loan = Loan {
            slot: Some(slot),
            wanted,
            shared: self.shared.clone(),
            _place: place,
        };
        Ok(Utterance(Ears::Slot {
            loan,
            partials,
            engine,
            rest: Vec::with_capacity(STEP_SAMPLES),
        }))
    }

    async fn place(&self, wait: Duration) -> Result<Place, Error> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(Place::new(permit));
        }
        let full = Error::NoneFree { slots: self.most };
        if wait.is_zero() {
            return Err(full);
        }
        let _waiting = Waiting::new(&self.shared.waiting);
        timeout(wait, self.free.clone().acquire_owned())
            .await
            .map_err(|_| full)?
            .map(Place::new)
            .map_err(|_| Error::Stopped(self.adapter.engine()))
    }

    /// An idle slot, or a new one. Making one is no part of the wait for a free one: the model must be read.
    async fn slot(&self) -> Result<Slot, Error> {
        if let Some(slot) = self.idle() {
            return Ok(slot);
        }
        let _turn = self.making.acquire().await;
        match self.idle() {
            Some(slot) => Ok(slot),
            None => self.make().await,
        }
    }

    /// An idle slot whose thread is alive.
    fn idle(&self) -> Option<Slot> {
        let mut idle = lock(&self.shared.idle);
        idle.retain(|slot| !slot.orders.is_closed());
        idle.pop()
    }

    /// A new slot; what comes of it is the engine's state from here on.
    async fn make(&self) -> Result<Slot, Error> {
        let made = self.start().await;
        match &made {
            Ok(_) => {
                self.shared.state.send_replace(State::Ready);
            }
            // One more than there is memory for takes nothing from those that listen.
            Err(_) if Arc::strong_count(&self.shared.alive) > 1 => {}
            Err(error) => {
                self.shared.state.send_replace(State::Failed(error.clone()));
            }
        }
        made
    }

    async fn start(&self) -> Result<Slot, Error> {
        let engine = self.adapter.engine();
        let number = self.shared.made.fetch_add(1, Ordering::Relaxed);
        let (orders, waiting) = mpsc::channel(STEPS_AHEAD);
        let (tell, told) = oneshot::channel();
        let (adapter, work) = (self.adapter.clone(), self.work.clone());
        thread::Builder::new()
            .name(format!("parlor-{engine}-{number}"))
            .spawn(move || match adapter.open() {
                Err(error) => drop(tell.send(Err(error))),
                Ok(recogniser) => {
                    // The one who needed it may have gone; then the channel is closed and the thread ends.
                    let _ = tell.send(Ok(()));
                    serve(recogniser, waiting, &work);
                }
            })
            .map_err(|error| Error::Start {
                engine,
                reason: error.to_string(),
            })?;
        told.await.unwrap_or(Err(Error::Stopped(engine)))?;
        Ok(Slot {
            orders,
            _alive: self.shared.alive.clone(),
        })
    }
}

/// A slot's whole life.
fn serve(mut recogniser: Box<dyn Recogniser>, mut orders: mpsc::Receiver<Order>, work: &Work) {
    let mut present: Option<(Wanted, mpsc::Sender<String>)> = None;
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Begin { opening, partials } => {
                recogniser.begin(&opening);
                present = Some((opening.wanted, partials));
            }
            Order::Hear(samples) => {
                if let Some((wanted, partials)) = &present
                    && wanted.is_wanted()
                    && let Some(text) = work.hear(samples.len(), || recogniser.hear(&samples))
                {
                    // When nobody takes them, the newest is as worthless as the others: the final transcript tells all.
                    let _ = partials.try_send(text);
                }
            }
            Order::Finish(tell) => {
                if let Some((wanted, _)) = present.take()
                    && wanted.is_wanted()
                {
                    // Who asked may have gone.
                    let _ = tell.send(work.hear(0, || recogniser.finish()));
                }
            }
        }
    }
}

/// An utterance that a recogniser listens to. Dropping it gives the recogniser back.
pub struct Utterance(Ears);

enum Ears {
    Inline {
        recogniser: Box<dyn Recogniser + Send>,
        partial: Option<String>,
        _place: Place,
    },
    Slot {
        loan: Loan,
        partials: mpsc::Receiver<String>,
        engine: &'static str,
        rest: Vec<i16>,
    },
}

impl Utterance {
    /// Hands over some of it; waits while the recogniser is far behind.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the recogniser is gone.
    pub async fn hear(&mut self, samples: &[i16]) -> Result<(), Error> {
        match &mut self.0 {
            Ears::Inline {
                recogniser,
                partial,
                ..
            } => {
                if let Some(text) = recogniser.hear(samples) {
                    *partial = Some(text);
                }
                Ok(())
            }
            Ears::Slot {
                loan, engine, rest, ..
            } => {
                for sample in samples.chunks(STEP_SAMPLES) {
                    rest.extend_from_slice(sample);
                    if rest.len() >= STEP_SAMPLES {
                        let step = std::mem::replace(rest, Vec::with_capacity(STEP_SAMPLES));
                        loan.order(Order::Hear(step))
                            .await
                            .map_err(|()| Error::Stopped(engine))?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Nobody looks at the words before it is over, so that the recogniser need not look for them either.
    pub fn only_final(&self) {
        match &self.0 {
            Ears::Inline { .. } => {}
            Ears::Slot { loan, .. } => loan.wanted.only_final(),
        }
    }

    /// Waits for the words so far to change. Cancel-safe. Never ready for a recogniser that works inline: see
    /// [`partial_now`](Self::partial_now).
    pub async fn partial(&mut self) -> String {
        match &mut self.0 {
            Ears::Inline { .. } => std::future::pending().await,
            Ears::Slot { partials, .. } => match partials.recv().await {
                Some(text) => text,
                None => std::future::pending().await,
            },
        }
    }

    /// The words so far, if they have changed since this was last asked.
    pub fn partial_now(&mut self) -> Option<String> {
        match &mut self.0 {
            Ears::Inline { partial, .. } => partial.take(),
            Ears::Slot { partials, .. } => {
                let mut newest = None;
                while let Ok(text) = partials.try_recv() {
                    newest = Some(text);
                }
                newest
            }
        }
    }

    /// The utterance is over: what it says.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the recogniser is gone.
    pub async fn finish(self) -> Result<Transcript, Error> {
        match self.0 {
            Ears::Inline { mut recogniser, .. } => Ok(recogniser.finish()),
            Ears::Slot {
                loan,
                engine,
                rest,
                partials,
            } => {
                // Partials are of no use any more.
                drop(partials);
                loan.wanted.only_final();
                if !rest.is_empty() {
                    loan.order(Order::Hear(rest))
                        .await
                        .map_err(|()| Error::Stopped(engine))?;
                }
                let (tell, told) = oneshot::channel();
                loan.order(Order::Finish(tell))
                    .await
                    .map_err(|()| Error::Stopped(engine))?;
                told.await.map_err(|_| Error::Stopped(engine))
            }
        }
    }
}

/// A slot out on loan.
struct Loan {
    slot: Option<Slot>,
    wanted: Wanted,
    shared: Arc<Shared>,
    _place: Place,
}

impl Loan {
    async fn order(&self, order: Order) -> Result<(), ()> {
        match &self.slot {
            Some(slot) => slot.orders.send(order).await.map_err(|_| ()),
            None => Err(()),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // What still waits for the slot is skipped by it and what it is at is broken off, so the next speaker is heard at once.
        self.wanted.no_more();
        if let Some(slot) = self.slot.take() {
            lock(&self.shared.idle).push(slot);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step, so a panic elsewhere leaves the content whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeats how many samples it heard.
    struct Counter(usize);

    impl Recogniser for Counter {
        fn begin(&mut self, _opening: &Opening) {
            self.0 = 0;
        }

        fn hear(&mut self, samples: &[i16]) -> Option<String> {
            self.0 += samples.len();
            Some(self.0.to_string())
        }

        fn finish(&mut self) -> Transcript {
            Transcript {
                text: self.0.to_string(),
                ..Transcript::default()
            }
        }
    }

    struct Counters;

    impl SttAdapter for Counters {
        fn engine(&self) -> &'static str {
            "counter"
        }

        fn model(&self) -> String {
            "none".into()
        }

        fn languages(&self) -> &'static [&'static str] {
            &[]
        }

        fn placement(&self) -> Placement {
            Placement::Slots
        }

        fn open(&self) -> Result<Box<dyn Recogniser>, Error> {
            Ok(Box::new(Counter(0)))
        }
    }

    #[tokio::test]
    async fn an_utterance_is_heard_whole_and_told_on_the_way() {
        let slots = Slots::new(Arc::new(Counters), 1, Duration::from_secs(2));
        let mut utterance = slots
            .borrow(Speaker::default(), Hints::default())
            .await
            .unwrap();
        utterance.hear(&[0; 4_000]).await.unwrap();
        assert_eq!(utterance.partial().await, "1600");
        assert_eq!(slots.in_use(), 1);
        assert_eq!(utterance.finish().await.unwrap().text, "4000");
        assert_eq!(slots.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_recogniser_waits_and_is_then_told() {
        let slots = Slots::new(Arc::new(Counters), 1, Duration::from_secs(2));
        let first = slots
            .borrow(Speaker::default(), Hints::default())
            .await
            .unwrap();
        let refused = slots
            .borrow(Speaker::default(), Hints::default())
            .await
            .err()
            .unwrap();
        assert_eq!(refused, Error::NoneFree { slots: 1 });
        assert!(
            refused
                .to_string()
                .starts_with("no recogniser is free: 1 of 1")
        );
        drop(first);
        assert!(
            slots
                .borrow(Speaker::default(), Hints::default())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn what_a_caller_left_behind_is_not_heard_by_the_next() {
        let slots = Slots::new(Arc::new(Counters), 1, Duration::from_secs(2));
        let mut left = slots
            .borrow(Speaker::default(), Hints::default())
            .await
            .unwrap();
        left.hear(&[0; 16_000]).await.unwrap();
        drop(left);
        let mut next = slots
            .borrow(Speaker::default(), Hints::default())
            .await
            .unwrap();
        next.hear(&[0; 1_600]).await.unwrap();
        assert_eq!(next.finish().await.unwrap().text, "1600");
    }
}
