//! Takes the rooms that a LiveKit server gives, as many as there are places for, and says no to the rest at once.

use super::backoff::Backoff;
use super::called;
use super::dial::{Dial, DialError, Incoming};
use super::house::House;
use super::jobs::Jobs;
use super::line::{Change, Line};
use super::load::{BUSY, Load};
use super::standing::Teller;
use crate::sessions::{Admission, Refused, Transport};
use crate::telemetry::metrics as names;
use media::Clock;
use media::link::livekit::token::AGENT_IDENTITY_PREFIX;
use media::link::livekit::worker::{
    ASSIGNED_WITHIN, Assignment, Event, Job, JobKind, Outcome, Participant, Status, TARGET_LOAD,
    Taking, Worker,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// A wrong key does not become right by trying often.
const WRONG_KEY_AGAIN: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one: the next wait is a short one.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// How often calls that came another way are looked at.
const REFRESH: Duration = Duration::from_millis(500);
/// How long a place is kept once the program is to end: an assignment that is on its way comes within a round trip.
const LAST_ASSIGNMENTS: Duration = Duration::from_secs(2);
/// What rooms tell the dispatcher; each tells two things in its life, and waits while this many are on their way.
const NEWS: usize = 64;
/// More would be cut off by the server's own interface anyway.
const REASON_CHARACTERS: usize = 200;

/// What is known of the server and of ourselves.
#[derive(Debug)]
pub(super) struct Settings {
    /// The server's name, for logs.
    pub(super) server: String,
    /// The agent's name; empty to be in every room.
    pub(super) agent_name: String,
    /// How many calls there may be, of all kinds.
    pub(super) places: usize,
}

/// What a room tells.
#[derive(Debug)]
enum News {
    /// The agent is in the room of this job.
    Running(String),
    /// The call is over.
    Over(String, Outcome),
}

/// The dispatcher.
pub(super) struct Dispatch<H> {
    settings: Settings,
    dial: Box<dyn Dial>,
    house: H,
    load: Load,
    clock: Clock,
    line: Line,
    worker: Option<Worker>,
    up_since: Duration,
    backoff: Backoff,
    teller: Teller,
    jobs: Jobs,
    to_us: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    is_draining: bool,
    refresh_at: Duration,
}

impl<H: House> Dispatch<H> {
    /// Connects at once when it runs.
    pub(super) fn new(settings: Settings, dial: Box<dyn Dial>, house: H, load: Load) -> Self {
        let (to_us, news) = mpsc::channel(NEWS);
        Self {
            teller: Teller::new(settings.server.clone()),
            settings,
            dial,
            house,
            load,
            clock: Clock::start(),
            line: Line::Waiting(Duration::ZERO),
            worker: None,
            up_since: Duration::ZERO,
            backoff: Backoff::default(),
            jobs: Jobs::default(),
            to_us,
            news,
            is_draining: false,
            refresh_at: Duration::ZERO,
        }
    }

    /// Takes rooms until `draining`, stays connected until `closed`.
    pub(super) async fn run(mut self, draining: CancellationToken, closed: CancellationToken) {
        metrics::gauge!(names::LIVEKIT_REGISTERED).set(0.0);
        loop {
            self.speak().await;
            let (clock, due) = (self.clock, self.next_timeout());
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                () = draining.cancelled(), if !self.is_draining => self.drain(),
                Some(news) = self.news.recv() => self.on_news(news),
                () = clock.until(due) => self.on_timeout(),
                change = self.line.next(clock, &*self.dial) => self.on_change(change),
            }
        }
        while let Ok(news) = self.news.try_recv() {
            self.on_news(news);
        }
        self.speak().await;
        self.line.close().await;
        metrics::gauge!(names::LIVEKIT_REGISTERED).set(0.0);
    }

    /// Sends what there is to say.
    async fn speak(&mut self) {
        let status = self.status();
        let now = self.clock.now();
        let Some(worker) = &mut self.worker else {
            return;
        };
        worker.set_status(now, status);
        if let Err(why) = self.line.send(worker).await {
            self.lose(&why);
        }
    }

    fn next_timeout(&self) -> Duration {
        let worker = self.worker.as_ref().and_then(Worker::next_timeout);
        [worker, self.jobs.next_timeout()]
            .into_iter()
            .flatten()
            .fold(self.refresh_at, Duration::min)
    }

    fn on_timeout(&mut self) {
        let now = self.clock.now();
        self.jobs.expire(now);
        if let Some(worker) = &mut self.worker {
            worker.handle_timeout(now);
        }
        if now >= self.refresh_at {
            self.refresh_at = now + REFRESH;
        }
        self.on_events();
    }

    fn on_change(&mut self, change: Change) {
        let now = self.clock.now();
        match change {
            Change::Up => {
                self.up_since = now;
                let name = &self.settings.agent_name;
                self.worker = Some(Worker::new(now, name, env!("CARGO_PKG_VERSION")));
            }
            Change::Refused(DialError::WrongKey) => {
                self.teller.wrong_key();
                self.line.retry(now + WRONG_KEY_AGAIN);
            }
            Change::Refused(error) => {
                self.teller.unreachable(&error.to_string());
                self.line.retry(now + self.backoff.failed());
            }
            Change::Came(Incoming::Message(message)) => {
                if let Some(worker) = &mut self.worker
                    && let Err(error) = worker.handle_message(now, &message)
                {
                    debug!(%error, "A message of the LiveKit server was left out.");
                }
                self.on_events();
            }
            Change::Came(Incoming::SignOfLife) => {
                if let Some(worker) = &mut self.worker {
                    worker.handle_sign_of_life(now);
                }
            }
            Change::Lost(why) => self.lose(&why),
        }
    }

    fn on_events(&mut self) {
        while let Some(event) = self.worker.as_mut().and_then(Worker::poll_event) {
            match event {
                Event::Registered { worker_id } => self.on_registered(&worker_id),
                Event::Offered(job) => self.on_offer(&job),
                Event::Assigned(assignment) => self.on_assigned(assignment),
                Event::Ended(job) => self.jobs.end(&job),
                Event::Pong => {}
                Event::GoAway => self.unplug(),
                Event::Silent => self.lose("it does not answer"),
            }
        }
    }

    fn on_registered(&mut self, worker_id: &str) {
        metrics::gauge!(names::LIVEKIT_REGISTERED).set(1.0);
        self.teller.registered(worker_id, &self.settings.agent_name);
        let Some(worker) = &mut self.worker else {
            return;
        };
        // Calls went on while nobody listened.
        for job in self.jobs.all_running() {
            worker.update_job(job, &Outcome::Running);
        }
        for (job, outcome) in self.jobs.take_unsaid() {
            worker.update_job(&job, &outcome);
        }
    }

    /// Answers at once, whatever the answer.
    fn on_offer(&mut self, job: &Job) {
        let answer = self.consider(job);
        let Some(worker) = &mut self.worker else {
            return;
        };
        metrics::counter!(names::LIVEKIT_JOBS_TOTAL, "answer" => answer).increment(1);
        debug!(job = %job.id, answer, "A room was offered.");
        if answer == "accepted" {
            worker.accept(&job.id, &participant(job, &self.settings.agent_name));
        } else {
            worker.decline(&job.id);
        }
    }

    /// Takes a place for a job if there is one; says how it is answered.
    fn consider(&mut self, job: &Job) -> &'static str {
        let until = self.clock.now() + ASSIGNED_WITHIN;
        // A room that we are in, and that the server has lost sight of, needs no second place.
        if self.jobs.is_going(&job.id) || self.jobs.is_reserved(&job.id) {
            return "accepted";
        }
        match job.kind {
            JobKind::Room => {}
            // We register for rooms only.
            JobKind::Publisher | JobKind::Participant => return "unfit",
        }
        if self.is_draining {
            return "draining";
        }
        // A server that began anew makes a new room of the same name, and the agent that was there comes back by itself:
        // two of them would talk with each other's people.
        if self.jobs.is_in(&job.room) {
            return "present";
        }
        if self.busy() >= BUSY {
            return "busy";
        }
        match self.house.sessions().admit(Transport::LiveKit) {
            Ok(admission) => {
                self.jobs.reserve(&job.id, admission, until);
                "accepted"
            }
            Err(Refused::Full(_)) => "full",
            Err(Refused::Draining) => "draining",
        }
    }

    fn on_assigned(&mut self, assignment: Assignment) {
        let id = assignment.job.id.clone();
        if self.jobs.is_going(&id) {
            if self.jobs.is_running(&id) {
                self.update_job(id, Outcome::Running);
            }
            return;
        }
        // An assignment that comes later than it should may still find a place.
        let admission = self
            .jobs
            .claim(&id)
            .map_or_else(|| self.house.sessions().admit(Transport::LiveKit), Ok);
        match admission {
            Ok(admission) => self.carry(admission, assignment),
            Err(refused) => {
                warn!(job = %id, %refused, "A room came too late, and its place was gone.");
                self.update_job(id, Outcome::Failed(refused.to_string()));
            }
        }
    }

    fn carry(&mut self, admission: Admission, assignment: Assignment) {
        let job = assignment.job.id.clone();
        info!(%job, session = %admission.id, room = %assignment.job.room_sid, "A room was given.");
        let room = &assignment.job.room;
        self.jobs.begin(&job, room, admission.hangup());
        let (running, is_running) = oneshot::channel();
        let tracker = self.house.sessions().tracker();
        // In a task of its own: should it panic, the server is told all the same.
        let call = tracker.spawn(self.house.carry(admission, assignment, running));
        let news = self.to_us.clone();
        tracker.spawn(async move {
            // If the dispatcher has gone, nobody needs to know.
            if is_running.await.is_ok() {
                let _ = news.send(News::Running(job.clone())).await;
            }
            let outcome = call
                .await
                .unwrap_or_else(|_| Outcome::Failed("the call broke off".into()));
            let _ = news.send(News::Over(job, outcome)).await;
        });
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Running(job) => {
                self.jobs.running(&job);
                self.update_job(job, Outcome::Running);
            }
            News::Over(job, outcome) => {
                self.jobs.over(&job);
                self.update_job(job, shortened(outcome));
            }
        }
    }

    /// Tells the server how a job goes, or whichever server listens next how it ended.
    fn update_job(&mut self, job: String, outcome: Outcome) {
        match &mut self.worker {
            Some(worker) if worker.is_registered() => worker.update_job(&job, &outcome),
            Some(_) | None => match outcome {
                Outcome::Running => {}
                Outcome::Succeeded | Outcome::Failed(_) => self.jobs.unsaid(job, outcome),
            },
        }
    }

    /// No more rooms: says so, and keeps no place for longer than an assignment may be on its way.
    fn drain(&mut self) {
        self.is_draining = true;
        self.jobs.hurry(self.clock.now() + LAST_ASSIGNMENTS);
    }

    /// The connection is gone; calls go on, and the next try comes soon.
    fn lose(&mut self, why: &str) {
        self.teller.unreachable(why);
        self.unplug();
    }

    /// Begins anew with another connection.
    fn unplug(&mut self) {
        let now = self.clock.now();
        let was_registered = self
            .worker
            .take()
            .is_some_and(|worker| worker.is_registered());
        metrics::gauge!(names::LIVEKIT_REGISTERED).set(0.0);
        // A server gives a job over the connection on which it was accepted, or not at all.
        self.jobs.forget_reserved();
        if was_registered && now.saturating_sub(self.up_since) >= GOOD_AFTER {
            self.backoff.reset();
        }
        self.line.retry(now + self.backoff.failed());
    }

    fn status(&self) -> Status {
        let sessions = self.house.sessions();
        let (calls, places) = (sessions.len(), self.settings.places);
        let busy = self.busy();
        let taking = if self.is_draining || sessions.is_draining() {
            Taking::NoMore
        } else if calls >= places || busy >= BUSY {
            Taking::Nothing
        } else {
            Taking::Jobs
        };
        let load = match taking {
            // Below the mark where servers stop offering down to the last place, and at it when the machine is busy.
            Taking::Jobs => TARGET_LOAD * (calls as f32 / places as f32).max(busy / BUSY),
            Taking::Nothing | Taking::NoMore => 1.0,
        };
        Status {
            taking,
            load: load.min(1.0),
            jobs: u32::try_from(self.jobs.len()).unwrap_or(u32::MAX),
        }
    }

    /// How busy the machine is, for the calls that suffer by it: where there are none, none suffers.
    fn busy(&self) -> f32 {
        match self.house.sessions().is_empty() {
            true => 0.0,
            false => self.load.get(),
        }
    }
}

/// Who the agent would be in a job's room.
fn participant(job: &Job, agent_name: &str) -> Participant {
    let mut attributes = BTreeMap::from([("lk.agent.state".into(), "initializing".into())]);
    if !agent_name.is_empty() {
        attributes.insert("lk.agent.name".into(), agent_name.into());
    }
    Participant {
        identity: format!("{AGENT_IDENTITY_PREFIX}{}", job.id),
        name: called(agent_name).to_owned(),
        attributes,
    }
}

fn shortened(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(why) => Outcome::Failed(why.chars().take(REASON_CHARACTERS).collect()),
        Outcome::Running | Outcome::Succeeded => outcome,
    }
}
