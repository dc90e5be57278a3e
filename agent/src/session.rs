//! One call: the only place where media, dialog and workers meet.
//!
//! ```text
//!   drain the dialog's outputs ──► wait for one thing ──► apply one input ──► again
//! ```

pub mod captions;
pub mod clauses;
pub mod conversation;
pub mod downlink;
mod inputs;
pub mod outputs;
pub mod protocol;
pub mod recorder;
pub mod responder;
pub mod speech;
mod tell;
mod texts;
mod timings;
pub mod uplink;

use crate::cluster::{Cluster, Voice};
use crate::config::Mode;
use crate::sessions::Admission;
use conversation::Conversation;
use dialog::{Dialog, EndReason, Input, Policy, SessionTime, Stamped};
use downlink::Downlink;
use media::Clock;
use media::hear::Ear;
use media::link::{Link, Outbound};
use outputs::Sayings;
use protocol::ServerMessage;
use recorder::Recorder;
use responder::Responder;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use texts::Unfinished;
use timings::TurnClock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;
use uplink::Uplink;

/// Which messages a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Only those of the WebSocket contract.
    ContractOnly,
    /// State, transcripts and timings too.
    All,
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
    /// Hears the caller.
    pub ear: Ear,
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
    uplink: Uplink,
    downlink: Downlink,
    cluster: Cluster,
    responder: Arc<Responder>,
    voice: Voice,
    sayings: Sayings,
    conversation: Conversation,
    turn: TurnClock,
    recorder: Option<Recorder>,
    tracker: TaskTracker,
    /// Ends the call's tasks with it.
    ended: CancellationToken,
    events: Events,
    segment: u64,
    unfinished: Unfinished,
    ending: Option<EndReason>,
    barge_in_at: Option<Duration>,
}

impl Session {
    /// A call that has been admitted and connected.
    pub fn new(admission: Admission, link: Link, events: Events, parts: Parts) -> Self {
        let Parts {
            policy,
            sayings,
            voice,
            ear,
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
        let uplink = Uplink::new(
            ear,
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
            dialog: Dialog::new(policy),
            uplink,
            downlink,
            cluster,
            responder,
            voice,
            sayings,
            conversation: Conversation::default(),
            turn: TurnClock::default(),
            recorder,
            tracker,
            ended,
            events,
            segment: 0,
            unfinished: Unfinished::default(),
            ending: None,
            barge_in_at: None,
        }
    }

    /// Runs the call to its end.
    pub async fn run(mut self) {
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
            let clock = self.clock;
            tokio::select! {
                biased;
                () = clock.until_some(self.downlink.next_timeout()) => self.on_tick(),
                () = hangup.cancelled() => self.feed(Input::Hangup("hung-up".into())),
                item = self.link.inbox.recv() => self.on_inbound(item),
                () = clock.until_some(self.uplink.next_timeout()) => self.on_missing_sound(),
                event = self.downlink.recv() => {
                    let happened = self.downlink.on_event(event);
                    self.on_happened(happened);
                }
                result = self.uplink.recv() => self.on_recognised(result),
                permit = outbound.reserve(), if !self.outbox.is_empty() => {
                    // A transport that is gone says so in the inbox.
                    if let (Ok(permit), Some(item)) = (permit, self.outbox.pop_front()) { permit.send(item) }
                }
                () = clock.until_some(dialog_timeout) => self.feed(Input::Tick),
            }
            self.speak_clauses();
        }
        self.finish().await;
    }

    /// Tells the dialog, and does what it answers.
    fn feed(&mut self, input: Input) {
        let now = self.session_time();
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
