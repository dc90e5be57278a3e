//! The machine itself: told the time and what happened, it says what is to be done.

mod buttons;
mod floor;
mod hearing;
mod playout;
mod timers;

use crate::event::{Input, Output, ReplyId, Stamped};
use crate::policy::{Mode, Policy};
use crate::state::{Phase, State};
use crate::time::SessionTime;
use crate::turn::Turn;
use crate::words::Words;
use std::collections::VecDeque;

/// How many texts of a client may wait to be spoken; one more is dropped (see [`Dialog::has_room`]).
pub const QUEUED_TEXTS: usize = 32;

/// One conversation. See the crate's documentation for its states and rules.
///
/// ```
/// use dialog::{Dialog, Input, Policy, SessionTime};
///
/// let mut dialog = Dialog::new(Policy::default());
/// dialog.handle(SessionTime::ZERO, Input::Connected);
/// dialog.handle(SessionTime::from_ms(1000), Input::Ask("what time is it".into()));
/// while let Some(stamped) = dialog.poll_output() {
///     println!("{} {}", stamped.at, stamped.output);
/// }
/// // Wake up no later than this, and tell it with a tick.
/// assert_eq!(dialog.next_timeout(), Some(SessionTime::from_ms(16_000)));
/// ```
#[derive(Debug)]
pub struct Dialog {
    policy: Policy,
    state: State,
    turn: Turn,
    now: SessionTime,
    outputs: VecDeque<Stamped>,
    // Texts of a client that wait for the floor: at most QUEUED_TEXTS.
    queue: VecDeque<Words>,
    microphone: Microphone,
    last_reply: ReplyId,
    messages: u32,
    prompting: Prompting,
    connected_at: Option<SessionTime>,
    last_input_at: SessionTime,
}

/// What the session was last told about the caller's microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Microphone {
    Open,
    Muted,
}

/// Whether silence is to be answered with a re-prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompting {
    /// No: nobody has spoken or asked, so this may be a client that only sends texts.
    No,
    /// Yes, and so many were said since the user was last heard.
    Yes { said: u32 },
}

impl Dialog {
    /// A dialog to which nobody is connected yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Idle,
            turn: Turn::new(),
            now: SessionTime::ZERO,
            outputs: VecDeque::new(),
            queue: VecDeque::new(),
            microphone: Microphone::Open,
            last_reply: ReplyId(0),
            messages: 0,
            prompting: Prompting::No,
            connected_at: None,
            last_input_at: SessionTime::ZERO,
        }
    }

    /// Applies what happened at `now`, after every deadline up to `now` in order of time.
    ///
    /// A clock that goes backwards is taken to stand still. After the end every input is ignored.
    pub fn handle(&mut self, now: SessionTime, input: Input) {
        let now = now.max(self.now);
        self.meet_deadlines(now);
        self.now = now;
        if !matches!(input, Input::Tick) {
            self.last_input_at = now;
        }
        if !self.is_deaf_to(&input) {
            self.apply(input);
        }
        // What an input makes due at once (the final that a long silence has waited for) must not wait for a tick.
        self.meet_deadlines(now);
    }

    /// The next thing to be done, if any.
    pub fn poll_output(&mut self) -> Option<Stamped> {
        self.outputs.pop_front()
    }

    /// When to call [`Dialog::handle`] with a tick if nothing else happens; none if time changes nothing any more.
    /// Never a moment that has been handled.
    pub fn next_timeout(&self) -> Option<SessionTime> {
        self.next_deadline().map(|(at, _)| at)
    }

    /// Who has the floor.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The latest moment that was handled.
    pub fn now(&self) -> SessionTime {
        self.now
    }

    /// The settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether another text may be queued; without room [`Input::Speak`] is dropped.
    pub fn has_room(&self) -> bool {
        self.queue.len() < QUEUED_TEXTS
    }

    /// How many texts wait to be spoken.
    pub fn queued_texts(&self) -> usize {
        self.queue.len()
    }

    /// User turns answered so far.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::Connected => self.connected(),
            Input::SpeechStart { onset } => self.speech_started(onset),
            Input::SpeechEnd { last } => self.speech_ended(last),
            Input::Lull { last } => self.lulled(last),
            Input::Voice { onset } => self.voice_returned(onset),
            Input::Partial(words) => self.partial(&words),
            Input::Final(words) => self.recognised(words),
            Input::EndOfTurn(complete) => self.turn.believe(complete),
            Input::Ask(words) => self.asked(words),
            Input::Speak(words) => self.told_to_speak(words),
            Input::PlayoutStart(id) => self.playout_started(id),
            Input::PlayoutEnd(id) | Input::Failed(id) => self.reply_ended(id),
            Input::Pause => self.pause_button(),
            Input::Resume => self.resume_button(),
            Input::Stop => self.stop_button(),
            Input::Commit => self.committed(),
            Input::Hangup(reason) => self.hang_up(reason),
            Input::Tick => {}
        }
    }

    fn is_deaf_to(&self, input: &Input) -> bool {
        let by_ear = match input {
            Input::SpeechStart { .. }
            | Input::SpeechEnd { .. }
            | Input::Lull { .. }
            | Input::Voice { .. }
            | Input::Partial(_)
            | Input::Final(_)
            | Input::EndOfTurn(_)
            | Input::Commit => true,
            Input::Connected
            | Input::Ask(_)
            | Input::Speak(_)
            | Input::PlayoutStart(_)
            | Input::PlayoutEnd(_)
            | Input::Failed(_)
            | Input::Pause
            | Input::Resume
            | Input::Stop
            | Input::Hangup(_)
            | Input::Tick => false,
        };
        match self.state {
            State::Terminated { .. } => true,
            State::Idle => by_ear,
            State::Listening
            | State::Speaking { .. }
            | State::BargedIn { .. }
            | State::WaitingForInput { .. } => by_ear && self.microphone == Microphone::Muted,
        }
    }

    /// The only way from one state to another. The microphone follows the state: muted before the agent is heard, open
    /// again before anyone learns that it stopped.
    fn enter(&mut self, state: State) {
        self.set_microphone(self.microphone_in(&state));
        if let State::Terminated { reason } = &state {
            self.emit(Output::End(reason.clone()));
        }
        self.emit(Output::State(state.name()));
        self.state = state;
    }

    fn microphone_in(&self, state: &State) -> Microphone {
        let sounds = match state {
            State::Speaking {
                phase: Phase::Playing { .. },
                ..
            }
            | State::BargedIn { .. } => true,
            State::Speaking {
                phase: Phase::Preparing { .. },
                ..
            }
            | State::Idle
            | State::Listening
            | State::WaitingForInput { .. }
            | State::Terminated { .. } => false,
        };
        match self.policy.mode {
            Mode::Mute if sounds => Microphone::Muted,
            Mode::Mute | Mode::Duplex | Mode::Manual => Microphone::Open,
        }
    }

    fn set_microphone(&mut self, microphone: Microphone) {
        if microphone == self.microphone {
            return;
        }
        self.microphone = microphone;
        match microphone {
            Microphone::Muted => {
                // What was half heard will never be finished: the ear is deaf from here on.
                self.turn.deafened(self.now);
                self.emit(Output::Mute);
            }
            Microphone::Open => self.emit(Output::Unmute),
        }
    }

    fn emit(&mut self, output: Output) {
        self.outputs.push_back(Stamped {
            at: self.now,
            output,
        });
    }
}
