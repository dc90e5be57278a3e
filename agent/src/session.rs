//! One call: the only place where media, dialog and workers meet.
//!
//! ```text
//!   drain the dialog's outputs ──► wait for one thing ──► apply one input ──► again
//! ```

mod away;
pub mod captions;
pub mod clauses;
pub mod conversation;
pub mod downlink;
mod floor;
mod hearing;
mod inputs;
pub mod outputs;
pub mod people;
pub mod protocol;
pub mod recorder;
pub mod responder;
pub mod speech;
mod tell;
#[cfg(test)]
mod tests;
mod texts;
mod timings;
pub mod uplink;

use crate::cluster::{Cluster, Voice};
use crate::config::Mode;
use crate::sessions::Admission;
use away::Presence;
use conversation::Conversation;
use dialog::{Dialog, EndReason, Input, Policy, SessionTime, Stamped};
use downlink::Downlink;
use floor::OneFloor;
use media::Clock;
use media::link::{Link, Outbound, Speaker};
use outputs::Sayings;
use people::{EarFactory, People};
use protocol::ServerMessage;
use recorder::Recorder;
use responder::Responder;
use speech::Affinity;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use texts::Unfinished;
use timings::TurnClock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;
use uplink::Recognition;

/// Which messages a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Only those of the WebSocket contract.
    ContractOnly,
    /// State, transcripts and timings too.
    All,
    /// All of it, for everyone in a room: transcripts as captions, what the agent does as an attribute, the rest on data
    /// topics.
    Room,
}

/// What a caller chose for this call.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// Who may interrupt whom.
    pub mode: Mode,
    /// The voice, or none for the server's.
    pub voice: Option<String>,
    /// Which messages the caller gets.
    pub events: Events,
}

/// What a session needs besides its caller.
pub struct Parts {
    /// The dialog's settings for this call.
    pub policy: Policy,
    /// What is said without a responder.
    pub sayings: Sayings,
    /// How replies sound.
    pub voice: Voice,
    /// Makes an ear for everyone who is heard.
    pub ears: EarFactory,
    /// The workers.
    pub cluster: Cluster,
    /// Thinks of answers.
    pub responder: Arc<Responder>,
    /// Writes the `.call` file.
    pub recorder: Option<Recorder>,
    /// Where the call's tasks run.
    pub tracker: TaskTracker,
}

/// One call in progress.
pub struct Session {
    admission: Admission,
    clock: Clock,
    link: Link,
    outbox: VecDeque<Outbound>,
    dialog: Dialog,
    people: People,
    floor: OneFloor,
    downlink: Downlink,
    cluster: Cluster,
    responder: Arc<Responder>,
    voice: Voice,
    /// The worker that spoke last.
    affinity: Affinity,
    sayings: Sayings,
    conversation: Conversation,
    turn: TurnClock,
    recorder: Option<Recorder>,
    tracker: TaskTracker,
    /// Ends the call's tasks with it.
    ended: CancellationToken,
    events: Events,
    segment: u64,
    /// Whose message is being looked at, in a room: errors about it are theirs.
    addressee: Option<Speaker>,
    unfinished: Unfinished,
    ending: Option<EndReason>,
    barge_in_at: Option<Duration>,
    /// When the dialog was last told anything: whoever gets the floor late did not have it before.
    last_input_at: Duration,
    /// The turn was said to be over, and nobody has begun to speak since.
    committed: bool,
    /// What a room was last told that the agent does.
    agent_state: Option<&'static str>,
    presence: Presence,
}

impl Session {
    /// A call that has been admitted and connected.
    pub fn new(admission: Admission, link: Link, events: Events, parts: Parts) -> Self {
        let Parts {
            policy,
            sayings,
            voice,
            ears,
            cluster,
            responder,
            recorder,
            tracker,
        } = parts;
        let clock = Clock::start();
        let ended = admission.hangup().child_token();
        let phase = Duration::from_micros(rand::random_range(0..20_000));
        let downlink = Downlink::new(
            clock.now(),
            phase,
            link.fence.clone(),
            link.outbound.clone(),
        );
        let recognition = Recognition::new(
            cluster.clone(),
            admission.id.clone(),
            tracker.clone(),
            ended.clone(),
        );
        Self {
            admission,
            clock,
            link,
            outbox: VecDeque::new(),
            floor: OneFloor::new(policy.final_timeout),
            dialog: Dialog::new(policy),
            people: People::new(ears, recognition),
            downlink,
            cluster,
            responder,
            voice,
            affinity: Affinity::default(),
            sayings,
            conversation: Conversation::default(),
            turn: TurnClock::default(),
            recorder,
            tracker,
            ended,
            events,
            segment: 0,
            addressee: None,
            unfinished: Unfinished::default(),
            ending: None,
            barge_in_at: None,
            last_input_at: Duration::ZERO,
            committed: false,
            agent_state: None,
            presence: Presence::Here,
        }
    }

    /// Runs the call to its end, and says why it ended.
    pub async fn run(mut self) -> String {
        info!(session = %self.admission.id, transport = self.admission.transport().name(), "A call began.");
        self.tell(ServerMessage::SessionStart {
            session_id: self.admission.id.clone(),
        });
        self.feed(Input::Connected);
        let hangup = self.admission.hangup();
        let outbound = self.link.outbound.clone();
        while self.ending.is_none() {
            let dialog_timeout = self
                .dialog
                .next_timeout()
                .map(|at| Duration::from_millis(at.as_ms()));
            let hearing_timeout = self.next_hearing_timeout();
            let clock = self.clock;
            tokio::select! {
                biased;
                () = clock.until_some(self.downlink.next_timeout()) => self.on_tick(),
                () = hangup.cancelled() => self.feed(Input::Hangup("hung-up".into())),
                item = self.link.inbox.recv() => self.on_inbound(item),
                () = clock.until_some(hearing_timeout) => self.on_hearing_timeout(),
                event = self.downlink.recv() => {
                    let happened = self.downlink.on_event(event);
                    self.on_happened(happened);
                }
                result = self.people.recv() => self.on_recognised(result),
                permit = outbound.reserve(), if !self.outbox.is_empty() => {
                    // A transport that is gone says so in the inbox.
                    if let (Ok(permit), Some(item)) = (permit, self.outbox.pop_front()) { permit.send(item) }
                }
                () = clock.until_some(dialog_timeout) => self.feed(Input::Tick),
            }
            self.speak_clauses();
        }
        self.finish().await
    }

    /// Tells the dialog, and does what it answers.
    fn feed(&mut self, input: Input) {
        let now = self.session_time();
        self.last_input_at = self.clock.now();
        let outputs: Vec<Stamped> = match &mut self.recorder {
            Some(recorder) => recorder.handle(&mut self.dialog, now, input),
            None => {
                self.dialog.handle(now, input);
                std::iter::from_fn(|| self.dialog.poll_output()).collect()
            }
        };
        for stamped in outputs {
            self.apply(stamped.output);
        }
    }

    fn session_time(&self) -> SessionTime {
        time(self.clock.now())
    }
}

fn time(at: Duration) -> SessionTime {
    SessionTime::from_ms(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}
